"""The cost of disentanglement: `python analysis/tradeoff.py results/inertia_grid_quick`.

The first panel is rate against distortion: KL in nats per frame along x, reconstruction error along y. Each further
panel is reconstruction error against a score of disentanglement. A point is a cell: the mean over its seeds, with 95%
intervals from three seeds on; small dots are the seeds. Colour is γ, or λ if γ is not swept; cells that differ in β
alone are joined, so that a line shows the trade-off by β. Where more is swept than looks can tell, colours and shapes
are of whole settings, see `dd_ray.figures.looks`.

The Pareto front has the complete cells that no other beats in both directions at once, by their means. Cells whose
network collapsed (no active unit) may be on the front of rate against distortion, where a rate of 0 is meaningful, but
not on that of a score, which they can win without having learned anything. Cells that stopped early, failed, diverged
or have not finished are hollow, have a letter (shared by near ones), and are never on a front. `dd_ray.results.summary`
defines which cells are complete, and which seeds are averaged.

If β is swept beside other settings, a table has the differences of each of these to β alone at equal KL, see
`dd_ray.results.equal_rates`.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dd_ray import results
from dd_ray.command_line import Column, console, optional, print_table
from dd_ray.config.symbols import symbol
from dd_ray.errors import UserError
from dd_ray.figures.common import (
    BETTER,
    FEWEST_SEEDS_WITH_BARS,
    MARKS,
    DrawnOptions,
    folder_of,
    frame,
    name_in_title,
    run_command,
    write,
)
from dd_ray.figures.looks import GREY, Looks, entry, looks_of
from dd_ray.metrics import described, with_untrained
from dd_ray.results.averages import COMPLETE
from dd_ray.results.comparisons import LEVEL
from dd_ray.results.equal_rates import at_equal_rate
from dd_ray.results.summary import Summary, summarise
from dd_ray.results.tradeoffs import DISTORTION, RATE, better_side, pairs_of, points

PANEL = (3.4, 3.1)
BESIDE = ((7.5, 6.5), (-7.5, 6.5), (7.5, -6.5), (-7.5, -6.5))
"""Places for a letter, in points from the cell's marker, in the order in which they are tried."""
APART, SHARED = 9.0, 16.0
"""Distances in points: between two letters, and from a marker to a letter that it can share."""
MOST_COLUMNS = 3


@dataclass(frozen=True, kw_only=True)
class Options(DrawnOptions):
    """Options of the command line."""

    scores: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    """Columns of the table to draw against reconstruction error, a panel for each. Linear R² and MCC where none is
    given. Those of which neither more nor less is better have no front."""
    colour: Annotated[str | None, optional("FIELD")] = None
    """Config field that colours show, spelled as on the command line of a sweep; γ, λ or β, the first that is swept."""
    iteration: Annotated[int | None, optional("N")] = None
    """Draw the state at this iteration, or at the last evaluation before it. The end of the sweep where it is not
    given."""


