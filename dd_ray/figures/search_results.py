"""Results of a search: `python analysis/search_results.py results/inertia_search_quick`.

With two objectives, the first panel is the Pareto front: the mean over the seeds of each finished suggestion, with 95%
intervals for those on the front, from three seeds on. With one, it is the history: the score of each suggestion, and
the best so far. The other panels show each objective over each drawn field, with the best suggestions marked.

The importance of each drawn field is printed as a table, see `dd_ray.results.suggestions.importances`.

A drawn value that has no effect beside the others, such as λ for a β-VAE, is shown as the default that is trained with.

Suggestions that were stopped early are hollow, at the last evaluation that their seeds share; those that failed or
diverged have no score and are counted in the title.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dd_ray import results
from dd_ray.command_line import Format, optional, positional
from dd_ray.config.symbols import symbol
from dd_ray.errors import UserError
from dd_ray.figures.common import (
    BETTER,
    BLUE,
    FEWEST_SEEDS_WITH_BARS,
    MARKS,
    VERMILION,
    folder_of,
    frame,
    label_logarithms,
    name_in_title,
    run_command,
    write,
)
from dd_ray.metrics import REPORTED
from dd_ray.results import suggestions as search_results
from dd_ray.storage.sweep_folder import SweepFolder

BEST, OTHER = VERMILION, BLUE
PANEL = (3.1, 2.7)
"""Size of a panel in inches."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[str, positional("PATH")]
    """Folder of a search, such as results/inertia_search_quick."""
    out: Annotated[Path | None, optional("FOLDER")] = None
    """Folder to write to; `figures` in the search's folder where it is not given."""
    format: Format = "png"
    """Format of the figures: pdf and svg are for a paper, and hold text as text."""


def draw(table: pd.DataFrame, search: dict[str, Any], title: str) -> Figure:
    """Draw the figure of a search's suggestions.

    Args:
        table: a table as `dd_ray.results.suggestions.as_trained` returns it.
        search: the manifest's description of the search.
        title: title of the figure.
    """
    objectives, drawn = search["objectives"], list(search["space"])
    rows, columns = max(len(objectives), 1 + (len(drawn) > 4)), 1 + len(drawn)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.7), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(rows, columns, width_ratios=[1.4, *[1] * len(drawn)])
    first = figure.add_subplot(grid[:, 0])
    if len(objectives) > 1:
        _draw_front(first, table, objectives)
    else:
        _draw_history(first, table, objectives[0])
    for row, objective in enumerate(objectives):
        for column, name in enumerate(drawn):
            panel = figure.add_subplot(grid[row, column + 1])
            _draw_slice(panel, table, name, objective, log=search["space"][name].startswith("log"))
            if column == 0:
                panel.set_ylabel(_short(objective), fontsize=8)
            if row == len(objectives) - 1:
                panel.set_xlabel(symbol(name), fontsize=10)
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _draw_front(panel: Axes, table: pd.DataFrame, objectives: Sequence[str]) -> None:
    x, y = objectives
    front = table[table["on_front"]].sort_values([x, y])
    _draw_others(panel, table, x, y)
    panel.errorbar(
        front[x],
        front[y],
        xerr=_bars(front, x),
        yerr=_bars(front, y),
        fmt="none",
        ecolor=BEST,
        elinewidth=0.9,
        alpha=0.5,
    )
    # A step instead of a straight line, since nothing says that there are other points on the line.
    where = "steps-post" if REPORTED[x].better == "min" else "steps-pre"
    panel.plot(front[x], front[y], "D-", color=BEST, markersize=5, linewidth=1.2, drawstyle=where, label="Pareto front")
    _frame(panel, table[[x]], table[[y]])
    panel.set_xlabel(_axis_label(x), fontsize=8)
    panel.set_ylabel(_axis_label(y), fontsize=8)


def _draw_history(panel: Axes, table: pd.DataFrame, objective: str) -> None:
    _draw_others(panel, table, "suggestion", objective)
    finished = table[table["state"] == "finished"]
    so_far = search_results.best_so_far(table, objective)
    panel.step(finished["suggestion"], so_far, where="post", color=BEST, linewidth=1.2, label="best so far")
    _draw_best(panel, table, "suggestion", objective)
    _frame(panel, table[["suggestion"]], table[[objective]])
    panel.set_xlabel("suggestion", fontsize=8)
    panel.set_ylabel(_axis_label(objective), fontsize=8)


