"""Draws a panel of a map: a metric's cells over two axes, as colours with numbers and marks."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dd_ray.config.symbols import symbol, written
from dd_ray.figures.cell_marks import EMPTY_COLOUR, content_of, glyphs_of, hatch_of
from dd_ray.figures.colour_scale import ColourScale, readable_on
from dd_ray.figures.common import CellRow
from dd_ray.results.averages import COMPLETE
from dd_ray.results.layout import Layout

WIDEST_WITH_NUMBERS = 10
"""The most cells along x with which numbers are written into a panel."""
OUTLINE = 1.8
"""Width of an outline, in points."""
Segment = tuple[tuple[float, float], tuple[float, float]]


def values_along(cells: pd.DataFrame, axis: str) -> list[Any]:
    """Return the values along an axis, in order."""
    return sorted(cells[axis].unique())


def has_numbers(cells: pd.DataFrame, layout: Layout) -> bool:
    """Return whether numbers are written into the cells of a panel: always on a curve, on maps if they are narrow."""
    return layout.y is None or cells[layout.x].nunique() <= WIDEST_WITH_NUMBERS


def outline(region: NDArray[np.bool_]) -> list[Segment]:
    """Return the border of a region of cells [rows, columns], including holes, as edges of cells.

    A cell's centre lies at (column, row), its sides half a unit from there.
    """
    padded = np.pad(region, 1)
    upright = [((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)) for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])]
    level = [((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)) for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    return upright + level


def draw_map(
    panel: Axes, cells: pd.DataFrame, axes: tuple[str, str], scale: ColourScale, *, with_numbers: bool
) -> None:
    """Draw a metric over two axes, x and y."""
    x_axis, y_axis = axes
    xs, ys = values_along(cells, x_axis), values_along(cells, y_axis)
    region = np.zeros((len(ys), len(xs)), bool)
    for cell in cells.to_dict("records"):
        at = xs.index(cell[x_axis]), ys.index(cell[y_axis])
        content = content_of(cell, scale) if with_numbers else glyphs_of(cell, scale)
        _draw_cell(panel, at, cell, scale, content)
        region[at[::-1]] = cell.get("in_best_region", False)
    _draw_outline(panel, outline(region))
    panel.set(xlim=(-0.5, len(xs) - 0.5), ylim=(-0.5, len(ys) - 0.5))
    panel.set_yticks(range(len(ys)), [written(y, ys) for y in ys])
    panel.tick_params(length=0, labelsize=8)
    panel.spines[:].set_visible(False)


def _draw_cell(panel: Axes, at: tuple[int, int], cell: CellRow, scale: ColourScale, content: str) -> None:
    background = EMPTY_COLOUR if math.isnan(cell["mean"]) else scale.colour(cell["mean"])
    ink = readable_on(background)
    x, y = at
    panel.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=background, edgecolor="white", linewidth=1.2))
    text = panel.text(x, y, content, ha="center", va="center", fontsize=7, color=ink, linespacing=1.15, zorder=4)
    if cell["mark"] != COMPLETE:
        hatching = Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor="none", edgecolor=ink, alpha=0.4, linewidth=0)
        panel.add_patch(hatching).set_hatch(hatch_of(cell["mark"]))
    if cell["collapsed_seeds"]:
        ends = np.array([-0.46, 0.46])
        for slope in (1, -1):
            panel.plot(x + ends, y + slope * ends, color=ink, linewidth=1.1, zorder=2)
    if cell["mark"] != COMPLETE or cell["collapsed_seeds"]:
        text.set_bbox({"facecolor": background, "edgecolor": "none", "pad": 0.8})  # keeps lines off the text


def _draw_outline(panel: Axes, segments: Sequence[Segment]) -> None:
    halo = patheffects.Stroke(linewidth=OUTLINE + 2, foreground="white")
    look: dict[str, Any] = {"colors": "black", "linewidths": OUTLINE, "capstyle": "projecting", "zorder": 5}
    border = LineCollection(segments, **look, clip_on=False, path_effects=[halo, patheffects.Normal()])
    panel.add_collection(border, autolim=False)


def label_axes(blocks: Sequence[NDArray[Any]], cells: pd.DataFrame, x: str, y: str | None, *, upright: bool) -> None:
    """Write values and name of x below the lowest panel of each column, and of y to the left of each row.

    Args:
        blocks: for each metric, its panels [rows, columns]; some of the last row may be invisible.
        cells: the cells of all panels.
        x: the field along x.
        y: the field along y, if there is one.
        upright: whether to turn the values of x, as for long ones.
    """
    xs = values_along(cells, x)
    labels = [written(value, xs) for value in xs]
    wrapped = len(blocks[0]) > 1
    for block in blocks:
        for column in block.T:
            lowest = [panel for panel in column if panel.get_visible()][-1]
            for panel in column:
                has_labels = panel is lowest and (wrapped or block is blocks[-1])
                panel.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0)
                panel.tick_params(labelbottom=has_labels)
                panel.set_xlabel(symbol(x) if has_labels else "", fontsize=10)
        for row in block:
            for panel in row[1:]:
                panel.tick_params(labelleft=False)
            if y:
                row[0].set_ylabel(symbol(y), fontsize=10, rotation=0, labelpad=6, ha="right", va="center")
