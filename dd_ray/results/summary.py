"""Turns a sweep's tidy table into the cells of a map: averages seeds, marks what did not finish, finds the best.

Rules that keep the numbers honest:

- They are of one iteration, by default the one that the sweep goes to. A trial counts as complete if it was
  evaluated there; at the sweep's end only if it also finished. A trial that was stopped at iteration 150 had all
  the training that a map of iteration 150 asks for, and is complete in it.
- Seeds at different iterations are never averaged. A cell is the mean of the seeds that got furthest, and
  carries the worst mark among all of its seeds. Where a scheduler stopped the others, that mean is of survivors,
  and too good: hence the mark.
- A collapsed network, one without an active unit, can score as well as one that learned something. So collapse is
  counted beside every mark, and a cell with a collapsed seed is never among the best.
- A difference to the cells where a field is 0 is taken seed by seed, at the last evaluation that both trials have:
  all cells see the same batches, so much of what differs between seeds drops out.
- The interval that a map shows is of the variance pooled over its cells, and what it marks holds for the map as a
  whole, see `dd_ray.results.comparisons`. Both are of complete cells without collapse, and never of counts; other cells
  keep the interval of their own seeds and are not marked.
"""

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from dd_ray.config import field_names, has_effect
from dd_ray.config.options import field_named, option_name
from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED, Metric, seed_interval
from dd_ray.results.comparisons import LEVEL, SCALES, Scale, expected_largest, pooled_widths, told_apart

COMPLETE = "complete"
MARKS = ("failed", "diverged", "undefined", "unfinished", "stopped_early", "out_of_time", "absent", COMPLETE)
"""What a cell can be, the worst first. `failed`, `diverged`, `stopped_early`, `out_of_time`: as its trial ended;
`undefined`: evaluated, but without this metric; `unfinished`: not evaluated as far as this, and not ended; `absent`: a
combination of the axes that the sweep does not have."""

_PREFERRED = ["gamma", "beta", "beta_norm", "lam"]  # the order in which axes are given a place: x, y, columns


