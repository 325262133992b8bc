"""What colours, shapes, sizes and lines mean where the cells of a sweep are points.

By field, a colour is a value of one config field, a shape one of another (or of the same, if there is no other), and
lines join the cells that differ in one field alone, which sizes tell. Where that leaves further fields untold, colours
and shapes are of whole settings: a colour is what a setting changes of the baseline (see `dd_ray.results.arms`), and a
shape how much.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from dd_ray.config import BETAS
from dd_ray.config.options import field_named, option_name
from dd_ray.config.symbols import setting, written
from dd_ray.errors import UserError
from dd_ray.figures.common import BLUE, VERMILION, CellRow, Colour, ordered_colours
from dd_ray.results.arms import Arm, arms_of
from dd_ray.results.layout import NOT_GIVEN

SHAPES = "osD^vPX"
SIZE, SIZES = 5.5, (3.5, 8.0)
"""Sizes of markers in points: of all markers, or of the smallest and the largest if sizes have a meaning."""
MOST_COLOURS = 12
"""The most values that a legend can tell apart."""
OF_KINDS = ("#000000", BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that the colour-blind can tell apart (Okabe and Ito 2008), without yellow, which is too pale for lines."""
OF_NONE = "0.6"
"""Colour of cells without a setting's look, as none of its trials has finished."""
GREY = {"color": "0.35"}

Paint = Colour | str
Look = tuple[Paint, str]
"""Colour and shape."""


@dataclass(frozen=True, kw_only=True)
class Looks(ABC):
    """The meaning of colours, shapes, sizes and lines."""

    joined: str | None
    """Config field along which lines join cells."""
    sized: str | None
    """Config field that sizes show."""
    sizes: dict[Any, float]
    """Marker size of each of its values, in points."""
    hidden: tuple[str, ...] = ()
    """Further swept config fields, which nothing shows: cells that differ in these alone look alike."""

    @abstractmethod
    def colour_of(self, cell: CellRow) -> Paint:
        """Return the colour of a cell."""

    @abstractmethod
    def shape_of(self, cell: CellRow) -> str:
        """Return the marker of a cell."""

    @abstractmethod
    def legend(self) -> list[list[Line2D]]:
        """Return the entries of a legend, in columns."""

    def line_of(self, cell: CellRow) -> Paint:
        """Return the colour of the line through a cell."""
        return self.colour_of(cell)

    def marker_of(self, cell: CellRow) -> dict[str, Any]:
        """Return marker and size of a cell, for a plot."""
        return {"marker": self.shape_of(cell), "markersize": self.sizes[cell[self.sized]] if self.sized else SIZE}

    def _legend_of_sizes(self) -> list[Line2D]:
        return [
            entry(setting({self.sized or "": v}, {self.sized or "": self.sizes}), markersize=size, **GREY)
            for v, size in self.sizes.items()
        ]


@dataclass(frozen=True, kw_only=True)
class ByField(Looks):
    """Colours of one config field, and shapes of another."""

    colour: str
    """Config field that colours show."""
    colours: dict[Any, Colour]
    """Colour of each of its values."""
    shape: str
    """Config field that shapes show: another, or the same where no other is left to them."""
    shapes: dict[Any, str]
    """Shape of each of its values."""

    @classmethod
    def of(cls, cells: pd.DataFrame, axes: Sequence[str], asked: str | None) -> Self:
        """Choose looks for cells that differ in these axes.

        Raises:
            UserError: the field asked for is not swept.
        """
        swept = [axis for axis in axes if cells[axis].nunique() > 1] or list(axes[-1:])
        field = field_named(asked) if asked else None
        if asked and field not in swept:
            raise UserError(f"--colour {asked} is not swept here; give one of {', '.join(map(option_name, swept))}.")
        colour = field or next(axis for axis in ("gamma", "lam", *BETAS, *swept) if axis in swept)
        joined = next((axis for axis in (*BETAS, colour) if axis in swept), None)
        rest = [axis for axis in swept if axis not in (colour, joined) and cells[axis].nunique() <= len(SHAPES)]
        values = sorted(cells[colour].unique())
        if len(values) > MOST_COLOURS:
            raise UserError(
                f"{len(values)} values of {option_name(colour)} are too many colours; give another --colour."
            )
        shape, other = (*rest, None, None)[:2]
        shape = shape or colour
        sized = joined if joined != colour else other
        return cls(
            colour=colour,
            colours=dict(zip(values, ordered_colours(len(values)), strict=True)),
            shape=shape,
            shapes=dict(zip(sorted(cells[shape].unique()), cycle(SHAPES), strict=False)),
            joined=joined,
            sized=sized,
            sizes=_sizes_of(cells, sized),
            hidden=tuple(axis for axis in swept if axis not in (colour, shape, joined, sized)),
        )

    def colour_of(self, cell: CellRow) -> Paint:
        return self.colours[cell[self.colour]]

    def shape_of(self, cell: CellRow) -> str:
        return self.shapes[cell[self.shape]]

    def line_of(self, cell: CellRow) -> Paint:
        return "0.75" if self.joined == self.colour else self.colour_of(cell)

    def legend(self) -> list[list[Line2D]]:
        both = self.shapes if self.shape == self.colour else {}
        colours = [
            entry(
                setting({self.colour: value}, {self.colour: self.colours}),
                color=colour,
                marker=both.get(value, SHAPES[0]),
            )
            for value, colour in self.colours.items()
        ]
        alone = {} if both else self.shapes
        shapes = [
            entry(setting({self.shape: value}, {self.shape: self.shapes}), marker=shape, **GREY)
            for value, shape in alone.items()
        ]
        return [colours, shapes, self._legend_of_sizes()]


