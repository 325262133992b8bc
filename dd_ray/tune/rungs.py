"""Implements the schedulers with rungs in Ray Tune, which use recorded scores, and none, which lets all finish."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

from dd_ray.metrics import REPORTED
from dd_ray.sweep.plan import Plan
from dd_ray.tune.private import enter_rungs, place, rungs_of, rungs_of_brackets

Recorded = Mapping[str, Sequence[Mapping[str, Any]]]
"""Evaluations of every trial of the sweep in the order of iterations, by the trial's key."""


def asha(plan: Plan, recorded: Recorded) -> "RememberingASHA":
    """Make the scheduler of a plan that stops trials which fall behind."""
    return _with_brackets(plan, recorded, 1)


def hyperband(plan: Plan, recorded: Recorded) -> "RememberingASHA":
    """Make asynchronous HyperBand: as many brackets as asha has rungs, each of which begins a rung later."""
    halvings = math.log(plan.options.iterations / plan.grace_period) / math.log(plan.options.reduction_factor)
    return _with_brackets(plan, recorded, 1 + int(halvings))


def _with_brackets(plan: Plan, recorded: Recorded, brackets: int) -> "RememberingASHA":
    return RememberingASHA(
        recorded,
        time_attr="iteration",
        metric=plan.options.metric,
        mode=REPORTED[plan.options.metric].better,
        max_t=plan.options.iterations,
        grace_period=plan.grace_period,
        reduction_factor=plan.options.reduction_factor,
        brackets=brackets,
    )


def no_scheduler(plan: Plan, recorded: Recorded) -> FIFOScheduler:
    """Make the scheduler that lets all trials finish."""
    return FIFOScheduler()


class RememberingASHA(ASHAScheduler):
    """Asynchronous successive halving (Li et al. 2020, algorithm 2) that continues where an earlier run ended.

    The rung at iteration r·η^k holds the scores of the trials that reached it; a trial goes on from there if it is
    among the best 1/η of them. Ray keeps the rungs in memory only. Here they are filled again from the recorded
    evaluations, so that a trial is compared with all that reached a rung before. Filling them stops no trial: those
    that went on earlier still go on.

    With several brackets it is HyperBand (Li et al. 2018): a trial is compared with those of its bracket alone. Ray
    draws brackets anew in each run; here a trial's key decides, a hash, so that it is the same one whenever it goes on.
    Of brackets of r + 1 rungs one gets η^r / (r + 1) of the trials, to scale (algorithm 1).

    Args:
        recorded: evaluations of trials of earlier runs.
        **options: options of `ASHAScheduler`, with `time_attr`, `metric` and `mode`.
    """

    def __init__(self, recorded: Recorded, **options: Any) -> None:
        # Otherwise Ray goes down to rungs that were passed over, at a trial's next evaluations. That it then stops no
        # trial at `max_t` changes nothing: ours end there by themselves.
        super().__init__(stop_last_trials=False, **options)
        sizes = [options["reduction_factor"] ** (rungs - 1) / max(1, rungs) for rungs in rungs_of_brackets(self)]
        self._up_to = np.cumsum(sizes) / sum(sizes)
        self._name, self._sign = options["metric"], 1.0 if options["mode"] == "max" else -1.0
        self._iteration, self._last = options["time_attr"], options["max_t"]
        for key, evaluations in recorded.items():
            for evaluation in evaluations:
                self._enter(key, evaluation)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Add a trial, and enter its recorded scores under the name that Tune gives it."""
        super().on_trial_add(tune_controller, trial)
        place(self, trial, self._bracket_of(trial.config["key"]))
        for scores in rungs_of(self):
            if trial.config["key"] in scores:
                scores[trial.trial_id] = scores.pop(trial.config["key"])

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Enter the score with which a trial ended; none at the last iteration, which counts for no rung before it."""
        if result.get(self._iteration, 0) < self._last:  # it has none if the sweep ends before its first report
            super().on_trial_complete(tune_controller, trial, result)

    def _enter(self, key: str, evaluation: Mapping[str, Any]) -> None:
        score, iteration = evaluation.get(self._name), evaluation[self._iteration]
        if score is not None and iteration < self._last:
            enter_rungs(self, key, self._bracket_of(key), iteration, self._sign * score)

    def _bracket_of(self, key: str) -> int:
        digest = hashlib.sha256(key.encode()).digest()
        share = int.from_bytes(digest[:6], "big") / 2**48
        return int(np.searchsorted(self._up_to, share, side="right"))
