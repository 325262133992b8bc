"""Finds the deadline of a sweep: the end of its time budget, or of the Slurm job that it is part of."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dd_ray.command_line import duration

SHARE_TO_END = 0.25
MOST_SECONDS_TO_END = 60
"""The part of a time budget that is kept for saving states and writing tables: a share of it, but no more seconds."""
OF_SLURM = "SLURM_JOB_END_TIME"
"""Variable in which Slurm tells a job when it ends it, in seconds since 1970."""
LONGEST_JOB = 365 * 86400
"""Seconds. Slurm gives a job without a limit an end that is further away."""


@dataclass(frozen=True)
class Deadline:
    """A time by which a sweep shall have ended, by the clock of `time.monotonic`."""

    at: float
    stops_at: float
    """The time, somewhat earlier, at which its trials stop."""
    why: str
    """The reason in words, at the end of a sentence."""

    def has_come(self) -> bool:
        """Return whether it is time for trials to stop."""
        return time.monotonic() >= self.stops_at

    def __str__(self) -> str:
        end = datetime.now() + timedelta(seconds=self.at - time.monotonic())
        same_day = end.date() == datetime.now().date()
        return f"Ends by {end:{'%H:%M:%S' if same_day else '%H:%M on %d %B'}} at the latest, {self.why}."


def deadline_of(
    time_budget: float | None, began: float, environment: Mapping[str, str] = os.environ
) -> Deadline | None:
    """Return the deadline of a sweep; None if it has none.

    Args:
        time_budget: seconds; None where none is given.
        began: the start of the command, by `time.monotonic`.
        environment: environment variables, among which Slurm's are.
    """
    if time_budget is not None:
        return _deadline(began, time_budget, f"after its --time-budget of {duration(time_budget)}")
    left = _left_of_slurm_job(environment.get(OF_SLURM, ""))
    if left is None:
        return None
    return _deadline(time.monotonic(), left, "when Slurm ends this job (--time-budget says otherwise)")


def _deadline(since: float, seconds: float, why: str) -> Deadline:
    return Deadline(since + seconds, since + seconds - min(MOST_SECONDS_TO_END, SHARE_TO_END * seconds), why)


def _left_of_slurm_job(end: str) -> float | None:
    """Return the seconds until a Slurm job ends; None without a limit, or if the end has passed: an earlier job's."""
    left = int(end) - time.time() if end.isdecimal() else -1.0
    return left if 0 < left < LONGEST_JOB else None
