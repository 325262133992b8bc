"""The scheduler `median` of `dd_ray.sweep.schedulers`: the rule of the median, which remembers what was recorded.

Why not Ray's own `MedianStoppingRule` (2.60): it pauses trials while there are few to compare with, which takes
checkpoints of Tune's; it keeps all results of all trials whole; and it starts over at each command.
"""

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from dd_ray.metrics import REPORTED
from dd_ray.sweep.plan import Plan
from dd_ray.tune.rungs import Recorded

FEWEST = 3
"""The fewest others that a trial is compared with; with fewer it goes on."""


def median(plan: Plan, recorded: Recorded) -> "MedianRule":
    """Make the scheduler of a plan that stops trials which do worse than the median."""
    name = plan.options.metric
    return MedianRule(
        recorded,
        metric=name,
        sign=1.0 if REPORTED[name].better == "max" else -1.0,
        grace_period=plan.grace_period,
        iterations=plan.options.iterations,
    )


class MedianRule(FIFOScheduler):
    """Stops a trial at iteration t if its best score is worse than the median of the others' means up to t.

    Scores count from the grace period on, and trials are compared with that have got to t, before or after, also those
    that have ended (Golovin et al. 2017, section 3.2.1).

    Args:
        recorded: evaluations of earlier runs, of every trial in the order of iterations, by its key.
        metric: what is compared.
        sign: 1 where higher is better, -1 where lower is.
        grace_period: iterations before a trial may be stopped.
        iterations: of a whole trial, which is not stopped at its end.
    """

    def __init__(self, recorded: Recorded, *, metric: str, sign: float, grace_period: int, iterations: int) -> None:
        super().__init__()
        self._name, self._sign, self._grace, self._last = metric, sign, grace_period, iterations
        self._scores: dict[str, dict[int, float]] = {}
        self._means: dict[str, dict[int, float]] = {}  # of the scores up to each iteration, in order
        for key, evaluations in recorded.items():
            for evaluation in evaluations:
                self._enter(key, evaluation)

    @property
    def metric(self) -> str:
        """The metric that is compared."""
        return self._name

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return the verdict on a trial that reports: to stop, or to go on, as without a score."""
        key, iteration = trial.config["key"], result.get("iteration", 0)
        if not self._enter(key, result) or iteration >= self._last:
            return self.CONTINUE
        of_others = (_mean_up_to(iteration, means) for other, means in self._means.items() if other != key)
        means = [mean for mean in of_others if mean is not None]
        best = max(score for at, score in self._scores[key].items() if at <= iteration)
        return self.STOP if len(means) >= FEWEST and best < np.median(means) else self.CONTINUE

    def _enter(self, key: str, evaluation: Mapping[str, Any]) -> bool:
        """Take note of an evaluation's score, and return whether it has one that counts."""
        score, iteration = evaluation.get(self._name), evaluation.get("iteration", 0)
        if score is None or not math.isfinite(score) or iteration < self._grace:
            return False
        scores = self._scores.setdefault(key, {})
        scores[iteration] = self._sign * score
        sums = accumulate(scores[at] for at in sorted(scores))
        self._means[key] = {at: total / n for n, (at, total) in enumerate(zip(sorted(scores), sums, strict=True), 1)}
        return True


def _mean_up_to(iteration: int, means: Mapping[int, float]) -> float | None:
    """Return a trial's mean up to an iteration; None if it begins to count later, or has not got there."""
    if iteration in means or next(reversed(means)) < iteration:
        return means.get(iteration)
    before = [mean for at, mean in means.items() if at < iteration]
    return before[-1] if before else None