@dataclass(frozen=True)
class Layout:
    """The places of config fields in a figure."""

    x: str
    y: str | None = None
    columns: str | None = None
    rest: tuple[str, ...] = ()
    """Further swept fields; there is a figure for each combination of their values."""

    @property
    def axes(self) -> tuple[str, ...]:
        """All fields that distinguish cells; trials that agree in them are seeds of one cell."""
        return (*self.rest, *(name for name in (self.columns, self.y) if name), self.x)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sweep at one iteration."""

    layout: Layout
    iteration: int
    """The iteration of the numbers; cells with a mark did not complete it."""
    last: int
    """The iteration that the sweep goes to."""
    trials: pd.DataFrame
    """A row for each trial: the columns of the table, from its last evaluation at or before the iteration (without
    numbers where there is none), `mark`, one of `MARKS`, `collapsed`, 1 where it has no active unit, and
    `METRIC_untrained`, the metric before training. With a reference, a row for each pair of trials, with the worse
    mark of the two, `metric` columns of differences, and `METRIC_reference`, what was taken away."""
    cells: pd.DataFrame
    """A row for each combination of the axes' values and `metric`. Beside these: `mean`; `ci_low` and `ci_high`,
    its 95% confidence interval by its own seeds (NaN with one); `low` and `high`, the interval that a map shows, by
    the variance pooled over the cells of the figure, and `pooled`, the scale on which they vary alike, `unlike` where
    there is none, and empty where the cell keeps its own; `seeds`, how many are averaged, and `seeds_in_cell`;
    `iteration` of the values; `mark`, the worst of all seeds, and `mark_iteration`, the last evaluation of those
    that have it; `states` of all seeds, such as `complete@300 stopped_early@150`; `collapsed_seeds`, how many of
    those that got furthest have no active unit; `untrained`, the mean of all seeds before training. And, for figures:
    `best` and `in_best_region` (see `best_region`), and `luck`, by how much the best may look better than it is; or
    with a reference `excludes_zero`, whether the cell's own interval of the difference does, `p_value`, adjusted for
    all differences of the figure, `differs`, whether it is marked, and `family`, what the p-value holds for."""
    untrained: dict[str, float]
    """Mean of each metric over all trials that were evaluated before training."""
    reference: str | None = None
    """If a config field, the numbers are differences to the cells in which it is 0; if None, the metrics themselves."""


def summarise(
    table: pd.DataFrame,
    manifest: Mapping[str, Any],
    *,
    metrics: Sequence[str] = (),
    axes: Sequence[str] = (),
    places: Mapping[str, str | None] | None = None,
    iteration: int | None = None,
    reference: str | None = None,
) -> Summary:
    """Shape a sweep's table into the cells of a map.

    Args:
        table: a table as `dd_ray.results.table.load` returns it.
        manifest: the sweep as it was asked for (`SweepFolder.manifest`).
        metrics: numeric columns; reconstruction error (or factor error), linear R², MCC and active units where
            none is given.
        axes: columns of the table that tell cells apart, such as the suggestions of a search; the config fields that
            were swept where none is given.
        places: config fields for `x`, `y` and `columns`, spelled as in Python or on the command line. Swept fields
            that are not among them take the places left: γ, β and λ, in the usual case.
        iteration: the state at this iteration, or at the last evaluation before it; None for the sweep's end.
        reference: a swept config field; the numbers are then the differences to the cells where it is 0.

    Raises:
        UserError: nothing has been evaluated, or there is no such metric, axis, iteration or reference.
    """
    evaluated = pd.to_numeric(table["iteration"])
    if evaluated.isna().all():
        raise UserError("no cell of this sweep has been evaluated yet, so there is nothing to draw.")
    metrics = list(dict.fromkeys(metrics)) or _usual_metrics(table)
    collapsed = (_numbers(table, "active_units") == 0).astype(float) if "active_units" in table else 0.0
    numbers = {metric: _numbers(table, metric) for metric in metrics}
    table = table.assign(iteration=evaluated, collapsed=collapsed, **numbers)
    asked = {place: _axis_named(name) for place, name in (places or {}).items() if name}
    layout = _layout(axes or swept_fields(table, manifest["axes"]), asked)
    last = max(manifest["options"]["iterations"], int(evaluated.max()))
    iteration = _map_iteration(evaluated, iteration, last)
    trials = _with_untrained(_trials_at(table, layout.axes, iteration, last), table[evaluated == 0], metrics)
    untrained = table.loc[evaluated == 0, metrics].mean().dropna()
    shown = {"layout": layout, "iteration": iteration, "last": last}
    if reference is None:
        cells = _average_seeds(trials, combinations(trials, layout.axes), metrics)
        cells = _by_figure(cells, layout, lambda part: _with_best(_with_pooled(part, trials, layout.axes)))
        means = {str(name): mean for name, mean in untrained.items()}
        return Summary(**shown, trials=trials, cells=cells, untrained=means)
    field = _reference_field(trials, layout.axes, reference)
    pairs = _paired_with_reference(trials, table[table["iteration"] <= iteration], layout.axes, field, metrics)
    places_of_cells = combinations(trials[trials[field] != 0], layout.axes)
    cells = _average_seeds(pairs, places_of_cells, metrics).drop(columns="untrained")
    cells["excludes_zero"] = (cells["ci_low"] > 0) | (cells["ci_high"] < 0)
    cells = _by_figure(cells, layout, lambda part: _with_marks(part, pairs, layout.axes, field))
    return Summary(**shown, trials=pairs, cells=cells, untrained={}, reference=field)


def described(metric: str) -> Metric:
    """Describe a column. A part of a metric, such as linear_r2/circle_x, is ranked as the whole is."""
    whole, _, part = metric.partition("/")
    known = REPORTED.get(whole)
    if known is None:
        return Metric(metric, metric, None)
    name = f"{known.short}, {part.replace('_', ' ')}"
    return Metric(name, name, known.better) if part else known


def with_zero(trials: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """Return the axes that have trials at 0 and at other values, along which there are differences to 0."""
    return [name for name in axes if (trials[name] == 0).any() and trials[name].nunique() > 1]


def best_region(cells: pd.DataFrame, better: str | None) -> tuple["pd.Series[bool]", "pd.Series[bool]"]:
    """Find the best cell, and the cells whose 95% interval overlaps with its interval.

    Only complete cells without a collapsed seed that have an interval are considered.

    Args:
        cells: the cells of one metric in one figure.
        better: which values are better: min, max, or None if neither, and so no cell is the best.

    Returns:
        For each cell, whether it is the best, and whether it is in the region. No cell is if none has an interval, or
        if the region contains all candidates, since then no cell can be told apart.
    """
    candidates = _comparable(cells) & cells["low"].notna()
    none = candidates & False
    if better is None or not candidates.any():
        return none, none
    means = cells.loc[candidates, "mean"]
    is_best = pd.Series(cells.index == (means.idxmin() if better == "min" else means.idxmax()), cells.index)
    low, high = (float(cells.loc[is_best, end].iloc[0]) for end in ("low", "high"))
    region = is_best | (candidates & (cells["low"] <= high) & (cells["high"] >= low))
    return (none, none) if region.equals(candidates) else (is_best, region)


def combinations(frame: pd.DataFrame, axes: Sequence[str]) -> list[dict[str, Any]]:
    """Return every combination of the values of some columns, even if no row has it; the last column varies fastest."""
    values = itertools.product(*(sorted(frame[axis].unique()) for axis in axes))
    return [dict(zip(axes, combination, strict=True)) for combination in values]


def _usual_metrics(table: pd.DataFrame) -> list[str]:
    has = {name for name in REPORTED if name in table and table[name].notna().any()}
    error = "reconstruction_error" if "reconstruction_error" in has else "factor_error"
    metrics = [name for name in (error, "linear_r2", "mcc", "active_units") if name in has]
    if not metrics:
        raise UserError("this sweep has none of the usual metrics; give --metrics.")
    return metrics


def _numbers(table: pd.DataFrame, metric: str) -> "pd.Series[float]":
    if metric in (*field_names(), "iteration"):
        raise UserError(f"{metric!r} is what a cell was given, no result; give a metric such as linear_r2.")
    if metric not in table:
        known = [name for name in REPORTED if name in table]
        raise UserError(f"{metric!r} is not a column of this sweep's table; it has {', '.join(known)} and more.")
    try:
        return pd.to_numeric(table[metric]).astype(float)
    except (TypeError, ValueError) as error:
        raise UserError(f"{metric!r} holds no numbers; give a metric such as linear_r2.") from error


def _axis_named(text: str) -> str:
    field = field_named(text)
    if field is None:
        raise UserError(f"{text!r} is no axis; give a config field: {', '.join(map(option_name, field_names()))}.")
    return field


def swept_fields(table: pd.DataFrame, given: Collection[str]) -> list[str]:
    """Return the fields, other than the seed, with more than one value, in the order in which they get a place.

    Args:
        table: rows of trials.
        given: fields that were given, which tell in which of its two forms β is swept.
    """
    # The form of β that was not given follows from the other (and from the number of latents).
    names = [name for name in field_names() if name in table]
    candidates = [f for f in names if f != "seed" and (f not in ("beta", "beta_norm") or f in given)]
    rows = table.drop_duplicates("key")[names].itertuples(index=False)
    cells = [dict(zip(names, row, strict=True)) for row in rows]
    # The default of a field without effect does not count as a value of an axis.
    values = {name: pd.Series([cell[name] for cell in cells if has_effect(name, cell)]) for name in candidates}
    swept = [name for name in candidates if values[name].nunique(dropna=False) > 1]
    return sorted(swept, key=lambda name: _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED))


def _layout(swept: Sequence[str], asked: Mapping[str, str]) -> Layout:
    taken = set(asked.values())
    if len(taken) < len(asked):
        raise UserError(f"two axes show the same field ({', '.join(asked.values())}); give different ones.")
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


def _map_iteration(evaluated: "pd.Series[float]", asked: int | None, last: int) -> int:
    """Return the last evaluation of any trial at or before the iteration asked for, or the end of the sweep."""
    if asked is None or asked >= last:
        return last
    if asked < evaluated.min():
        raise UserError(f"--iteration {asked} is before the first evaluation, at {evaluated.min():.0f}; give more.")
    return int(evaluated[evaluated <= asked].max())


def _trials_at(table: pd.DataFrame, axes: Sequence[str], iteration: int, last: int) -> pd.DataFrame:
    reached = table.groupby("key")["iteration"].max()
    measured = table.columns.difference(["key", "label", "state", "error", *axes, *field_names()])
    table = table.assign(**table[measured].where(table["iteration"] <= iteration))
    trials = table.sort_values("iteration", na_position="first").drop_duplicates("key", keep="last")
    trials = trials.sort_index(ignore_index=True)
    # Rounded as in a trial's key, since one form of β, computed from the other, differs in the last digit.
    floats = trials[[name for name in field_names() if name in trials]].select_dtypes("float").columns
    trials[floats] = trials[floats].map(lambda value: float(f"{value:.12g}"))
    rows = zip(trials["state"], trials["iteration"], trials["key"].map(reached), strict=True)
    return trials.assign(mark=[_mark(*row, iteration, last) for row in rows])


def _mark(state: str, at: float, reached: float, iteration: int, last: int) -> str:
    if at == iteration and (state == "finished" or iteration < last):
        return COMPLETE
    # Regardless of how it ended later, and of how many iterations were asked for when it finished.
    return "unfinished" if state in ("finished", "missing", "running") or reached > iteration else state


def _reference_field(trials: pd.DataFrame, axes: Sequence[str], asked: str) -> str:
    field, possible = _axis_named(asked), with_zero(trials, axes)
    if field not in possible:
        there = f"; this sweep has {', '.join(map(option_name, possible))}" if possible else ""
        raise UserError(f"a difference to {option_name(field)} = 0 needs cells where it is 0, and others{there}.")
    return field


def _paired_with_reference(
    trials: pd.DataFrame, evaluations: pd.DataFrame, axes: Sequence[str], field: str, metrics: Sequence[str]
) -> pd.DataFrame:
    """Subtract from each trial the one that differs in `field` alone, which is 0 there; a row for each pair."""
    same = [*(axis for axis in axes if axis != field), "seed"]
    references = trials.loc[trials[field] == 0, [*same, "key", "mark", "state"]].drop_duplicates(same)
    others = trials[trials[field] != 0].drop(columns=[*metrics, "iteration", "collapsed"])
    pairs = others.merge(references, on=same, suffixes=("", "_reference"))
    measured = evaluations[["key", "iteration", "collapsed", *metrics]].drop_duplicates(["key", "iteration"])
    of_reference = measured.add_suffix("_reference").rename(columns={"iteration_reference": "iteration"})
    both = pairs[["key", "key_reference"]].merge(measured, on="key").merge(of_reference)
    both = both.sort_values("iteration").drop_duplicates("key", keep="last")  # the last that both have
    differences = {metric: both[metric] - both[f"{metric}_reference"] for metric in metrics}
    differences |= {f"{metric}_reference": both[f"{metric}_reference"] for metric in metrics}
    differences["collapsed"] = both[["collapsed", "collapsed_reference"]].max(axis=1)
    pairs = pairs.merge(both[["key", "iteration"]].assign(**differences), on="key", how="left")
    marks = zip(pairs["mark"], pairs.pop("mark_reference"), strict=True)
    lost = pairs["state_reference"].isin(["failed", "diverged"])
    return pairs.assign(
        mark=[min(two, key=MARKS.index) for two in marks],
        state=pairs["state"].mask(lost, pairs["state_reference"]),
    )


def _comparable(cells: pd.DataFrame) -> "pd.Series[bool]":
    """Return the cells that can be compared: complete, and without a collapsed seed."""
    return (cells["mark"] == COMPLETE) & (cells["collapsed_seeds"] == 0)


def _by_figure(cells: pd.DataFrame, layout: Layout, extended: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Add columns to cells, computed from the cells of one metric in one figure."""
    parts = [extended(part) for _, part in cells.groupby([*layout.rest, "metric"], sort=False)]
    return pd.concat(parts).loc[cells.index]


