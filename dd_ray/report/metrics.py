"""Numbers of a report, metric by metric: how it looks, its scale, and what each cell has of it at each iteration."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dd_ray.figures.colour_scale import ColourScale, halves_of
from dd_ray.figures.common import MARKS
from dd_ray.metrics import described, with_untrained
from dd_ray.report.digits import DIGITS, DIGITS_OF_DIFFERENCES, DIGITS_OF_INTERVALS, rounded, with_digits
from dd_ray.results.averages import COMPLETE
from dd_ray.results.summary import Summary

REFERENCE_MARK = {"name": "reference", "letter": "0", "meaning": "what the others are compared with"}


def metrics_of(
    names: Sequence[str], summaries: Sequence[Summary], differences: Mapping[str, Sequence[Summary]]
) -> list[dict[str, Any]]:
    """Return for each metric its look, scale and numbers, and those of its differences by the field they refer to."""
    places = _places(summaries[-1])
    cells = [_columns(summary, places) for summary in summaries]
    compared = {field: [_columns(summary, places) for summary in some] for field, some in differences.items()}
    found = []
    for i, name in enumerate(names):
        metric = _metric(name, summaries[-1], [_of_metric(columns, i) for columns in cells])
        of_fields = {
            field: _difference(name, differences[field][-1], [_of_metric(columns, i) for columns in compared[field]])
            for field in differences
        }
        found.append(metric | {"differences": of_fields})
    return found


def _places(summary: Summary) -> pd.DataFrame:
    """Return where the cells that the sweep has are, in the order of the report."""
    axes = list(summary.layout.axes)
    return summary.cells.loc[summary.cells["seeds_in_cell"] > 0, axes].drop_duplicates(ignore_index=True)


Columns = Mapping[str, NDArray[Any]]
"""Numbers of cells: [C] of one metric, or [C, M] of all. C cells of the report, M metrics."""
WITHOUT: Mapping[str, Any] = {
    "seeds": 0,
    "collapsed_seeds": 0,
    "marked_seeds": 0,
    "mark": "absent",
    "family": "",
    "differs": False,
}
"""What stands for a difference where there is none; for all else, NaN."""


def _columns(summary: Summary, places: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the columns of a summary's cells, [C, M], of the cells of the report."""
    axes, cells = list(summary.layout.axes), summary.cells
    number = cells["metric"].nunique()
    cells = cells.assign(marked_seeds=[*map(_marked, cells["mark"], cells["states"])])
    own = cells[axes].iloc[::number].itertuples(index=False, name=None)
    rows = {place: row for row, place in enumerate(own)}
    chosen = np.array([rows.get(place, -1) for place in places.itertuples(index=False, name=None)])
    names = [name for name in cells.columns if name not in (*axes, "metric", "states", "pooled")]
    found = {}
    for name in names:
        values = cells[name].to_numpy().reshape(-1, number)[chosen]
        found[name] = np.where((chosen >= 0)[:, None], values, WITHOUT.get(name, math.nan))
    if summary.reference:
        at_reference = (places[summary.reference] == 0).to_numpy()
        found["mark"][at_reference] = REFERENCE_MARK["name"]
    return found


def _marked(mark: str, states: str) -> int:
    """Return how many of a cell's seeds have a mark, 0 of complete ones, which need no count."""
    return 0 if mark == COMPLETE else sum(state.partition("@")[0] == mark for state in states.split())


def _of_metric(columns: Columns, metric: int) -> Columns:
    return {name: values[:, metric] for name, values in columns.items()}


def _metric(name: str, last: Summary, cells: Sequence[Columns]) -> dict[str, Any]:
    known, before, compared = described(name), cells[-1]["untrained"], name in with_untrained()
    return {
        **{"name": name, "label": known.label, "short": known.short, "better": known.better},
        **_scale(last, name),
        "count": known.count,
        "within": [_number(end) for end in known.within],
        **_numbers(cells),
        "untrained": rounded(before) if compared and not np.isnan(before).all() else None,
        "best": [np.flatnonzero(columns["best"]).tolist() for columns in cells],
        "luck": [[_number(columns["luck"][best]) for best in np.flatnonzero(columns["best"])] for columns in cells],
        "region": [np.flatnonzero(columns["in_best_region"]).tolist() for columns in cells],
    }


def _numbers(cells: Sequence[Columns], digits: int = DIGITS) -> dict[str, Any]:
    """Return a list for each iteration, with an entry for each cell; means have so many digits."""
    marks = {name: place for place, name in enumerate([*MARKS, REFERENCE_MARK["name"]])}
    return {
        "mean": [rounded(columns["mean"], digits) for columns in cells],
        "half": [rounded(halves_of(columns["mean"], columns["high"]), DIGITS_OF_INTERVALS) for columns in cells],
        "seeds": [columns["seeds"].tolist() for columns in cells],
        "mark": [[marks[mark] for mark in columns["mark"].tolist()] for columns in cells],
        "at": [[_whole(at) for at in columns["mark_iteration"].tolist()] for columns in cells],
        "marked": [columns["marked_seeds"].tolist() for columns in cells],
        "further": [[_whole(at) for at in _further(columns)] for columns in cells],
        "collapsed": [columns["collapsed_seeds"].tolist() for columns in cells],
    }


def _further(columns: Columns) -> list[float]:
    """Return the iteration of each cell's numbers where seeds with its mark did not get as far, and NaN elsewhere."""
    own, marked = (columns[name].astype(float) for name in ("iteration", "mark_iteration"))
    return np.where(own > marked, own, math.nan).tolist()


def _difference(name: str, last: Summary, cells: Sequence[Columns]) -> dict[str, Any]:
    """Return a metric less that at 0 of a field, of the same cells; `families` have the cells of each."""
    differs = [np.flatnonzero(columns["differs"]).tolist() for columns in cells]
    families = [
        {family: np.flatnonzero(columns["family"] == family).tolist() for family in sorted({*columns["family"]} - {""})}
        for columns in cells
    ]
    return {**_scale(last, name), **_numbers(cells, DIGITS_OF_DIFFERENCES), "differs": differs, "families": families}


def _scale(last: Summary, metric: str) -> dict[str, Any]:
    """Return the scale of a map of the last iteration, for every iteration.

    The errors of early training would use up a scale that had to hold them as well.
    """
    scale = ColourScale.of(last, metric)
    ends = {"min": _number(scale.norm.vmin), "max": _number(scale.norm.vmax)}
    writes = {"digits": scale.digits, "decimals": scale.decimals, "interval_decimals": scale.interval_decimals}
    return {**ends, **writes, "noise": _number(scale.noise), "colours": scale.cmap}


def _number(value: float | None) -> float | None:
    """Return a number as JSON can hold it."""
    return None if value is None else with_digits(value)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
