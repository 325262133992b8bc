"""A finished or running sweep as one tidy pandas table: `python -m dd_ray.results PATH`."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro
from rich import box
from rich.table import Table

from dd_ray.command_line import optional, parse_options
from dd_ray.config import TrialConfig
from dd_ray.errors import UserError, exit_on_user_error
from dd_ray.labels import parts_of
from dd_ray.metrics import COMPARABLE, REPORTED, WITH_UNTRAINED
from dd_ray.sweep.store import CellFolder, SweepFolder, in_parallel
from dd_ray.terminal import console, duration

WIDTH_OF_ALL = 110
"""Columns that a terminal needs to show the scores of untrained networks, and the prediction ratio."""
FROM_WIDTH = {
    **{"prediction_ratio": WIDTH_OF_ALL, "straightness": math.inf, "mig": 130, "sap": math.inf},
    **dict.fromkeys(("mutual_information", "total_correlation", "dimension_wise_kl"), math.inf),
}
"""Columns that a terminal needs to show a metric; others are always shown."""
STATES = ("finished", "running", "stopped_early", "diverged", "failed", "unfinished", "missing")
SECONDS_TO_LIVE = 60
"""After its last sign of life, a sweep is taken for interrupted."""
BEST = 5
"""Cells that are shown as the best."""


def load(path: str | Path) -> pd.DataFrame:
    """The sweep in a folder, or at a URL, as a table, a row for each cell and evaluation.

    Columns: `key`, `label`, `state` (running; finished, stopped_early, diverged, failed; unfinished after it was
    interrupted or while it waits to go on; missing before its first evaluation), `error`, every config field (β in
    both its forms), `iteration`, `seconds`, `training_seconds`, and every metric, those that were added later by
    `python -m dd_ray.evaluation` among them. A cell without an evaluation has one row, without metrics.

    Raises:
        UserError: there is no sweep, or one without cells.
    """
    sweep = SweepFolder.open(path)
    progress = alive(sweep)
    running = set(progress["running"]) if progress else set()
    rows = [row for rows in in_parallel(lambda cell: _rows(cell, running), sweep.cells()) for row in rows]
    if not rows:
        raise UserError(f"{path} holds a sweep without cells; run its command again.")
    return pd.DataFrame(rows).sort_values(["label", "iteration"], ignore_index=True)


def alive(sweep: SweepFolder) -> dict[str, Any] | None:
    """What the command that runs a sweep said of its progress, if it said it lately."""
    progress = sweep.progress()
    # The clocks of two machines may differ.
    return progress if progress and abs(time.time() - progress["time"]) < SECONDS_TO_LIVE else None


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Each cell's last evaluation: the table with one row a cell.

    More columns, `mcc_untrained` and the like for each of `WITH_UNTRAINED` that the table has, are the same scores of
    the network before training, which is what they have to be compared with.
    """
    cells = table.groupby("key", sort=False).tail(1).reset_index(drop=True)
    untrained = table[table["iteration"] == 0].set_index("key")
    known = [name for name in WITH_UNTRAINED if name in table]
    return cells.assign(**{f"{name}_untrained": cells["key"].map(untrained[name]) for name in known})


def _rows(cell: CellFolder, running: set[str]) -> list[dict[str, Any]]:
    # The outcome first: it is written last, so a cell that has one has all its evaluations.
    outcome, evaluations, description = cell.outcome(), cell.evaluations(), cell.describe()
    config = TrialConfig.from_dict(description["config"])
    # What a field stands for where it is not given.
    values = config.to_dict() | {"beta": config.beta_value, "beta_norm": config.beta_norm_value}
    values |= {"tc_num_data": config.num_data}
    state: str = outcome.state if outcome else "unfinished" if evaluations else "missing"
    state = "running" if outcome is None and cell.key in running else state
    shared = {"key": cell.key, "label": description["label"], "state": state}
    shared |= {"error": outcome.error if outcome else None, **values}
    added = cell.scores()
    rows = evaluations or [{"iteration": None}]
    return [shared | row | added.get(row["iteration"], {}) for row in rows]


def print_state(sweep: SweepFolder, cells: pd.DataFrame) -> None:
    """Print how far a sweep is: its cells by state, what runs and how long still, and the best cells."""
    counts = {state: int((cells["state"] == state).sum()) for state in STATES}
    print(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items() if count), end="")
    print(f" of {len(cells)} cells.")
    progress = alive(sweep)
    if progress and progress["running"]:
        left = progress["seconds_left"]
        rate = f"{progress['iterations_per_second']:,.1f} iterations a second"
        print(f"It runs, {rate}" + (f", about {duration(left)} left." if left else "."))
    elif counts["missing"] + counts["unfinished"]:
        print("Nothing runs it at the moment; the command that started it goes on.")
    for row in cells[cells["state"] == "failed"].to_dict("records"):
        print(f"failed: {row['label']}: {row['error']}")


