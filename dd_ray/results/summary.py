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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dd_ray.config import field_names
from dd_ray.config.options import option_name
from dd_ray.errors import UserError, did_you_mean
from dd_ray.metrics import REPORTED
from dd_ray.results.averages import (
    COMPLETE,
    MARKS,
    Combination,
    Floats,
    Part,
    Rows,
    at_rows,
    average_seeds,
    rows_by_seed,
    with_columns,
)
from dd_ray.results.comparisons import BEYOND_QUADRATURE, LEVEL, SCALES
from dd_ray.results.inference import best_cells, differing_cells, pooled_intervals
from dd_ray.results.joining import SWEEP
from dd_ray.results.layout import NOT_GIVEN, Layout, axis_named, combinations, exact, layout_of, swept_fields, with_zero
from dd_ray.results.table import GOES_ON, counted_states, untrained_rows


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
    `best` and `in_best_region` (see `inference`), and `luck`, by how much the best may look better than it is; or
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
    ready = Evaluations.of(table, manifest, metrics=metrics, axes=axes, places=places)
    return ready.at(iteration) if reference is None else ready.differences(reference, iteration)


@dataclass(frozen=True, kw_only=True)
class Evaluations:
    """A sweep's table made ready to be summarised at several iterations: I of them, K trials, M metrics."""

    table: pd.DataFrame
    metrics: tuple[str, ...]
    layout: Layout
    last: int
    """The iteration that the sweep goes to."""
    iterations: NDArray[np.int64]
    """[I] of all evaluations, in their order."""
    keys: pd.Index
    """[K] of the trials."""
    rows: Rows
    """[K, I] rows of the table, -1 where a trial was not evaluated."""
    scores: Floats
    """[rows of the table, M]."""
    untrained: pd.DataFrame
    """The metrics of trials that were evaluated before training, by key."""

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        manifest: Mapping[str, Any],
        *,
        metrics: Sequence[str] = (),
        axes: Sequence[str] = (),
        places: Mapping[str, str | None] | None = None,
    ) -> "Evaluations":
        """Make the evaluations of a table ready; arguments and errors are those of `summarise`."""
        evaluated = pd.to_numeric(table["iteration"])
        if evaluated.isna().all():
            raise UserError("no cell of this sweep has been evaluated yet, so there is nothing to draw.")
        metrics = tuple(dict.fromkeys(metrics)) or tuple(_usual_metrics(table))
        collapsed = (_numbers(table, "active_units") == 0).astype(float) if "active_units" in table else 0.0
        numbers = {metric: _numbers(table, metric) for metric in metrics}
        asked = {place: axis_named(name) for place, name in (places or {}).items() if name}
        layout = layout_of(axes or swept_fields(table, manifest["axes"]), asked)
        table = _rounded(table.assign(iteration=evaluated, collapsed=collapsed, **numbers).reset_index(drop=True))
        table = _without_gaps(table, [axis for axis in layout.axes if axis in field_names()])
        before = untrained_rows(table).drop_duplicates("key").set_index("key")[[*metrics]]
        return cls(
            table=table,
            metrics=metrics,
            layout=layout,
            last=max(manifest["options"].get("iterations", 0), int(evaluated.max())),
            **_by_key_and_iteration(table),
            scores=table[[*metrics]].to_numpy(float),
            untrained=before,
        )

    def at(self, iteration: int | None = None, *, now: bool = False) -> Summary:
        """Summarise an iteration, as `summarise` does.

        With `now`, it is where the sweep stands: a trial that has ended there without finishing has the mark of its
        end, and one that goes on is complete up to there.
        """
        iteration = self._asked(iteration)
        trials, metrics = self._trials(iteration, now=now), self.metrics
        of_cells = combinations(trials, self.layout.axes)
        cells = average_seeds(trials, of_cells, metrics)
        seats = rows_by_seed(trials, of_cells)

        def further(part: Part) -> dict[str, NDArray[Any]]:
            found = pooled_intervals(part, at_rows(trials, part.metric, seats[part.rows // len(metrics)]), SCALES)
            return found | best_cells(part, found)

        return Summary(
            layout=self.layout,
            iteration=iteration,
            last=self.last,
            trials=trials,
            cells=with_columns(cells, self.layout.rest, further),
            untrained={str(name): mean for name, mean in self.untrained.mean().dropna().items()},
        )

    def differences(
        self, reference: str, iteration: int | None = None, *, now: bool = False, marks: bool = False
    ) -> Summary:
        """Summarise the differences to the cells where a field is 0, as `summarise` does; for `now` see `at`.

        With `marks`, it is enough which cells are marked: a `p_value` below `LEVEL` may be too large, but not above.
        """
        iteration = self._asked(iteration)
        trials, metrics, axes = self._trials(iteration, now=now), self.metrics, self.layout.axes
        field = _reference_field(trials, axes, reference)
        pairs = self._paired(trials, field, iteration)
        of_cells = combinations(trials[trials[field] != 0], axes)
        cells = average_seeds(pairs, of_cells, metrics).drop(columns="untrained")
        cells["excludes_zero"] = (cells["ci_low"] > 0) | (cells["ci_high"] < 0)
        seats, groups = rows_by_seed(pairs, of_cells), _sharing(of_cells, field)

        def further(part: Part) -> dict[str, NDArray[Any]]:
            here = part.rows // len(metrics)
            differences = at_rows(pairs, part.metric, seats[here])
            references = at_rows(pairs, f"{part.metric}_reference", seats[here])
            return differing_cells(part, differences, references, groups[here], LEVEL if marks else BEYOND_QUADRATURE)

        cells = with_columns(cells, self.layout.rest, further)
        return Summary(
            layout=self.layout,
            iteration=iteration,
            last=self.last,
            trials=pairs,
            cells=cells,
            untrained={},
            reference=field,
        )

    def _asked(self, iteration: int | None) -> int:
        """Return the last evaluation of any trial at or before the iteration asked for, or the end of the sweep."""
        if iteration is None or iteration >= self.last:
            return self.last
        if iteration < self.iterations[0]:
            first = f"before the first evaluation, at {self.iterations[0]}"
            raise UserError(f"--iteration {iteration} is {first}; give more.")
        return int(self.iterations[self.iterations <= iteration].max())

    def _trials(self, iteration: int, *, now: bool) -> pd.DataFrame:
        """Return a row for each trial, see `Summary.trials`; for `now` see `at`."""
        evaluated = (self.rows >= 0) & (self.iterations <= iteration)
        first = self.table.drop_duplicates("key").index.to_numpy()
        rows = np.where(evaluated.any(axis=1), self.rows[np.arange(len(first)), _last(evaluated)], first)
        trials = self.table.iloc[np.sort(rows)].reset_index(drop=True)
        given = ["key", "label", "state", "error", SWEEP, *self.layout.axes, *field_names()]
        measured = trials.columns.difference(given)
        if not evaluated.any(axis=1).all():
            trials = trials.assign(**trials[measured].where(trials["iteration"] <= iteration))
        furthest = np.where(self.rows >= 0, self.iterations, -1).max(axis=1)
        reached = furthest[self.keys.get_indexer(pd.Index(trials["key"]))]
        of_trials = zip(trials["state"], trials["iteration"], reached.tolist(), strict=True)
        marks = [_mark(*row, iteration, self.last, now=now) for row in of_trials]
        # A copy has its columns together, without which pandas warns where another one is added to a hundred.
        return trials.copy().assign(mark=marks).join(self.untrained.add_suffix("_untrained"), on="key")

    def _paired(self, trials: pd.DataFrame, field: str, iteration: int) -> pd.DataFrame:
        """Return a row for each trial: its metrics less those of the trial with `field` at 0 that agrees in all else.

        Both are taken at the last evaluation that both have.
        """
        same = [*(axis for axis in self.layout.axes if axis != field), "seed"]
        references = trials.loc[trials[field] == 0, [*same, "key", "mark", "state"]].drop_duplicates(same)
        others = trials[trials[field] != 0].drop(columns=[*self.metrics, "iteration", "collapsed"])
        pairs = others.merge(references, on=same, suffixes=("", "_reference"))
        one, other = (self.rows[self.keys.get_indexer(pd.Index(pairs[name]))] for name in ("key", "key_reference"))
        both = (one >= 0) & (other >= 0) & (self.iterations <= iteration)
        last = np.arange(len(pairs)), _last(both)
        none: NDArray[np.bool_] = ~np.asarray(both.any(axis=1), bool)
        scores, references_scores = (np.where(none[:, None], math.nan, self.scores[of[last]]) for of in (one, other))
        collapsed = self.table["collapsed"].to_numpy(float)
        marks = zip(pairs["mark"], pairs.pop("mark_reference"), strict=True)
        lost = pairs["state_reference"].isin(["failed", "diverged"])
        added = {
            "iteration": np.where(none, math.nan, self.iterations[last[1]]),
            **dict(zip(self.metrics, (scores - references_scores).T, strict=True)),
            **{f"{name}_reference": of for name, of in zip(self.metrics, references_scores.T, strict=True)},
            "collapsed": np.where(none, math.nan, np.maximum(collapsed[one[last]], collapsed[other[last]])),
            "mark": [min(two, key=MARKS.index) for two in marks],
            "state": pairs["state"].mask(lost, pairs["state_reference"]),
        }
        # At once: a table to which a hundred columns are added one by one is slow, and pandas warns of it.
        kept = pairs.drop(columns=["mark", "state"])
        return pd.concat([kept, pd.DataFrame(added, index=pairs.index)], axis=1)


def _last(present: NDArray[np.bool_]) -> Rows:
    """Return the index [K] of the last entry that is present, of [K, I]; the last index where none is."""
    return present.shape[1] - 1 - np.argmax(present[:, ::-1], axis=1)


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Round the config fields of a table to the digits that a trial's key contains.

    One form of β computed from the other differs in the last digit.
    """
    configs = table.drop_duplicates("key").set_index("key")
    floats = configs[[name for name in field_names() if name in table]].select_dtypes("float").columns
    rounded = configs[floats].map(exact)
    changed = [name for name in floats if not rounded[name].equals(configs[name])]  # few: most are short decimals
    return table.assign(**{name: table["key"].map(rounded[name]) for name in changed})


def _without_gaps(table: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Replace None and NaN, which equal nothing, on axes by a value that can be compared and sorted."""
    gaps = [axis for axis in axes if table[axis].isna().any()]
    values = {axis: [NOT_GIVEN if pd.isna(value) else value for value in table[axis].tolist()] for axis in gaps}
    return table.assign(**{axis: pd.Series(of, table.index, dtype=object) for axis, of in values.items()})


def _by_key_and_iteration(table: pd.DataFrame) -> dict[str, Any]:
    """Return the keys, iterations and rows of `Evaluations`; of two rows of one key and iteration the first counts."""
    keys = pd.Index(table["key"].unique())
    known = table.loc[table["iteration"].notna(), ["key", "iteration"]].drop_duplicates()
    iterations = np.unique(known["iteration"].to_numpy(np.int64))
    rows = np.full((len(keys), len(iterations)), -1)
    rows[keys.get_indexer(pd.Index(known["key"])), np.searchsorted(iterations, known["iteration"])] = known.index
    return {"keys": keys, "iterations": iterations, "rows": rows}


def _usual_metrics(table: pd.DataFrame) -> list[str]:
    has = {name for name in REPORTED if name in table and table[name].notna().any()}
    error = "reconstruction_error" if "reconstruction_error" in has else "factor_error"
    metrics = [name for name in (error, "linear_r2", "mcc", "active_units") if name in has]
    if not metrics:
        states = counted_states(table.drop_duplicates("key"))
        raise UserError(f"this sweep has no number of the usual metrics ({states}); give --metrics if it has others.")
    return metrics


def _numbers(table: pd.DataFrame, metric: str) -> "pd.Series[float]":
    if metric in (*field_names(), "iteration"):
        raise UserError(f"{metric!r} is what a cell was given, no result; give a metric such as linear_r2.")
    if metric not in table:
        known = [name for name in REPORTED if name in table]
        meant = did_you_mean(metric, map(str, table.columns), f"it has {', '.join(known)} and more.")
        raise UserError(f"{metric!r} is not a column of this sweep's table; {meant}")
    try:
        return pd.to_numeric(table[metric]).astype(float)
    except (TypeError, ValueError) as error:
        raise UserError(f"{metric!r} holds no numbers; give a metric such as linear_r2.") from error


def _mark(state: str, at: float, reached: float, iteration: int, last: int, *, now: bool) -> str:
    ended_early = state not in ("finished", *GOES_ON)
    # Regardless of how many iterations were asked for when it finished.
    if at == iteration and (state == "finished" or (iteration < last and not (now and ended_early))):
        return COMPLETE
    # Regardless of how it ended later.
    return state if ended_early and reached <= iteration else "unfinished"


def _reference_field(trials: pd.DataFrame, axes: Sequence[str], asked: str) -> str:
    field, possible = axis_named(asked), with_zero(trials, axes)
    if field not in possible:
        there = f"; this sweep has {', '.join(map(option_name, possible))}" if possible else ""
        raise UserError(f"a difference to {option_name(field)} = 0 needs cells where it is 0, and others{there}.")
    return field


def _sharing(of_cells: Sequence[Combination], field: str) -> NDArray[np.int_]:
    """Number [C] cells by the cell that they are compared with, the one where a field is 0."""
    others = [axis for axis in of_cells[0] if axis != field]
    frame = pd.DataFrame(of_cells)
    return np.asarray(frame.groupby(others).ngroup() if others else np.zeros(len(frame)), np.int_)
