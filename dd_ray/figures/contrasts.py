"""Draws chosen cells with fresh seeds: `python analysis/contrasts.py results/inertia_grid_quick_confirmed`.

`contrasts.png`: a panel for each outcome that a sweep was confirmed in (`--confirm`), in it a row for each arm: its
best cell less that of the baseline, seed by seed (dots), their mean and Student's 95% interval; filled where it is not
0 for all arms of the outcome at once, by Holm; hollow too where it is a control's. `contrasts.csv` has the numbers, see
`dd_ray.results.confirmation`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dd_ray import results
from dd_ray.command_line import counted
from dd_ray.config import MODELS, field_names, fields_with
from dd_ray.config.labels import parts_of
from dd_ray.config.options import field_named, option_name
from dd_ray.config.symbols import setting
from dd_ray.errors import UserError
from dd_ray.figures.common import BLUE, VERMILION, DrawnOptions, folder_of, frame, run_command, write
from dd_ray.metrics import described
from dd_ray.results.comparisons import LEVEL
from dd_ray.results.confirmation import Contrast, contrasts, paired
from dd_ray.sweep.confirmation import BASELINE, CONTROL

_ROW, _HEAD = 0.52, 1.6  # inches


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """An outcome of a confirmation, as a panel shows it."""

    name: str
    cells: Mapping[str, str]
    found: Sequence[Contrast]
    pairs: Mapping[str, Any]


def write_contrasts(options: DrawnOptions) -> list[Path]:
    """Draw the contrasts of a confirmation, and return the files.

    Raises:
        UserError: there is no such sweep, it confirms nothing, no seed has finished, or the folder cannot be written.
    """
    manifest = results.manifest_of(*options.paths)
    if "confirms" not in manifest:
        named = " or ".join(options.paths)
        raise UserError(f"{named} confirms no other sweep; train the best cells of one anew by --confirm SEEDS.")
    chosen, cells = (manifest["confirms"][name] for name in ("chosen", "cells"))
    trials = results.final(results.load(*options.paths))
    _check_cells(trials, chosen, options.paths)
    found = contrasts(trials, chosen)
    if not any(each.seeds for each in found):
        raise UserError(f"no seed of {options.path} has finished both a cell and the baseline's; run it to its end.")
    outcomes = [
        _Outcome(
            name=outcome,
            cells=cells[outcome],
            found=[each for each in found if each.outcome == outcome],
            pairs=paired(trials, outcome, of_arm),
        )
        for outcome, of_arm in chosen.items()
    ]
    table = pd.DataFrame([{**vars(each), "cell": cells[each.outcome][each.arm]} for each in found])
    return write(
        folder_of(options.path, options.out, options.more), {"contrasts": draw(outcomes)}, {"contrasts": table}
    )


def _check_cells(trials: pd.DataFrame, chosen: Mapping[str, Mapping[str, Sequence[str]]], paths: Sequence[str]) -> None:
    """Make sure that all trials of each chosen cell agree in all but their seeds.

    Raises:
        UserError: they do not, since several sweeps have confirmed different cells.
    """
    apart = ("seed", *fields_with(in_key=False))
    fields = [name for name in field_names() if name in trials and name not in apart]
    for cells in chosen.values():
        for keys in cells.values():
            values = trials.loc[trials["key"].isin(keys), fields]
            if wrong := [name for name in fields if values[name].nunique(dropna=False) > 1]:
                raise UserError(
                    f"{', '.join(paths)} confirm different cells, in {option_name(wrong[0])}; draw each by itself."
                )


def draw(outcomes: Sequence[_Outcome]) -> Figure:
    """Draw a panel for each outcome, with a row for each arm."""
    rows = max(len(outcome.found) for outcome in outcomes)
    width = max(6.2 * len(outcomes), 7.2)  # of what colours and dots mean, on one line
    figure = Figure(figsize=(width, _HEAD + _ROW * rows), layout="constrained")
    for panel, outcome in zip(figure.subplots(1, len(outcomes), squeeze=False)[0], outcomes, strict=True):
        _draw_panel(panel, outcome)
    found = [each for outcome in outcomes for each in outcome.found]
    seeds = counted(max(each.seeds for each in found), "seed")
    figure.suptitle(f"Best cells of arms less that of the baseline, {seeds} that chose nothing", fontsize=11)
    figure.supxlabel("\n".join(_legend(found)), fontsize=9)
    return figure


def _legend(found: Sequence[Contrast]) -> Iterator[str]:
    yield "mean of seeds and its 95% interval; grey: each seed; blue: better than the baseline, vermilion: worse"
    if any(not each.p_holm <= LEVEL for each in found):
        control = ", or a control" if any(each.arm.startswith(CONTROL) for each in found) else ""
        yield f"hollow: not told from 0 after correction for all arms of an outcome (Holm){control}"


def _draw_panel(panel: Axes, outcome: _Outcome) -> None:
    panel.axvline(0, color="0.4", linewidth=0.8)
    for row, each in enumerate(outcome.found):
        values = np.asarray(outcome.pairs[each.arm], float)
        better = described(outcome.name).better == "min"
        colour = BLUE if (each.mean < 0) == better else VERMILION
        panel.plot(values, np.full(len(values), row + 0.2), ".", color="0.6", markersize=4)
        panel.errorbar(
            each.mean,
            row,
            xerr=[[each.mean - each.low], [each.high - each.mean]],
            fmt="o",
            color=colour,
            markerfacecolor=colour if each.p_holm <= LEVEL else "white",
            capsize=3,
        )
    base = outcome.cells[BASELINE]
    names = [_row_name(each.arm, outcome.cells[each.arm], base) for each in outcome.found]
    panel.set_yticks(range(len(outcome.found)), names, fontsize=9)
    panel.set_ylim(len(outcome.found) - 0.5, -0.5)
    panel.set_title(described(outcome.name).label, fontsize=10)
    panel.set_xlabel(f"less that of {_name(base, base)}", fontsize=9)
    frame(panel, "x")


def _row_name(arm: str, cell: str, base: str) -> str:
    return f"control: {_name(cell, base)}" if arm.startswith(CONTROL) else _name(cell, base)


def _name(cell: str, base: str) -> str:
    """Name a cell in words, without settings that are 0, and without names that the baseline's cell has as well."""
    parts, of_base = parts_of(cell), parts_of(base)
    model = parts.pop("model", "")
    told = {name: value for name, value in parts.items() if value != "0" and not _same_name(of_base, name, value)}
    words = setting({field_named(name) or name: value for name, value in told.items()})
    return ", ".join(filter(None, [MODELS[model].title if model in MODELS else model, words]))


def _same_name(cell: Mapping[str, str], name: str, value: str) -> bool:
    return value.isidentifier() and cell.get(name) == value


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw a confirmation's contrasts into a folder; see `write_contrasts`."""
    return write_contrasts(DrawnOptions(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw what fresh seeds say of the chosen cells of a sweep. Prints the files that it writes."""
    run_command(DrawnOptions, write_contrasts, main.__doc__, args)
