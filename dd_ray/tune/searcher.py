"""Connects a sweep's source of trials to Ray Tune: a `Searcher` that hands them out, and a callback that reports back.

Ray's own `OptunaSearch` and `Repeater` (2.60, tried with Optuna 5.0) are not used: `OptunaSearch` keeps in memory which
of Tune's trials is which of Optuna's, so trials that ran when the driver was killed stay RUNNING for ever, and are not
continued unless it is unpickled from Tune's snapshot; in a new command its sampler starts over and draws the same
points again; and it raises a KeyError if a trial reports without its metric, as ours do between evaluations. `Repeater`
takes the mean of the seeds that did not fail, which flatters a point where some do. `tune.grid_search` is not used
since it copies all values of a grid into each of its trials.
"""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from dd_ray.storage.trial_folders import TrialFolders
from dd_ray.sweep.source import Source
from dd_ray.trial.report import TrialReport
from dd_ray.tune.progress import Watcher


class SourceSearcher(Searcher):
    """Gives Tune one trial after another, and tells it when there are no more.

    It opens the folder of a trial when it hands the trial out. Use it with a limit of trials at a time, since without
    one Tune starts a searcher's trials one by one. It stores nothing with Tune, since a sweep goes on from its own
    files.

    Args:
        source: source of the trials.
        folders: folders of the trials.
    """

    def __init__(self, source: Source, folders: TrialFolders) -> None:
        super().__init__()
        self._source = source
        self._folders = folders

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # theirs has no FINISHED
        """Return a trial's config, its key and label; None if there is none now, `Searcher.FINISHED` at the end."""
        trial = self._source.next_trial()
        if trial is None:
            return None if self._source.waits else Searcher.FINISHED
        self._folders.open(trial)
        return {"key": trial.key, "label": self._folders.label_of(trial)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing, since `Listener` tells the source after the outcome was written."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing, since a sweep goes on from its own files."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, since a sweep goes on from its own files."""

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, since Tune pickles it into a snapshot that nobody reads."""
        return {}


class DecidingTrialsScheduler(FIFOScheduler):
    """Lets a scheduler judge the trials that decide, and all others run to their end.

    All trials of a grid decide, and the first seed of each suggestion of a search.

    Args:
        judge: the scheduler that judges.
        source: source of the trials, which tells those that decide.
    """

    def __init__(self, judge: TrialScheduler, source: Source) -> None:
        super().__init__()
        self._judge = judge
        self._source = source

    @property
    def metric(self) -> str | None:
        """Metric that the judge compares by."""
        return self._judge.metric

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Pass the properties on to the judge."""
        return self._judge.set_search_properties(metric, mode, **spec)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the judge, if the trial decides."""
        if self._decides(trial):
            self._judge.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the judge, if the trial decides."""
        if self._decides(trial):
            self._judge.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return the judge's verdict; to go on, if the trial does not decide."""
        return self._judge.on_trial_result(tune_controller, trial, result) if self._decides(trial) else self.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Tell the judge, if the trial decides."""
        if self._decides(trial):
            self._judge.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Tell the judge, if the trial decides."""
        if self._decides(trial):
            self._judge.on_trial_remove(tune_controller, trial)

    def save(self, checkpoint_path: str) -> None:
        """Do nothing, since a sweep goes on from its own files."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, since a sweep goes on from its own files."""

    def _decides(self, trial: Trial) -> bool:
        return self._source.decides(trial.config["key"])


class Listener(Callback):
    """Tells the source of evaluations and ends. It must come after the watcher, which writes outcomes."""

    def __init__(self, source: Source, watcher: Watcher) -> None:
        self._source, self._watcher = source, watcher

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Tell the source of an evaluation, if the report has one."""
        if TrialReport.from_tune(result).metrics:
            with self._watcher.ending_with_the_storage():
                self._source.trial_evaluated(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell the source that a trial finished, diverged, was stopped or was given up."""
        with self._watcher.ending_with_the_storage():
            self._source.trial_ended(trial.config["key"])

    on_trial_error = on_trial_complete
