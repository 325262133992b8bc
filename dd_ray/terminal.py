"""Printing for people."""

import sys

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 160
"""Columns of a table in a file or a pipe: enough for every column of a sweep's cells."""


def console() -> Console:
    """A console as wide as the terminal, or wide enough where there is none."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)
