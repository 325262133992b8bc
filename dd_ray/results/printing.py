"""Tables of trials in the terminal."""

import math
from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.table import Table

from dd_ray.command_line import console, duration
from dd_ray.config.labels import parts_of
from dd_ray.metrics import COMPARABLE, REPORTED, with_untrained
from dd_ray.results.table import STATES, alive
from dd_ray.storage.sweep_folder import SweepFolder

WIDTH_OF_ALL = 110
"""Columns that a terminal needs to show the scores of untrained networks, and the prediction ratio."""
FROM_WIDTH = {
    **{"prediction_ratio": WIDTH_OF_ALL, "straightness": math.inf, "mig": 130, "sap": math.inf},
    **dict.fromkeys(("mutual_information", "total_correlation", "dimension_wise_kl"), math.inf),
    **dict.fromkeys(("gaussian_total_correlation", "prediction_ratio_encoder", "straightness_encoder"), math.inf),
}
"""Columns that a terminal needs to show a metric; others are always shown."""


def print_state(sweep: SweepFolder, trials: pd.DataFrame) -> None:
    """Print how far a sweep is: its trials by state, what runs and how long still, and the best trials."""
    counts = {state: int((trials["state"] == state).sum()) for state in STATES}
    print(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items() if count), end="")
    print(f" of {len(trials)} trials.")
    progress = alive(sweep)
    if progress and progress["running"]:
        left = progress["seconds_left"]
        rate = f"{progress['iterations_per_second']:,.1f} iterations a second"
        print(f"It runs, {rate}" + (f", about {duration(left)} left." if left else "."))
    elif counts["missing"] + counts["unfinished"]:
        print("Nothing runs it at the moment; the command that started it goes on.")
    for row in trials[trials["state"] == "failed"].to_dict("records"):
        print(f"failed: {row['label']}: {row['error']}")


def print_trials(trials: pd.DataFrame, most: int = 100, title: str = "", metrics: Sequence[str] | None = None) -> None:
    """Print a table of `final` trials: what tells them apart, how each ended, and metrics, those that fit the width
    where they are not named."""
    terminal = console()
    wide = terminal.width >= WIDTH_OF_ALL
    heading = (
        title or f"{len(trials)} trials at their last evaluation{' (in brackets: before training)' if wide else ''}"
    )
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    fitting = [name for name in COMPARABLE if terminal.width >= FROM_WIDTH.get(name, 0)]
    shown = _as_text(trials.head(most), fitting if metrics is None else metrics, wide)
    for name, values in shown.items():
        # In a narrow terminal, headers and values break between words, never within.
        words = " ".join([name, *values]).split()
        table.add_column(name, justify="left" if name == "state" else "right", min_width=max(map(len, words)))
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    terminal.print(table)
    if not wide and not title:
        print(f"Before training, in the mean: {_untrained(trials)}. A wider terminal shows it for each trial.")
    if len(trials) > most:
        print(f"... and {len(trials) - most} more.")


def _as_text(trials: pd.DataFrame, metrics: Sequence[str], wide: bool) -> dict[str, list[str]]:
    """The columns of `print_trials`, as text; those of untrained networks beside them where the terminal is wide."""
    labels = pd.DataFrame([parts_of(label) for label in trials["label"]])
    varying = [name for name in labels if labels[name].nunique(dropna=False) > 1] or list(labels)
    columns = {str(name): labels[name].fillna("").tolist() for name in varying}
    columns["state"] = [state.replace("_", " ") for state in trials["state"]]
    columns["iteration"] = ["" if math.isnan(i) else f"{i:,.0f}" for i in trials["iteration"].astype(float)]
    for name in (name for name in metrics if name in trials and trials[name].notna().any()):
        before = trials.get(f"{name}_untrained") if wide else None
        brackets = [f" ({_number(b)})" if _number(b) else "" for b in ([] if before is None else before)]
        brackets = brackets or [""] * len(trials)
        columns[REPORTED[name].short] = [_number(v) + b for v, b in zip(trials[name], brackets, strict=True)]
    return columns


def _untrained(trials: pd.DataFrame) -> str:
    shown = [name for name in with_untrained() if name in COMPARABLE and name not in FROM_WIDTH]
    means = {name: trials.get(f"{name}_untrained", pd.Series(dtype=float)).mean() for name in shown}
    return ", ".join(f"{REPORTED[name].short} {_number(mean) or 'unknown'}" for name, mean in means.items())


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
