"""Some of the cells of a grid, drawn evenly over its axes: `--sample N`."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import scipy

from dd_ray.config import TrialConfig
from dd_ray.config.options import Axes, settled
from dd_ray.errors import UserError

DRAWS_PER_CELL = 8
"""The most points that are drawn for each cell; cells that no point has hit come last, in a random order."""
POINTS_AT_ONCE = 256

CellValues = tuple[Any, ...]
"""The values of all axes but the seed."""


def sampled(configs: Sequence[TrialConfig], axes: Axes, number: int, seed: int) -> list[TrialConfig]:
    """Draw some cells of a grid, and return their trials, all seeds of each, in the order of the grid.

    Points of a scrambled Halton sequence (Owen 2017) in the unit cube name one value of each axis, and the cell that
    has them is drawn unless it was. So cells lie evenly along each axis, and a larger number of cells contains the
    smaller one. A cell in which an axis has no effect stands for all values of that axis, and is drawn early.

    Args:
        configs: all trials of the grid.
        axes: axes of the grid.
        number: number of cells to draw.
        seed: seed of the sequence.

    Raises:
        UserError: there are not so many cells.
    """
    cells = {_cell(config, axes): None for config in configs}
    if number > len(cells):
        raise UserError(
            f"--sample {number} is more than the {len(cells)} cells of the grid; give fewer, or leave it out."
        )
    order = _drawn(cells, axes, seed)
    chosen = {next(order) for _ in range(number)}
    return [config for config in configs if _cell(config, axes) in chosen]


def _cell(config: TrialConfig, axes: Axes) -> CellValues:
    return tuple(getattr(config, name) for name in axes if name != "seed")


def _drawn(cells: Collection[CellValues], axes: Axes, seed: int) -> Iterator[CellValues]:
    """Yield each cell once, in the order in which cells are drawn."""
    left, generator = dict.fromkeys(cells), np.random.default_rng(seed)
    single = {name: values[0] for name, values in axes.items() if name != "seed"}
    swept = [name for name in single if len(axes[name]) > 1]
    halton = scipy.stats.qmc.Halton(max(1, len(swept)), seed=generator)
    for _ in range(-(-DRAWS_PER_CELL * len(cells) // POINTS_AT_ONCE)):
        for point in halton.random(POINTS_AT_ONCE):
            drawn = {name: axes[name][int(at * len(axes[name]))] for name, at in zip(swept, point, strict=False)}
            values = settled({**single, **drawn})
            cell = tuple(values.get(name) for name in axes if name != "seed")
            if cell in left:
                del left[cell]
                yield cell
    rest = list(left)
    yield from (rest[i] for i in generator.permutation(len(rest)))