def _draw_slice(panel: Axes, table: pd.DataFrame, name: str, objective: str, *, log: bool) -> None:
    shown = table if pd.api.types.is_numeric_dtype(table[name]) else table.assign(**{name: table[name].astype(str)})
    if log:  # 0, the default of a field that has no effect beside others, has a place of its own below all
        positive = shown.loc[shown[name] > 0, name]
        low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
        zero = low / (high / low if high > low else 10.0) ** 0.1
        shown = shown.assign(**{name: shown[name].where(shown[name] != 0, zero)})
        panel.set_xscale("log")
        label_logarithms(panel.xaxis, low, high)
        if (shown[name] == zero).any():
            ticks = panel.xaxis.get_major_locator().tick_values(low, high)
            panel.xaxis.set_ticks([tick for tick in ticks if low <= tick <= high])  # else one may be where 0 is
            panel.xaxis.set_ticks([zero], labels=["0"], minor=True, fontsize=7)
    _draw_others(panel, shown, name, objective)
    _draw_best(panel, shown, name, objective)
    _frame(panel, None, shown[[objective]])


def _draw_others(panel: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    finished = table[(table["state"] == "finished") & ~table["on_front"]]
    panel.plot(finished[x], finished[y], "o", color=OTHER, markersize=4, alpha=0.75, label="finished", linestyle="none")
    for state, marker in (("stopped_early", "o"), ("out_of_time", "v")):
        ended = table[table["state"] == state]
        if len(ended):
            panel.plot(
                *(ended[x], ended[y], marker),
                color=OTHER,
                markerfacecolor="white",
                markersize=4,
                label=MARKS[state][1],
                linestyle="none",
            )


def _draw_best(panel: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    best = table[table["on_front"]]
    bars = _bars(best, y)
    panel.errorbar(best[x], best[y], yerr=bars, fmt="D", color=BEST, markersize=5, elinewidth=0.9, label="best")


def _bars(table: pd.DataFrame, objective: str) -> pd.Series:
    """Return half of the intervals that are drawn of an objective; NaN where there are too few seeds."""
    half = table[f"{objective}_high"] - table[objective]
    return half.where(table["seeds"] >= FEWEST_SEEDS_WITH_BARS)


def _frame(panel: Axes, x: pd.DataFrame | None, y: pd.DataFrame) -> None:
    """Limit the axes to all means; intervals, which are wide with few seeds, may leave the panel."""
    for values, set_limits in ((x, panel.set_xlim), (y, panel.set_ylim)):
        numbers = values.to_numpy(float) if values is not None else np.empty(0)
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            margin = 0.08 * ((numbers.max() - numbers.min()) or abs(numbers.max()) or 1)
            set_limits(numbers.min() - margin, numbers.max() + margin)
    panel.tick_params(labelsize=7)
    frame(panel)


def _axis_label(objective: str) -> str:
    metric = REPORTED[objective]
    return f"{metric.label}\n{BETTER[metric.better]}"


def _short(objective: str) -> str:
    return REPORTED[objective].short


def title_of(name: str, table: pd.DataFrame, search: dict[str, Any]) -> str:
    """Return the title of the figure."""
    counts = table["state"].value_counts()
    states = ", ".join(f"{count} {str(state).replace('_', ' ')}" for state, count in counts.items())
    seeds = len(search["seeds"])
    bars = " with 95% intervals" if seeds >= FEWEST_SEEDS_WITH_BARS else ""
    mean = f"means of {seeds} seeds{bars}" if seeds > 1 else "1 seed, so without intervals"
    return f"{name}\n{len(table)} suggestions ({states}), iteration {search['iterations']:,}, {mean}"


def write_figure(options: Options) -> list[Path]:
    """Draw a search and write the figure, and the numbers behind it. Prints the importance of what was drawn.

    Raises:
        UserError: there is no such search, it has no score yet, or the folder cannot be written.
    """
    sweep = SweepFolder.open(options.path)
    search = search_results.search_of(sweep)
    table = search_results.as_trained(search_results.load(options.path), results.load(options.path), search["space"])
    if table[search["objectives"]].isna().to_numpy().all():
        raise UserError("no suggestion of this search has a score yet, so there is nothing to draw.")
    search_results.print_importances(search_results.importances(options.path))
    figure = draw(table, search, title_of(name_in_title(options.path), table, search))
    return write(folder_of(options.path, options.out), {"search_results": figure}, {"search_results": table})


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw what a search found into a folder; see `write_figure`."""
    return write_figure(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw a search: its Pareto front or history, and what it drew. Prints the files that it writes."""
    run_command(Options, write_figure, main.__doc__, args)
