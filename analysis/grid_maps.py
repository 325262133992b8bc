"""Maps of a sweep's grid: `python analysis/grid_maps.py results/inertia_grid_quick`.

One figure: a row of panels for each metric, a column for each value of the third axis (λ), and in each panel
a heat map over the other two (γ along x, β along y). A sweep of one axis becomes a curve; one of more than
three, a figure for each combination of the rest.

How a map stays honest:

- It is drawn for one iteration, by default the one that the sweep goes to. A trial counts as complete if it
  was evaluated there; in a map of the sweep's end only if it also finished. All others are marked by hatching
  and a letter, with the iteration of their last evaluation. A trial that was stopped at iteration 150 had all
  the training that a map of iteration 150 asks for, and is not marked in it.
- Seeds at different iterations are never averaged. A cell shows the mean of the seeds that got furthest; those
  that did not are left out of it, and the cell shows the number that remain (n) and the worst state among all
  of its seeds. Where a scheduler stopped the others, that mean is of survivors, and too good: hence the mark.
- A cell without a value is empty, and says why.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import tyro
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import stats

from dd_ray import results
from dd_ray.config import TrialConfig
from dd_ray.errors import UserError, exit_on_user_error
from dd_ray.metrics import REPORTED
from dd_ray.options import option_name
from dd_ray.sweep.store import SweepFolder

FIELDS = tuple(field.name for field in fields(TrialConfig))
SYMBOLS = {"beta": "β", "beta_norm": "β$_{\\mathrm{norm}}$", "gamma": "γ", "lam": "λ", "alpha": "α"}
PREFERRED = ("gamma", "beta", "beta_norm", "lam")
"""Axes in the order in which they are given a place: x, y, columns."""
CONFIDENCE = 0.95
WIDEST_WITH_NUMBERS = 10
"""Cells along x, up to which a panel has its numbers written into it."""
WIDEST_WITH_ITERATIONS = 12
"""Cells across a figure, up to which a mark has its iteration beside it; beyond, only the legend says it."""


@dataclass(frozen=True)
class Mark:
    """How a cell that is not complete is drawn and explained."""

    letter: str
    meaning: str
    hatch: str = ""


COMPLETE = "complete"
MARKS = {
    "failed": Mark("F", "failed", "xxx"),
    "diverged": Mark("D", "diverged", "\\\\\\"),
    "missing": Mark("M", "missing: not evaluated yet", "..."),
    "undefined": Mark("–", "the metric is undefined", "..."),
    "unfinished": Mark("U", "unfinished", "---"),
    "stopped_early": Mark("S", "stopped early", "///"),
    "earlier": Mark("E", "not evaluated further", "|||"),
    "absent": Mark("·", "not part of the sweep"),
}
"""By state, the worst first. Beside the states of a trial: `undefined`, evaluated, but without this metric;
`earlier`, alive and well, but evaluated at an earlier iteration only; `absent`, a combination of the axes that
the sweep does not have."""


_field = tyro.conf.arg(metavar="FIELD", help_behavior_hint="")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[Path, tyro.conf.Positional]
    """Folder of a sweep, such as results/inertia_grid_quick."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]", help_behavior_hint="")] = ()
    """Columns of the table to map. Reconstruction error (or factor error), linear R², MCC and active units
    where none is given."""
    x: Annotated[str | None, _field] = None
    """Config field along x, spelled as on the command line of a sweep; γ where it is swept."""
    y: Annotated[str | None, _field] = None
    """Config field along y; β where it is swept."""
    columns: Annotated[str | None, _field] = None
    """Config field with a column of panels for each of its values; λ where it is swept."""
    iteration: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Draw the state of the map at this iteration, or at the last evaluation before it. The end of the sweep
    where it is not given."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder to write to; `figures` in the sweep's folder where it is not given."""


@dataclass(frozen=True)
class Layout:
    """Which config field goes where."""

    x: str
    y: str | None
    columns: str | None
    rest: tuple[str, ...]
    """Further swept fields: a figure for each combination of their values."""

    @property
    def axes(self) -> tuple[str, ...]:
        """All fields that tell cells apart."""
        return (*self.rest, *(name for name in (self.columns, self.y) if name), self.x)


