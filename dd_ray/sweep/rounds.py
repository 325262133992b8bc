"""The trials of a sweep on Ray Tune, in rounds: a round ends early where the sweep's share of the cluster shrinks."""

from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator

from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED
from dd_ray.sweep.cluster import Resources
from dd_ray.sweep.files import Lock
from dd_ray.sweep.plan import Cell, Plan
from dd_ray.sweep.progress import Watcher
from dd_ray.sweep.rungs import RememberingASHA
from dd_ray.sweep.sharing import Presence
from dd_ray.sweep.store import SweepFolder, in_parallel
from dd_ray.sweep.trainable import CellTrainable
from dd_ray.sweep.versions import versions


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

    def run(self, cells: list[Cell]) -> None:
        """Run cells; where other sweeps come to the cluster, stop, and go on with fewer at a time."""
        presence = Presence() if self.plan.options.address is not None else None
        while self.watcher.unfinished and self.watcher.ending in (None, "shares changed"):
            self.watcher.ending = None
            limit = _Limit(self, presence)
            self.watcher.now_and_then = limit.update
            self._tuner([cell for cell in cells if cell.key in self.watcher.unfinished], limit).fit()

    def _tuner(self, cells: list[Cell], limit: "_Limit") -> tune.Tuner:
        resources, labels = self.resources, {cell.key: cell.label for cell in cells}
        return tune.Tuner(
            tune.with_resources(CellTrainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
            param_space={
                "sweep": self.sweep.location,
                "key": tune.grid_search([cell.key for cell in cells]),
                "evaluate_at": list(self.plan.evaluate_at),
                "device": "cuda" if resources.gpus else "cpu",
                "threads": max(1, int(resources.cpus)),
                "hparams": list(dict.fromkeys([*self.plan.swept, "seed"])),
                "versions": versions(),
            },
            tune_config=tune.TuneConfig(
                search_alg=limit.generator,
                scheduler=self._scheduler(),
                reuse_actors=True,
                trial_name_creator=lambda trial: labels[trial.config["key"]],
                trial_dirname_creator=lambda trial: trial.config["key"],
            ),
            run_config=tune.RunConfig(
                storage_path=self.scratch,
                failure_config=tune.FailureConfig(max_failures=self.plan.options.max_failures),
                stop=_StopAll(self.watcher),
                callbacks=[self.watcher],
                verbose=0,
            ),
        )

    def _scheduler(self) -> TrialScheduler:
        options = self.plan.options
        if options.scheduler == "none":
            return FIFOScheduler()
        keys = [cell.key for cell in self.plan.cells]
        recorded = in_parallel(lambda key: self.sweep.cell(key).evaluations(), keys)
        return RememberingASHA(
            dict(zip(keys, recorded, strict=True)),
            time_attr="iteration",
            metric=options.metric,
            mode=REPORTED[options.metric].better,
            max_t=options.iterations,
            grace_period=self.plan.grace_period,
            reduction_factor=options.reduction_factor,
        )


class _Limit:
    """How many trials run at a time: as many as the cluster holds, or this sweep's share of it."""

    def __init__(self, rounds: Rounds, presence: Presence | None) -> None:
        self._options = rounds.plan.options
        self._lock = rounds.lock
        self._watcher = rounds.watcher
        self._presence = presence
        self.generator = BasicVariantGenerator(max_concurrent=self._current())

    def update(self) -> None:
        """Look at the cluster again. A larger limit holds at once; a smaller one ends the round."""
        if not self._lock.held:
            self._watcher.stop("lock lost")
        limit = self.generator.max_concurrent = self._current()
        if self._presence and len(self._watcher.running) > limit:
            self._watcher.stop("shares changed")

    def _current(self) -> int:
        try:
            capacity = Resources.of_cluster(self._options).slots
        except UserError:  # nodes are gone for the moment; at the start that was an error
            return 1
        wanted = len(self._watcher.unfinished)
        return self._presence.slots(wanted, capacity) if self._presence else capacity


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
