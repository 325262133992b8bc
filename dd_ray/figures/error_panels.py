"""Draws panels of reconstruction errors: bars of regions, maps over positions, and curves over distances."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from dd_ray.figures.common import (
    FEWEST_SEEDS_WITH_BARS,
    frame,
    label_logarithms,
    ordered_colours,
)
from dd_ray.figures.error_cells import MAPS, REGIONS, CellErrors, means_of_seeds, over_positions
from dd_ray.metrics import seed_interval

FEWEST_PICTURES = 16
"""The fewest pictures at a distance for its error to be drawn; the table has all."""
STYLES: dict[str, dict[str, Any]] = {
    region: {"color": colour, "linestyle": line, "linewidth": width}
    for region, colour, line, width in zip(
        REGIONS, ordered_colours(3), ("-", (0, (5, 1.5)), (0, (1.2, 1.2))), (1.6, 1.6, 2.2), strict=True
    )
}
ROW_HEIGHT = 1.75
LINE_LENGTH = 30
"""The most characters of a line beside a row."""
COLOUR = ordered_colours(4)[1]
BAR, PUBLISHED_BAR = 0.62, 0.42
"""Heights of bars, in rows."""
BARS_REST, POSITIONS_REST = 1.35, 1.6
"""Inches of the figures besides their rows: titles, axes and legends."""
WIDTH, SIDE, LEFT, TOP, BETWEEN = 10.6, 1.32, 1.05, 0.8, 0.42
"""Sizes of a figure of positions, in inches: its width, the side of a map, the room left of and above the first map,
and between two."""
MAP_PLACES = [i * (SIDE + BETWEEN) for i in range(len(MAPS))]
MAPS_WIDTH = MAP_PLACES[-1] + SIDE
TICKS = {0.0: "0", 0.5: ".5", 1.0: "1"}


def height_of_bars(cell: CellErrors) -> float:
    """Return the inches that the bars of a cell take, and the lines of its name."""
    return max(0.4 * _rows_of(cell), 0.16 * (1 + cell.label.count("\n")))


def limits_of_bars(cells: Sequence[CellErrors]) -> dict[str, float]:
    """Return the right end of each region's axis, which all figures share."""
    return {region: 1.18 * max(_largest(cell, region) for cell in cells) for region in REGIONS}  # room for the numbers


def _largest(cell: CellErrors, region: str) -> float:
    seeds = means_of_seeds(cell.errors[region])
    _, _, high = map(float, seed_interval(seeds))
    published = float(cell.published[region].mean()) if cell.published else 0.0
    return max(*seeds, published, high if len(seeds) >= FEWEST_SEEDS_WITH_BARS else 0.0) or 1.0


