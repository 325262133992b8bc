"""The cells of a sweep: combinations of swept values over their seeds, in the order of these values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from dd_ray.config import field_names, has_effect
from dd_ray.config.effects import deciding, needs
from dd_ray.config.labels import parts_of
from dd_ray.config.options import field_named
from dd_ray.metrics import described
from dd_ray.results.comparisons import interval_that_tells
from dd_ray.results.layout import NOT_GIVEN, NotGiven, swept_fields

Place = tuple[Any, ...]
"""The values of settings; None for one that has no effect, and `NOT_GIVEN` for one that has but is not given."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A metric of a cell."""

    mean: float
    """Mean over the seeds; NaN if no seed has the metric."""
    half: float
    """Half of the 95% interval of the mean over seeds, by Student's t. It is NaN for one seed, for seeds that agree
    (which say nothing about other seeds) and for counts."""
    seeds: int
    """Number of seeds in the mean."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A combination over its seeds."""

    values: Mapping[str, Any]
    """Values of the settings that distinguish cells; None for one that has no effect."""
    trials: pd.DataFrame
    """Its rows of `dd_ray.results.table.final`."""

    @cached_property
    def iteration(self) -> float:
        """The last iteration at which a seed was evaluated; NaN if none was."""
        return float(pd.to_numeric(self.trials["iteration"]).max())

    @cached_property
    def furthest(self) -> pd.DataFrame:
        """The seeds that were evaluated there. Seeds at different iterations are never averaged."""
        return self.trials[pd.to_numeric(self.trials["iteration"]) == self.iteration]

    @property
    def complete(self) -> bool:
        """True if all seeds have finished at one iteration."""
        return bool((self.trials["state"] == "finished").all()) and len(self.furthest) == len(self.trials)

    def score(self, metric: str) -> Score:
        """Average a metric over the seeds that got furthest."""
        found = self.furthest.get(metric)
        values = [] if found is None else pd.to_numeric(found).dropna().to_list()
        if not values:
            return Score(mean=math.nan, half=math.nan, seeds=0)
        interval = interval_that_tells(values)
        half = math.nan if described(metric).count else float(interval.high - interval.estimate)
        return Score(mean=float(interval.estimate), half=half, seeds=len(values))


def settings_of(trials: pd.DataFrame) -> list[str]:
    """Return the fields that distinguish the cells of trials, in label order; for a single cell, those of its label."""
    names = dict.fromkeys(part for label in trials["label"] for part in parts_of(label))
    named = [field for field in map(field_named, names) if field and field != "seed" and field in trials]
    swept = swept_fields(trials, named)
    return sorted(swept, key=lambda field: named.index(field) if field in named else len(named)) or named


def cells_of(trials: pd.DataFrame, settings: Sequence[str]) -> list[Cell]:
    """Group trials into cells, sorted by the values of the settings: numbers by size."""
    by_place: dict[Place, list[int]] = {}
    for row, place in enumerate(places_of(trials, settings)):
        by_place.setdefault(place, []).append(row)
    return [
        Cell(values=dict(zip(settings, place, strict=True)), trials=trials.iloc[by_place[place]])
        for place in sorted(by_place, key=order_of)
    ]


def in_order(trials: pd.DataFrame) -> pd.DataFrame:
    """Sort trials by the values of the settings, numbers by size, and by seed."""
    places = map(order_of, places_of(trials, settings_of(trials)))
    order = list(zip(places, trials["seed"], strict=True))
    return trials.iloc[sorted(range(len(order)), key=order.__getitem__)].reset_index(drop=True)


def places_of(trials: pd.DataFrame, settings: Sequence[str]) -> list[Place]:
    """Return the place of each trial."""
    deciders = [name for name in field_names() if name in trials and (name in settings or name in deciding())]
    places = []
    for values in trials[deciders].to_dict("records"):
        known = {str(name): value for name, value in values.items()}
        places.append(tuple(_at(name, known) for name in settings))
    return places


def _at(name: str, values: Mapping[str, Any]) -> Any:
    if name in needs() and not has_effect(name, values):
        return None
    return NOT_GIVEN if pd.isna(values[name]) else values[name]


def order_of(place: Place) -> list[tuple[int, Any]]:
    """Return a sort key of a place, value by value.

    First are settings without effect, then those that are not given, then numbers by size, then texts.
    """
    return [_order_of(value) for value in place]


def _order_of(value: Any) -> tuple[int, Any]:
    if value is None or isinstance(value, NotGiven):
        return 0, int(value is not None)
    return (1, value) if isinstance(value, int | float) else (2, str(value))
