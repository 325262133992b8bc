"""The cells of a map as averages over their seeds, all cells of a metric at once.

Shapes: C cells, N trials of a cell, S seeds of the sweep, M metrics.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from dd_ray.metrics import ACTIVE, is_computed_once, seed_interval

COMPLETE = "complete"
MARKS = (
    "failed",
    "diverged",
    "undefined",
    "unfinished",
    "stopped_early",
    "out_of_time",
    "at_plateau",
    "absent",
    COMPLETE,
)
"""The marks of a cell, the worst first. `failed`, `diverged`, `stopped_early`, `out_of_time`, `at_plateau`: how its
trial ended; `undefined`: evaluated where this metric is computed, but without it; `unfinished`: not evaluated up to
here, and not ended; `absent`: a combination of the axes that the sweep does not have."""

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
"""Numbers of rows of a frame of trials, −1 for none."""
Combination = Mapping[str, Any]
"""The values of the axes of a cell."""


def rows_of_cells(trials: pd.DataFrame, combinations: Sequence[Combination]) -> Rows:
    """Return the rows [C, N] of the trials of each cell, in their order; −1 where a cell has fewer than N."""
    members: dict[tuple[Any, ...], list[int]] = {tuple(at.values()): [] for at in combinations}
    for row, at in enumerate(trials[list(combinations[0])].itertuples(index=False, name=None)):
        members[at].append(row)
    found = np.full((len(combinations), max(map(len, members.values()))), -1)
    for cell, rows in enumerate(members.values()):
        found[cell, : len(rows)] = rows
    return found


def rows_by_seed(trials: pd.DataFrame, combinations: Sequence[Combination]) -> Rows:
    """Return the row [C, S] of the trial of each cell and seed; −1 where a cell lacks a seed."""
    rows = rows_of_cells(trials, combinations)
    seeds = np.append(pd.factorize(trials["seed"])[0], -1)
    found = np.full((len(combinations), seeds.max(initial=-1) + 1), -1)
    cell, member = np.nonzero(rows >= 0)
    found[cell, seeds[rows[cell, member]]] = rows[cell, member]
    return found


def at_rows(trials: pd.DataFrame, column: str, rows: Rows) -> Floats:
    """Return the numbers of a column in some rows, of the shape of `rows`; NaN where there is no row."""
    return np.append(trials[column].to_numpy(float), math.nan)[rows]


def average_seeds(trials: pd.DataFrame, combinations: Sequence[Combination], metrics: Sequence[str]) -> pd.DataFrame:
    """Average metrics over the seeds of cells.

    Args:
        trials: rows with `iteration`, `mark`, `state`, `collapsed`, and METRIC and METRIC_untrained of each metric.
        combinations: those of the cells.
        metrics: metrics to average.

    Returns:
        A row for each combination and metric, the metrics of one together, with the first columns of
        `dd_ray.results.summary.Summary.cells`.
    """
    group = _Group.of(trials, rows_of_cells(trials, combinations))
    columns = [group.averaged(trials, metric) for metric in metrics]
    shared = {name: [at[name] for at in combinations for _ in metrics] for name in combinations[0]}
    averages = {name: np.stack([column[name] for column in columns], axis=1).ravel() for name in columns[0]}
    texts = {name: values.tolist() for name, values in averages.items() if values.dtype == object}
    return pd.DataFrame({**shared, "metric": [*metrics] * len(combinations), **averages, **texts})


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The trials of cells, with all that is the same for every metric."""

    rows: Rows
    """[C, N] rows of the trials."""
    at: Floats
    """[C, N] iteration of the trial's numbers."""
    iteration: Floats
    """[C] of those that got furthest."""
    furthest: NDArray[np.bool_]
    """[C, N] true for trials that got furthest in their cell."""
    marks: Rows
    """[C, N] indices in `MARKS`; its length where there is no trial."""
    marks_without: Rows
    """[C, N] the marks of trials that were evaluated, but have no value of a metric."""
    collapsed: Rows
    """[C] how many of those that got furthest have no active unit."""
    states: NDArray[Any]
    """[C] the mark and iteration of each trial, as `Summary.cells` has them in `states`."""

    @classmethod
    def of(cls, trials: pd.DataFrame, rows: Rows) -> "_Group":
        at = at_rows(trials, "iteration", rows)
        iteration = np.fmax.reduce(at, axis=1, initial=math.nan)
        furthest = at == iteration[:, None]
        marks = np.array([*map(MARKS.index, trials["mark"]), len(MARKS)])
        lost = np.array([MARKS.index(s if s in ("failed", "diverged") else "undefined") for s in trials["state"]] + [0])
        collapsed = furthest & (at_rows(trials, "collapsed", rows) == 1)
        return cls(
            rows=rows,
            at=at,
            iteration=iteration,
            furthest=furthest,
            marks=marks[rows],
            states=_states(marks[rows], at),
            marks_without=lost[rows],
            collapsed=collapsed.sum(axis=1),
        )

    def averaged(self, trials: pd.DataFrame, metric: str) -> dict[str, NDArray[Any]]:
        """Return the columns [C] of one metric."""
        values = at_rows(trials, metric, self.rows)
        used, without = self.furthest & ~np.isnan(values), self.furthest & np.isnan(values)
        # A score of the last evaluation is not undefined where a trial has not come to it.
        waits = is_computed_once(metric.removesuffix(ACTIVE)) & (self.marks != MARKS.index(COMPLETE))
        marks = np.where(without & ~waits, self.marks_without, self.marks)
        worst = marks.min(axis=1, initial=len(MARKS))
        # The mark `undefined` says nothing about how far its trial got.
        says = (worst != MARKS.index(COMPLETE)) & (worst != MARKS.index("undefined"))
        marked = (marks == worst[:, None]) & says[:, None]
        mean, low, high = _intervals(values, used)
        before = at_rows(trials, f"{metric}_untrained", self.rows)
        names = np.array([*MARKS, "absent"], object)
        return {
            **{"mean": mean, "ci_low": low, "ci_high": high},
            "seeds": used.sum(axis=1),
            "seeds_in_cell": (self.rows >= 0).sum(axis=1),
            "iteration": self.iteration,
            "mark": names[worst],
            "mark_iteration": np.fmax.reduce(self.at, axis=1, initial=math.nan, where=marked),
            "untrained": _intervals(before, ~np.isnan(before))[0],
            "collapsed_seeds": self.collapsed,
            "states": _states(marks, self.at) if without.any() else self.states,
        }


