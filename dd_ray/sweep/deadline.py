"""Finds the deadline of a sweep: the end of its time budget, or of the Slurm job that it is part of."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dd_ray.command_line import duration

SHARE_TO_END = 0.25
MOST_SECONDS_TO_END = 60
"""Of the time there is, what is left for saving states and writing tables: this share of it, and at most so much."""
OF_SLURM = "SLURM_JOB_END_TIME"
"""Variable in which Slurm tells a job when it ends it, in seconds since 1970."""
LONGEST_JOB = 365 * 86400
"""Seconds: Slurm tells such an end of jobs without a limit."""


@dataclass(frozen=True)
class Deadline:
    """A time by which a sweep shall have ended, by the clock of `time.monotonic`."""

    at: float
    stops_at: float
    """When its trials stop: some time before."""
    why: str

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
        time_budget: in seconds; None where none is given.
        began: when the command did, by `time.monotonic`.
        environment: what tells of a Slurm job.
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
    """Seconds until a job ends. None where that says nothing: an end that has passed is another job's, by now over."""
    left = int(end) - time.time() if end.isdecimal() else -1.0
    return left if 0 < left < LONGEST_JOB else None
