"""Parses combinations of values that a grid leaves out: `gamma=0.5,0.8 lambda=3,30`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from dd_ray.config import TrialConfig, config_fields, rounded_in_key
from dd_ray.config.field import type_of
from dd_ray.config.options import field_named, option_name
from dd_ray.config.trial_fields import choices_of
from dd_ray.errors import UserError, did_you_mean

Combination = Mapping[str, tuple[Any, ...]]
"""Fields with values; a trial belongs to the combination if it has one of the values of every field."""


def kept_by(excluded: Sequence[str]) -> Callable[[TrialConfig], bool]:
    """Return a function that tells whether a config is in none of some combinations.

    Raises:
        UserError: a text is not of the form `FIELD=VALUE[,VALUE...] ...`, or names no field or no choice of it.
    """
    combinations = [combination_of(text) for text in excluded]
    for name, value in {(name, value) for each in combinations for name, values in each.items() for value in values}:
        choices = choices_of(next(field for field in config_fields() if field.name == name))
        if choices and value not in choices:
            raise UserError(f"--exclude {name}={value}: there is no {value!r}; there are {', '.join(choices)}.")
    return lambda config: not any(belongs(config, each) for each in combinations)


def combination_of(text: str, option: str = "--exclude") -> Combination:
    """Parse a combination such as `gamma=0.5,0.8 lambda=3`.

    Args:
        text: the combination.
        option: the option that it was given to, for messages.

    Raises:
        UserError: it is not of this form, or names no field.
    """
    parts = [part.partition("=") for part in text.split()]
    if not parts or not all(name and values for name, _, values in parts):
        raise UserError(f"{option} {text!r} is no combination; give FIELD=VALUE[,VALUE...] ..., such as gamma=0.5.")
    found: dict[str, tuple[Any, ...]] = {}
    for name, _, values in parts:
        field = _field(name, option)
        if field in found:
            raise UserError(
                f"{option} {text!r} names {field} twice; a trial has one value of it, so join them with commas, such "
                "as gamma=0.5,0.8."
            )
        found[field] = tuple(_value(field, value, f"{option} {name}") for value in values.split(","))
    return found


def belongs(config: TrialConfig, combination: Combination) -> bool:
    """Return whether a config has one of the values of every field of a combination."""
    return all(_value_in(config, name) in values for name, values in combination.items())


def _value_in(config: TrialConfig, name: str) -> Any:
    """Return a value of a config; β in the form that is asked for if it was given in the other."""
    if name == "beta" and config.beta_norm is not None:
        return rounded_in_key(config.beta_value)
    if name == "beta_norm" and config.beta is not None:
        return rounded_in_key(config.beta_norm_value)
    return getattr(config, name)


def _field(name: str, option: str) -> str:
    found = field_named(name)
    if found is None:
        meant = did_you_mean(
            name, map(option_name, (field.name for field in config_fields())), "a study's --help lists them."
        )
        raise UserError(f"{option} {name}=... names no option of a trial; {meant}")
    return found


def _value(wanted: str, text: str, given: str) -> Any:
    """Parse a text as a value of a field; `given` is what it was given to, for messages."""
    field = next(each for each in config_fields() if each.name == wanted)
    kinds = get_args(type_of(field)) or (type_of(field),)
    if type(None) in kinds and text == "None":
        return None
    if bool in kinds:
        if text not in ("True", "False"):
            raise UserError(f"{given}={text}: {text!r} is neither True nor False; give one.")
        return text == "True"
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    if {int, float} & set(kinds):
        raise UserError(f"{given}={text}: {text!r} is no number; give one.")
    return text
