"""The trials of a sweep on Ray Tune, in rounds: a round ends early where the sweep's share of the cluster shrinks."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ray import tune
from ray.tune.schedulers import TrialScheduler

from dd_ray.config.extensions import loaded
from dd_ray.storage.files import Lock
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import versions
from dd_ray.sweep.plan import Plan
from dd_ray.tune.cluster import Resources
from dd_ray.tune.progress import Watcher
from dd_ray.tune.pulse import RayLost, while_ray_lives
from dd_ray.tune.sharing import Presence
from dd_ray.tune.trial_trainable import TrialTrainable

TRIALS_THAT_WAIT = 8
"""Trials that are ready to go on with a worker, so that it is not given back to the cluster and started anew."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """The trials of a round, and how they are compared."""

    search_alg: Any
    """Gives the key and the label of one trial after another; `max_concurrent` is how many at a time."""
    scheduler: TrialScheduler
    callbacks: tuple[tune.Callback, ...] = ()
    """They come after the watcher's."""


@dataclass(frozen=True)
class Rounds:
    """What all rounds of a sweep have in common."""

    plan: Plan
    sweep: SweepFolder
    lock: Lock
    """Held while they run."""
    resources: Resources
    """What each trial gets."""
    watcher: Watcher
    scratch: str
    """Folder for what Tune writes, which is of no use to anyone later: all that lasts is in the sweep's files."""

    def run(self, next_round: Callable[[int], Round | None]) -> None:
        """Run all trials; where other sweeps come to the cluster, stop, and go on with fewer at a time.

        Args:
            next_round: makes a round of what is left, with so many trials at a time; None where nothing is.
        """
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the watcher says in a line what it has traces for
        presence = Presence() if self.resources.shared else None
        while self.watcher.ending in (None, "shares changed"):
            self.watcher.ending = None
            limit = _Limit(self, presence)
            this_round = next_round(limit.current())
            if this_round is None:
                break
            self.watcher.now_and_then = partial(limit.update, this_round)
            try:
                while_ray_lives(self._tuner(this_round).fit)
            except RayLost:
                self.watcher.stop("ray lost")
            if self.watcher.ending is None:
                break

    def _tuner(self, this: Round) -> tune.Tuner:
        resources = self.resources
        return tune.Tuner(
            tune.with_resources(TrialTrainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
            param_space={
                "sweep": self.sweep.location,
                "evaluate_at": list(self.plan.evaluate_at),
                "final_metrics": list(self.plan.final_metrics),
                "device": "cuda" if resources.gpus else "cpu",
                "time_budget": self.plan.options.trial_time_budget,
                "precision": self.plan.options.precision,
                "threads": max(1, int(resources.cpus)),
                "hparams": list(dict.fromkeys([*self.plan.swept, "seed"])),
                "versions": versions(),
                "extensions": loaded(),
                "packed": resources.packed,
            },
            tune_config=tune.TuneConfig(
                search_alg=this.search_alg,
                num_samples=-1,  # until the search says that there are no more
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
    """How many trials run at a time: as many as the cluster holds, or this sweep's share of it."""

    def __init__(self, rounds: Rounds, presence: Presence | None) -> None:
        self._resources, self._most = rounds.resources, rounds.plan.options.max_concurrent
        self._lock = rounds.lock
        self._watcher = rounds.watcher
        self._presence = presence

    def current(self) -> int:
        """The limit at present."""
        capacity = self._resources.trials_at_a_time(self._most)
        share = self._presence.slots(self._watcher.left, capacity) if self._presence else capacity
        # A worker that has ended its trial is kept if another trial waits for it, and else given back.
        return share if share < capacity or self._most else capacity + TRIALS_THAT_WAIT

    def update(self, this: Round) -> None:
        """Look at the cluster again. A larger limit holds at once; a smaller one ends the round."""
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
        """Whether a single trial stops: never."""
        return False

    def stop_all(self) -> bool:
        """Whether all stop."""
        return self._watcher.ending is not None