def best(cells: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The finished cells that are best by a metric, the best first."""
    better = REPORTED[metric].better
    if better is None or metric not in cells:
        return cells.iloc[:0]
    finished = cells[(cells["state"] == "finished") & cells[metric].notna()]
    return finished.sort_values(metric, ascending=better == "min").head(BEST)


def print_cells(cells: pd.DataFrame, most: int = 100, title: str = "", metrics: Sequence[str] | None = None) -> None:
    """Print a table of `final` cells: what tells them apart, how each ended, and metrics, those that fit the width
    where they are not named."""
    terminal = console()
    wide = terminal.width >= WIDTH_OF_ALL
    heading = title or f"{len(cells)} cells at their last evaluation{' (in brackets: before training)' if wide else ''}"
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    fitting = [name for name in COMPARABLE if terminal.width >= FROM_WIDTH.get(name, 0)]
    shown = _as_text(cells.head(most), fitting if metrics is None else metrics, wide)
    for name, values in shown.items():
        # In a narrow terminal, headers and values break between words, never within.
        words = " ".join([name, *values]).split()
        table.add_column(name, justify="left" if name == "state" else "right", min_width=max(map(len, words)))
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    terminal.print(table)
    if not wide and not title:
        print(f"Before training, in the mean: {_untrained(cells)}. A wider terminal shows it for each cell.")
    if len(cells) > most:
        print(f"... and {len(cells) - most} more.")


def _as_text(cells: pd.DataFrame, metrics: Sequence[str], wide: bool) -> dict[str, list[str]]:
    """The columns of `print_cells`, as text; those of untrained networks beside them where the terminal is wide."""
    labels = pd.DataFrame([parts_of(label) for label in cells["label"]])
    varying = [name for name in labels if labels[name].nunique(dropna=False) > 1] or list(labels)
    columns = {str(name): labels[name].fillna("").tolist() for name in varying}
    columns["state"] = [state.replace("_", " ") for state in cells["state"]]
    columns["iteration"] = ["" if math.isnan(i) else f"{i:,.0f}" for i in cells["iteration"].astype(float)]
    for name in (name for name in metrics if name in cells and cells[name].notna().any()):
        before = cells.get(f"{name}_untrained") if wide else None
        brackets = [f" ({_number(b)})" if _number(b) else "" for b in ([] if before is None else before)]
        brackets = brackets or [""] * len(cells)
        columns[REPORTED[name].short] = [_number(v) + b for v, b in zip(cells[name], brackets, strict=True)]
    return columns


def _untrained(cells: pd.DataFrame) -> str:
    shown = [name for name in WITH_UNTRAINED if name in COMPARABLE and name not in FROM_WIDTH]
    means = {name: cells.get(f"{name}_untrained", pd.Series(dtype=float)).mean() for name in shown}
    return ", ".join(f"{REPORTED[name].short} {_number(mean) or 'unknown'}" for name, mean in means.items())


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PATH")]
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    metric: Annotated[str | None, optional("NAME")] = None
    """What the best cells are the best in; what the sweep compares its cells by where it is not given."""
    out: Annotated[Path | None, optional("FILE")] = None
    """Write the table of all evaluations to this file, .csv or .parquet."""


def main(args: list[str] | None = None) -> None:
    """Print the state of a sweep, finished or running: its cells, what is left, and the best."""
    options = parse_options(Options, args, main.__doc__, prog="python -m dd_ray.results")
    with exit_on_user_error():
        sweep, table = SweepFolder.open(options.path), load(options.path)
        cells = final(table)
        metric = options.metric or (sweep.manifest() or {}).get("options", {}).get("metric", "loss")
        if options.metric is not None and (REPORTED.get(metric) is None or REPORTED[metric].better is None):
            known = ", ".join(name for name, m in REPORTED.items() if m.better)
            raise UserError(f"--metric {metric} ranks no cells; give one of {known}.")
        print_cells(cells)
        ranked = best(cells, metric)
        if 1 < len(ranked) < len(cells):
            shown = None if metric in COMPARABLE else ("reconstruction_error", "kl", "active_units", metric)
            print_cells(ranked, title=f"The best in {REPORTED[metric].label}", metrics=shown)
        print_state(sweep, cells)
        if options.out:
            write_table(table, options.out)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table to a .csv or .parquet file.

    Raises:
        UserError: it is of another kind, or cannot be written.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out {path} is no .csv or .parquet file; give a name that ends so.")
    try:
        table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, index=False)
    except OSError as error:
        raise UserError(f"--out {path} cannot be written ({error.strerror}); choose another file.") from error
    print(f"Table: {path}")


if __name__ == "__main__":
    main()