def _by_seed(cells: pd.DataFrame, trials: pd.DataFrame, axes: Sequence[str], column: str) -> NDArray[np.float64]:
    """Arrange a column of trials by cell and seed, [C, S]; NaN where a cell lacks a seed."""
    rows = {place: row for row, place in enumerate(cells[list(axes)].itertuples(index=False, name=None))}
    seeds = {seed: number for number, seed in enumerate(trials["seed"].unique())}
    values = np.full((len(rows), len(seeds)), math.nan)
    for *place, seed, value in trials[[*axes, "seed", column]].itertuples(index=False, name=None):
        if tuple(place) in rows:
            values[rows[tuple(place)], seeds[seed]] = value
    return values


def _with_pooled(
    cells: pd.DataFrame, trials: pd.DataFrame, axes: Sequence[str], scales: Sequence[Scale] = SCALES
) -> pd.DataFrame:
    """Add to the cells of one metric the interval that a map shows, and its standard error."""
    own = cells["ci_high"] - cells["mean"]
    error = own / scipy.special.stdtrit((cells["seeds"] - 1).clip(lower=1), 0.975)
    metric = cells["metric"].iloc[0]
    comparable = _comparable(cells)
    half, pooled = own.copy(), pd.Series("", cells.index)
    if comparable.any() and not described(metric).count:
        found = pooled_widths(_by_seed(cells[comparable], trials, axes, metric), scales)
        known = comparable.copy()
        known[comparable] = ~np.isnan(found.half)
        half[known] = found.half[~np.isnan(found.half)]
        error[known] = found.error[~np.isnan(found.half)]
        pooled[known] = found.variance.scale if found.variance.alike else "unlike"
    return cells.assign(low=cells["mean"] - half, high=cells["mean"] + half, error=error, pooled=pooled)


