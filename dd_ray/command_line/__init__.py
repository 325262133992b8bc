"""Options and terminal: command lines from dataclasses, and printing for people."""

from dd_ray.command_line.bars import progress_bar
from dd_ray.command_line.parsing import field_docs, optional, parse_options, with_help
from dd_ray.command_line.tables import Column, fitting, print_table, say, width_of
from dd_ray.command_line.terminal import console, duration
from dd_ray.command_line.values import checked_value

__all__ = [
    "Column",
    "checked_value",
    "console",
    "duration",
    "field_docs",
    "fitting",
    "optional",
    "parse_options",
    "print_table",
    "progress_bar",
    "say",
    "width_of",
    "with_help",
]
