"""A finished or running sweep as one tidy pandas table."""

import functools
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dd_ray.config import TrialConfig, field_names, has_effect
from dd_ray.errors import UserError, printable
from dd_ray.metrics import REPORTED, with_untrained
from dd_ray.storage.sweep_folder import SweepFolder, TrialFolder, TrialRecords, in_parallel

STATES = ("finished", "running", "stopped_early", "out_of_time", "diverged", "failed", "unfinished", "missing")
SECONDS_TO_LIVE = 60
"""After its last sign of life, a sweep is taken for interrupted."""


def load(path: str | Path) -> pd.DataFrame:
    """The sweep in a folder, or at a URL, as a table, a row for each trial and evaluation.

    Columns: `key`, `label`, `state` (running; finished, stopped_early, out_of_time, diverged, failed; unfinished after
    it was interrupted or while it waits to go on; missing before its first evaluation), `error`, every config field (β
    in both its forms), `iteration`, `seconds`, `training_seconds`, and every metric, those that were added later by
    `python -m dd_ray.evaluation` among them. A trial without an evaluation has one row, without metrics. Where both γ
    and λ are swept, `effective_lambda`, see `effective_lambda`. A trial whose files are damaged or
    do not agree is left out, with a sentence on stderr that names it and what to do.

    Raises:
        UserError: there is no sweep, or one without trials.
    """
    sweep = SweepFolder.open(path)
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
            f"{path} holds a sweep without trials{' that can be shown' * bool(notes)}; run its command again."
        )
    table = pd.DataFrame(rows).sort_values(["label", "iteration"], ignore_index=True)
    if table["gamma"].nunique() > 1 and table["lam"].nunique() > 1:
        names = [name for name in field_names() if name in table]
        table["effective_lambda"] = [effective_lambda(values) for values in table[names].to_dict("records")]
    return table


def effective_lambda(values: Mapping[Any, Any]) -> float:
    """Weight of the error of predicting the encoder's own code e, where γ and λ come together: λ (1 − γ)².

    The penalty is λ ‖z − ẑ‖² with z = (1 − γ) e + γ ẑ, and so z − ẑ = (1 − γ)(e − ẑ): the same λ weighs the less the
    higher γ is.

    Args:
        values: of all fields of a config.

    Returns:
        NaN where λ has no effect, and where γ or λ change as a network learns.
    """
    learned = any(values[name] != "constant" for name in ("gamma_schedule", "lam_schedule"))
    if not has_effect("lam", values) or learned or values["learn_gamma"] != "none" or values["compat"] != "none":
        return math.nan
    return float(values["lam"] * (1 - values["gamma"]) ** 2)


def alive(sweep: SweepFolder) -> dict[str, Any] | None:
    """What the command that runs a sweep said of its progress, if it said it lately."""
    progress = sweep.progress()
    # The clocks of two machines may differ.
    return progress if progress and abs(time.time() - progress["time"]) < SECONDS_TO_LIVE else None


def final(table: pd.DataFrame) -> pd.DataFrame:
    """Each trial's last evaluation: the table with one row a trial.

    More columns, `mcc_untrained` and the like for each of `with_untrained` that the table has, are the same scores of
    the network before training, which is what they have to be compared with.
    """
    trials = table.groupby("key", sort=False).tail(1).reset_index(drop=True)
    untrained = table[table["iteration"] == 0].set_index("key")
    known = [name for name in with_untrained() if name in table]
    return trials.assign(**{f"{name}_untrained": trials["key"].map(untrained[name]) for name in known})


def _rows_or_why_not(trial: TrialFolder, running: set[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a trial, none where it is left out, and what there is to say of its files."""
    try:
        records = trial.read()
        return _rows(trial.key, records, running), [f"trial {records.label}: {note}" for note in records.notes]
    except FileNotFoundError:  # it was set aside just now
        return [], []
    except UserError as error:
        return [], [f"left out, trial {trial.key}: {error}"]


@functools.cache
def _say_once(note: str) -> None:
    print(printable(note), file=sys.stderr)


def _rows(key: str, records: TrialRecords, running: set[str]) -> list[dict[str, Any]]:
    outcome, evaluations = records.outcome, records.evaluations
    config = TrialConfig.from_dict(records.config)
    # What a field stands for where it is not given.
    values = config.to_dict() | {"beta": config.beta_value, "beta_norm": config.beta_norm_value}
    values |= {"tc_num_data": config.num_data}
    state: str = outcome.state if outcome else "unfinished" if evaluations else "missing"
    state = "running" if outcome is None and key in running else state
    shared: dict[str, Any] = {"key": key, "label": records.label, "state": state}
    shared |= {"error": outcome.error if outcome else None, **values}
    added = records.scores
    rows = evaluations or [{"iteration": None}]
    return [shared | row | added.get(row["iteration"], {}) for row in rows]


FORMULAS = ("=", "+", "-", "@")
"""What a text begins with that a spreadsheet would compute, and so let whoever wrote it run what they like."""


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as the content of a .csv file. A text that a spreadsheet would take for a formula has a `'` before it.

    Numbers stay as they are, the negative ones too. What would end a line stands as `\\n` in it.
    """
    texts = table.select_dtypes(include=["object", "string"]).columns
    harmless = table.assign(**{str(name): table[name].map(_harmless) for name in texts})
    return harmless.rename(columns=_harmless).to_csv(index=False).encode("utf-8", "backslashreplace")


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


BEST = 5
"""Trials that are shown as the best."""


def best(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The finished trials that are best by a metric, the best first."""
    better = REPORTED[metric].better
    if better is None or metric not in trials:
        return trials.iloc[:0]
    finished = trials[(trials["state"] == "finished") & trials[metric].notna()]
    return finished.sort_values(metric, ascending=better == "min").head(BEST)