def _with_best(cells: pd.DataFrame) -> pd.DataFrame:
    """Add columns `best`, `in_best_region` and `luck`, the last as if all cells of the region were equal."""
    best, region = best_region(cells, described(cells["metric"].iloc[0]).better)
    luck = cells["error"].where(best) * expected_largest(max(1, int(region.sum())))
    return cells.assign(best=best, in_best_region=region, luck=luck)


def _with_marks(cells: pd.DataFrame, pairs: pd.DataFrame, axes: Sequence[str], field: str) -> pd.DataFrame:
    """Add to the differences of one metric their intervals, and which are not 0."""
    metric = cells["metric"].iloc[0]
    cells = _with_pooled(cells, pairs, axes, SCALES[:1])
    comparable = _comparable(cells) & (not described(metric).count)
    here = cells[comparable]
    p_values, family = pd.Series(math.nan, cells.index), ""
    if len(here):
        differences, references = (_by_seed(here, pairs, axes, name) for name in (metric, f"{metric}_reference"))
        others = [axis for axis in axes if axis != field]
        groups = here.groupby(others).ngroup() if others else np.zeros(len(here))
        found = told_apart(differences + references, references, groups)
        p_values[comparable], family = found.p_values, found.family if found.number else ""
    return cells.assign(p_value=p_values, differs=p_values <= LEVEL, family=family)


