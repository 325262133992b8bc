"""Runs a sweep's trials on Ray Tune in rounds.

A round ends early if the sweep's share of the cluster shrinks, or if a node joins on which its trials cannot run.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray import tune
from ray.tune.schedulers import TrialScheduler

from dd_ray.config.extensions import loaded
from dd_ray.errors import UserError
from dd_ray.storage.files import Lock
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import versions
from dd_ray.sweep.plan import Plan
from dd_ray.tune.gpus import check_gpus
from dd_ray.tune.nodes import looking_at_newcomers
from dd_ray.tune.progress import Watcher
from dd_ray.tune.pulse import RayLost, while_ray_lives
from dd_ray.tune.resources import Resources
from dd_ray.tune.sharing import Presence
from dd_ray.tune.stopped import ending_stopped_workers
from dd_ray.tune.trial_trainable import TrialTrainable

SECONDS_TO_SAVE = 9.0
"""Seconds that trials have to save their states when the sweep is told to end; Tune gives them 5 s. What a trial has
not saved by then is trained again."""
TRIALS_THAT_WAIT = 8
"""Number of trials that wait for a free worker, so that workers are reused and not started anew."""


class UnfitNodesError(UserError):
    """An autoscaled cluster starts nodes on which no trial can run, and has no others."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Round:
    """The trials of a round, and the scheduler that compares them."""

    search_alg: Any
    """Gives keys and labels of trials, one after the other, at most `max_concurrent` at a time."""
    scheduler: TrialScheduler
    callbacks: tuple[tune.Callback, ...] = ()
    """Callbacks, which are called after the watcher."""


@dataclass(frozen=True)
class Rounds:
    """Runs the rounds of a sweep, with what they have in common."""

    plan: Plan
    sweep: SweepFolder
    lock: Lock
    """Lock of the sweep, which is held while they run."""
    resources: Resources
    """Resources that each trial gets."""
    watcher: Watcher
    scratch: str
    """Folder for Tune's files, which are not needed later: everything that lasts is in the sweep's files."""

    def run(self, next_round: Callable[[int], Round | None]) -> None:
        """Run all trials. If its share of the cluster changes, stop and go on with that.

        Args:
            next_round: makes a round of the trials that are left, with so many at a time; returns None if none are.

        Raises:
            UnfitNodesError: no trial can run on the nodes that the cluster starts.
        """
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the watcher prints a line in place of tracebacks
        presence = Presence() if self.resources.shared else None
        with self._looking_at_newcomers():
            self._run(next_round, presence)

    def _looking_at_newcomers(self) -> AbstractContextManager[None]:
        if not self.resources.shared:
            return nullcontext()
        resources, plan = self.resources, self.plan
        return looking_at_newcomers(
            self.sweep,
            resources.checked,
            self._leave_out,
            self.watcher.say,
            lambda node, is_over: check_gpus(resources, plan, (node,), is_over),
        )

    def _leave_out(self, node: str, why: str) -> None:
        gave_up = self.resources.gives_up(self.watcher.unfit)
        self.watcher.leave_out(node, why)
        if self.resources.gives_up(self.watcher.unfit) and not gave_up:
            self.watcher.say("Nodes that the cluster starts are unfit again and again: the sweep asks for no more.")

    def _check_that_a_node_is_fit(self) -> None:
        unfit = self.watcher.unfit
        if self.resources.gives_up(unfit) and not self.resources.slots(unfit):
            *_, why = unfit.values()
            raise UnfitNodesError(
                f"{why} The cluster started {len(unfit)} nodes on which no trial can run, and has no others; each "
                "costs, so the sweep asks for no more. What was recorded is kept; mend them, and the same command goes "
                "on."
            )

    def _run(self, next_round: Callable[[int], Round | None], presence: Presence | None) -> None:
        while self.watcher.ending in (None, "shares changed"):
            self.watcher.begin_round()
            self._check_that_a_node_is_fit()
            limit = _Limit(self, presence)
            this_round = next_round(limit.current())
            if this_round is None:
                break
            self.watcher.now_and_then = partial(limit.update, this_round)
            try:
                with ending_stopped_workers(self.watcher):
                    while_ray_lives(self._tuner(this_round).fit, self._is_over)
            except RayLost:
                self.watcher.stop("ray lost")
            if self.watcher.ending is None:
                break

    def _is_over(self) -> bool:
        """Record the sweep's progress, and return whether it must end without waiting for its trials any longer."""
        self.watcher.record()
        return self.watcher.ending == "storage blocked" or self.watcher.seconds_since_end > SECONDS_TO_SAVE

    def _tuner(self, this: Round) -> tune.Tuner:
        resources = self.resources
        return tune.Tuner(
            tune.with_resources(TrialTrainable, resources.request(self.watcher.unfit)),
            param_space={
                "sweep": self.sweep.location,
                "evaluate_at": list(self.plan.evaluate_at),
                "final_metrics": list(self.plan.final_metrics),
                "device": "cuda" if resources.gpus else "cpu",
                "time_budget": self.plan.options.trial_time_budget,
                "plateau": self.plan.plateau,
                "precision": self.plan.options.precision,
                "threads": max(1, int(resources.cpus)),
                "hparams": list(dict.fromkeys([*self.plan.swept, "seed"])),
                "reported": list(self.plan.reported),
                "versions": versions(),
                "extensions": loaded(),
                "packed": resources.packed,
            },
            tune_config=tune.TuneConfig(
                search_alg=this.search_alg,
                num_samples=-1,  # until the search has no more
                scheduler=this.scheduler,
                reuse_actors=True,
                # Kept with every trial, so it must hold nothing that grows with their number.
                trial_name_creator=lambda trial: trial.config["label"],
                trial_dirname_creator=lambda trial: trial.config["key"],
            ),
            run_config=tune.RunConfig(
                storage_path=self.scratch,
                failure_config=tune.FailureConfig(max_failures=self.plan.options.max_failures),
                stop=_StopAll(self.watcher),
                callbacks=[self.watcher, *this.callbacks],
                verbose=0,
            ),
        )


class _Limit:
    """The number of trials that run at a time: as many as the cluster holds, or this sweep's share of it."""

    def __init__(self, rounds: Rounds, presence: Presence | None) -> None:
        self._resources, self._most = rounds.resources, rounds.plan.options.max_concurrent
        self._lock = rounds.lock
        self._watcher = rounds.watcher
        self._presence = presence

    def current(self) -> int:
        """Return the present limit."""
        # Of all that the cluster holds, since shares are compared with those of sweeps with other limits.
        unfit = self._watcher.unfit
        capacity = self._resources.trials_at_a_time(None, unfit)
        share = self._presence.slots(self._wanted, capacity) if self._presence else capacity
        if self._most is not None:
            return min(share, self._most)
        # A worker whose trial has ended is kept if another trial waits for it, and else given back.
        waiting = 0 if self._resources.gives_up(unfit) else TRIALS_THAT_WAIT
        return share if share < capacity else capacity + waiting

    @property
    def _wanted(self) -> int:
        left = self._watcher.left
        return left if self._most is None else min(left, self._most)

    def update(self, this: Round) -> None:
        """Look at the cluster again. A larger limit takes effect at once; a smaller one ends the round."""
        if not self._lock.held:
            self._watcher.stop("lock lost")
        limit = this.search_alg.max_concurrent = self.current()
        if self._presence and len(self._watcher.running) > limit:
            self._watcher.stop("shares changed")


class _StopAll(tune.Stopper):
    """Stops all trials when the watcher says so."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False, since no single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Return whether all trials shall stop."""
        return self._watcher.ending is not None
