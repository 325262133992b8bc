"""Writes the marks of a map's cells as letters, signs and hatching, and the text in a cell.

Every mark is a shape or a letter as well as a colour, so that it can be read in grey: hatching on cells that are not
complete, a cross on cells whose networks collapsed, a star on the best cell and an outline around those that may be as
good, triangles on differences that are not 0, which are hollow where the interval beside them holds 0.
`dd_ray.results.comparisons` defines what the marks hold for.
"""

import math

import numpy as np
import pandas as pd

from dd_ray.figures.colour_scale import ColourScale, half_of
from dd_ray.figures.common import MARKS, CellRow
from dd_ray.results.averages import COMPLETE

COLLAPSED, BEST, ABOVE, BELOW = "C", "★", "▲", "▼"
HOLLOW = {ABOVE: "△", BELOW: "▽"}
"""Marks of differences that the test of the whole map tells from 0, and their own interval does not."""
HATCH = "///"
EMPTY_COLOUR = (0.93, 0.93, 0.93)


def letter_of(mark: str) -> str:
    """Return the letter of a mark; empty for `complete`."""
    return MARKS[mark][0] if mark in MARKS else ""


def hatch_of(mark: str) -> str:
    """Return the hatching of a mark; empty if there is nothing to doubt."""
    return "" if mark in (COMPLETE, "absent") else HATCH


def content_of(cell: CellRow, scale: ColourScale) -> str:
    """Return the text in a cell of a map: the mean, its interval, and notes."""
    mean = "" if math.isnan(cell["mean"]) else scale.text(cell["mean"])
    interval = "" if math.isnan(cell["high"]) else f"±{scale.interval_text(half_of(cell['mean'], cell['high']))}"
    distinction = distinction_of(cell)
    return "\n".join(filter(None, [f"{distinction} {mean}".strip(), interval, *notes_of(cell)]))


def glyphs_of(cell: CellRow, scale: ColourScale) -> str:
    """Return the marks in a cell that is too small for numbers."""
    sign = {1.0: "+", -1.0: "−"}.get(float(np.sign(cell["mean"])), "") if scale.signed else ""
    collapsed, of = cell["collapsed_seeds"], cell["seeds_in_cell"]
    collapse = "" if not collapsed else COLLAPSED if collapsed == of else COLLAPSED.lower()
    return letter_of(cell["mark"]) + collapse + (distinction_of(cell) or sign)


def distinction_of(cell: CellRow) -> str:
    """Return the mark of the best cell, or of a difference that is not 0; empty for others."""
    if cell.get("best"):
        return BEST
    if not cell.get("differs"):
        return ""
    mark = ABOVE if cell["mean"] > 0 else BELOW
    return HOLLOW[mark] if cell["low"] <= 0 <= cell["high"] else mark


def notes_of(cell: CellRow) -> list[str]:
    """Return notes: collapse, with the seeds if not all; the mark with its iteration; the seeds if fewer than usual."""
    collapsed, of = cell["collapsed_seeds"], cell["seeds_in_cell"]
    collapse = "" if not collapsed else COLLAPSED if collapsed == of else f"{COLLAPSED} {collapsed}/{of}"
    at, seeds = cell["mark_iteration"], f"n={cell['seeds']}" if cell["fewer_seeds"] else ""
    iteration = "" if math.isnan(at) else f"{at:.0f}" if at < 10_000 else f"{at / 1000:.3g}k"
    state = " ".join(filter(None, [letter_of(cell["mark"]), iteration, seeds]))
    return [note for note in (collapse, state) if note]


def lines_in_cell(cells: pd.DataFrame) -> int:
    """Return the most lines that are written into a cell of a map."""
    return 1 + int(cells["low"].notna().any()) + max(len(notes_of(cell)) for cell in cells.to_dict("records"))


def notes_on_curve(cell: CellRow) -> list[str]:
    """Return the lines above a point of a curve."""
    return [note for note in (distinction_of(cell), *notes_of(cell)) if note]


def lines_above_curve(cells: pd.DataFrame) -> int:
    """Return the most lines that the notes above a curve take."""
    return max(len(notes_on_curve(cell)) for cell in cells.to_dict("records"))