# From the sweep to the numbers of a map.


def field_named(name: str) -> str:
    """The config field of a spelling such as `lambda`, `lam`, `num-latents`.

    Raises:
        UserError: there is no such field.
    """
    known = {option_name(field): field for field in FIELDS} | {field: field for field in FIELDS}
    if name not in known:
        raise UserError(f"{name!r} is no axis; give a config field: {', '.join(map(option_name, FIELDS))}.")
    return known[name]


def swept_fields(table: pd.DataFrame, given: Sequence[str]) -> list[str]:
    """Config fields, other than the seed, that have more than one value in a table of results.

    Args:
        table: as `dd_ray.results.load` gives it, with β in both its forms.
        given: the fields that the sweep was given; of `beta` and `beta_norm` only one that is among them
            counts, since the other follows from it (and from the number of latents).
    """
    candidates = [f for f in FIELDS if f != "seed" and (f not in ("beta", "beta_norm") or f in given)]
    swept = [name for name in candidates if table[name].nunique(dropna=False) > 1]
    return sorted(swept, key=lambda name: PREFERRED.index(name) if name in PREFERRED else len(PREFERRED))


def choose_layout(swept: Sequence[str], asked: Mapping[str, str]) -> Layout:
    """Give each swept field its place.

    Args:
        swept: what `swept_fields` found.
        asked: the places (`x`, `y`, `columns`) that were asked for, with their fields.

    Raises:
        UserError: a field was asked for twice.
    """
    if len(set(asked.values())) < len(asked):
        raise UserError(f"two axes show the same field ({', '.join(asked.values())}); give different ones.")
    taken = set(asked.values())
    if taken & {"beta", "beta_norm"}:
        taken |= {"beta", "beta_norm"}  # two forms of one axis
    free = [name for name in swept if name not in taken]
    if "x" not in asked and "y" not in asked and len(free) > 1 and free[0].startswith("beta"):
        free[:2] = free[1], free[0]  # β is y wherever there are two axes
    chosen = dict(asked)
    for place in ("x", "y", "columns"):
        if place not in chosen and free:
            chosen[place] = free.pop(0)
    # A sweep of a single cell still is a map, of one category.
    return Layout(chosen.get("x", "model"), chosen.get("y"), chosen.get("columns"), tuple(free))


def map_iteration(table: pd.DataFrame, asked: int | None, last: int) -> int:
    """The iteration that a map is drawn for: the last evaluation of any trial at or before the one asked for.

    Args:
        table: of results.
        asked: the iteration asked for; None for the end of the sweep.
        last: the iteration that the sweep goes to.

    Raises:
        UserError: it is before the first evaluation.
    """
    if asked is None or asked >= last:
        return last
    evaluated = pd.to_numeric(table["iteration"]).dropna()
    if asked < evaluated.min():
        raise UserError(f"--iteration {asked} is before the first evaluation, at {evaluated.min():.0f}; give more.")
    return int(evaluated[evaluated <= asked].max())


def trials_at(table: pd.DataFrame, iteration: int, last: int) -> pd.DataFrame:
    """Every trial as it was at an iteration: one row a trial, from its last evaluation at or before it.

    Args:
        table: of results, a row for each trial and evaluation.
        iteration: the iteration of the map.
        last: the iteration that the sweep goes to.

    Returns:
        The columns of the table, `iteration` being that of the evaluation, and `mark`: `complete` or a key
        of `MARKS`. A trial without such an evaluation has a row without metrics.
    """
    table = table.assign(iteration=pd.to_numeric(table["iteration"]))
    fixed = ["key", "label", "state", "error", *FIELDS]
    reached = table.groupby("key", as_index=False).agg(reached=("iteration", "max"))
    shown = table[table["iteration"] <= iteration].sort_values("iteration").drop_duplicates("key", keep="last")
    trials = table.drop_duplicates("key")[fixed].merge(reached, on="key")
    trials = trials.merge(shown.drop(columns=fixed[1:]), on="key", how="left")
    for name in FIELDS:
        if pd.api.types.is_float_dtype(trials[name]):
            trials[name] = trials[name].map(_rounded)
    numbers = zip(trials["state"], trials["iteration"], trials["reached"], strict=True)
    trials["mark"] = [_mark_of_trial(*trial, iteration, last) for trial in numbers]
    return trials.drop(columns="reached")


