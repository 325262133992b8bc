"""Loads a finished or running sweep as one tidy pandas table."""

import functools
import math
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dd_ray.config import TrialConfig, field_names, has_effect
from dd_ray.errors import UserError, as_bytes, printable
from dd_ray.metrics import with_untrained
from dd_ray.results.joining import differences, join, joined_manifest, names_of
from dd_ray.storage.starts import WEIGHTS
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import TrialFolder, TrialRecords

STATES = (
    "finished",
    "running",
    "stopped_early",
    "out_of_time",
    "at_plateau",
    "diverged",
    "failed",
    "unfinished",
    "missing",
)
GOES_ON = ("running", "unfinished", "missing")
"""States of a trial that has not ended."""
SECONDS_TO_LIVE = 60
"""Seconds after its last sign of life until a sweep counts as interrupted."""


def load(path: str | Path, *more: str | Path) -> pd.DataFrame:
    """Load the sweep in a folder or at a URL as a table with a row for each trial and evaluation.

    Columns: `key`, `label`, `state` (running; finished, stopped_early, out_of_time, at_plateau, diverged, failed;
    unfinished after it was interrupted or while it waits to go on; missing before its first evaluation), `error`, every
    config field (β in both its forms), `iteration`, `seconds`, `training_seconds`, and every metric, those that were
    added later by `python -m dd_ray.evaluation` among them. A trial without an evaluation has one row, without metrics.
    Where both γ and λ are swept, `effective_lambda`, see `effective_lambda`. A trial whose files are damaged or do not
    agree is left out, with a sentence on stderr that names it and what to do.

    Args:
        path: folder or URL of a sweep.
        more: further sweeps, whose trials are joined with its own. A column `sweep` then says which sweep each trial
            is from; one that several sweeps have is there once, see `dd_ray.results.joining`; what else differs
            between the sweeps is said on stderr.

    Raises:
        UserError: there is no sweep, or one without trials.
    """
    # All are opened before any is read, so that each has the fields of all extensions.
    sweeps = open_all(path, *more)
    found = {name: _rows_of(sweep) for name, sweep in sweeps.items()}
    if len(found) == 1:
        (rows,) = found.values()
    else:
        for note in differences(found, {name: sweep.manifest() for name, sweep in sweeps.items()}):
            _say_once(f"note: {note}.")
        rows = join(found)
    table = pd.DataFrame(rows).sort_values(["label", "iteration"], ignore_index=True)
    if table["gamma"].nunique() > 1 and table["lam"].nunique() > 1:
        names = [name for name in field_names() if name in table]
        configs = table.drop_duplicates("key").set_index("key")[names].to_dict("index")
        table["effective_lambda"] = table["key"].map({key: effective_lambda(of) for key, of in configs.items()})
    return table


def manifest_of(path: str | Path, *more: str | Path) -> dict[str, Any]:
    """Return the sweep in a folder or at a URL as it was asked for; of several, what figures need to know of all.

    Raises:
        UserError: there is no sweep.
    """
    manifests = [sweep.manifest() for sweep in open_all(path, *more).values()]
    return joined_manifest(manifests) if len(manifests) > 1 else manifests[0]


def open_all(path: str | Path, *more: str | Path) -> dict[str, SweepFolder]:
    """Open sweeps, by names that tell them apart; one that is given twice is one.

    Raises:
        UserError: there is no sweep at one of the paths.
    """
    opened: dict[str, SweepFolder] = {}
    for sweep in map(SweepFolder.open, (path, *more)):
        opened.setdefault(sweep.place, sweep)
    return dict(zip(names_of([sweep.location for sweep in opened.values()]), opened.values(), strict=True))


def _rows_of(sweep: SweepFolder) -> list[dict[str, Any]]:
    """Return the rows of a sweep, and say what is damaged in it."""
    progress = alive(sweep)
    running = set(progress["running"]) if progress else set()
    lost = f"left out, trial {{}} of {sweep.location}: its config.json is gone; the sweep's command writes it anew"
    trials = sweep.trials()
    rows, notes = [], [lost.format(key) for key in sweep.without_config(trials)]
    for of_trial, of_its_files in in_parallel(lambda trial: _rows_or_why_not(trial, running), trials):
        rows += of_trial
        notes += of_its_files
    for note in notes:
        _say_once(note)
    if not rows:
        raise UserError(
            f"{sweep.location} holds a sweep without trials{' that can be shown' * bool(notes)}; run its command again."
        )
    return rows


