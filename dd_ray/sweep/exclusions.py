"""Parses combinations of values that a grid leaves out: `gamma=0.5,0.8 lambda=3,30`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from dd_ray.config import TrialConfig, config_fields
from dd_ray.config.field import type_of
from dd_ray.config.options import field_named
from dd_ray.errors import UserError

Combination = Mapping[str, tuple[Any, ...]]
"""Fields with values; a trial belongs to the combination if it has one of the values of every field."""


def kept_by(excluded: Sequence[str]) -> Callable[[TrialConfig], bool]:
    """Return a function that tells whether a config is in none of some combinations.

    Raises:
        UserError: a text is not of the form `FIELD=VALUE[,VALUE...] ...`, or names no field.
    """
    combinations = [combination_of(text) for text in excluded]
    return lambda config: not any(_belongs(config, each) for each in combinations)


def combination_of(text: str) -> Combination:
    """Parse a combination such as `gamma=0.5,0.8 lambda=3`.

    Raises:
        UserError: it is not of this form, or names no field.
    """
    parts = [part.partition("=") for part in text.split()]
    if not parts or not all(name and values for name, _, values in parts):
        raise UserError(f"--exclude {text!r} is no combination; give FIELD=VALUE[,VALUE...] ..., such as gamma=0.5.")
    return {_field(name): tuple(_value(name, value) for value in values.split(",")) for name, _, values in parts}


def _belongs(config: TrialConfig, combination: Combination) -> bool:
    return all(getattr(config, name) in values for name, values in combination.items())


def _field(name: str) -> str:
    found = field_named(name)
    if found is None:
        raise UserError(f"--exclude {name}=... names no option of a trial; --help lists them.")
    return found


def _value(name: str, text: str) -> Any:
    """Parse a text as a value of a field."""
    wanted = _field(name)
    field = next(each for each in config_fields() if each.name == wanted)
    kinds = get_args(type_of(field)) or (type_of(field),)
    if type(None) in kinds and text == "None":
        return None
    if bool in kinds and text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    if {int, float} & set(kinds):
        raise UserError(f"--exclude {name}={text}: {text!r} is no number; give one.")
    return text
