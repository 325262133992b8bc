"""Command lines from dataclasses, by tyro: the docstring of a field is the help of its option.

Tyro is imported only where a command line is parsed: a process that trains need not have it.
"""

import argparse
import functools
import inspect
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from dd_ray.command_line.values import Seconds, is_url
from dd_ray.errors import UserError

Options = TypeVar("Options")

COMMAND = "dd-ray"
"""The command of which all others are subcommands."""
LEAN: dict[str, Any] = {
    "frozen": True,
    "kw_only": True,
    "eq": False,
    "repr": False,
    "namespace": {"__doc__": "Options."},
}
"""How dataclasses of options are made: with what tyro needs of a hundred fields, since each method is compiled anew.

A class without a docstring would get one that lists all fields with their types.
"""


@dataclass(frozen=True)
class _Optional:
    """The mark that `optional` leaves in an annotation."""

    metavar: str


@dataclass(frozen=True)
class _Positional:
    """The mark that `positional` leaves in an annotation."""

    metavar: str


def parse_options(
    options: type[Options], args: Sequence[str] | None, about: str | None, prog: str | None = None
) -> Options:
    """Parse a command line into a dataclass of options.

    Args:
        options: a dataclass whose fields have docstrings.
        args: the words of the command line; None means those of the process.
        about: the description of the program in `--help`.
        prog: name of the program in messages; by default that of its file.

    Raises:
        SystemExit: code 2 for an unknown option or a value of the wrong type, 0 after `--help`.
        UserError: a URL is given where only a path of this machine can be, or a word is empty.
    """
    import tyro  # noqa: PLC0415

    words = sys.argv[1:] if args is None else args
    asked = tyro.cli(with_help(options), args=args, description=inspect.cleandoc(about or ""), prog=called_as(prog))
    _check_none_is_empty(words)
    for name, value in vars(asked).items():
        if isinstance(value, Path) and is_url(value):
            raise UserError(f"--{name.replace('_', '-')} {value} is a URL; give a path of this machine.")
    say_what_is_given_twice(list_options(options), words)
    return asked


def _check_none_is_empty(words: Sequence[str]) -> None:
    """Make sure that no word is empty, as "$FOLDER" is where that is not set: as a path, it is this folder."""
    option = "the word"
    for word in words:
        name = word.partition("=")[0]
        option = name if word.startswith("--") else option
        if word in ("", f"{option}="):
            raise UserError(f"{option} '' is empty; give a value, or leave it out.")


def read_first(args: Sequence[str], option: str, **kind: Any) -> tuple[Any, list[str]]:
    """Read an option that decides what the others are, as `argparse` does; return its value and the other words."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(option, **kind)
    found, rest = parser.parse_known_args(list(args))
    (value,) = vars(found).values()
    return value, rest


def list_options(options: type) -> list[str]:
    """Return the fields of a dataclass of options that take several values."""
    hints = get_type_hints(options)
    return [each.name for each in fields(options) if get_origin(hints[each.name]) is tuple]  # type: ignore[arg-type]


def say_what_is_given_twice(names: Iterable[str], args: Sequence[str]) -> None:
    """Print which of some options, that take several values, a command line gives twice: only the last values count."""
    given = [word.partition("=")[0].replace("_", "-") for word in args if word.startswith("--")]
    for option in (f"--{name.replace('_', '-')}" for name in names):
        if given.count(option) > 1:
            print(
                f"{option} is given twice, and the last counts; to have all values, give them after one.",
                file=sys.stderr,
            )


def called_as(usual: str | None) -> str | None:
    """Return the name of this program for messages: `dd-ray NAME` if `dd-ray` called it, else the usual one."""
    return sys.argv[0] if sys.argv[0].startswith(f"{COMMAND} ") else usual


def as_called(words: Sequence[str]) -> str:
    """Return a command line that can be pasted into a shell, from `sys.argv`: `dd-ray inertia_grid --seeds 3`."""
    name, *rest = words or [COMMAND]
    start = name if name.startswith(f"{COMMAND} ") else shlex.join(["python", name])
    return f"{start} {shlex.join(rest)}".rstrip()


def with_help(options: type[Options], **help_of: str) -> type[Options]:
    """Return the same dataclass with each docstring joined into one paragraph, since tyro would keep its line breaks.

    Args:
        options: a dataclass whose fields have docstrings.
        help_of: help texts of some fields that replace their docstrings.
    """
    import tyro  # noqa: PLC0415

    docs: dict[str, str] = {}
    for base in reversed(options.__mro__):
        docs |= field_docs(base) if is_dataclass(base) else {}
    docs |= help_of
    hints = get_type_hints(options, include_extras=True)
    documented = [
        (
            each.name,
            Annotated[_known_to_tyro(hints[each.name]), tyro.conf.arg(help=docs[each.name])],
            field(default=each.default, default_factory=each.default_factory),
        )
        for each in fields(options)  # type: ignore[arg-type]
        if each.name in docs
    ]
    return make_dataclass(options.__name__, documented, bases=(options,), **LEAN)


def optional(metavar: str) -> Any:
    """Return the annotation of an option that may be left out, and whose docstring says what holds then."""
    return _Optional(metavar)


def positional(metavar: str) -> Any:
    """Return the annotation of a word that stands for itself, without the name of an option before it."""
    return _Positional(metavar)


def _known_to_tyro(hint: Any) -> Any:
    """Translate the marks of `optional` and `positional` in an annotation into tyro's own."""
    import tyro  # noqa: PLC0415

    kind, *marks = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
    for mark in marks:
        if isinstance(mark, _Optional):
            mark = tyro.conf.arg(metavar=mark.metavar, help_behavior_hint="")  # noqa: PLW2901
        elif isinstance(mark, _Positional):
            kind = Annotated[kind, tyro.conf.arg(metavar=mark.metavar, help_behavior_hint="")]
            mark = tyro.conf.Positional  # noqa: PLW2901
        kind = Annotated[kind, mark]
    if Seconds in get_args(get_args(kind)[0] if marks else kind):
        kind = Annotated[kind, _written_time()]
    return kind


def _written_time() -> Any:
    """Make the rule by which tyro reads a time that may be left out."""
    import tyro  # noqa: PLC0415

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="TIME",
        instance_from_str=lambda words: Seconds.read(words[0]),
        is_instance=lambda value: value is None or isinstance(value, Seconds),
        str_from_instance=lambda value: [str(value)],
    )


def field_docs(options: type) -> dict[str, str]:
    """Return the docstrings of a class's fields from its source, each in one line; none for a class without source."""
    named = getattr(sys.modules.get(options.__module__), options.__qualname__, None)
    is_made = named is not options and "<locals>" not in options.__qualname__  # by `make_dataclass`, as others are
    return {} if is_made else _docs_in_source(options)


@functools.cache
def _docs_in_source(options: type) -> dict[str, str]:
    from docstring_parser import parse_from_object  # noqa: PLC0415

    try:
        inspect.getsource(options)
    except (OSError, TypeError):
        return {}
    return {p.arg_name: " ".join(p.description.split()) for p in parse_from_object(options).params if p.description}
