"""Tells when and where the trials of sweeps ran: a row for each attempt, which is one worker's work on a trial."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from dd_ray.results.joining import SWEEP
from dd_ray.results.table import GOES_ON, load, open_all
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_attempts import TrialAttempt, attempts

COLUMNS = ("key", SWEEP, "state", "host", "device", "began", "ended", "end_recorded", "from", "to", "error")


def timeline(path: str | Path, *more: str | Path, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the attempts at the trials of one sweep or several, those that began first first.

    Args:
        path: folder or URL of a sweep.
        more: further sweeps.
        table: what `load` gives of these sweeps, where it is known; attempts at other trials are left out.

    Returns:
        `key` of the trial; `sweep`; `state`, which is the trial's if the attempt ended it, and else `running`,
        `left` (saved to go on later), `error` (tried again after it) or `killed` (nobody could say that it ended);
        `host` and `device`; `began` and `ended`, UTC; `end_recorded`, which is false where `ended` is the time of the
        last evaluation instead; the iterations `from` and `to` which it went; and its `error`. No rows if
        no times were recorded, as in sweeps of earlier versions.

    Raises:
        UserError: there is no sweep, or one without trials.
    """
    sweeps = open_all(path, *more)
    trials = _trials_in(load(path, *more) if table is None else table)
    found = [row for name, sweep in sweeps.items() for row in _rows_of(sweep, name, trials)]
    rows = pd.DataFrame(found, columns=list(COLUMNS)).sort_values("began", kind="stable", ignore_index=True)
    return rows.assign(**{name: pd.to_datetime(rows[name], unit="s", utc=True) for name in ("began", "ended")})


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What the table of evaluations tells of a trial."""

    sweep: str | None
    """The sweep whose records count; None where there is one."""
    state: str
    seconds: list[tuple[int, float]]
    """Of each evaluation, its iteration and the seconds that all attempts had taken by then."""


def _trials_in(table: pd.DataFrame) -> dict[str, _Trial]:
    numbers = [
        pd.to_numeric(table[name]) if name in table else [math.nan] * len(table) for name in ("iteration", "seconds")
    ]
    names = table[SWEEP] if SWEEP in table else [None] * len(table)
    found: dict[str, _Trial] = {}
    for key, name, state, iteration, seconds in zip(table["key"], names, table["state"], *numbers, strict=True):
        trial = found.setdefault(key, _Trial(sweep=name, state=state, seconds=[]))
        if math.isfinite(iteration):
            trial.seconds.append((int(iteration), seconds))
    return found


def _rows_of(sweep: SweepFolder, name: str, trials: Mapping[str, _Trial]) -> list[dict[str, Any]]:
    known = {key for key, trial in trials.items() if trial.sweep in (None, name)}
    folders = [sweep.trial(key) for key in sweep.files.names("cells") if key in known]
    tried = in_parallel(lambda folder: attempts(folder.files), folders)
    return [
        {"key": folder.key, SWEEP: name, **_row(attempt, following, trials[folder.key])}
        for folder, of_trial in zip(folders, tried, strict=True)
        for attempt, following in zip_longest(of_trial, of_trial[1:])
    ]


def _row(attempt: TrialAttempt, following: TrialAttempt | None, trial: _Trial) -> dict[str, Any]:
    """Return what is told of an attempt; `following` is the next one at the same trial, None if it is the last."""
    own = [row for row in trial.seconds if attempt.recorded < row[0] <= (following.recorded if following else math.inf)]
    ended = attempt.ended
    if ended is None:
        ended = min(attempt.began + _taken(attempt, own, trial), following.began if following else math.inf)
    reached = own[-1][0] if own else attempt.recorded
    return {
        "state": _state(attempt, None if following else trial.state),
        "host": attempt.host,
        "device": attempt.device,
        "began": attempt.began,
        "ended": max(ended, attempt.began),  # a clock may have been set meanwhile
        "end_recorded": attempt.ended is not None,
        "from": max(attempt.recorded, 0),
        "to": max(reached if attempt.iteration is None else attempt.iteration, 0),
        "error": attempt.error,
    }


def _state(attempt: TrialAttempt, of_trial: str | None) -> str:
    """Return how an attempt ended; `of_trial` is the state of its trial if no other attempt followed."""
    if of_trial not in (None, *GOES_ON) and attempt.how in (None, "left", "error"):
        return str(of_trial)
    if attempt.how is None:
        return "running" if of_trial == "running" else "killed"
    return attempt.how


def _taken(attempt: TrialAttempt, own: list[tuple[int, float]], trial: _Trial) -> float:
    """Return the seconds from the beginning of an attempt to the last evaluation of its own."""
    if not own:
        return 0.0
    before = [seconds for iteration, seconds in trial.seconds if iteration <= attempt.recorded]
    seconds = own[-1][1] - (before[-1] if before else 0.0)
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0
