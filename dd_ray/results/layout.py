"""The fields of a sweep as axes of a map: which of them are swept, where each stands, and what values it has."""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dd_ray.config import BETAS, field_names, fields_with, has_effect, rounded_in_key
from dd_ray.config.options import field_named, option_name
from dd_ray.errors import UserError, did_you_mean

MOST_PLACES = 250_000
"""The most combinations of values that are summarised; 1.7 million take 3.3 GB."""
_PREFERRED = ("gamma", *BETAS, "lam")  # the order in which axes are given a place: x, y, columns


@dataclass(frozen=True)
class Layout:
    """The places of config fields in a figure."""

    x: str
    y: str | None = None
    columns: str | None = None
    rest: tuple[str, ...] = ()
    """Further swept fields; there is a figure for each combination of their values."""

    @property
    def axes(self) -> tuple[str, ...]:
        """All fields that distinguish cells; trials that agree in them are seeds of one cell."""
        return (*self.rest, *(name for name in (self.columns, self.y) if name), self.x)


class NotGiven(str):
    """Stands for the value of an optional field that has an effect but is not given; sorts before all values."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return not isinstance(other, NotGiven)

    def __gt__(self, other: object) -> bool:
        return False

    def __le__(self, other: object) -> bool:
        return True

    def __ge__(self, other: object) -> bool:
        return isinstance(other, NotGiven)


NOT_GIVEN = NotGiven("none")


def axis_named(text: str) -> str:
    """Return the config field that a user names, as Python spells it.

    Raises:
        UserError: there is none of this name.
    """
    field = field_named(text)
    if field is None:
        known = list(map(option_name, field_names()))
        meant = did_you_mean(text, known, f"give a config field: {', '.join(known)}.")
        raise UserError(f"{text!r} is no axis; {meant}")
    return field


def layout_of(swept: Sequence[str], asked: Mapping[str, str]) -> Layout:
    """Give each swept field a place: the one that is asked for, or the next that is free.

    Raises:
        UserError: two places are asked for with the same field.
    """
    taken = set(asked.values())
    if len(taken) < len(asked):
        raise UserError(f"two axes show the same field ({', '.join(asked.values())}); give different ones.")
    if taken & {*BETAS}:
        taken |= {*BETAS}  # two forms of one axis
    free = [name for name in swept if name not in taken]
    if "x" not in asked and "y" not in asked and len(free) > 1 and free[0].startswith("beta"):
        free[:2] = free[1], free[0]  # β is y wherever there are two axes
    chosen = dict(asked)
    for place in ("x", "y", "columns"):
        if place not in chosen and free:
            chosen[place] = free.pop(0)
    # A sweep of a single cell still is a map, of one category.
    return Layout(chosen.get("x", "model"), chosen.get("y"), chosen.get("columns"), tuple(free))


def swept_fields(table: pd.DataFrame, given: Collection[str]) -> list[str]:
    """Return the fields, other than the seed, with more than one value, in the order in which they get a place.

    Args:
        table: rows of trials.
        given: fields that were given, which tell in which of its two forms β is swept.
    """
    # The form of β that was not given follows from the other (and from the number of latents).
    names = [name for name in field_names() if name in table]
    others = ("seed", *fields_with(in_key=False))  # a file is the same wherever it lies
    candidates = [f for f in names if f not in others and (f not in BETAS or f in given)]
    rows = table.drop_duplicates("key")[names].itertuples(index=False)
    cells = [dict(zip(names, row, strict=True)) for row in rows]
    # Nearly all have one value in all cells, which takes a fraction of the time to see.
    candidates = [name for name in candidates if any(cell[name] != cells[0][name] for cell in cells)]
    # The default of a field without effect does not count as a value of an axis.
    values = {name: pd.Series([exact(cell[name]) for cell in cells if has_effect(name, cell)]) for name in candidates}
    swept = [name for name in candidates if values[name].nunique(dropna=False) > 1]
    return sorted(swept, key=lambda name: _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED))


def exact(value: Any) -> Any:
    """Round a number to the digits that a trial's key contains; other values stay as they are."""
    return rounded_in_key(value) if isinstance(value, float) else value


def with_zero(trials: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """Return the axes that have trials at 0 and at other values, along which there are differences to 0."""
    return [name for name in axes if (trials[name] == 0).any() and trials[name].nunique() > 1]


def combinations(frame: pd.DataFrame, axes: Sequence[str]) -> list[dict[str, Any]]:
    """Return every combination of the values of some columns, even if no row has it; the last column varies fastest.

    Raises:
        UserError: there are more than `MOST_PLACES`, as of values that were drawn.
    """
    values = [sorted(frame[axis].unique()) for axis in axes]
    if (number := math.prod(map(len, values))) > MOST_PLACES:
        product = " × ".join(f"{len(of)} {axis}" for of, axis in zip(values, axes, strict=True))
        raise UserError(
            f"{product} are {number:,} places, of which this sweep has few; what a search drew is shown by `dd-ray "
            "search-results` and by its page."
        )
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*values)]
