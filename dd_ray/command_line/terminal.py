"""Printing for people."""

import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160
"""Columns of a table in a file or a pipe: enough for every column of a sweep's trials."""


def console() -> Console:
    """A console as wide as the terminal, or wide enough where there is none."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)


def duration(seconds: float) -> str:
    """A time to read, in the largest unit of which it has two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
