"""Command lines with many options, which `--help` shows in groups."""

from collections.abc import Callable, Sequence, Set
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Annotated, Any, get_type_hints

from dd_ray.command_line.parsing import LEAN, called_as


def parse_in_groups(
    kinds: Sequence[type],
    group_of: Callable[[str], str],
    groups: Sequence[str],
    *,
    args: Sequence[str],
    given: Set[str],
    about: str,
) -> list[Any]:
    """Parse a command line whose options are the fields of several dataclasses.

    Args:
        kinds: the dataclasses; no two have a field of the same name.
        group_of: returns the name of a field's group.
        groups: names of the groups, in the order in which `--help` shows them.
        args: the command line.
        given: the names after the dashes of its options, of which those that are fields are spelled as these are. If
            all are, no parser is made of the other fields, which takes a tenth of a second for a hundred of them.
        about: the description of the program in `--help`.

    Returns:
        An instance of each dataclass.

    Raises:
        SystemExit: code 2 for an unknown option or a value of the wrong type, 0 after `--help`.
    """
    import tyro  # noqa: PLC0415  # see `dd_ray.command_line.parsing`

    members: dict[str, list[Any]] = {name: [] for name in groups}
    needed = _needed({each.name for kind in kinds for each in fields(kind)}, args, given)
    for kind in kinds:
        hints = get_type_hints(kind, include_extras=True)
        for each in fields(kind):
            if each.name in needed:
                members[group_of(each.name)].append((each.name, hints[each.name], _default(each)))
    shown = {name: make_dataclass("Group", own, **LEAN) for name, own in members.items() if own}
    parts = tuple(Annotated[group, tyro.conf.arg(name=name, help="")] for name, group in shown.items())
    parsed = tyro.cli(
        tyro.conf.OmitArgPrefixes[tuple[parts]],  # type: ignore[misc, valid-type]
        args=args,
        description=about,
        prog=called_as(None),
    )
    values = {each.name: getattr(part, each.name) for part in parsed for each in fields(part)}
    return [kind(**{each.name: values[each.name] for each in fields(kind) if each.name in values}) for kind in kinds]


def _needed(names: Set[str], args: Sequence[str], given: Set[str]) -> Set[str]:
    """Return the fields that a command line gives; or all, for `--help`, and for messages about what is no field's."""
    known = bool(given) and args[0].startswith("--") and given <= names and not any(map(_may_be_short, args))
    return given if known else names


def _may_be_short(word: str) -> bool:
    """Return whether a word may be a short option, as -h is, and not a number."""
    return word.startswith("-") and not word.startswith("--") and not word[1:2].isdigit()


def _default(each: "Field[Any]") -> Any:
    return field(default_factory=each.default_factory) if each.default is MISSING else field(default=each.default)