def effective_lambda(values: Mapping[Any, Any]) -> float:
    """Return λ (1 − γ)², the weight of the error of predicting the encoder's own code e if γ and λ are combined.

    The penalty is λ ‖z − ẑ‖² with z = (1 − γ) e + γ ẑ, so that z − ẑ = (1 − γ)(e − ẑ): the same λ has less weight the
    higher γ is.

    Args:
        values: the values of all fields of a config.

    Returns:
        The weight; NaN if λ has no effect, or if γ or λ change during training.
    """
    learned = any(values[name] != "constant" for name in ("gamma_schedule", "lam_schedule"))
    if not has_effect("lam", values) or learned or values["learn_gamma"] != "none" or values["compat"] != "none":
        return math.nan
    return float(values["lam"] * (1 - values["gamma"]) ** 2)


def alive(sweep: SweepFolder | str | Path) -> dict[str, Any] | None:
    """Return the progress of a sweep if its command wrote it lately; None if it does not run.

    Args:
        sweep: the sweep, or its folder or URL.

    Raises:
        UserError: there is no sweep.
    """
    progress = (sweep if isinstance(sweep, SweepFolder) else SweepFolder.open(sweep)).progress()
    # The clocks of two machines may differ.
    return progress if progress and abs(time.time() - progress["time"]) < SECONDS_TO_LIVE else None


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Return each trial's last evaluation: the table with one row per trial.

    For each score of `with_untrained` in the table, a column such as `mcc_untrained` has the score of the network
    before training, with which it must be compared. One that is there already stays, as in rows of `final`.
    """
    trials = table.groupby("key", sort=False).tail(1).reset_index(drop=True)
    untrained = untrained_rows(table).set_index("key")
    known = [name for name in with_untrained() if name in table and f"{name}_untrained" not in table]
    return trials.assign(**{f"{name}_untrained": trials["key"].map(untrained[name]) for name in known})


def finished(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that have finished and got as far as any that has: a sweep may be extended in part.

    Args:
        trials: rows of `final`.
    """
    ended = trials[trials["state"] == "finished"]
    return ended[ended["iteration"] == ended["iteration"].max()]


def counted_states(trials: pd.DataFrame) -> str:
    """Return how many of some trials, a row each, are in each state: `3 finished, 1 stopped early of 4 trials`."""
    counts = {state: int((trials["state"] == state).sum()) for state in STATES}
    said = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items() if count)
    return f"{said} of {len(trials)} trials"


def untrained_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the evaluations of networks before training, without those that began with the weights of others."""
    first = table[table["iteration"] == 0]
    return first[first[WEIGHTS].isna()] if WEIGHTS in first else first


def _rows_or_why_not(trial: TrialFolder, running: set[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of a trial, none if it is left out, and messages about its files."""
    try:
        records = trial.read()
        return rows_of(trial.key, records, running), [f"trial {records.label}: {note}" for note in records.notes]
    except FileNotFoundError:  # it was set aside just now
        return [], []
    except UserError as error:
        return [], [f"left out, trial {trial.key}: {error}"]


@functools.cache
def _say_once(note: str) -> None:
    print(printable(note), file=sys.stderr)


def rows_of(key: str, records: TrialRecords, running: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a trial in the table of its sweep; `running` has the keys of trials that run."""
    outcome, evaluations = records.outcome, records.evaluations
    config = TrialConfig.from_dict(records.config)
    # The value of a field that is not given.
    values = config.to_dict() | {"beta": config.beta_value, "beta_norm": config.beta_norm_value}
    values |= {"tc_num_data": config.num_data}
    state: str = outcome.state if outcome else "unfinished" if evaluations else "missing"
    state = "running" if outcome is None and key in running else state
    shared: dict[str, Any] = {"key": key, "label": records.label, "state": state}
    shared |= {"error": outcome.error if outcome else None, **values}
    added = records.scores
    rows = evaluations or [{"iteration": None}]
    # Once more at the end: no score takes the place of what the trial is, whatever its record calls it.
    return [shared | row | added.get(row["iteration"], {}) | shared for row in rows]


FORMULAS = ("=", "+", "-", "@")
"""Characters at the beginning of a text that make a spreadsheet compute it, which would let its author run commands."""


def as_csv(table: pd.DataFrame) -> bytes:
    """Return a table as the content of a .csv file. A text that a spreadsheet takes as a formula gets a leading `'`.

    Numbers stay as they are, including negative ones. Line breaks in a text are written as `\\n`.
    """
    texts = table.select_dtypes(include=["object", "string"]).columns
    harmless = table.assign(**{str(name): table[name].map(_harmless) for name in texts})
    return as_bytes(harmless.rename(columns=_harmless).to_csv(index=False))


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULAS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
