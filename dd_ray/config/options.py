"""The config as a command line: every field is an option that takes one value, or several to sweep over.

Options, their types and their help come from `TrialConfig` itself, so every new field has its option at once.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, make_dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_args

from dd_ray.command_line import LEAN, field_docs
from dd_ray.config.effects import deciding, has_effect, needs
from dd_ray.config.field import option_of, type_of
from dd_ray.config.names import BETAS, DIGITS_IN_KEY
from dd_ray.config.specs import cached_until_change
from dd_ray.config.trial import TrialConfig
from dd_ray.config.trial_fields import TrialFields, choices_of, config_fields, defaults, option_classes
from dd_ray.errors import UserError

Axes = dict[str, tuple[Any, ...]]
"""Values of config fields by name; a field with more than one value is swept."""


def options_class(usual: Mapping[str, Sequence[Any]]) -> type:
    """Make a dataclass for tyro with a field for each field of `TrialConfig`, which holds a tuple of values.

    Args:
        usual: the default values of options; fields that are not named here have the default of the config.
    """
    import tyro  # noqa: PLC0415  # see `dd_ray.command_line.parsing`

    docs = docs_of_fields()
    options = []
    for field in config_fields():
        kind: Any = tuple[_element_type(field), ...]  # type: ignore[misc]
        default = tuple(usual.get(field.name, _default(field)))
        looks = tyro.conf.arg(
            name=option_of(field).option,
            help=docs.get(field.name, ""),
            metavar=_metavar(field),
            help_behavior_hint=None if default else "",  # None: tyro shows the default
        )
        options.append((field.name, Annotated[kind, looks], default))
    return make_dataclass("ConfigOptions", options, **LEAN)


def docs_of_fields() -> dict[str, str]:
    """Return the docstrings of config fields, each in one line."""
    classes: tuple[type, ...] = (TrialFields, *option_classes())
    return {name: doc for each in classes for name, doc in field_docs(each).items()}


def axes_of(options: Any, usual: Mapping[str, Sequence[Any]], given: Collection[str]) -> Axes:
    """Return the values that were asked for, by field: first the axes of `usual` in their order, then the other fields.

    Of `beta` and `beta_norm`, giving one replaces a default of the other. An option without values is left out, and so
    is one that only the preset sets and that has an effect in no trial. −0 is 0, whose trial has another key.

    Args:
        options: an instance of the class that `options_class` makes.
        usual: the values that the class was made with.
        given: names of the options that the user gave.
    """
    values: Axes = {field.name: tuple(map(_unsigned_zero, getattr(options, field.name))) for field in config_fields()}
    for one, other in itertools.permutations(BETAS):
        if one in given and other not in given:
            values[other] = ()
    ordered = [*usual, *(name for name in values if name not in usual)]
    axes = {name: values[name] for name in ordered if values[name]}
    of_preset = {name for name in usual if name not in given and values[name] != (defaults()[name],)}
    left_out = of_preset & without_effect(axes)
    return {name: chosen for name, chosen in axes.items() if name not in left_out}


def _unsigned_zero(value: Any) -> Any:
    return 0.0 if isinstance(value, float) and value == 0 else value


def given_options(args: Sequence[str]) -> set[str]:
    """Return the fields whose options a command line gives: num_latents for `--num-latents=3`, lam for `--lambda`."""
    named = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in args if word.startswith("--")}
    return {field_named(name) or name for name in named}


@contextmanager
def told_in_options() -> Iterator[None]:
    """Reword errors of configs for a command line: `num_latents = 0` becomes `--num-latents 0`."""
    try:
        yield
    except UserError as error:
        names = rf"\b(?:{'|'.join(defaults())})\b"
        said = re.sub(rf"{names}(?: (?:and|or) {names})* = ", partial(_in_options, names), str(error))
        raise UserError(said) from error.__cause__


def _in_options(names: str, found: re.Match[str]) -> str:
    """Reword `beta_schedule or lam_schedule = ` as `--beta-schedule or --lambda-schedule `."""
    return re.sub(names, lambda name: f"--{option_name(name[0])}", found[0].removesuffix("= "))


def product(axes: Axes) -> list[TrialConfig]:
    """Return the configs of all combinations of the axes' values; the last axis varies fastest.

    A field that has an effect in some combinations only takes its default in the others, and combinations that become
    equal are merged into one.

    Raises:
        UserError: a combination is not a valid config, a value has an effect in no combination, or an axis names a
            value twice.
    """
    for name, values in axes.items():
        check_no_value_twice(name, values)
    idle = without_effect(axes)
    trials = [settled(dict(zip(axes, trial, strict=True)), idle) for trial in itertools.product(*axes.values())]
    distinct = {tuple(trial.values()): trial for trial in trials}.values()
    configs: dict[str, TrialConfig] = {}
    for trial in distinct:
        config = TrialConfig.from_dict(trial)
        if (same := configs.setdefault(config.key, config)) is not config:
            raise UserError(_same_trial(same, config))
    return list(configs.values())


def check_no_value_twice(name: str, values: Sequence[Any]) -> None:
    """Make sure that no value of an option is given twice.

    Raises:
        UserError: one is.
    """
    if len(set(values)) < len(values):
        raise UserError(f"--{option_name(name)} {' '.join(map(str, values))} names a value twice.")


def without_effect(axes: Mapping[str, Sequence[Any]]) -> set[str]:
    """Return the fields that have an effect in no combination of the axes' values."""
    given = {name: axes[name] for name in deciding() if axes.get(name)}
    combinations = (dict(zip(given, values, strict=True)) for values in itertools.product(*given.values()))
    trials = [{**defaults(), **settled(values)} for values in combinations]
    return {name for name in needs() if not any(has_effect(name, trial) for trial in trials)}


