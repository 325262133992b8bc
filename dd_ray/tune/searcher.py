"""A search as Ray Tune sees it: a `Searcher` that names trials, and a callback that hears how they end.

Why not Ray's own `OptunaSearch` and `Repeater` (2.60, tried with Optuna 5.0): `OptunaSearch` keeps in memory which of
Tune's trials is which of Optuna's, so those that ran when the driver was killed stay RUNNING forever, and are not gone
on with unless it is unpickled from Tune's snapshot; a new command starts its sampler over, which draws the same points
again; it raises a KeyError where a trial reports without its metric, as ours do between evaluations. `Repeater` takes
the mean of the seeds that did not fail, which flatters a point where some do.
"""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.folders import TrialFolders
from dd_ray.sweep.suggestions import Suggestions
from dd_ray.tune.in_order import TrialSearcher


class SuggestionSearch(TrialSearcher):
    """Gives Tune one trial after another, and says so when there are no more.

    It opens the folder of a trial when it hands it out. It is to be used with a limit to the trials at a time, since
    Tune starts the trials of a searcher without one by one.

    Args:
        suggestions: where trials come from.
        sweep: where their folders are.
    """

    def __init__(self, suggestions: Suggestions, sweep: SweepFolder) -> None:
        super().__init__()
        self._suggestions = suggestions
        self._folders = TrialFolders(sweep)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # theirs has no FINISHED
        """The config of a trial: key and label of its trial; None for now, `Searcher.FINISHED` at the end."""
        trial = self._suggestions.next_trial()
        if trial is None:
            return None if self._suggestions.waits else Searcher.FINISHED
        self._folders.open(trial)
        return {"key": trial.key, "label": self._folders.label_of(trial)}


class FirstSeedDecides(FIFOScheduler):
    """Lets a scheduler judge the trials that decide over their suggestions, and lets the others run to their end.

    Args:
        judge: the scheduler.
        suggestions: which know the trials that decide.
    """

    def __init__(self, judge: TrialScheduler, suggestions: Suggestions) -> None:
        super().__init__()
        self._judge = judge
        self._suggestions = suggestions

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
        """Nothing to do: a search goes on from its own files."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do."""

    def _decides(self, trial: Trial) -> bool:
        return self._suggestions.decides(trial.config["key"])


class Listener(Callback):
    """Tells the suggestions of evaluations and ends. It is to come after the callback that writes outcomes."""

    def __init__(self, suggestions: Suggestions) -> None:
        self._suggestions = suggestions

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An evaluation, or a sign of life without one."""
        if "loss" in result:
            self._suggestions.trial_evaluated(trial.config["key"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It finished, diverged, or was stopped."""
        self._suggestions.trial_ended(trial.config["key"])

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """It was given up."""
        self._suggestions.trial_ended(trial.config["key"])
