"""Printing for people: the console, and times in words."""

import os
import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160
"""Width, in characters, of a table in a file or a pipe where COLUMNS is not set."""


def console(width: int | None = None) -> Console:
    """Return a console for tables. It prints text as it is: `[/red]` in a label is no markup, `:smile:` no picture.

    Text that others wrote must pass through `printable` first.

    Args:
        width: in characters. None means the width of the terminal; in a file or a pipe the environment's COLUMNS, or
            `WIDTH_WITHOUT_TERMINAL`.
    """
    if width is None and not sys.stdout.isatty():
        asked = os.environ.get("COLUMNS", "")
        width = int(asked) if asked.isdecimal() and int(asked) else WIDTH_WITHOUT_TERMINAL
    return Console(width=width, markup=False, emoji=False)


def duration(seconds: float) -> str:
    """Return a time in words, in the largest unit of which it has at least two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    whole = max(1, round(seconds))
    return f"{whole} second{'s' if whole > 1 else ''}"
