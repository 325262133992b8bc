"""Learning curves of the cells of a sweep: `python analysis/learning_curves.py results/inertia_grid_quick`.

`learning_curves.png` has a panel for each metric with a line for each cell, of its own colour, marker and style, over
the iterations at which it was evaluated: the mean over its seeds, with Student's 95% interval as a band from three
seeds on. Where seeds of a cell were not evaluated, or lack the metric, points are hollow: the mean is of the others,
and where the worst diverged or were stopped it is too good. The legend says which seeds of a cell have not finished.
`learning_curves.csv` has the numbers. Cells whose curves still move at the end are compared before they have converged:
RMSprop normalises the gradient, so that with a large weight of a penalty reconstruction is learned later.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dd_ray import results
from dd_ray.command_line import counted, optional
from dd_ray.config.labels import parts_of, with_parts
from dd_ray.config.symbols import plain, setting, values_of
from dd_ray.errors import UserError
from dd_ray.figures.axis_curves import limit
from dd_ray.figures.common import (
    FEWEST_SEEDS_WITH_BARS,
    LINES,
    DrawnOptions,
    folder_of,
    frame,
    ordered_colours,
    run_command,
    write,
)
from dd_ray.figures.looks import SHAPES
from dd_ray.metrics import described, seed_interval
from dd_ray.results.cells import Cell, cells_of, settings_of
from dd_ray.results.table import counted_states

USUAL = ("linear_r2", "mcc", "reconstruction_error", "kl")
FINISHED = "finished"
MOST_CELLS = 12
"""The most lines that can be told apart in a panel."""


@dataclass(frozen=True, kw_only=True)
class Options(DrawnOptions):
    """Options of the command line."""

    metrics: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    """Columns of the table. Those of linear R², MCC, reconstruction error and KL that there are where none is given."""
    cells: Annotated[tuple[str, ...], optional("FIELD=VALUE[,...] [...]")] = ()
    """Cells to draw, each named by parts of its label, such as beta=1,gamma=0.8. All of them, where they are few enough
    to be told apart, if none is given."""


def write_learning_curves(options: Options) -> list[Path]:
    """Draw the learning curves of cells, and return the files.

    Raises:
        UserError: there is no such sweep, metric or cell, nothing has been evaluated, there are too many cells, or the
            folder cannot be written.
    """
    table = results.load(*options.paths)
    if table["iteration"].isna().all():
        raise UserError("no cell of this sweep has been evaluated yet, so there is nothing to draw.")
    settings = settings_of(results.final(table))
    cells = _chosen(cells_of(table, settings), options.cells)
    if missing := [name for name in options.metrics if name not in table]:
        raise UserError(f"--metrics {missing[0]} is no column of {options.path}; give one of its table.")
    rows = pd.concat([cell.trials for cell in cells])
    names = options.metrics or [name for name in USUAL if name in table]
    metrics = [name for name in names if _has_values(rows, name)]
    if without := [name for name in options.metrics if name not in metrics]:
        raise UserError(f"--metrics {without[0]} has no value in the cells to draw; give a metric that has.")
    if not metrics:
        states = counted_states(rows.drop_duplicates("key"))
        raise UserError(f"the cells to draw have no value of the usual metrics; give --metrics. Ended: {states}.")
    among = values_of([cell.values for cell in cells])
    curves = pd.concat([curve_of(cell, name, among) for name in metrics for cell in cells], ignore_index=True)
    figures = {"learning_curves": draw(curves, metrics)}
    tables = {"learning_curves": curves.assign(cell=curves["cell"].map(plain))}
    return write(folder_of(options.path, options.out, options.more), figures, tables)


def curve_of(cell: Cell, metric: str, among: Mapping[str, Collection[Any]]) -> pd.DataFrame:
    """Return a metric of a cell over its evaluations; `among` has the values that its own are to be told from.

    Returns:
        Columns `cell`, `metric`, `iteration`, `mean`, `low`, `high` (NaN with one seed); `seeds`, how many are
            averaged, and `seeds_in_cell`; `ended`, how seeds have ended in words, `finished` if all have finished.
    """
    of_cell = {"seeds_in_cell": cell.trials["key"].nunique(), "ended": _ended(cell)}
    rows: list[dict[str, Any]] = []
    for iteration, group in cell.trials.groupby("iteration"):
        values = pd.to_numeric(group[metric]).dropna().to_numpy(float)
        if len(values):
            mean, low, high = map(float, seed_interval(values))
            numbers = {"mean": mean, "low": low, "high": high, "seeds": len(values)}
            rows.append(
                {"cell": _name(cell.values, among), "metric": metric, "iteration": iteration, **numbers, **of_cell}
            )
    return pd.DataFrame(rows)


def draw(curves: pd.DataFrame, metrics: Sequence[str]) -> Figure:
    """Draw a panel for each metric with a line for each cell."""
    names = list(dict.fromkeys(curves["cell"]))
    looks = dict(zip(names, _looks(len(names)), strict=True))
    columns = min(2, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(4.8 * columns, 3.0 * rows + 0.3 + 0.2 * len(names)), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(metrics) :]:
        panel.set_visible(False)
    for panel, metric in zip(panels, metrics, strict=False):
        for name, curve in curves[curves["metric"] == metric].groupby("cell", sort=False):
            _draw_curve(panel, curve, looks[name])
        panel.set_xlabel("iteration")
        panel.set_title(described(metric).label, fontsize=10)
        frame(panel)
        if described(metric).better == "min" and curves.loc[curves["metric"] == metric, "low"].min() > 0:
            panel.set_yscale("log")  # an error falls by powers of ten
        else:
            limit(panel, metric)
    figure.legend(
        handles=_legend_of(curves, looks), loc="outside lower left", fontsize=8, frameon=False, handlelength=3.6
    )
    seeds = curves["seeds"].max()
    bands = ", with 95% intervals" if seeds >= FEWEST_SEEDS_WITH_BARS else ""
    figure.suptitle(f"Learning curves, mean of {counted(seeds, 'seed')}{bands}", fontsize=11)
    return figure


def _looks(number: int) -> list[dict[str, Any]]:
    """Return looks of lines, no two alike in marker and style: colours do not tell them apart for all, or in print."""
    colours = ordered_colours(number)
    return [
        {"color": colour, "marker": SHAPES[i % len(SHAPES)], "linestyle": LINES[i % len(LINES)], "markersize": 4.5}
        for i, colour in enumerate(colours)
    ]


def _draw_curve(panel: Axes, curve: pd.DataFrame, look: Mapping[str, Any]) -> None:
    panel.plot(curve["iteration"], curve["mean"], **look)
    fewer = curve[curve["seeds"] < curve["seeds_in_cell"]]
    if len(fewer):
        hollow = {**look, "linestyle": "none", "markerfacecolor": "white"}
        panel.plot(fewer["iteration"], fewer["mean"], **hollow)
    known = curve[curve["seeds"] >= FEWEST_SEEDS_WITH_BARS]
    if len(known):
        panel.fill_between(known["iteration"], known["low"], known["high"], color=look["color"], alpha=0.12)


def _legend_of(curves: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]]) -> list[Line2D]:
    """Return an entry for each cell, with its seeds that have not finished, and one for points of fewer seeds."""
    ended = curves.drop_duplicates("cell").set_index("cell")["ended"]
    entries = [Line2D([], [], label=_label(name, ended[name]), **look) for name, look in looks.items()]
    if (curves["seeds"] < curves["seeds_in_cell"]).any():
        hollow: dict[str, Any] = {"marker": "o", "markersize": 5, "markerfacecolor": "white", "linestyle": "none"}
        entries.append(
            Line2D([], [], color="0.35", label="mean of some seeds of the cell, the others left out", **hollow)
        )
    return entries


def _label(name: str, ended: str) -> str:
    return name if ended == FINISHED else f"{name} ({ended})"


def _ended(cell: Cell) -> str:
    """Say how seeds have ended that have not finished: `1 of 3 seeds diverged, 1 stopped early`; else `FINISHED`."""
    states = cell.trials.drop_duplicates("key", keep="last")["state"]
    counts = states[states != "finished"].value_counts().sort_index()
    if counts.empty:
        return FINISHED
    (first, number), *others = [(str(state).replace("_", " "), count) for state, count in counts.items()]
    of_all = f"{number} of {counted(len(states), 'seed')} {first}"
    return ", ".join([of_all, *(f"{count} {state}" for state, count in others)])


def _has_values(rows: pd.DataFrame, metric: str) -> bool:
    try:
        return bool(pd.to_numeric(rows[metric]).notna().any())
    except (TypeError, ValueError) as error:
        raise UserError(f"{metric!r} holds no numbers; give a metric such as linear_r2.") from error


def _chosen(cells: Sequence[Cell], named: Sequence[str]) -> Sequence[Cell]:
    wanted = [dict(part.partition("=")[::2] for part in name.split(",")) for name in named]
    chosen = [cell for cell in cells if not wanted or any(_has(cell, parts) for parts in wanted)]
    if not chosen:
        known = with_parts(_parts_of(cells[0]))
        remedy = f"give parts of a label without its seed, such as {known}" if known else "leave it out"
        raise UserError(f"--cells {' '.join(named)} names no cell of the sweep; {remedy}.")
    if len(chosen) > MOST_CELLS:
        raise UserError(
            f"{len(chosen)} cells are more than the {MOST_CELLS} that can be told apart; name some by --cells."
        )
    return chosen


def _has(cell: Cell, parts: Mapping[str, str]) -> bool:
    return parts.items() <= _parts_of(cell).items()


def _parts_of(cell: Cell) -> dict[str, str]:
    """Return the parts of the label that its seeds share: a line is their mean, never one of them."""
    return {name: value for name, value in parts_of(cell.trials["label"].iloc[0]).items() if name != "seed"}


def _name(values: Mapping[str, Any], among: Mapping[str, Collection[Any]]) -> str:
    return setting({name: value for name, value in values.items() if value is not None}, among)


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw a sweep's learning curves into a folder; see `write_learning_curves`."""
    return write_learning_curves(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw the learning curves of a sweep's cells. Prints the files that it writes."""
    run_command(Options, write_learning_curves, main.__doc__, args)
