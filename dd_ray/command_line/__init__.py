"""Options and terminal: command lines from dataclasses, and printing for people.

parsing, groups      options from the fields of a dataclass, and in groups
values               values that come from Python
completion           completion by a shell
program, streams     how a command begins and ends, on whatever its output goes to
terminal, tables     what is printed, and tables as wide as the terminal
bars                 progress
"""

from dd_ray.command_line.bars import progress_bar
from dd_ray.command_line.completion import completion_script
from dd_ray.command_line.groups import parse_in_groups
from dd_ray.command_line.parsing import (
    COMMAND,
    LEAN,
    as_called,
    called_as,
    field_docs,
    list_options,
    optional,
    parse_options,
    positional,
    read_first,
    say_what_is_given_twice,
    with_help,
)
from dd_ray.command_line.program import EXIT_INTERRUPTED, Survivor, as_command
from dd_ray.command_line.streams import mended_streams, outlive_output
from dd_ray.command_line.tables import Column, fitting, print_table, say, width_of
from dd_ray.command_line.terminal import console, counted, duration, shown_size
from dd_ray.command_line.values import Format, Seconds, checked_value, is_url, plain_value

__all__ = [
    "COMMAND",
    "EXIT_INTERRUPTED",
    "LEAN",
    "Column",
    "Format",
    "Seconds",
    "Survivor",
    "as_called",
    "as_command",
    "called_as",
    "checked_value",
    "completion_script",
    "console",
    "counted",
    "duration",
    "field_docs",
    "fitting",
    "is_url",
    "list_options",
    "mended_streams",
    "optional",
    "outlive_output",
    "parse_in_groups",
    "parse_options",
    "plain_value",
    "positional",
    "print_table",
    "progress_bar",
    "read_first",
    "say",
    "say_what_is_given_twice",
    "shown_size",
    "width_of",
    "with_help",
]