def map_cells(trials: pd.DataFrame, axes: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """The cells of a map, seeds averaged: one row for each combination of the axes' values and metric.

    Seeds at different iterations are not averaged: the mean is of the seeds that got furthest.

    Args:
        trials: what `trials_at` gives.
        axes: config fields that tell cells apart; trials that agree in them are seeds of one cell.
        metrics: columns to average.

    Returns:
        Columns: the axes; `metric`; `mean`; `ci_low` and `ci_high`, its 95% confidence interval (NaN with
        one seed); `seeds`, how many are averaged, and `seeds_in_cell`; `iteration` of the values; `mark`,
        the worst of all seeds, and `mark_iteration`, its last evaluation (NaN if complete); `states` of all
        seeds, such as `complete@300 stopped_early@150`.
    """
    lists = list(dict.fromkeys(["iteration", "mark", "state", *metrics]))
    groups = {values: group[lists].to_dict("list") for values, group in trials.groupby(list(axes))}
    combinations = itertools.product(*(sorted(trials[axis].unique()) for axis in axes))
    nothing = trials.iloc[:0][lists].to_dict("list")
    rows = [
        dict(zip(axes, values, strict=True)) | {"metric": metric} | _cell(groups.get(values, nothing), metric)
        for values in combinations
        for metric in metrics
    ]
    return pd.DataFrame(rows)


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of some numbers and its 95% confidence interval, by Student's t; NaN where there are too few."""
    if not len(values):
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.nan, math.nan
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return mean, mean - half, mean + half


def _rounded(value: float) -> float:
    """As far as a cell's key looks at β; one form of β computed from the other differs in the last digit."""
    return float(f"{value:.12g}")


def _mark_of_trial(state: str, at: float, reached: float, iteration: int, last: int) -> str:
    if at == iteration and (state == "finished" or iteration < last):
        return COMPLETE
    if math.isnan(at) and (state == "finished" or not math.isnan(reached)):
        return "missing"  # evaluated, but only after the iteration of the map
    return "earlier" if state == "finished" or reached > iteration else state


def _cell(trials: Mapping[str, list[Any]], metric: str) -> dict[str, Any]:
    """One metric over the trials of a cell, given as lists."""
    at, marks = np.asarray(trials["iteration"], float), list(trials["mark"])
    iteration = float(np.nanmax(at)) if np.isfinite(at).any() else math.nan
    values = np.asarray(trials[metric], float)
    for i in np.flatnonzero((at == iteration) & np.isnan(values)):
        marks[i] = trials["state"][i] if trials["state"][i] in ("failed", "diverged") else "undefined"
    averaged = values[(at == iteration) & ~np.isnan(values)]
    worst = next((mark for mark in MARKS if mark in marks), COMPLETE if marks else "absent")
    marked_at = [i for i, mark in zip(at, marks, strict=True) if mark == worst != COMPLETE and not math.isnan(i)]
    return {
        **dict(zip(("mean", "ci_low", "ci_high"), mean_interval(averaged), strict=True)),
        "seeds": len(averaged),
        "seeds_in_cell": len(marks),
        "iteration": iteration,
        "mark": worst,
        "mark_iteration": max(marked_at, default=math.nan),
        "states": " ".join(m if math.isnan(i) else f"{m}@{i:.0f}" for m, i in zip(marks, at, strict=True)),
    }


def numeric_columns(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """The table with these columns as numbers, empty where an evaluation lacks them.

    Raises:
        UserError: a column does not exist or does not hold numbers.
    """
    table = table.copy()
    for metric in metrics:
        if metric not in table:
            known = [name for name in REPORTED if name in table]
            raise UserError(f"{metric!r} is no column of this sweep's table; it has {', '.join(known)} and more.")
        try:
            table[metric] = pd.to_numeric(table[metric]).astype(float)
        except (TypeError, ValueError) as error:
            raise UserError(f"{metric!r} holds no numbers; give a metric such as linear_r2.") from error
    return table


def default_metrics(table: pd.DataFrame) -> tuple[str, ...]:
    """What is mapped where nothing is asked for: of the usual metrics those that the sweep has.

    Raises:
        UserError: it has none of them.
    """
    has = {name for name in REPORTED if name in table and table[name].notna().any()}
    error = "reconstruction_error" if "reconstruction_error" in has else "factor_error"
    metrics = tuple(name for name in (error, "linear_r2", "mcc", "active_units") if name in has)
    if not metrics:
        raise UserError("this sweep has none of the usual metrics; give --metrics.")
    return metrics


# From the numbers to a picture.


@dataclass(frozen=True)
class Scale:
    """How a metric's values become colours and text: one for all panels and figures."""

    metric: str
    norm: Normalize
    cmap: str
    decimals: int | None
    """None where fixed decimals would hide the values."""

    @classmethod
    def of(cls, cells: pd.DataFrame, metric: str, num_latents: int) -> "Scale":
        """The scale that all of a metric's cells fit."""
        values = cells.loc[cells["metric"] == metric, "mean"].dropna().to_numpy(float)
        low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
        if metric == "active_units":
            low, high = 0, num_latents  # so that a collapsed cell is dark, also where all are
        elif high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
            low, high = low - (abs(low) or 1) / 100, high + (abs(high) or 1) / 100
        better = REPORTED[metric].better if metric in REPORTED else None
        # Brighter is better. Where nothing is better, another map, lest it look as if.
        cmap = {"min": "viridis_r", "max": "viridis", None: "cividis"}[better]
        whole = bool(len(values)) and bool((values == values.round()).all())
        decimals = 0 if whole else max(0, math.ceil(1.5 - math.log10(high - low)))
        return cls(metric, Normalize(low, high), cmap, decimals if decimals <= 5 and abs(high) < 1e5 else None)

    @property
    def label(self) -> str:
        """The metric, its unit, and which values are better."""
        known = REPORTED.get(self.metric)
        name = (known.label if known else self.metric).replace(" (", "\n(")
        return name + {"min": "\nlower is better", "max": "\nhigher is better"}.get((known and known.better) or "", "")

    def text(self, value: float) -> str:
        """A value as a cell shows it."""
        return f"{value:.3g}" if self.decimals is None else f"{value:.{self.decimals}f}"

    def colour(self, value: float) -> tuple[float, float, float]:
        """Background of a value's cell."""
        return mpl.colormaps[self.cmap](self.norm(value))[:3]


EMPTY_COLOUR = (0.93, 0.93, 0.93)
INK = "0.15"
AROUND = 1.9
"""Inches beside the panels: labels and colour bars."""
INCHES_PER_CHARACTER = 0.075
CURVE = mpl.colormaps["viridis"](0.3)


def draw(cells: pd.DataFrame, trials: pd.DataFrame, layout: Layout, scales: Sequence[Scale], title: str) -> Figure:
    """One figure: a row of panels for each metric, maps where there is a y axis, else curves.

    Args:
        cells: of this figure, as `map_cells` gives them.
        trials: of this figure; curves show each seed.
        layout: which field goes where.
        scales: one for each metric.
        title: above all.
    """
    cells = _annotated(cells, layout)
    columns = _values(cells, layout.columns)
    spacing = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05, wspace=0.01, hspace=0.02)
    figure = Figure(figsize=_size(cells, layout, scales), layout=spacing, facecolor="white")
    sharey: Any = "all" if layout.y else "row"
    panels = figure.subplots(len(scales), len(columns), squeeze=False, sharex="all", sharey=sharey)
    for row, scale in zip(panels, scales, strict=True):
        for panel, value in zip(row, columns, strict=True):
            here = cells[(cells["metric"] == scale.metric) & _at(cells, layout.columns, value)]
            if layout.y:
                _draw_map(panel, here, layout, scale)
            else:
                _draw_curve(panel, here, trials[_at(trials, layout.columns, value)], layout, scale)
        if layout.y:
            _draw_colour_bar(figure, row, scale)
        else:
            row[0].set_ylabel(scale.label, fontsize=8)
    _label_axes(panels, _values(cells, layout.x), columns, layout)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    _draw_legend(figure, cells, layout)
    return figure


def _annotated(cells: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Cells with what their notes depend on: how many seeds are usual, and iterations where there is room."""
    across = len(_values(cells, layout.columns)) * cells[layout.x].nunique()
    roomy = layout.y is None or across <= WIDEST_WITH_ITERATIONS
    cells = cells.assign(usual_seeds=cells["seeds_in_cell"].max())
    # An undefined metric says nothing about how far its trial got.
    cells["mark_iteration"] = cells["mark_iteration"].mask(cells["mark"] == "undefined")
    return cells.assign(noted_iteration=cells["mark_iteration"] if roomy else math.nan)


def _values(cells: pd.DataFrame, axis: str | None) -> list[Any]:
    return sorted(cells[axis].unique()) if axis else [None]


def _at(frame: pd.DataFrame, axis: str | None, value: Any) -> "pd.Series[bool]":
    return frame[axis] == value if axis else pd.Series(True, index=frame.index)


def _has_numbers(cells: pd.DataFrame, layout: Layout) -> bool:
    return cells[layout.x].nunique() <= WIDEST_WITH_NUMBERS


def _size(cells: pd.DataFrame, layout: Layout, scales: Sequence[Scale]) -> tuple[float, float]:
    """Inches: from the cells, so that numbers fit into them, and fonts are the same in every figure."""
    num_columns, num_x = len(_values(cells, layout.columns)), cells[layout.x].nunique()
    marks = cells["mark"].nunique() + 2
    if layout.y is None:
        width = num_columns * min(6.0, max(3.0, 0.6 * num_x))
        return max(5.0, width + AROUND), 1.75 * len(scales) + 1.2 + 0.18 * marks
    texts = [_lines(cell, scale) for cell in cells.to_dict("records") for scale in scales]
    numbers = _has_numbers(cells, layout)
    longest = max(len(line) for lines in texts for line in lines)
    cell_width = max(0.75 if num_columns * num_x <= 8 else 0.46, 0.1 + 0.063 * longest) if numbers else 0.2
    cell_height = 0.18 + 0.12 * max(map(len, texts)) if numbers else 0.2
    height = max(1.35, cells[layout.y].nunique() * cell_height)
    width = num_columns * max(1.0, num_x * cell_width)
    return max(5.6, width + AROUND), len(scales) * (height + 0.12) + 1.3 + 0.18 * marks


def _draw_map(panel: Axes, cells: pd.DataFrame, layout: Layout, scale: Scale) -> None:
    assert layout.y
    xs, ys = _values(cells, layout.x), _values(cells, layout.y)
    with_numbers = _has_numbers(cells, layout)
    for cell in cells.to_dict("records"):
        _draw_cell(panel, (xs.index(cell[layout.x]), ys.index(cell[layout.y])), cell, scale, with_numbers)
    panel.set(xlim=(-0.5, len(xs) - 0.5), ylim=(-0.5, len(ys) - 0.5))
    panel.set_yticks(range(len(ys)), [_shown(y) for y in ys])
    panel.tick_params(length=0, labelsize=8)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _draw_cell(panel: Axes, at: tuple[int, int], cell: Mapping[str, Any], scale: Scale, with_numbers: bool) -> None:
    background = EMPTY_COLOUR if math.isnan(cell["mean"]) else scale.colour(cell["mean"])
    ink = _readable_on(background)
    corner = (at[0] - 0.5, at[1] - 0.5)
    panel.add_patch(Rectangle(corner, 1, 1, facecolor=background, edgecolor="white", linewidth=1.2))
    if cell["mark"] != COMPLETE:
        hatch = MARKS[cell["mark"]].hatch
        inner = (at[0] - 0.48, at[1] - 0.48)
        style: dict[str, Any] = {"facecolor": "none", "edgecolor": ink, "alpha": 0.4, "linewidth": 0}
        panel.add_patch(Rectangle(inner, 0.96, 0.96, hatch=hatch, **style))
    lines = _lines(cell, scale) if with_numbers else _letters(cell)
    text = panel.text(*at, "\n".join(lines), ha="center", va="center", fontsize=7, color=ink, linespacing=1.15)
    if cell["mark"] != COMPLETE:
        text.set_bbox({"facecolor": background, "edgecolor": "none", "pad": 0.8})  # keeps hatching off the text


def _letters(cell: Mapping[str, Any]) -> list[str]:
    return [MARKS[cell["mark"]].letter] if cell["mark"] in MARKS else []


def _lines(cell: Mapping[str, Any], scale: Scale) -> list[str]:
    """What is written into a cell."""
    lines = [] if math.isnan(cell["mean"]) else [scale.text(cell["mean"])]
    if not math.isnan(cell["ci_high"]):
        lines.append("±" + scale.text(cell["ci_high"] - cell["mean"]))
    return [*lines, *([note] if (note := _note(cell)) else [])]


def _note(cell: Mapping[str, Any]) -> str:
    """Its mark, with the iteration where there is room, and its number of seeds where it has fewer than usual."""
    parts = _letters(cell)
    if not math.isnan(at := cell["noted_iteration"]):
        parts.append(f"{at:.0f}" if at < 10_000 else f"{at / 1000:.3g}k")
    if 0 < cell["seeds"] < cell["usual_seeds"]:
        parts.append(f"n={cell['seeds']}")
    return " ".join(parts)


def _readable_on(background: tuple[float, float, float]) -> str:
    """Black or white, whichever has the higher contrast (WCAG 2.1, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background]
    return "black" if float(np.dot(linear, (0.2126, 0.7152, 0.0722))) > 0.179 else "white"


def _draw_colour_bar(figure: Figure, panels: NDArray[Any], scale: Scale) -> None:
    mappable = ScalarMappable(scale.norm, scale.cmap)
    bar = figure.colorbar(mappable, ax=list(panels), fraction=0.06, pad=0.015, aspect=14)
    bar.locator = MaxNLocator(4, integer=scale.decimals == 0)
    bar.update_ticks()
    bar.ax.tick_params(labelsize=7)
    bar.set_label(scale.label, fontsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_curve(panel: Axes, cells: pd.DataFrame, trials: pd.DataFrame, layout: Layout, scale: Scale) -> None:
    """Means with intervals over categories, each seed as a dot; what is marked is hollow and not connected."""
    cells = cells.sort_values(layout.x)
    xs = list(cells[layout.x])
    at, mean = list(range(len(xs))), cells["mean"].to_numpy(float)
    complete = (cells["mark"] == COMPLETE).to_numpy()
    if cells["seeds"].max() > 1:
        for done, face in ((True, "0.6"), (False, "white")):
            seeds = trials[(trials["mark"] == COMPLETE) == done]
            beside = [xs.index(x) + 0.12 for x in seeds[layout.x]]
            panel.plot(beside, seeds[scale.metric], "o", color="0.6", markerfacecolor=face, markersize=3)
    half = (cells["ci_high"] - cells["mean"]).to_numpy(float)
    panel.errorbar(at, mean, yerr=half, fmt="none", ecolor=CURVE, elinewidth=1.2, capsize=2.5)
    panel.plot(at, np.where(complete, mean, np.nan), "-o", color=CURVE, markersize=5, linewidth=1.2)
    panel.plot(at, np.where(complete, np.nan, mean), "o", color=CURVE, markerfacecolor="white", markersize=5)
    _draw_notes(panel, cells)
    panel.set_xlim(-0.5, len(xs) - 0.5)
    panel.margins(y=0.1)
    panel.tick_params(labelsize=8)
    if scale.metric == "active_units":
        panel.update_datalim([(0, 0), (0, scale.norm.vmax or 0)])
        panel.autoscale_view(scalex=False)
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_notes(panel: Axes, cells: pd.DataFrame) -> None:
    """Hatched bands behind the marked cells of a curve, and their notes above it."""
    for x, cell in enumerate(cells.to_dict("records")):
        if cell["mark"] != COMPLETE:
            band: dict[str, Any] = {"facecolor": EMPTY_COLOUR, "edgecolor": "0.75", "linewidth": 0}
            panel.axvspan(x - 0.48, x + 0.48, hatch=MARKS[cell["mark"]].hatch, zorder=0, **band)
        place: dict[str, Any] = {"transform": panel.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        panel.text(x, 1.02, _note(cell).replace(" n=", "\nn="), fontsize=7, color=INK, **place)


def _label_axes(panels: NDArray[Any], xs: Sequence[Any], columns: Sequence[Any], layout: Layout) -> None:
    for panel, value in zip(panels[0], columns, strict=True):
        if layout.columns:
            # Above the notes of a curve.
            panel.set_title(f"{_symbol(layout.columns)} = {_shown(value)}", fontsize=9, pad=6 if layout.y else 24)
    labels = [_shown(x) for x in xs]
    room = (panels[0, 0].figure.get_figwidth() - AROUND) / len(columns) / len(xs) / INCHES_PER_CHARACTER
    for panel in panels[-1]:
        panel.set_xticks(range(len(xs)), labels, rotation=90 if max(map(len, labels)) > room else 0)
        panel.set_xlabel(_symbol(layout.x), fontsize=10)
    if layout.y:
        for panel in panels[:, 0]:
            panel.set_ylabel(_symbol(layout.y), fontsize=10, rotation=0, labelpad=6, ha="right", va="center")


def _draw_legend(figure: Figure, cells: pd.DataFrame, layout: Layout) -> None:
    """What the marks of this figure mean, and at which iterations they were set."""
    style: dict[str, Any] = {"facecolor": EMPTY_COLOUR, "edgecolor": "0.45", "linewidth": 0.5}
    entries: list[Artist] = []
    for name, mark in MARKS.items():
        marked = cells[cells["mark"] == name]
        if len(marked):
            at = sorted(marked["mark_iteration"].dropna().unique())
            text = f"{mark.letter}  {mark.meaning}{_listed(at)}"
            entries.append(Patch(hatch=mark.hatch * 2, label=text, **style))
    if ((cells["seeds"] > 0) & (cells["seeds"] < cells["usual_seeds"])).any():
        text = "n=…  mean of fewer seeds: those that got furthest, the others left out"
        entries.append(Patch(facecolor="none", edgecolor="none", label=text))
    if cells["seeds_in_cell"].max() > 1 and layout.y is None:
        dot: dict[str, Any] = {"marker": "o", "color": "0.6", "markersize": 3, "linestyle": "none"}
        entries.append(Line2D([], [], label="seeds; hollow where not complete", **dot))
    if entries:
        figure.legend(handles=entries, loc="outside lower left", fontsize=8, frameon=False, handleheight=1.2)


def _listed(iterations: Sequence[float]) -> str:
    if not iterations:
        return ""
    shown = [f"{i:,.0f}" for i in iterations]
    return " at iteration " + (" or ".join(shown) if len(shown) <= 3 else f"{shown[0]} to {shown[-1]}")


def _symbol(axis: str) -> str:
    return SYMBOLS.get(axis, axis.replace("_", " "))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# From the command line to files.


@dataclass(frozen=True, kw_only=True)
class Maps:
    """All that the figures of a sweep show."""

    study: str
    cells: pd.DataFrame
    trials: pd.DataFrame
    layout: Layout
    scales: list[Scale]
    iteration: int
    last: int
    """The iteration that the sweep goes to."""

    def title(self, cells: pd.DataFrame, rest: Mapping[str, Any]) -> str:
        """What is above the figure of these cells."""
        seeds = cells["seeds_in_cell"]
        fewest, most = seeds[seeds > 0].min(), seeds.max()
        several = f"{most}" if fewest == most else f"{fewest} to {most}"
        with_intervals = self.layout.y is None or _has_numbers(cells, self.layout)
        mean = "mean ± 95% interval" if with_intervals else "mean"
        number = "1 seed" if most == 1 else f"{mean} of {several} seeds"
        at = f"iteration {self.iteration:,}" + (f" of {self.last:,}" if self.iteration < self.last else "")
        fixed = ", ".join(f"{_symbol(axis)} = {_shown(value)}" for axis, value in rest.items())
        return "\n".join([self.study, f"{at}, {number}", *([fixed] if fixed else [])])


def maps_of(table: pd.DataFrame, manifest: Mapping[str, Any], options: Options) -> Maps:
    """Shape a table of results into what the figures show.

    Raises:
        UserError: nothing has been evaluated, or there is no such metric, axis or iteration.
    """
    evaluated = pd.to_numeric(table["iteration"]).dropna()
    if evaluated.empty:
        raise UserError("no cell of this sweep has been evaluated yet, so there is nothing to draw.")
    metrics = tuple(dict.fromkeys(options.metrics)) or default_metrics(table)
    table = numeric_columns(table, metrics)
    places = {"x": options.x, "y": options.y, "columns": options.columns}
    asked = {place: field_named(name) for place, name in places.items() if name}
    layout = choose_layout(swept_fields(table, list(manifest["axes"])), asked)
    last = max(manifest["options"]["iterations"], int(evaluated.max()))
    iteration = map_iteration(table, options.iteration, last)
    trials = trials_at(table, iteration, last)
    cells = map_cells(trials, layout.axes, metrics)
    scales = [Scale.of(cells, metric, int(table["num_latents"].max())) for metric in metrics]
    return Maps(
        study=manifest["study"],
        cells=cells,
        trials=trials,
        layout=layout,
        scales=scales,
        iteration=iteration,
        last=last,
    )


def write_maps(options: Options) -> list[Path]:
    """Draw the maps of a sweep and write them, and the numbers behind them.

    Returns:
        The figures, and last the table.

    Raises:
        UserError: there is no such sweep, metric, axis or iteration, or the folder cannot be written.
    """
    sweep = SweepFolder.open(options.path)
    maps = maps_of(results.load(options.path), sweep.manifest(), options)
    stem = "grid_maps" if options.iteration is None else f"grid_maps_iteration_{maps.iteration}"
    folder = options.out or sweep.path / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for rest, cells in figures(maps.cells, maps.layout):
            figure = draw(cells, _matching(maps.trials, rest), maps.layout, maps.scales, maps.title(cells, rest))
            written.append(folder / f"{stem}{_suffix(rest)}.png")
            with mpl.rc_context({"hatch.linewidth": 0.7}):
                figure.savefig(written[-1], dpi=150)
        written.append(folder / f"{stem}.csv")
        maps.cells.to_csv(written[-1], index=False)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out.") from error
    return written


def figures(cells: pd.DataFrame, layout: Layout) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """The cells of each figure, with the values of the fields that have no place in it."""
    for values in itertools.product(*(_values(cells, axis) for axis in layout.rest)):
        rest = dict(zip(layout.rest, values, strict=True))
        part = _matching(cells, rest)
        if (part["mark"] != "absent").any():
            yield rest, part


def _matching(frame: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    for axis, value in values.items():
        frame = frame[frame[axis] == value]
    return frame


def _suffix(rest: Mapping[str, Any]) -> str:
    """Part of a file's name, with all the digits that tell two values apart."""
    shown = {axis: f"{value:.12g}" if isinstance(value, float) else value for axis, value in rest.items()}
    return "".join(f"_{option_name(axis).replace('-', '_')}_{value}" for axis, value in shown.items())


def main(args: list[str] | None = None) -> None:
    """Draw maps of a sweep's grid: metrics over γ, β and λ. Prints the files that it writes."""
    options = tyro.cli(Options, args=args, description=main.__doc__)
    with exit_on_user_error():
        for path in write_maps(options):
            print(path)


if __name__ == "__main__":
    main()