def draw(cells: pd.DataFrame, summary: Summary, looks: Looks, title: str) -> Figure:
    """Draw a figure with a panel for each pair of metrics in `cells`, which are rows of `points`."""
    pairs = list(dict.fromkeys(zip(cells["x_metric"], cells["y_metric"], strict=True)))
    columns = min(len(pairs), MOST_COLUMNS)
    rows = -(-len(pairs) // columns)
    spacing = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, wspace=0.03)
    legend = _legend_of(cells, looks)
    height = rows * PANEL[1] + 0.6 + 0.2 * max(map(len, legend))
    figure = Figure(figsize=(max(5.6, columns * PANEL[0]), height), layout=spacing, facecolor="white")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (x, y) in zip(panels, pairs, strict=False):
        here = cells[(cells["x_metric"] == x) & (cells["y_metric"] == y)]
        _draw_panel(panel, here, summary, looks)
    for panel in panels[len(pairs) :]:
        panel.set_visible(False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    _draw_legend(figure, legend)
    return figure


def _draw_panel(panel: Axes, cells: pd.DataFrame, summary: Summary, looks: Looks) -> None:
    x, y = cells[["x_metric", "y_metric"]].iloc[0]
    _draw_lines(panel, cells, summary.layout.axes, looks)
    _draw_front(panel, cells)
    seeds = _seeds(cells, summary)
    _draw_seeds(panel, seeds, looks)
    for cell in cells.sort_values("mark", key=lambda marks: marks == COMPLETE).to_dict("records"):
        if math.isfinite(cell["x"]) and math.isfinite(cell["y"]):
            _draw_point(panel, cell, looks)
    untrained = summary.untrained.get(y) if y in with_untrained() else None
    _limit(panel, cells, {"x": seeds["x_seed"], "y": [*seeds["y_seed"], *([] if untrained is None else [untrained])]})
    _draw_letters(panel, cells)
    if untrained is not None:
        panel.axhline(untrained, color="0.4", linewidth=0.8, linestyle=":", zorder=0)
        # Beside the panel, where there are no points.
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        place |= {"ha": "left", "va": "center", "rotation": 90, "fontsize": 7, "color": "0.3"}
        panel.annotate("untrained", (1, untrained), (3, 0), **place)
    panel.set_xlabel(_label(x), fontsize=9)
    panel.set_ylabel(_label(y), fontsize=9)
    panel.locator_params(nbins=5)
    panel.tick_params(labelsize=8)
    frame(panel)


def _draw_lines(panel: Axes, cells: pd.DataFrame, axes: Sequence[str], looks: Looks) -> None:
    for line in _lines_of(cells, axes, looks):
        colour = looks.line_of(line.to_dict("records")[0])
        panel.plot(line["x"], line["y"], "-", color=colour, linewidth=0.9, alpha=0.75, zorder=1)


def _lines_of(cells: pd.DataFrame, axes: Sequence[str], looks: Looks) -> list[pd.DataFrame]:
    """Return the complete cells of a metric that differ in one field alone, in the order of its values."""
    if looks.joined is None:
        return []
    others = [axis for axis in axes if axis != looks.joined]
    complete = cells[cells["mark"] == COMPLETE].sort_values(looks.joined)
    lines = [line for _, line in complete.groupby(others)] if others else [complete]
    return [line for line in lines if len(line) > 1]


def _draw_front(panel: Axes, cells: pd.DataFrame) -> None:
    front = cells[cells["on_front"]].sort_values(["x", "y"])
    panel.plot(front["x"], front["y"], "-", color="black", linewidth=4, alpha=0.13, zorder=0.5, solid_capstyle="round")
    panel.plot(front["x"], front["y"], "o", markersize=12, markerfacecolor="none", markeredgecolor="black",
               markeredgewidth=0.9, zorder=4)  # fmt: skip


def _seeds(cells: pd.DataFrame, summary: Summary) -> pd.DataFrame:
    """Return the seeds of complete cells with several: `x_seed` and `y_seed`, and `x` and `y` of their mean."""
    x, y = cells[["x_metric", "y_metric"]].iloc[0]
    axes = list(summary.layout.axes)
    seeds = summary.trials[axes].assign(x_seed=summary.trials[x], y_seed=summary.trials[y])
    means = cells.loc[(cells["mark"] == COMPLETE) & (cells["seeds"] > 1), [*axes, "x", "y"]]
    return means.merge(seeds, on=axes)


def _draw_seeds(panel: Axes, seeds: pd.DataFrame, looks: Looks) -> None:
    """Draw seeds as dots, with a thin line to their mean."""
    for seed in seeds.to_dict("records"):
        colour = looks.colour_of(seed)
        ends = [seed["x"], seed["x_seed"]], [seed["y"], seed["y_seed"]]
        panel.plot(*ends, color=colour, alpha=0.6, linewidth=0.7, linestyle=":", zorder=2)
        panel.plot(seed["x_seed"], seed["y_seed"], "o", markersize=2.4, color=colour, markeredgewidth=0, zorder=2)


def _draw_point(panel: Axes, cell: Any, looks: Looks) -> None:
    colour, complete = looks.colour_of(cell), cell["mark"] == COMPLETE
    if cell["seeds"] >= FEWEST_SEEDS_WITH_BARS:
        half = {f"{axis}err": cell[f"{axis}_ci_high"] - cell[axis] for axis in "xy"}
        panel.errorbar(cell["x"], cell["y"], **half, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.6, zorder=1.5)
    face = colour if complete else "white"
    look = {"color": colour, "markerfacecolor": face, "markeredgewidth": 1.2, "zorder": 3, **looks.marker_of(cell)}
    panel.plot(cell["x"], cell["y"], **look)
    if cell["collapsed_seeds"]:
        panel.plot(cell["x"], cell["y"], "x", markersize=9, color="black", markeredgewidth=1.1, zorder=5)


def _draw_letters(panel: Axes, cells: pd.DataFrame) -> None:
    """Draw letters of cells that are not complete, clear of each other; near cells with the same letter share it."""
    marked = cells[cells["mark"] != COMPLETE].dropna(subset=["x", "y"])
    (left, right), (bottom, top) = panel.get_xlim(), panel.get_ylim()
    width, height = (0.75 * 72 * inches for inches in PANEL)  # in points: the part of a panel that labels leave
    placed: list[tuple[str, NDArray[np.floating]]] = []
    for cell in marked.to_dict("records"):
        letter = MARKS[cell["mark"]][0]
        at = np.array([(cell["x"] - left) / (right - left) * width, (cell["y"] - bottom) / (top - bottom) * height])
        if any(other == letter and np.linalg.norm(place - at) < SHARED for other, place in placed):
            continue
        clear = [o for o in BESIDE if all(np.linalg.norm(place - at - o) >= APART for _, place in placed)]
        offset = clear[0] if clear else BESIDE[0]
        look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 7}
        text = panel.annotate(letter, (cell["x"], cell["y"]), offset, zorder=6, **look)
        text.set_path_effects([patheffects.withStroke(linewidth=1.8, foreground="white")])
        placed.append((letter, at + offset))


