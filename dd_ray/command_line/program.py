"""Begins and ends a command: its streams, its exit code, and what it says and does where something ends it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dd_ray.command_line.streams import mended_streams, output_error
from dd_ray.errors import exit_on_user_error, printable

EXIT_UNWRITTEN = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""Exit codes of a command whose output cannot be written, that was interrupted, and whose output nobody reads any more;
the last two are those that a shell gives such a process."""


@contextmanager
def as_command(interrupted: str = "Interrupted.") -> Iterator[None]:
    """Run the block as a command, which ends with a sentence and an exit code where others end it.

    Code 2 and its message follow a `UserError`, 130 an interrupt, 141 a pipe that nobody reads any more, and 1 a stdout
    that cannot be written. After `outlive_output` a command goes on without its stdout: a closed pipe then changes
    nothing, and a full disk only makes its code 1 where it would be 0.

    Args:
        interrupted: what is said after an interrupt.
    """
    with mended_streams():
        code: Any = None
        try:
            with exit_on_user_error():
                yield
        except SystemExit as ended:
            code = ended.code
        except KeyboardInterrupt:
            print(interrupted, file=sys.stderr)
            code = EXIT_INTERRUPTED
        except OSError:
            if output_error() is None:  # it is not of what is printed
                raise
        if (code := _final(code)) is not None:
            sys.exit(code)


def _final(code: Any) -> Any:
    """Return the exit code of a command that is at its end with some code, once its output is written or lost."""
    with suppress(OSError):  # which is kept
        sys.stdout.flush()
    error = output_error()
    if code or error is None:
        return code
    if isinstance(error, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    print(f"stdout could not be written ({printable(error.strerror)}); what it lacks is lost.", file=sys.stderr)
    return EXIT_UNWRITTEN


class Survivor:
    """A shell beside this process that does something where this ends, however it does, before the shell is let go.

    It hears of it as its stdin ends, and takes some kilobytes.

    Args:
        action: what it does, a command of the shell.
        argument: `$1` of the action.
        heard: whether its stderr is that of this process. If not, who reads that to its end need not wait for it.
    """

    def __init__(self, action: str, argument: str, *, heard: bool) -> None:
        reader, self._writer = os.pipe()
        script = f'trap "" INT TERM HUP; read -r word || {{ {action}; }}'
        self._shell: subprocess.Popen[bytes] | None = None
        with suppress(OSError):  # without a shell there is none
            self._shell = subprocess.Popen(
                ["sh", "-c", script, "sh", argument],
                stdin=reader,
                stdout=subprocess.DEVNULL,
                stderr=None if heard else subprocess.DEVNULL,
                start_new_session=True,  # since Ctrl-C is for this process
            )
        os.close(reader)

    def let_go(self) -> None:
        """Let it end, and do nothing."""
        with suppress(BrokenPipeError):  # somebody has killed it
            os.write(self._writer, b"done\n")
        os.close(self._writer)
        if self._shell is not None:
            self._shell.wait()
