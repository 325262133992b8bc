"""The one exception for what a user got wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A wrong input. The message is one sentence or two: what was wrong, with which value, what would be right."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """For command lines: print a `UserError` as one message and exit with code 2, without a traceback."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
