"""Maps of a sweep's grid: `python analysis/grid_maps.py results/inertia_grid_quick`.

A figure has a block of panels for each metric, with a panel for each value of the third axis (λ), and in each panel a
heat map over the other two (γ along x, β along y). A sweep of one axis becomes a curve; one of more than three axes, a
figure for each combination of the rest. What does not fit into 1,600 × 1,600 pixels goes on in `grid_maps_2.png`
and so on.

Cells that are not complete at the map's iteration are hatched and have a letter, with the iteration of their last
evaluation; cells with fewer seeds than others show their number (n). A cell without a value is empty, and says why.
Cells whose network collapsed are crossed out, however good their numbers look. A star marks the best cell of a figure,
and an outline the cells that may be as good, whose 95% interval overlaps with that of the best. The intervals are
computed from the variance over seeds, pooled over cells with equal variances. If no cell can be told apart, there is
neither star nor outline.

`--difference gamma` maps each cell less the one with γ = 0, seed by seed, and marks differences that are not 0. The
marks hold for the map as a whole: without any effect, one map in 20 has one. A mark is hollow where the interval, which
is of its cell by itself and of the numbers as they are, holds 0. `dd_ray.results.summary` defines which cells are
complete, which seeds are averaged and which cells can be best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from dd_ray import results
from dd_ray.command_line import optional
from dd_ray.config.labels import in_a_name
from dd_ray.config.options import option_name, shown_apart
from dd_ray.config.symbols import setting
from dd_ray.figures.axis_curves import draw_curve
from dd_ray.figures.cell_marks import lines_above_curve, lines_in_cell
from dd_ray.figures.colour_bar import draw_colour_bar
from dd_ray.figures.colour_scale import ColourScale, untrained_of
from dd_ray.figures.common import LARGEST, DrawnOptions, folder_of, name_in_title, numbered, run_command, write
from dd_ray.figures.map_legend import legend_of
from dd_ray.figures.maps import draw_map, has_numbers, label_axes, values_along
from dd_ray.results.layout import Layout, combinations
from dd_ray.results.summary import Summary, summarise

CELL, CELL_WITHOUT_NUMBERS = (0.7, 0.52), (0.26, 0.22)
"""Sizes of a cell in inches: the first has room for `S 150 n=2`, in three lines, with its hatching visible; the second
for three letters."""
LINE = 0.13
"""Height of a line of text in a cell, in inches."""
LABELS = 1.9
"""Width beside the panels for the y axis and the colour bar, in inches."""


@dataclass(frozen=True, kw_only=True)
class Options(DrawnOptions):
    """Options of the command line."""

    metrics: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    """Columns of the table to map. Reconstruction error (or factor error), linear R², MCC and active units
    where none is given."""
    x: Annotated[str | None, optional("FIELD")] = None
    """Config field along x, spelled as on the command line of a sweep; γ where it is swept."""
    y: Annotated[str | None, optional("FIELD")] = None
    """Config field along y; β where it is swept."""
    columns: Annotated[str | None, optional("FIELD")] = None
    """Config field with a panel for each of its values; λ where it is swept."""
    difference: Annotated[str | None, optional("FIELD")] = None
    """Config field, such as gamma or lambda: map the difference to the cells where it is 0, paired by seed."""
    iteration: Annotated[int | None, optional("N")] = None
    """Draw the state of the map at this iteration, or at the last evaluation before it. The end of the sweep
    where it is not given."""


@dataclass(frozen=True)
class Page:
    """The part of a summary that one figure shows."""

    scales: Sequence[ColourScale]
    """A scale for each of its metrics."""
    columns: Sequence[Mapping[str, Any]]
    """The values of the third axis that have a panel."""


def pages(summary: Summary, scales: Sequence[ColourScale], title: str) -> list[Page]:
    """Distribute the panels of a summary over figures that are small enough: whole metrics, if one fits."""
    cells = _with_usual_seeds(summary)
    columns = _columns_of(cells, summary.layout)
    rows, across = _arrangement(cells, summary.layout, len(columns))
    height, above, rest = _heights(cells, summary.layout, rows, _words_of(title, legend_of(cells, summary)))
    fitting = max(1, int((LARGEST - rest) / (height + above)))
    if rows > fitting:
        parts = [columns[i : i + fitting * across] for i in range(0, len(columns), fitting * across)]
        return [Page([scale], part) for scale in scales for part in parts]
    together = fitting // rows
    return [Page(scales[i : i + together], columns) for i in range(0, len(scales), together)]


def draw(
    summary: Summary, scales: Sequence[ColourScale], title: str, columns: Sequence[Mapping[str, Any]] = ()
) -> Figure:
    """Draw a figure with a block of panels for each metric: maps if there is a y axis, else curves.

    Args:
        summary: summary with the cells and trials of this figure.
        scales: a scale for each metric.
        title: title of the figure.
        columns: values of the third axis that have a panel; all of them where none is given.
    """
    layout, cells = summary.layout, _with_usual_seeds(summary)
    cells = cells[cells["metric"].isin([scale.metric for scale in scales])]
    columns = columns or _columns_of(cells, layout)
    legend = legend_of(cells, summary)
    rows, across = _arrangement(cells, layout, len(columns))
    size = _size(cells, layout, (rows, across, len(scales)), _words_of(title, legend))
    spacing = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05, wspace=0.01, hspace=0.02)
    figure = Figure(figsize=size, layout=spacing, facecolor="white")
    blocks = np.split(figure.subplots(rows * len(scales), across, squeeze=False), len(scales))
    for block, scale in zip(blocks, scales, strict=True):
        _draw_block(figure, block, replace(summary, cells=_matching(cells, {"metric": scale.metric})), columns, scale)
    label_axes(blocks, cells, layout.x, layout.y, upright=_has_long_labels(cells, layout))
    _draw_titles(blocks, columns, cells, layout)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    if legend:
        figure.legend(handles=legend, loc="outside lower left", fontsize=8, frameon=False, handleheight=1.2)
    return figure


def _with_usual_seeds(summary: Summary) -> pd.DataFrame:
    """Return the cells, with whether each has fewer seeds than others."""
    usual = summary.cells["seeds_in_cell"].max()
    return summary.cells.assign(fewer_seeds=summary.cells["seeds"].between(1, usual - 1))


def _matching(frame: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows that have these values."""
    for axis, value in values.items():
        frame = frame[frame[axis] == value]
    return frame


