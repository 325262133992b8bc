"""The one exception for what a user got wrong, and how text that others wrote gets to a terminal."""

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what a terminal obeys and does not show: control characters, and those that turn the
direction of a text, on which others look like something else than they are."""
OF_LINES = "\n\r\t"


class UserError(Exception):
    """A wrong input. The message is one sentence or two: what was wrong, with which value, what would be right."""


def printable(text: object, lines: bool = False) -> str:
    r"""A text that a terminal shows and does not obey, wherever it comes from: `\x1b[2J` is six characters then.

    Labels, errors, names of users and of files, and what a cluster prints go through this on their way to a terminal.

    Args:
        text: what is to be printed.
        lines: whether it may have several lines, and tabs.
    """
    text = str(text)
    if text.isprintable():
        return text  # nearly all are, and this is fifty times as fast
    return "".join(
        each if unicodedata.category(each) not in UNSEEN or (lines and each in OF_LINES) else _escaped(each)
        for each in text
    )


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """For command lines: print a `UserError` as one message and exit with code 2, without a traceback."""
    try:
        yield
    except UserError as error:
        print(f"error: {printable(error, lines=True)}", file=sys.stderr)
        sys.exit(2)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