@dataclass(frozen=True, kw_only=True)
class BySetting(Looks):
    """Colours and shapes of whole settings, all but β."""

    axes: tuple[str, ...]
    """Config fields that cells differ in."""
    looks: dict[tuple[Any, ...], Look]
    """Colour and shape of cells, by their values of the axes."""
    names: dict[Look, str]
    """Settings in words, by their looks."""

    @classmethod
    def of(cls, trials: pd.DataFrame, axes: Sequence[str]) -> Self | None:
        """Choose looks for the arms of a grid; None if β is not swept, or there are too many to be told apart.

        Args:
            trials: rows of `dd_ray.results.table.final`.
            axes: config fields that cells differ in.
        """
        arms = arms_of(trials)
        if arms is None or arms.beta is None:
            return None
        looks = _looks_of([arms.baseline, *arms.others])
        if looks is None:
            return None
        of_cells: dict[tuple[Any, ...], Look] = {}
        names = {look: written(arm.name) for look, arm in looks.items()}
        for look, arm in looks.items():
            of_cells.update({_place(trial, axes): look for trial in arm.trials.to_dict("records")})
        sizes = _sizes_of(trials, arms.beta)
        return cls(axes=tuple(axes), looks=of_cells, names=names, joined=arms.beta, sized=arms.beta, sizes=sizes)

    def colour_of(self, cell: CellRow) -> Paint:
        return self._look_of(cell)[0]

    def shape_of(self, cell: CellRow) -> str:
        return self._look_of(cell)[1]

    def legend(self) -> list[list[Line2D]]:
        settings = [entry(name, color=colour, marker=shape) for (colour, shape), name in self.names.items()]
        half = -(-len(settings) // 2)
        return [settings[:half], settings[half:], self._legend_of_sizes()]

    def _look_of(self, cell: CellRow) -> Look:
        return self.looks.get(_place(cell, self.axes), (OF_NONE, SHAPES[0]))


def looks_of(cells: pd.DataFrame, trials: pd.DataFrame, axes: Sequence[str], asked: str | None) -> Looks:
    """Choose looks that tell cells apart: those of fields, or where these do not, of whole settings.

    Args:
        cells: rows of `dd_ray.results.tradeoffs.points`.
        trials: rows of `dd_ray.results.table.final`.
        axes: config fields that cells differ in.
        asked: the field that colours are to show, as on a command line; None if any may be.

    Raises:
        UserError: the field asked for is not swept.
    """
    by_field = ByField.of(cells, axes, asked)
    by_setting = BySetting.of(trials, axes) if by_field.hidden and not asked else None
    return by_setting or by_field


def _looks_of(arms: Sequence[Arm]) -> dict[Look, Arm] | None:
    """Return the arms by colour, of their kind, and shape, of their level; None if either is of too many."""
    kinds: dict[Any, list[Arm]] = {}
    for arm in arms:
        kinds.setdefault(arm.kind, []).append(arm)
    if len(kinds) > len(OF_KINDS) or max(map(len, kinds.values())) > len(SHAPES):
        return None
    return {
        (colour, shape): arm
        for colour, levels in zip(OF_KINDS, kinds.values(), strict=False)
        for shape, arm in zip(SHAPES, levels, strict=False)
    }


def _place(cell: CellRow, axes: Sequence[str]) -> tuple[Any, ...]:
    return tuple(NOT_GIVEN if pd.isna(cell[axis]) else cell[axis] for axis in axes)


def entry(label: str, **look: Any) -> Line2D:
    """Return a marker of a legend."""
    return Line2D([], [], label=label, **{"marker": "o", "linestyle": "none", "markersize": SIZE, **look})


def _sizes_of(cells: pd.DataFrame, field: str | None) -> dict[Any, float]:
    values = sorted(cells[field].unique()) if field else []
    return dict(zip(values, np.linspace(*SIZES, len(values)).tolist(), strict=True))
