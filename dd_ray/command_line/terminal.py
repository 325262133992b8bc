"""Printing for people: the console, and times, numbers of things and sizes in words."""

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
    return counted(max(1, round(seconds)), "second")


def counted(number: int, what: str) -> str:
    """Return a number with its noun: `1 trial`, `3 trials`."""
    return f"{number} {what}{'s' if number != 1 else ''}"


def shown_size(size: int) -> str:
    """Return a number of bytes in words: `512 bytes`, `3.4 MB`."""
    number = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