def settled(values: Mapping[str, Any], kept: Collection[str] = ()) -> dict[str, Any]:
    """Replace each value of a trial that has no effect beside the others by its default.

    Args:
        values: the values by field; a field that is not given has its default.
        kept: fields whose values are kept in any case.
    """
    usual, decisive = defaults(), deciding()
    trial = {**usual, **values}
    resettable = [name for name in needs() if name in values and name not in kept]
    # First those that decide, one after the other: a default may give another field its effect, or take it away.
    decides = [name for name in resettable if name in decisive]
    while idle := next((name for name in decides if _is_idle(name, trial, usual)), None):
        trial[idle] = usual[idle]
    others = (name for name in resettable if name not in decisive)
    trial |= {name: usual[name] for name in others if _is_idle(name, trial, usual)}
    return {name: trial[name] for name in values}


def _is_idle(name: str, trial: Mapping[str, Any], usual: Mapping[str, Any]) -> bool:
    """Return whether a trial's value of a field is another than the default and has no effect."""
    return bool(trial[name] != usual[name]) and not has_effect(name, trial)


def _same_trial(one: TrialConfig, other: TrialConfig) -> str:
    """Return a sentence that says why two given combinations would be the same trial."""
    different = (field.name for field in config_fields() if getattr(one, field.name) != getattr(other, field.name))
    name = next(different, None)
    if name is None:
        return f"two values of an option mean the same trial, {one.key}; give one."
    why = f"they agree to {DIGITS_IN_KEY} digits" if name in BETAS else "where it lies does not enter it"
    given = f"--{option_name(name)} {getattr(one, name)} {getattr(other, name)}"
    return f"{given} are the same trial, as {why}; give one."


def option_name(field: str) -> str:
    """Return the option of a config field, without its dashes: `num_latents` is `num-latents`, `lam` is `lambda`."""
    return _option_names().get(field, field).replace("_", "-")


@cached_until_change
def _option_names() -> Mapping[str, str]:
    """Return the options whose names differ from those of their fields, by field."""
    named = {field.name: option_of(field).option for field in config_fields()}
    return {name: option for name, option in named.items() if option is not None}


def field_named(text: str) -> str | None:
    """Return the config field that num-latents, num_latents, lambda or lam means; None if there is none."""
    return _fields_by_name().get(text.replace("_", "-"))


@cached_until_change
def _fields_by_name() -> Mapping[str, str]:
    """Return the config fields by all names that are accepted for them."""
    names = [field.name for field in config_fields()]
    return {option_name(name): name for name in names} | {name.replace("_", "-"): name for name in names}


def shown(value: Any, digits: int = 6) -> str:
    """Format a config value for labels, tables and figures."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def shown_apart(values: Sequence[Any]) -> list[str]:
    """Format the values of an axis, with more digits where `shown` would write two of them alike."""
    written = ([shown(value, digits) for value in values] for digits in range(6, DIGITS_IN_KEY + 1))
    return next((texts for texts in written if len({*texts}) == len(values)), [str(value) for value in values])


def _element_type(field: Field[Any]) -> Any:
    if option_of(field).choices is not None:
        return Literal[choices_of(field)]
    kind = type_of(field)
    optional = type(None) in get_args(kind)
    return next(t for t in get_args(kind) if t is not type(None)) if optional else kind


def _default(field: Field[Any]) -> tuple[Any, ...]:
    return () if field.default is None or field.default is MISSING else (field.default,)


def _metavar(field: Field[Any]) -> str:
    names = {float: "X", int: "N", str: "TEXT", bool: "{True,False}"}
    choices = choices_of(field)
    return f"{'{' + ','.join(choices) + '}' if choices else names[_element_type(field)]} [...]"
