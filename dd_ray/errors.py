"""The exception for a user's mistakes, and filters for text of others that is printed to a terminal or written."""

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that a terminal obeys instead of showing: control characters, and those that change
the direction of writing, which can disguise the text around them."""
OF_LINES = "\n\r\t"
"""The control characters that a text of several lines may have."""


class UserError(Exception):
    """A user's mistake. The message says in one or two sentences what is wrong, with the value, and what is right."""

    exit_code = 2
    """Exit code of a command that ends with this error."""


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "", before: str = "") -> str:
    """Return the end of a sentence about an unknown name: the known one that is most like it, or else `otherwise`.

    What stands `before` each name, such as `best:`, is not compared: all names are alike in it.
    """
    close = get_close_matches(str(name), list(known), 1)
    return f"did you mean {before}{close[0]}?" if close else otherwise


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, without its full stop, or its type if it says nothing."""
    said = str(error).strip()
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__


def printable(text: object, lines: bool = False) -> str:
    r"""Escape a text so that a terminal shows it and does not obey it: `\x1b[2J` is printed as these characters.

    Labels, errors, names of users and of files, and the output of a cluster pass through this before they are printed.

    Args:
        text: the text to print.
        lines: whether it may have several lines, and tabs.
    """
    text = str(text)
    if text.isprintable():
        return text  # most texts need no escape, and this is fifty times as fast
    return "".join(
        each if unicodedata.category(each) not in UNSEEN or (lines and each in OF_LINES) else _escaped(each)
        for each in text
    )


def as_bytes(text: str) -> bytes:
    r"""Return a text in UTF-8. Bytes of a file's name that are no UTF-8 become escapes like JSON's, `\udcff`."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Print a `UserError` of the block as one message and exit with its code. For command lines."""
    try:
        yield
    except UserError as error:
        print(f"error: {printable(error, lines=True)}", file=sys.stderr)
        sys.exit(error.exit_code)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