def _columns_of(cells: pd.DataFrame, layout: Layout) -> list[dict[str, Any]]:
    return combinations(cells, [layout.columns] if layout.columns else [])


def _words_of(title: str, legend: Sequence[Artist]) -> str:
    return "\n".join([title, *(str(entry.get_label()) for entry in legend)])


def _draw_block(
    figure: Figure, block: NDArray[Any], summary: Summary, columns: Sequence[Mapping[str, Any]], scale: ColourScale
) -> None:
    """Draw the panels of one metric, with common axes and colours."""
    layout, panels = summary.layout, list(block.ravel())
    for panel in panels[len(columns) :]:
        panel.set_visible(False)
    for panel in panels[1:]:
        panel.sharex(panels[0])
        panel.sharey(panels[0])
    for panel, column in zip(panels, columns, strict=False):
        here = _matching(summary.cells, column)
        if layout.y:
            axes = layout.x, layout.y
            draw_map(panel, here, axes, scale, with_numbers=has_numbers(summary.cells, layout))
        else:
            draw_curve(panel, here, _matching(summary.trials, column), layout.x, scale)
    if layout.y:
        draw_colour_bar(figure, panels, scale, 14 * len(block), untrained_of(summary.cells))
    else:
        for first in block[:, 0]:
            first.set_ylabel(scale.label, fontsize=8)


def _draw_titles(
    blocks: Sequence[NDArray[Any]], columns: Sequence[Mapping[str, Any]], cells: pd.DataFrame, layout: Layout
) -> None:
    """Write the titles of panels: above the first metric, or above every metric if panels take several rows."""
    among = {layout.columns: values_along(cells, layout.columns)} if layout.columns else {}
    for block in blocks if len(blocks[0]) > 1 or not layout.y else blocks[:1]:
        notes = 0 if layout.y else lines_above_curve(cells)
        for panel, column in zip(block.ravel(), columns, strict=False):
            text = setting(column, among) if len(block) > 1 or block is blocks[0] else ""
            panel.set_title(text, fontsize=9, pad=6 + 9 * notes)  # above a curve's notes


def _has_long_labels(cells: pd.DataFrame, layout: Layout) -> bool:
    return not has_numbers(cells, layout) or max(map(len, shown_apart(values_along(cells, layout.x)))) > 8


def _panel_size(cells: pd.DataFrame, layout: Layout) -> tuple[float, float]:
    """Return the size of a panel in inches. It follows from its cells, so that numbers fit, with the same fonts."""
    width, height = CELL if has_numbers(cells, layout) else CELL_WITHOUT_NUMBERS
    height += LINE * max(0, lines_in_cell(cells) - 3) if has_numbers(cells, layout) else 0
    num_x, num_y = (cells[axis].nunique() if axis else 1 for axis in (layout.x, layout.y))
    # At least the size of a curve, or of the label of a colour bar.
    least_width, least_height = (1.0, 1.35) if layout.y else (3.0, 1.65 + LINE * lines_above_curve(cells))
    return max(least_width, num_x * width), max(least_height, num_y * height)


