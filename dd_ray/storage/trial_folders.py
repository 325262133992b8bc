"""Makes the folders of a sweep's trials when they are about to be trained."""

import sys
from typing import Protocol

from dd_ray.config import TrialConfig
from dd_ray.errors import printable
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import TrialFolder


class TrialToKeep(Protocol):
    """A trial as `TrialFolders` needs it."""

    @property
    def key(self) -> str:
        """Key of its config."""
        ...

    @property
    def label(self) -> str:
        """Label that should distinguish it from the others."""
        ...

    @property
    def config(self) -> TrialConfig:
        """Its config."""
        ...


def _label_of(folder: TrialFolder) -> str | None:
    """Return the label of a trial; None if it was lost."""
    try:
        return str(folder.describe()["label"])
    except DamagedError:
        return None


class TrialFolders:
    """Opens the folders of trials, and gives each trial a unique label, which names its TensorBoard run.

    Args:
        sweep: the sweep; trials that already have folders keep their labels.
    """

    def __init__(self, sweep: SweepFolder) -> None:
        self._sweep = sweep
        folders = sweep.trials()
        labels = in_parallel(_label_of, folders)
        known = {folder.key: label for folder, label in zip(folders, labels, strict=True)}
        self._labels = {key: label for key, label in known.items() if label is not None}
        self._taken = set(self._labels.values())
        self._opened: set[str] = set()

    def label_of(self, trial: TrialToKeep) -> str:
        """Return the label of a trial; if another trial has it, with a part of the key added."""
        if trial.key not in self._labels:
            label = f"{trial.label},key={trial.key[:6]}" if trial.label in self._taken else trial.label
            self._labels[trial.key] = label
            self._taken.add(label)
        return self._labels[trial.key]

    def open(self, *trials: TrialToKeep) -> None:
        """Make the folders of new trials, and remove the outcomes of others, since they go on; once for each trial.

        If the files of a trial contradict each other, they are set aside, and the trial begins anew.
        """
        for trial in trials:
            self.label_of(trial)  # in the order of the trials
        in_parallel(self._open, [trial for trial in trials if trial.key not in self._opened])
        self._opened |= {trial.key for trial in trials}

    def _open(self, trial: TrialToKeep) -> None:
        folder = self._sweep.trial(trial.key)
        try:
            folder.read()
        except FileNotFoundError:  # it is new
            pass
        except DamagedError as error:
            now = self._sweep.set_aside(f"cells/{trial.key}")
            told = f"{self._labels[trial.key]} is trained again, and what there was of it is in {now} now: {error}"
            print(printable(told), file=sys.stderr)
        folder.create(trial.config.to_dict(), self._labels[trial.key])
        folder.reopen()
