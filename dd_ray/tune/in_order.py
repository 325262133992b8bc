"""How Ray Tune is given trials: by a `Searcher` that names one after the other."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from ray.tune.search import Searcher

from dd_ray.sweep.plan import PlannedTrial


class TrialSearcher(Searcher):
    """A searcher that keeps nothing with Tune: a sweep goes on from its own files."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to do: whoever wants to know how a trial ended reads it from the sweep's files."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to do."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to do."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles it with its snapshot, which nobody reads."""
        return {}


class InOrder(TrialSearcher):
    """Gives the trials of a grid, where `tune.grid_search` would copy all its values into each of its trials."""

    def __init__(self, trials: Iterable[PlannedTrial]) -> None:
        super().__init__()
        self._trials = deque(trials)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # theirs has no FINISHED
        """The config of a trial: key and label of its trial; or `Searcher.FINISHED`."""
        if not self._trials:
            return Searcher.FINISHED
        trial = self._trials.popleft()
        return {"key": trial.key, "label": trial.label}
