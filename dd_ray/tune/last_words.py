"""Explains the sudden end of a command: Ray ends the process of a driver that loses its node.

Its C++ part does so at once, with exit code 1, as soon as it asks the node's store of objects for anything. Nothing in
the process itself can speak then, so a shell waits beside it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from dd_ray.command_line import Survivor

WORDS = (
    "The command has ended without a word, as it does where the Ray under it dies. "
    "What was recorded is kept; the same command goes on."
)


@contextmanager
def last_words(words: str = WORDS) -> Iterator[None]:
    """Have some words written to stderr where this process ends before this does, however it does."""
    shell = Survivor(r'printf "\n%s\n" "$1" >&2', words, heard=True)
    try:
        yield
    finally:
        shell.let_go()