def _with_untrained(trials: pd.DataFrame, before: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Add columns METRIC_untrained to trials, from the rows of the table before training."""
    by_key = before.drop_duplicates("key").set_index("key")
    return trials.assign(**{f"{metric}_untrained": trials["key"].map(by_key[metric]) for metric in metrics})


def _average_seeds(trials: pd.DataFrame, places: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> pd.DataFrame:
    """Average seeds: return a row for each combination of the axes' values and each metric."""
    untrained = [f"{metric}_untrained" for metric in metrics]
    needed = list(dict.fromkeys(["iteration", "mark", "state", "collapsed", *metrics, *untrained]))
    columns = {name: trials[name].to_numpy() for name in needed}
    members: dict[tuple[Any, ...], list[int]] = {}
    for row, values in enumerate(trials[list(places[0])].itertuples(index=False, name=None)):
        members.setdefault(values, []).append(row)
    rows = []
    for at in places:
        here = {name: column[members.get(tuple(at.values()), [])] for name, column in columns.items()}
        rows += [{**at, "metric": metric, **_cell(here, metric)} for metric in metrics]
    return pd.DataFrame(rows)


def _cell(trials: Mapping[str, NDArray[Any]], metric: str) -> dict[str, Any]:
    """Summarise one metric over the trials of a cell, which are given as columns."""
    at, values = (np.asarray(trials[name], float) for name in ("iteration", metric))
    iteration = float(np.fmax.reduce(at, initial=math.nan))
    furthest, marks = at == iteration, list(trials["mark"])
    for i in np.flatnonzero(furthest & np.isnan(values)):
        marks[i] = trials["state"][i] if trials["state"][i] in ("failed", "diverged") else "undefined"
    averaged = values[furthest & ~np.isnan(values)]
    mean, low, high = map(float, seed_interval(averaged)) if len(averaged) else [math.nan] * 3
    worst = min(marks, key=MARKS.index, default="absent")
    # The iteration of an undefined metric says nothing about how far its trial got.
    marked = [mark == worst not in (COMPLETE, "undefined") for mark in marks]
    return {
        **{"mean": mean, "ci_low": low, "ci_high": high},
        "seeds": len(averaged),
        "seeds_in_cell": len(marks),
        "iteration": iteration,
        "mark": worst,
        "mark_iteration": float(np.fmax.reduce(at, initial=math.nan, where=np.asarray(marked, bool))),
        "untrained": float(pd.Series(np.asarray(trials[f"{metric}_untrained"], float)).mean()),
        "collapsed_seeds": int(np.sum(furthest & (np.asarray(trials["collapsed"], float) == 1))),
        "states": " ".join(m if math.isnan(i) else f"{m}@{i:.0f}" for m, i in zip(marks, at, strict=True)),
    }
