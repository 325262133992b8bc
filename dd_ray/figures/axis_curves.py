"""Draws a panel of a sweep of one axis: a metric as a curve along it, with the marks of its cells."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from dd_ray.figures.cell_marks import EMPTY_COLOUR, hatch_of, notes_on_curve
from dd_ray.figures.colour_scale import ColourScale, untrained_of
from dd_ray.figures.common import CellRow, frame
from dd_ray.figures.maps import outline, values_along
from dd_ray.metrics import described
from dd_ray.results.averages import COMPLETE

CURVE = mpl.colormaps["viridis"](0.3)
EDGE = 0.03
"""The part of an axis that lies beyond the values that there can be, for dots at the last of them."""
ROUNDING = 1e-9
"""Differences are 0 where they are smaller than this part of their scale."""


def draw_curve(panel: Axes, cells: pd.DataFrame, trials: pd.DataFrame, axis: str, scale: ColourScale) -> None:
    """Draw means with intervals over categories, and complete seeds as dots; marked cells are hollow and apart."""
    xs = values_along(cells, axis)
    cells = cells.sort_values(axis, ignore_index=True)
    complete = cells["mark"] == COMPLETE
    if cells["seeds"].max() > 1:
        seeds = trials[trials["mark"] == COMPLETE]
        panel.plot([xs.index(x) + 0.12 for x in seeds[axis]], seeds[scale.metric], "o", color="0.6", markersize=3)
    half = cells["high"] - cells["mean"]
    panel.errorbar(cells.index, cells["mean"], yerr=half, fmt="none", ecolor=CURVE, elinewidth=1.2, capsize=2.5)
    panel.plot(cells["mean"].where(complete), "-o", color=CURVE, markersize=5, linewidth=1.2)
    panel.plot(cells["mean"].mask(complete), "o", color=CURVE, markerfacecolor="white", markersize=5)
    panel.plot(cells["mean"].where(cells["collapsed_seeds"] > 0), "x", color="black", markersize=9)
    for x, cell in enumerate(cells.to_dict("records")):
        _note_on_curve(panel, x, cell)
    region = cells.get("in_best_region", pd.Series(False, cells.index)).to_numpy(bool)
    segments = [((x0, y0 + 0.5), (x1, y1 + 0.5)) for (x0, y0), (x1, y1) in outline(region[None])]
    border = LineCollection(segments, colors="black", linewidths=1, capstyle="projecting", zorder=0.5, clip_on=False)
    panel.add_collection(border, autolim=False)
    border.set_transform(panel.get_xaxis_transform())
    _draw_level(panel, cells, scale)
    _finish_curve(panel, len(xs), scale)


def _note_on_curve(panel: Axes, x: int, cell: CellRow) -> None:
    if cell["mark"] != COMPLETE:
        band = panel.axvspan(x - 0.48, x + 0.48, hatch=hatch_of(cell["mark"]), zorder=0, linewidth=0)
        band.set(facecolor=EMPTY_COLOUR, edgecolor="0.75")
    note = panel.text(x, 1.03, "\n".join(notes_on_curve(cell)), fontsize=7, ha="center", va="bottom")
    note.set_transform(panel.get_xaxis_transform())


def _draw_level(panel: Axes, cells: pd.DataFrame, scale: ColourScale) -> None:
    """Draw what a curve must be compared with: the same cells before training, or 0."""
    if scale.signed:
        panel.axhline(0, color="0.3", linewidth=0.8)
    if untrained_of(cells):
        levels = cells["untrained"].to_numpy(float)
        at = np.arange(len(levels))
        panel.hlines(levels, at - 0.5, at + 0.5, color="0.5", linewidth=0.8, linestyle=":")
        last = int(np.flatnonzero(~np.isnan(levels))[-1])
        label = panel.text(last + 0.49, levels[last], "untrained", fontsize=7, color="0.35", ha="right", va="bottom")
        label.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _finish_curve(panel: Axes, num_x: int, scale: ColourScale) -> None:
    panel.set_xlim(-0.5, num_x - 0.5)
    panel.margins(y=0.1)
    panel.tick_params(labelsize=8)
    if scale.is_of_counts:
        panel.set_ylim(-0.1, (scale.norm.vmax or 0) + 0.1)
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    elif not scale.signed:
        limit(panel, scale.metric)
    elif panel.dataLim.height < ROUNDING * (scale.norm.vmax or 0):
        panel.set_ylim(scale.norm.vmin, scale.norm.vmax)  # Matplotlib would magnify its rounding of 0
    frame(panel, axis="y")


def limit(panel: Axes, metric: str) -> None:
    """Limit the y axis to the values that a metric can have, where intervals go past them."""
    (least, most), (low, high) = described(metric).within, panel.get_ylim()
    edge = EDGE * (min(most, high) - max(least, low))  # so that a dot at the limit is whole
    panel.set_ylim(max(low, least - edge), min(high, most + edge))
