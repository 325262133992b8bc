"""A finished or running sweep as one tidy pandas table."""

import argparse
import math
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError, exit_on_user_error
from dd_ray.metrics import COMPARABLE, REPORTED
from dd_ray.sweep.store import CellFolder, SweepFolder
from dd_ray.terminal import console

WITH_UNTRAINED = ("linear_r2", "mcc")
"""Scores that an untrained network has as well, and not near 0."""
WIDTH_OF_ALL = 110
"""Columns that a terminal needs to show these scores, and the prediction ratio."""


def load(path: str | Path) -> pd.DataFrame:
    """The sweep in a folder as a table, a row for each cell and evaluation.

    Columns: `key`, `label`, `state` (finished, stopped_early, diverged, failed; unfinished while it runs or
    after it was interrupted; missing before its first evaluation), `error`, every config field (β in both
    its forms), `iteration`, `seconds`, `training_seconds`, and every metric. A cell without an evaluation
    has one row, without metrics.

    Raises:
        UserError: the folder holds no sweep, or one without cells.
    """
    sweep = SweepFolder.open(path)
    rows = [row for cell in sweep.cells() for row in _rows(cell)]
    if not rows:
        raise UserError(f"{path} holds a sweep without cells; run its command again.")
    return pd.DataFrame(rows).sort_values(["label", "iteration"], ignore_index=True)


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Each cell's last evaluation: the table with one row a cell.

    Two columns more, `linear_r2_untrained` and `mcc_untrained`, are the same scores of the network before
    training, which is what they have to be compared with.
    """
    cells = table.groupby("key", sort=False).tail(1).reset_index(drop=True)
    untrained = table[table["iteration"] == 0].set_index("key")
    for name in WITH_UNTRAINED:
        cells[f"{name}_untrained"] = cells["key"].map(untrained[name]) if name in table else math.nan
    return cells


def _rows(cell: CellFolder) -> list[dict[str, Any]]:
    # The outcome first: it is written last, so a cell that has one has all its evaluations.
    outcome, evaluations, description = cell.outcome(), cell.evaluations(), cell.describe()
    config = TrialConfig.from_dict(description["config"])
    values = config.to_dict() | {"beta": config.beta_value, "beta_norm": config.beta_norm_value}
    state = outcome.state if outcome else "unfinished" if evaluations else "missing"
    shared = {"key": cell.key, "label": description["label"], "state": state}
    shared |= {"error": outcome.error if outcome else None, **values}
    return [shared | evaluation for evaluation in evaluations or [{"iteration": None}]]


def print_cells(cells: pd.DataFrame, most: int = 100) -> None:
    """Print a table of `final` cells: what tells them apart, how each ended, and its metrics."""
    terminal = console()
    wide = terminal.width >= WIDTH_OF_ALL
    title = f"{len(cells)} cells at their last evaluation{' (in brackets: before training)' if wide else ''}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = _as_text(cells.head(most), wide)
    for name, values in shown.items():
        # In a narrow terminal, headers and values break between words, never within.
        words = " ".join([name, *values]).split()
        table.add_column(name, justify="left" if name == "state" else "right", min_width=max(map(len, words)))
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    terminal.print(table)
    if not wide:
        print(f"Before training, in the mean: {_untrained(cells)}. A wider terminal shows it for each cell.")
    if len(cells) > most:
        print(f"... and {len(cells) - most} more.")


def _as_text(cells: pd.DataFrame, wide: bool) -> dict[str, list[str]]:
    """The columns of `print_cells`, as text; not all where the terminal is not wide."""
    labels = pd.DataFrame([dict(pair.split("=", 1) for pair in label.split(",")) for label in cells["label"]])
    varying = [name for name in labels if labels[name].nunique(dropna=False) > 1] or list(labels)
    columns = {str(name): labels[name].fillna("").tolist() for name in varying}
    columns["state"] = [state.replace("_", " ") for state in cells["state"]]
    columns["iteration"] = ["" if math.isnan(i) else f"{i:,.0f}" for i in cells["iteration"].astype(float)]
    metrics = [name for name in COMPARABLE if wide or name != "prediction_ratio"]
    for name in (name for name in metrics if name in cells and cells[name].notna().any()):
        before = cells.get(f"{name}_untrained") if wide else None
        brackets = [f" ({_number(b)})" if _number(b) else "" for b in ([] if before is None else before)]
        brackets = brackets or [""] * len(cells)
        columns[REPORTED[name].short] = [_number(v) + b for v, b in zip(cells[name], brackets, strict=True)]
    return columns


def _untrained(cells: pd.DataFrame) -> str:
    means = {name: cells.get(f"{name}_untrained", pd.Series(dtype=float)).mean() for name in WITH_UNTRAINED}
    return ", ".join(f"{REPORTED[name].short} {_number(mean) or 'unknown'}" for name, mean in means.items())


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def main(args: list[str] | None = None) -> None:
    """Print a sweep's cells, each at its last evaluation."""
    parser = argparse.ArgumentParser(prog="python -m dd_ray.results", description=main.__doc__)
    parser.add_argument("path", help="folder of a sweep, such as results/inertia_grid_quick")
    options = parser.parse_args(args)
    with exit_on_user_error():
        print_cells(final(load(options.path)))


if __name__ == "__main__":
    main()