def _limit(panel: Axes, cells: pd.DataFrame, more: Mapping[str, Iterable[float]]) -> None:
    """Limit the axes to all means and `more`, and to as much of the bars as leaves these most of the panel."""
    with_bars = cells[cells["seeds"] >= FEWEST_SEEDS_WITH_BARS]
    for axis, set_limits in (("x", panel.set_xlim), ("y", panel.set_ylim)):
        shown = [*cells[axis].dropna(), *more[axis]]
        if not shown:
            continue
        low, high = min(shown), max(shown)
        room = (high - low) or abs(high) or 1.0
        least, most = described(cells[f"{axis}_metric"].iloc[0]).within
        lowest = min([low, *with_bars[f"{axis}_ci_low"].clip(lower=least)])
        highest = max([high, *with_bars[f"{axis}_ci_high"].clip(upper=most)])
        set_limits(max(lowest, low - room / 4) - room / 12, min(highest, high + room / 4) + room / 12)


def _label(metric: str) -> str:
    names = {RATE: "Rate: KL (nats per frame)", DISTORTION: "Distortion: squared error per pixel"}
    return f"{names.get(metric, described(metric).label)}\n{BETTER[better_side(metric)]}".rstrip()


def _legend_of(cells: pd.DataFrame, looks: Looks) -> list[list[Line2D]]:
    """Return the legend's entries: a column each for colours, shapes, sizes and marks, if they have a meaning."""
    ring = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": "black"}
    marks = [entry("Pareto front (of complete cells' means)", **ring)]
    if cells["collapsed_seeds"].any():
        marks.append(entry("collapsed: no active unit in some seed", marker="x", markersize=8, color="black"))
    for mark, (letter, meaning) in MARKS.items():
        marked = cells[cells["mark"] == mark]
        if len(marked) and mark != COMPLETE:
            nowhere = marked[["x", "y"]].isna().any(axis=1).groupby([marked["x_metric"], marked["y_metric"]]).sum()
            lost = f"; {nowhere.max()} without a value, not drawn" if nowhere.max() else ""
            marks.append(entry(f"{letter}  {meaning}{lost}", markerfacecolor="white", **GREY))
    return [column for column in (*looks.legend(), marks) if column]


def _draw_legend(figure: Figure, columns: list[list[Line2D]]) -> None:
    longest = max(map(len, columns))
    # A legend fills one column after the other, so shorter ones are filled up.
    handles = [each for column in columns for each in [*column, *[entry("", marker="")] * (longest - len(column))]]
    figure.legend(handles=handles, loc="outside lower left", fontsize=8, frameon=False, ncols=len(columns))