def _arrangement(cells: pd.DataFrame, layout: Layout, num_panels: int) -> tuple[int, int]:
    """Return rows and columns of a metric's panels: one row, or as many as keep the figure narrow enough to be read."""
    across = max(1, int((LARGEST - LABELS) / _panel_size(cells, layout)[0]))
    rows = -(-num_panels // across)
    return rows, -(-num_panels // rows)


def _size(cells: pd.DataFrame, layout: Layout, panels: tuple[int, int, int], words: str) -> tuple[float, float]:
    """Return the size of the figure in inches, with room for the words above and below the panels.

    Args:
        cells: of the figure.
        layout: of its axes.
        panels: rows and columns of a metric's panels, and the number of metrics.
        words: all lines above and below.
    """
    rows, across, metrics = panels
    height, above, rest = _heights(cells, layout, rows, words)
    width = max(5.6, across * _panel_size(cells, layout)[0] + LABELS)
    return width, rows * metrics * (height + above) + rest


def _heights(cells: pd.DataFrame, layout: Layout, rows: int, words: str) -> tuple[float, float, float]:
    """Return the inches that a panel takes, its title, and all words of a figure."""
    return _panel_size(cells, layout)[1], 0.35 if rows > 1 else 0.12, 1.1 + 0.18 * (words.count("\n") + 1)


def title_of(name: str, summary: Summary, rest: str) -> str:
    """Return the title of a sweep's figure, for one combination of the fields that have no place in it, in words."""
    seeds = summary.cells["seeds_in_cell"]
    fewest, most = seeds[seeds > 0].min(), seeds.max()
    several = f"{most}" if fewest == most else f"{fewest} to {most}"
    mean = "mean ± 95% interval" if has_numbers(summary.cells, summary.layout) else "mean"
    number = "1 seed" if most == 1 else f"{mean} of {several} seeds"
    at = f"iteration {summary.iteration:,}" + (f" of {summary.last:,}" if summary.iteration < summary.last else "")
    return "\n".join(filter(None, [name, f"{at}, {number}", _title_of_differences(summary), rest]))


def _title_of_differences(summary: Summary) -> str:
    if not summary.reference:
        return ""
    text = f"difference to {setting({summary.reference: 0})}, paired by seed"
    few = summary.cells["seeds"].max() < 2
    return f"{text}\nfewer than 2 seeds in common: no interval, and no cell is marked" if few else text


def write_maps(options: Options) -> list[Path]:
    """Draw the maps of a sweep and write them, and the numbers behind them.

    Returns:
        The figures, and last the table.

    Raises:
        UserError: there is no such sweep, metric, axis, iteration or reference, or the folder cannot be written.
    """
    manifest, table = results.manifest_of(*options.paths), results.load(*options.paths)
    places = {"x": options.x, "y": options.y, "columns": options.columns}
    which: dict[str, Any] = {
        "metrics": options.metrics,
        "iteration": options.iteration,
        "reference": options.difference,
    }
    summary = summarise(table, manifest, places=places, **which)
    scales = [ColourScale.of(summary, metric) for metric in summary.cells["metric"].unique()]
    stem = "grid_maps" + (
        f"_difference_{option_name(summary.reference).replace('-', '_')}" if summary.reference else ""
    )
    stem += "" if options.iteration is None else f"_iteration_{summary.iteration}"
    figures: dict[str, Figure] = {}
    taken: set[str] = set()
    among = {axis: values_along(summary.cells, axis) for axis in summary.layout.rest}
    for rest in combinations(summary.cells, summary.layout.rest):
        part = replace(summary, cells=_matching(summary.cells, rest), trials=_matching(summary.trials, rest))
        if (part.cells["mark"] != "absent").any():
            title = title_of(name_in_title(*options.paths), part, setting(rest, among))
            here = f"{stem}{_suffix(rest)}"
            here += f"_{len(taken) + 1}" if here in taken else ""  # texts may differ in what no name holds
            taken.add(here)
            for name, page in numbered(here, pages(part, scales, title)).items():
                figures[name] = draw(part, page.scales, title, page.columns)
    with mpl.rc_context({"hatch.linewidth": 0.7}):
        return write(folder_of(options.path, options.out, options.more), figures, {stem: summary.cells})


def _suffix(rest: Mapping[str, Any]) -> str:
    """Return a part of a file's name, with all digits that distinguish two values."""
    values = {axis: f"{value:.12g}" if isinstance(value, float) else in_a_name(value) for axis, value in rest.items()}
    return "".join(f"_{option_name(axis).replace('-', '_')}_{value}" for axis, value in values.items())


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw the maps of a sweep's grid into a folder; see `write_maps`."""
    return write_maps(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw maps of a sweep's grid: metrics over γ, β and λ. Prints the files that it writes."""
    run_command(Options, write_maps, main.__doc__, args)
