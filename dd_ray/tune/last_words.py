"""Explains the sudden end of a command: Ray ends the process of a driver that loses its node.

Its C++ part does so at once, with exit code 1, as soon as it asks the node's store of objects for anything. Nothing in
the process itself can speak then, so a shell waits beside it, which takes some kilobytes and hears that it is gone.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

WORDS = (
    "The command has ended without a word, as it does where the Ray under it dies. "
    "What was recorded is kept; the same command goes on."
)
_WAIT = 'trap "" INT TERM HUP; read -r word || printf "\\n%s\\n" "$1" >&2'


@contextmanager
def last_words(words: str = WORDS) -> Iterator[None]:
    """Have some words written to stderr where this process ends before this does, however it does."""
    reader, writer = os.pipe()
    try:
        # Of a session of its own, since Ctrl-C is for the sweep.
        command = ["sh", "-c", _WAIT, "sh", words]
        shell = subprocess.Popen(command, stdin=reader, stdout=subprocess.DEVNULL, start_new_session=True)
    except OSError:  # without a shell there are none
        shell = None
    os.close(reader)
    try:
        yield
    finally:
        with suppress(BrokenPipeError):  # somebody has killed the shell
            os.write(writer, b"in order\n")
        os.close(writer)
        if shell is not None:
            shell.wait()
