"""Explains the marks of a figure of maps in its legend."""

from collections.abc import Callable

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from dd_ray.config.symbols import setting
from dd_ray.figures.cell_marks import (
    ABOVE,
    BELOW,
    BEST,
    COLLAPSED,
    EMPTY_COLOUR,
    HOLLOW,
    distinction_of,
    hatch_of,
    letter_of,
)
from dd_ray.figures.common import MARKS
from dd_ray.figures.maps import OUTLINE, has_numbers
from dd_ray.metrics import described
from dd_ray.results.summary import Summary

POOLED = {
    "identity": "alike in all",
    "log": "alike in proportion to the mean",
    "logit": "alike on a scale of logits",
    "unlike": "not alike, so the wider of this and the cell's own",
}
"""Words for how cells vary over seeds, by `pooled` of `dd_ray.results.summary.Summary.cells`."""


def legend_of(cells: pd.DataFrame, summary: Summary) -> list[Artist]:
    """Return a legend that explains the marks of this figure, and the iterations at which they were set."""
    at_reference = f", here or at {setting({summary.reference: 0})}" if summary.reference else ""
    with_numbers = has_numbers(cells, summary.layout)
    entries: list[Artist] = [*_distinctions_of(cells, summary), *_states_of(cells, at_reference)]
    if cells["collapsed_seeds"].any():
        partly = cells["collapsed_seeds"].between(1, cells["seeds_in_cell"] - 1).any()
        text = f"{COLLAPSED}  collapsed: no active unit{at_reference}"
        example = (
            f" ({COLLAPSED} 1/2: in one seed of two)" if with_numbers else f" ({COLLAPSED.lower()}: in some seeds)"
        )
        text += example if partly else ""
        entries.append(Line2D([], [], marker="x", color="black", linestyle="none", markersize=8, label=text))
    if with_numbers and cells["fewer_seeds"].any():
        entries.append(_words("n=…  mean of fewer seeds: those that got furthest, the others left out"))
    if cells["seeds"].max() > 1 and summary.layout.y is None:
        dot = Line2D([], [], marker="o", color="0.6", markersize=3, linestyle="none", label="complete seeds")
        entries.append(dot)
    return entries


def _distinctions_of(cells: pd.DataFrame, summary: Summary) -> list[Artist]:
    """Return legend entries about the best cells, or about differences, and about intervals."""
    said = _said_of_differences(cells) if summary.reference else _said_of_best(cells)
    return [*said, *_said_of_intervals(cells, summary)]


def _said_of_differences(cells: pd.DataFrame) -> list[Artist]:
    families = _by_metric(cells[cells["family"] != ""], lambda part: part["family"].iloc[0])
    if not families:
        return []
    none = f"no {ABOVE} {BELOW}: no difference can be told from 0"
    marks = f"{ABOVE} {BELOW}  above or below 0" if cells["differs"].any() else none
    text = f"{marks}, for the map as a whole:\nwithout any effect, 5% of maps have a mark"
    if {*HOLLOW.values()} & {distinction_of(cell) for cell in cells.to_dict("records")}:
        text += f"\n{' '.join(HOLLOW.values())}  the same by this test alone, as the interval ± holds 0"
    return [_words("\n".join([text, *families]))]


def _said_of_best(cells: pd.DataFrame) -> list[Artist]:
    best = cells[cells["best"]]
    ranked = [metric for metric in cells["metric"].unique() if described(metric).better]
    entries: list[Artist] = []
    if len(best):
        text = f"{BEST}  the best of the complete cells without collapse; outlined: those that may\n"
        text += "be as good, whose 95% interval overlaps its interval"
        luck = _by_metric(best[best["luck"] > 0], lambda part: f"{part['luck'].iloc[0]:.2g}")
        if luck:
            text += ". As the best of them\nit looks better than it is, by up to"
        label = "\n".join([text, *luck])
        entries.append(Patch(facecolor="none", edgecolor="black", linewidth=OUTLINE, label=label))
    without = [described(metric).short for metric in ranked if metric not in set(best["metric"])]
    if without:
        entries.append(_words(f"no {BEST}: no cell can be told apart by {', '.join(without)}"))
    return entries


def _said_of_intervals(cells: pd.DataFrame, summary: Summary) -> list[Artist]:
    """Return legend entries that explain the intervals, and the bracket on a colour bar."""
    ways = _by_metric(cells[cells["pooled"] != ""], lambda part: POOLED[part["pooled"].iloc[0]])
    alone = "of each cell by itself: without any effect, one in 20 excludes 0;\n" if summary.reference else ""
    how = f"±  {alone}from the variance over seeds, pooled over the cells"
    entries = [_words("\n".join([how, *ways]))] if ways else []
    if summary.layout.y and (cells["high"] > cells["mean"]).any():
        what = "from 0" if summary.reference else "of two cells"
        entries.append(_words(f"[  on a colour bar: the least significant difference {what}, by itself"))
    return entries


def _by_metric(cells: pd.DataFrame, say: Callable[[pd.DataFrame], str]) -> list[str]:
    """Return a line for each remark, with the metrics that it holds for."""
    said: dict[str, list[str]] = {}
    for metric, part in cells.groupby("metric", sort=False):
        said.setdefault(say(part), []).append(described(str(metric)).short)
    return [f"     {', '.join(names)}: {text}" for text, names in said.items()]


def _states_of(cells: pd.DataFrame, at_reference: str) -> list[Artist]:
    """Return legend entries about cells that are not complete."""
    entries: list[Artist] = []
    for mark, (_, meaning) in MARKS.items():
        marked = cells[cells["mark"] == mark]
        if len(marked) and mark != "complete":
            at = marked["mark_iteration"].dropna()
            ends = " to ".join(f"{i:,.0f}" for i in sorted({at.min(), at.max()})) if len(at) else ""
            text = f"{letter_of(mark)}  {meaning}" + (f" at iteration {ends}" if ends else "") + at_reference
            patch = Patch(facecolor=EMPTY_COLOUR, edgecolor="0.45", linewidth=0.5, hatch=hatch_of(mark) * 2, label=text)
            entries.append(patch)
    return entries


def _words(text: str) -> Artist:
    return Patch(facecolor="none", edgecolor="none", label=text)