def title_of(name: str, summary: Summary, looks: Looks) -> str:
    """Return the title of the figure."""
    seeds = summary.cells["seeds_in_cell"].max()
    bars = " ± 95% interval" if seeds >= FEWEST_SEEDS_WITH_BARS else ""
    averaged = "1 seed" if seeds == 1 else f"mean{bars} of {seeds} seeds (small dots)"
    drawn = any(_lines_of(cells, summary.layout.axes, looks) for _, cells in summary.cells.groupby("metric"))
    lines = f"; lines run along {symbol(looks.joined or '')}" if drawn else ""
    alike = f"\ncells that differ in {' or '.join(map(symbol, looks.hidden))} alone look alike" if looks.hidden else ""
    return f"{name}\niteration {summary.iteration:,}, {averaged}{lines}{alike}"


def write_tradeoff(options: Options) -> list[Path]:
    """Draw the trade-offs of a sweep and write them, and the numbers behind them.

    Returns:
        The figure and the table; and if β is swept beside other settings, the table of differences at equal KL.

    Raises:
        UserError: there is no such sweep, metric, field or iteration, or the folder cannot be written.
    """
    manifest, table = results.manifest_of(*options.paths), results.load(*options.paths)
    pairs = pairs_of(table, options.scores)
    if not any(DISTORTION in pair for pair in pairs):
        raise UserError("this sweep has no reconstruction error to trade; its model does not decode, or nothing ended.")
    metrics = list(dict.fromkeys(itertools.chain(*pairs)))
    summary = summarise(table, manifest, metrics=metrics, iteration=options.iteration)
    cells = points(summary, pairs)
    looks = looks_of(cells, results.final(table), summary.layout.axes, options.colour)
    stem = "tradeoff" if options.iteration is None else f"tradeoff_iteration_{summary.iteration}"
    figure = draw(cells, summary, looks, title_of(name_in_title(*options.paths), summary, looks))
    complete = summary.trials[summary.trials["mark"] == COMPLETE].assign(state="finished")
    scores = [metric for metric in metrics if metric != RATE]
    at_equal = at_equal_rate(complete, scores) if RATE in metrics else pd.DataFrame()
    print_at_equal_rate(at_equal)
    more = {} if at_equal.empty else {f"{stem}_at_equal_kl": at_equal}
    return write(folder_of(options.path, options.out, options.more), {stem: figure}, {stem: cells, **more})


def print_at_equal_rate(found: pd.DataFrame) -> None:
    """Print the rows of `dd_ray.results.equal_rates.at_equal_rate` that are of all KL that two arms have in common."""
    if found.empty:
        return
    whole = found.groupby(["arm", "metric"], sort=False).head(1)
    arms = list(dict.fromkeys(whole["arm"]))
    columns = [Column(header="arm", texts=arms, words=True)]
    for rank, (metric, of_metric) in enumerate(whole.groupby("metric", sort=False), 1):
        by_arm = of_metric.set_index("arm")
        rows = [by_arm.loc[arm].to_dict() for arm in arms]
        columns.append(Column(header=described(str(metric)).short, texts=[_at_equal(row) for row in rows], rank=rank))
    title = f"At equal KL, less {found['baseline'].iloc[0]}: mean [95% interval], seeds paired, and over which KL"
    print_table(columns, console(), f"{title} (*: not 0, for all of the metric at once)")


def _at_equal(row: Mapping[Any, Any]) -> str:
    if math.isnan(row["difference"]):
        return "no KL in common"
    interval = "" if math.isnan(row["ci_low"]) else f" [{row['ci_low']:+.2g}, {row['ci_high']:+.2g}]"
    star = " *" if row["p_holm"] <= LEVEL else ""
    return f"{row['difference']:+.3g}{interval}{star}, {row['kl_from']:.2g}–{row['kl_to']:.2g}".replace("-", "−")


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw the trade-offs of a sweep into a folder; see `write_tradeoff`."""
    return write_tradeoff(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw what disentanglement costs: rate against distortion, and reconstruction against disentanglement, with their
    Pareto fronts. Prints the files that it writes."""
    run_command(Options, write_tradeoff, main.__doc__, args)