def draw_bars(cells: Sequence[CellErrors], limits: Mapping[str, float]) -> Figure:
    """Draw a panel for each region with a bar for each cell; published errors are below the original's cells."""
    spacing = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05)
    figure = Figure(
        figsize=(10.6, max(2.3, BARS_REST + sum(map(height_of_bars, cells)))), layout=spacing, facecolor="white"
    )
    panels = figure.subplots(1, len(REGIONS), sharey="all")
    for panel, (region, title) in zip(panels, REGIONS.items(), strict=True):
        _draw_region(panel, cells, region)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("mean squared error", fontsize=8.5)
        panel.set_xlim(0, limits[region])
    at = np.cumsum([0.0] + [_rows_of(cell) for cell in cells])
    panels[0].set_yticks(at[:-1], [cell.label for cell in cells])
    panels[0].set_ylim(at[-1] - 0.4, -0.6)
    title = "Reconstruction errors over 4,096 positions of circle and Gaussian, each region on its own scale"
    figure.suptitle(title, x=0.005, ha="left", fontsize=10)
    seeds = max(len(cell.errors["inside"]) for cell in cells)
    handles: list[Artist] = [Patch(facecolor=COLOUR, label="from the network's weights")]
    if seeds > 1:
        bars = ", with the 95% interval of their mean" if seeds >= FEWEST_SEEDS_WITH_BARS else ""
        dot = {"marker": "o", "markersize": 3, "color": "black", "markerfacecolor": "white", "linestyle": "none"}
        handles.append(Line2D([], [], label=f"seeds{bars}", **dot))  # type: ignore[arg-type]
    if any(cell.published for cell in cells):
        handles.append(Patch(facecolor="white", edgecolor="0.3", hatch="////", label="published by the original study"))
    if not all(cell.complete for cell in cells):
        handles.append(Patch(facecolor="white", edgecolor=COLOUR, label="not finished"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    return figure


def _draw_region(panel: Axes, cells: Sequence[CellErrors], region: str) -> None:
    at = 0.0
    for cell in cells:
        seeds = means_of_seeds(cell.errors[region])
        mean, _, high = map(float, seed_interval(seeds))
        face = COLOUR if cell.complete else "white"
        panel.barh(at, mean, BAR, color=face, edgecolor=COLOUR, linewidth=1)
        if len(seeds) > 1:
            panel.plot(seeds, [at] * len(seeds), "o", markersize=3, color="black", markerfacecolor="white")
        if len(seeds) < FEWEST_SEEDS_WITH_BARS:
            high = mean
        else:
            panel.errorbar(mean, at, xerr=high - mean, fmt="none", ecolor="black", elinewidth=0.9, capsize=2)
        _write_number(panel, max(high, *seeds), at, mean)
        if cell.published:
            published = float(cell.published[region].mean())
            below = at + BAR / 2 + PUBLISHED_BAR / 2 + 0.04
            panel.barh(below, published, PUBLISHED_BAR, facecolor="white", edgecolor="0.3", linewidth=0.8, hatch="////")
            _write_number(panel, published, below, published)
        at += _rows_of(cell)
    panel.tick_params(labelsize=8)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=5)
    frame(panel, axis="x")


def _write_number(panel: Axes, right_of: float, at: float, value: float) -> None:
    panel.annotate(f"{value:#.3g}", (right_of, at), (4, 0), textcoords="offset points", va="center", fontsize=7)


def _rows_of(cell: CellErrors) -> float:
    return 1.6 if cell.published else 1.0


@dataclass(frozen=True)
class ErrorScales:
    """The scales that all rows of all figures share."""

    norm: LogNorm
    """Scale of the maps' colours."""
    errors: tuple[float, float]
    """Ends of the axis of errors against distances."""

    @classmethod
    def of(cls, cells: Sequence[CellErrors]) -> "ErrorScales":
        """Return scales that fit all cells."""
        low, high = _range(array for cell in cells for array in over_positions(cell).values())
        curves = [cell.distances for cell in cells]
        lowest, highest = _range(
            curve.loc[curve["pictures"] >= FEWEST_PICTURES, "error"].to_numpy() for curve in curves
        )
        return cls(LogNorm(low, high), (lowest / 1.5, highest * 1.5))


def _range(arrays: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """Return the smallest and the largest value, far enough above 0 and apart for a logarithmic scale."""
    values = np.concatenate([array.ravel() for array in arrays])
    low = max(float(values.min()), 1e-9)
    return low, max(float(values.max()), 2 * low)


def draw_positions(cells: Sequence[CellErrors], scales: ErrorScales) -> Figure:
    """Draw a row of panels for each cell: its maps, and its errors over the distance."""
    figure = Figure(figsize=(WIDTH, ROW_HEIGHT * len(cells) + POSITIONS_REST), facecolor="white")
    for row, cell in enumerate(cells):
        top, last = TOP + ROW_HEIGHT * row, row == len(cells) - 1
        maps = _panel(figure, LEFT, top, MAPS_WIDTH, SIDE)
        _draw_maps(maps, cell, scales, last)
        left = LEFT + MAPS_WIDTH + BETWEEN + 0.2
        curves = _panel(figure, left, top, WIDTH - left - 0.1, SIDE)
        _draw_distances(curves, cell, scales)
        if row == 0:
            for place, (_, title) in zip(MAP_PLACES, MAPS.values(), strict=True):
                maps.text(place + SIDE / 2, -0.08, title, fontsize=8, ha="center", va="bottom")
            curves.set_title("all regions\nover the distance of circle and Gaussian", fontsize=8)
        if last:
            curves.set_xlabel("distance (pixels of 32×32)", fontsize=7.5)
    below = TOP + ROW_HEIGHT * len(cells) + 0.12
    of_colours = _panel(figure, LEFT + 0.2 * MAPS_WIDTH, below, 0.6 * MAPS_WIDTH, 0.1)
    bar = figure.colorbar(ScalarMappable(scales.norm, "viridis"), cax=of_colours, orientation="horizontal")
    label_logarithms(bar.ax.xaxis, scales.norm.vmin, scales.norm.vmax)
    bar.set_label("mean squared error (logarithmic)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)  # type: ignore[operator]
    figure.suptitle("Reconstruction errors over positions", x=0.005, y=0.99, ha="left", fontsize=10)
    lines = [Line2D([], [], label=label, **STYLES[region]) for region, label in REGIONS.items()]
    figure.legend(handles=lines, loc="lower right", ncols=3, fontsize=8, frameon=False, handlelength=2.6)
    return figure


def _panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes at a place in inches from the figure's upper left corner.

    A layout that follows the texts takes longer than all the drawing.
    """
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def _draw_maps(panel: Axes, cell: CellErrors, scales: ErrorScales, last: bool) -> None:
    """Draw the maps of a cell beside each other in one panel, in inches; `last` writes below what they are over.

    Panels of their own would take longer, most of it for their ticks.
    """
    panel.set(xlim=(0, MAPS_WIDTH), ylim=(SIDE, 0), autoscale_on=False)
    look: dict[str, Any] = {"norm": scales.norm, "cmap": "viridis", "aspect": "auto"}
    ticks = [SIDE * (at + 1 / 14) / (8 / 7) for at in TICKS]  # the middles of the first and the last of 8 pixels
    for place, errors, (thing, _) in zip(MAP_PLACES, over_positions(cell).values(), MAPS.values(), strict=True):
        panel.imshow(errors.T, extent=(place, place + SIDE, SIDE, 0), **look)
        panel.text(place - 0.29, SIDE / 2, f"{thing} y", fontsize=7.5, ha="center", va="center", rotation=90)
        if last:
            panel.text(place + SIDE / 2, SIDE + 0.21, f"{thing} x", fontsize=7.5, ha="center", va="top")
    labels = [*TICKS.values()]
    panel.set_xticks([place + tick for place in MAP_PLACES for tick in ticks], labels * len(MAPS))
    panel.set_yticks(ticks, labels)
    panel.tick_params(labelsize=7, length=2)
    panel.spines[:].set_visible(False)
    panel.text(-0.54, SIDE / 2, _wrapped(cell.label), fontsize=7.5, ha="right", va="center", rotation=90)


def _wrapped(label: str) -> str:
    """Break a label into lines that are no longer than a row is high."""
    unbroken = label.replace(" = ", "\u00a0=\u00a0")
    return "\n".join(textwrap.fill(line, LINE_LENGTH, break_long_words=False) for line in unbroken.splitlines())


def _draw_distances(panel: Axes, cell: CellErrors, scales: ErrorScales) -> None:
    curves = cell.distances
    curves = curves[curves["pictures"] >= FEWEST_PICTURES]
    for region in REGIONS:
        curve = curves[curves["region"] == region]
        panel.plot(curve["distance"], curve["error"], **STYLES[region])
        quartiles = curve["lower_quartile"].clip(lower=1e-12), curve["upper_quartile"]
        panel.fill_between(curve["distance"], *quartiles, color=STYLES[region]["color"], alpha=0.18, linewidth=0)
    panel.set(yscale="log", ylim=scales.errors, xlim=(0, None))
    label_logarithms(panel.yaxis, *scales.errors)
    panel.tick_params(labelsize=7)
    panel.set_ylabel("mean squared error", fontsize=7.5)
    frame(panel)