def _states(marks: Rows, at: Floats) -> NDArray[Any]:
    """Return the mark and iteration of each trial of a cell, [C]: `complete@300 stopped_early@150`."""
    texts = []
    for of_cell, reached in zip(marks.tolist(), at.tolist(), strict=True):
        trials = [(MARKS[m], where) for m, where in zip(of_cell, reached, strict=True) if m < len(MARKS)]
        texts.append(" ".join(mark if math.isnan(where) else f"{mark}@{where:.0f}" for mark, where in trials))
    return np.array(texts, object)


def _intervals(values: Floats, used: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Return the mean [C] over the values that are used, and the ends of its 95% interval; NaN where there is none."""
    mean, low, high = np.full((3, len(values)), math.nan)
    for here, some in _by_number(values, used):
        mean[here], low[here], high[here] = seed_interval(some.T)
    return mean, low, high


def _by_number(values: Floats, used: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], Floats]]:
    """Yield, for each n, the mask of the rows of which n values are used, and these values [rows, n]."""
    number = used.sum(axis=1)
    for n in np.unique(number[number > 0]).tolist():
        here = number == n
        yield here, values[here][used[here]].reshape(-1, n)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The cells of one metric in one figure, [C] each."""

    metric: str
    rows: Rows
    """[C] rows of these cells in the frame of all cells."""
    mean: Floats
    half: Floats
    """[C] half of the interval by the cell's own seeds."""
    seeds: NDArray[np.int_]
    comparable: NDArray[np.bool_]
    """True for cells that others may be compared with: complete, and without a collapsed seed."""

    @property
    def own_error(self) -> Floats:
        """Standard error of the mean, by the cell's own seeds."""
        return np.asarray(self.half / scipy.special.stdtrit(np.maximum(self.seeds - 1, 1), 0.975), np.float64)


def comparable(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the mask of the cells that others may be compared with: complete, and without a collapsed seed."""
    return ((cells["mark"] == COMPLETE) & (cells["collapsed_seeds"] == 0)).to_numpy()


def with_columns(
    cells: pd.DataFrame, rest: Sequence[str], found: Callable[[Part], Mapping[str, NDArray[Any]]]
) -> pd.DataFrame:
    """Add columns to cells that are computed from the cells of one metric in one figure.

    Args:
        cells: the result of `average_seeds`.
        rest: axes that have a figure for each of their values.
        found: computes the columns, [C] each, of one metric in one figure.
    """
    mean, seeds, says = cells["mean"].to_numpy(), cells["seeds"].to_numpy(), comparable(cells)
    half = cells["ci_high"].to_numpy() - mean
    columns: dict[str, NDArray[Any]] = {}
    for key, indices in cells.groupby([*rest, "metric"], sort=False).indices.items():
        rows = np.asarray(indices, np.intp)
        metric = str(key[-1] if isinstance(key, tuple) else key)
        part = Part(
            metric=metric, rows=rows, mean=mean[rows], half=half[rows], seeds=seeds[rows], comparable=says[rows]
        )
        for name, values in found(part).items():
            columns.setdefault(name, np.empty(len(cells), values.dtype))[rows] = values
    return cells.assign(**{n: v.tolist() if v.dtype == object else v for n, v in columns.items()})
