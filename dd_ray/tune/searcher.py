"""The source of a sweep's trials as Ray Tune sees it: a `Searcher` that names them, and a callback that hears of them.

Why not Ray's own `OptunaSearch` and `Repeater` (2.60, tried with Optuna 5.0): `OptunaSearch` keeps in memory which of
Tune's trials is which of Optuna's, so those that ran when the driver was killed stay RUNNING forever, and are not gone
on with unless it is unpickled from Tune's snapshot; a new command starts its sampler over, which draws the same points
again; it raises a KeyError where a trial reports without its metric, as ours do between evaluations. `Repeater` takes
the mean of the seeds that did not fail, which flatters a point where some do. Nor `tune.grid_search`, which copies all
values of a grid into each of its trials.
"""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from dd_ray.storage.trial_folders import TrialFolders
from dd_ray.sweep.source import Source
from dd_ray.trial.report import TrialReport


class SourceSearcher(Searcher):
    """Gives Tune one trial after another, and says so when there are no more.

    It opens the folder of a trial when it hands it out. It is to be used with a limit to the trials at a time, since
    Tune starts the trials of a searcher without one by one. It keeps nothing with Tune: a sweep goes on from its own
    files.

    Args:
        source: where trials come from.
        folders: of the trials.
    """

    def __init__(self, source: Source, folders: TrialFolders) -> None:
        super().__init__()
        self._source = source
        self._folders = folders

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # theirs has no FINISHED
        """The config of a trial: its key and label; None for now, `Searcher.FINISHED` at the end."""
        trial = self._source.next_trial()
        if trial is None:
            return None if self._source.waits else Searcher.FINISHED
        self._folders.open(trial)
        return {"key": trial.key, "label": self._folders.label_of(trial)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to do: `Listener` tells the source, after the outcome was written."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to do."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it with its snapshot, which nobody reads."""
        return {}


class JudgesThoseThatDecide(FIFOScheduler):
    """Lets a scheduler judge the trials that decide, and lets the others run to their end.

    All of a grid decide, and of a search the first seed of each suggestion.

    Args:
        judge: the scheduler.
        source: which knows the trials that decide.
    """

    def __init__(self, judge: TrialScheduler, source: Source) -> None:
        super().__init__()
        self._judge = judge
        self._source = source

    @property
    def metric(self) -> str | None:
        """What the judge compares."""
        return self._judge.metric

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """As the judge has it."""
        return self._judge.set_search_properties(metric, mode, **spec)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Let the judge see one that decides."""
        if self._decides(trial):
            self._judge.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """As `on_trial_add`."""
        if self._decides(trial):
            self._judge.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """The verdict; to go on, where there is none."""
        return self._judge.on_trial_result(tune_controller, trial, result) if self._decides(trial) else self.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """As `on_trial_add`."""
        if self._decides(trial):
            self._judge.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """As `on_trial_add`."""
        if self._decides(trial):
            self._judge.on_trial_remove(tune_controller, trial)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to do: a sweep goes on from its own files."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do."""

    def _decides(self, trial: Trial) -> bool:
        return self._source.decides(trial.config["key"])


class Listener(Callback):
    """Tells the source of evaluations and ends. It is to come after the callback that writes outcomes."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An evaluation, or a sign of life without one."""
        if TrialReport.from_tune(result).metrics:
            self._source.trial_evaluated(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It finished, diverged, or was stopped."""
        self._source.trial_ended(trial.config["key"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It was given up."""
        self._source.trial_ended(trial.config["key"])
