"""Arms of a grid: groups of trials that agree in all swept fields but β and the seed, with a baseline among them.

The baseline is β alone: the β-VAE if the sweep has one. If not, it is the arm in which each number is 0, or else not
given, or else the lowest of the sweep, and each name, True and False among them, is the default, or else the first in
the alphabet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dd_ray.config import BETAS, MODELS, field_names
from dd_ray.config.effects import takes
from dd_ray.config.symbols import plain, setting, values_of
from dd_ray.config.trial_fields import defaults
from dd_ray.results.cells import order_of, places_of, settings_of
from dd_ray.results.layout import NotGiven
from dd_ray.results.table import finished

BETA_ALONE = "beta_vae"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Trials that agree in all swept fields but β and the seed."""

    changed: Mapping[str, Any]
    """The settings in which it differs from the baseline."""
    name: str
    """These settings in words: `γ = 0.8`. For the baseline, a description of it."""
    trials: pd.DataFrame

    @property
    def kind(self) -> tuple[tuple[str, str], ...]:
        """The settings that are changed, regardless of numbers: arms of one kind are its levels."""
        return tuple((name, value if _is_text(value) else "") for name, value in self.changed.items())


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The arms of a grid."""

    beta: str | None
    """The form in which β is swept beside other settings; None if it is not."""
    baseline: Arm
    others: tuple[Arm, ...]

    def each_by_itself(self) -> list[Arm]:
        """Return the arms that change one setting, or several that only occur together.

        It leaves out arms that change several which also occur by themselves, and the controls.
        """
        fields = {id(arm): arm.changed.keys() - {"model"} for arm in self.others}
        controls = {id(arm) for arm in self.controls()}

        def joins_others(arm: Arm) -> bool:
            whole = fields[id(arm)]
            return bool(whole) and set().union(*(part for part in fields.values() if part < whole)) == whole

        return [arm for arm in self.others if id(arm) not in controls and not joins_others(arm)]

    def controls(self) -> list[Arm]:
        """Return the arms that change a model alone which others change together with more settings.

        They tell what such a model does by itself, as the inertia VAE with γ = λ = 0, which draws the next frame.
        """
        with_more = {arm.changed.get("model") for arm in self.others if arm.changed.keys() > {"model"}}
        return [arm for arm in self.others if arm.changed.keys() == {"model"} and arm.changed["model"] in with_more]


def arms_of(trials: pd.DataFrame) -> Arms | None:
    """Return the arms of the trials that got furthest; None if there is no baseline, or no arm besides it.

    Args:
        trials: rows of `dd_ray.results.table.final`.
    """
    settings = settings_of(trials)
    beta = next((name for name in settings if name in BETAS and len(settings) > 1), None)
    ended = finished(trials)
    others = [name for name in settings if name != beta]
    others += [name for name in _held(ended) if name not in settings]
    places = places_of(ended, others)
    base = _base_of(others, places)
    rows: dict[tuple[Any, ...], list[int]] = {}
    for row, place in enumerate(places):
        rows.setdefault(place, []).append(row)
    changes = {place: _changed(dict(zip(others, place, strict=True)), base) for place in rows}
    baseline = next((place for place in rows if not changes[place]), None)
    if baseline is None or len(rows) == 1:
        return None
    found = {place: ended.iloc[rows[place]] for place in rows}
    names = _names([change for change in changes.values() if change])
    of_baseline = {name: value for name, value in zip(others, baseline, strict=True) if value is not None}
    return Arms(
        beta=beta,
        baseline=Arm(changed={}, name=_baseline_name(of_baseline), trials=found.pop(baseline)),
        others=tuple(
            Arm(changed=changes[place], name=names[_key(changes[place])], trials=of_place)
            for place, of_place in sorted(found.items(), key=lambda item: order_of(item[0]))
        ),
    )


def _held(trials: pd.DataFrame) -> list[str]:
    """Return the numbers that β alone lacks and that other models have at one value, unless it is the default.

    A model with γ = 0.8 in all of its trials owes its difference to that γ, be its λ 0 or 30.
    """
    if BETA_ALONE not in set(trials["model"]):
        return []
    lacking = [name for name in field_names() if name in trials and not takes(BETA_ALONE, name)]
    columns = zip(*places_of(trials, lacking), strict=True)
    held = {name: {*of} - {None} for name, of in zip(lacking, columns, strict=True)}
    given = {name: next(iter(of)) for name, of in held.items() if len(of) == 1}
    return [name for name, value in given.items() if not _are_names([value]) and value != defaults().get(name)]


def _base_of(names: Sequence[str], places: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return the baseline's values by field; None for a number that only trials with other names have, none as 0."""
    columns = {name: [place[i] for place in places] for i, name in enumerate(names)}
    named = {name: _base_name(name, values) for name, values in columns.items() if _are_names(values)}
    at_base = [all(columns[name][row] in (base, None) for name, base in named.items()) for row in range(len(places))]
    numbers = {}
    for name in columns.keys() - named.keys():
        values = {value for value in columns[name] if value is not None}
        of_base = {value for value, base in zip(columns[name], at_base, strict=True) if base and value is not None}
        numbers[name] = 0 if 0 in values else min(of_base, default=None)
    return named | numbers


def _are_names(values: Sequence[Any]) -> bool:
    return any(isinstance(value, bool) or _is_text(value) for value in values)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, NotGiven)


def _base_name(name: str, values: Sequence[Any]) -> Any:
    present = {value for value in values if value is not None}
    if name == "model" and BETA_ALONE in present:
        return BETA_ALONE
    default = defaults().get(name)
    return default if default in present else min(present, key=lambda value: order_of((value,)))


def _changed(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != base[name]}


def _key(changed: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(changed.items())


def _names(changes: Sequence[Mapping[str, Any]]) -> dict[tuple[tuple[str, Any], ...], str]:
    """Name each change in words; without the model if no other model has such a change."""
    names = {}
    among = values_of(changes)
    for changed in changes:
        rest = {name: value for name, value in changed.items() if name != "model"}
        alike = {other.get("model") for other in changes if rest.keys() <= other.keys()}
        names[_key(changed)] = plain(setting(rest if rest and len(alike) == 1 else changed, among))
    return names


def _baseline_name(values: Mapping[str, Any]) -> str:
    if values.get("model") == BETA_ALONE:
        values = {name: value for name, value in values.items() if name != "model" and value != defaults().get(name)}
        rest = f" of {plain(setting(values))}" if values else ""
        return f"the {MODELS[BETA_ALONE].title}{rest}"
    return plain(setting(values))
