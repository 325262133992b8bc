"""Trade-offs: the cells of a sweep as points of two metrics, and which of them are on the Pareto front.

Rate against distortion is KL in nats per frame against reconstruction error; the cost of disentanglement is
reconstruction error against a score of disentanglement.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dd_ray.metrics import described
from dd_ray.results.averages import COMPLETE, MARKS
from dd_ray.results.summary import Summary

RATE, DISTORTION = "kl", "reconstruction_error"
USUAL_SCORES = ("linear_r2", "mcc")


def pairs_of(table: pd.DataFrame, scores: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the pairs of metrics, for x and y, in a table: rate and distortion, and distortion and each score.

    Args:
        table: a table as `dd_ray.results.table.load` returns it.
        scores: columns; by default those of `USUAL_SCORES` in the table.

    Returns:
        The pairs; an empty list if nothing was reconstructed. Autoencoders without sampling have no rate.
    """

    def has(name: str) -> bool:
        return name in table and bool(table[name].notna().any())

    if not has(DISTORTION):
        return []
    usual = [name for name in USUAL_SCORES if name in table]
    pairs = [(DISTORTION, score) for score in dict.fromkeys(scores or usual)]
    return [(RATE, DISTORTION), *pairs] if has(RATE) else pairs


def better_side(metric: str) -> Literal["min", "max"] | None:
    """Return whether smaller or larger values are better: as elsewhere, except that the rate is a cost here."""
    return "min" if metric == RATE else described(metric).better


def pareto_front(costs: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return [N], which of N points [N, D] are on the front: no other is as low everywhere and lower somewhere.

    A point with NaN is never on the front.
    """
    finite = np.isfinite(costs).all(axis=1)
    as_low = (costs[:, None] <= costs).all(axis=2)  # [N, N]: the first is as low as the second
    lower = (costs[:, None] < costs).any(axis=2)
    return finite & ~(as_low & lower).any(axis=0)


def points(summary: Summary, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return a row for each pair of metrics and cell, with both means and whether it is on the front.

    Columns: the axes; `x_metric`, `x`, `x_ci_low`, `x_ci_high`, the same of y; `seeds`, `seeds_in_cell`, `iteration`,
    `states`, `collapsed_seeds` and `mark` as in `dd_ray.results.summary` (the worse of the two metrics'); `on_front`.
    """
    axes = list(summary.layout.axes)
    present = summary.cells[summary.cells["mark"] != "absent"]
    parts = []
    for x, y in pairs:
        both = _of(present, x, axes, "x").merge(_of(present, y, axes, "y"), on=axes, suffixes=("", "_of_y"))
        marks = zip(both["mark"], both.pop("mark_of_y"), strict=True)
        both["mark"] = [min(pair, key=MARKS.index) for pair in marks]
        both["seeds"] = np.minimum(both["seeds"], both.pop("seeds_of_y"))
        both = both.drop(columns=[name for name in both if str(name).endswith("_of_y")])
        both["on_front"] = _on_front(both, x, y)
        parts.append(both)
    return pd.concat(parts, ignore_index=True)


def _of(cells: pd.DataFrame, metric: str, axes: list[str], place: str) -> pd.DataFrame:
    renamed = {"metric": f"{place}_metric", "mean": place}
    renamed |= {end: f"{place}_{end}" for end in ("ci_low", "ci_high")}
    kept = ["seeds", "seeds_in_cell", "iteration", "mark", "mark_iteration", "states", "collapsed_seeds"]
    return cells.loc[cells["metric"] == metric, [*axes, *renamed, *kept]].rename(columns=renamed)


def _on_front(cells: pd.DataFrame, x: str, y: str) -> NDArray[np.bool_]:
    sides = [better_side(x), better_side(y)]
    if None in sides:
        return np.zeros(len(cells), bool)
    costs = cells[["x", "y"]].to_numpy(float) * [1 if side == "min" else -1 for side in sides]
    candidates = (cells["mark"] == COMPLETE).to_numpy()
    if (x, y) != (RATE, DISTORTION):
        candidates = candidates & (cells["collapsed_seeds"] == 0).to_numpy()
    return pareto_front(np.where(candidates[:, None], costs, math.nan))
