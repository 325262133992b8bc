"""Printing for people."""

import os
import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160
"""Columns of a table in a file or a pipe that asks for no other width."""


def console(width: int | None = None) -> Console:
    """A console for tables. It takes text as it is: `[/red]` in a label is no markup, and `:smile:` no picture.

    What others wrote is to go through `printable` first.

    Args:
        width: in columns. Where it is None: that of the terminal; in a file or a pipe what the environment's COLUMNS
            says, or `WIDTH_WITHOUT_TERMINAL`.
    """
    if width is None and not sys.stdout.isatty():
        asked = os.environ.get("COLUMNS", "")
        width = int(asked) if asked.isdecimal() and int(asked) else WIDTH_WITHOUT_TERMINAL
    return Console(width=width, markup=False, emoji=False)


def duration(seconds: float) -> str:
    """A time to read, in the largest unit of which it has two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
