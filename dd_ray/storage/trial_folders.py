"""The folders of a sweep's trials, made as the trials come to be trained."""

import sys
from typing import Protocol

from dd_ray.config import TrialConfig
from dd_ray.errors import printable
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder, TrialFolder, in_parallel


class TrialToKeep(Protocol):
    """A trial that has, or gets, a folder."""

    @property
    def key(self) -> str:
        """Content address of its config."""
        ...

    @property
    def label(self) -> str:
        """What is to tell it from the others."""
        ...

    @property
    def config(self) -> TrialConfig:
        """What it is."""
        ...


def _label_of(folder: TrialFolder) -> str | None:
    """The label of a trial; None where it is not known any more."""
    try:
        return str(folder.describe()["label"])
    except DamagedError:
        return None


class TrialFolders:
    """Opens folders, and gives each trial a label that no other has: it names a TensorBoard run.

    Args:
        sweep: with the folders of earlier trials, which keep their labels.
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
        """Its label; with a part of its key where another trial has that label."""
        if trial.key not in self._labels:
            label = f"{trial.label},key={trial.key[:6]}" if trial.label in self._taken else trial.label
            self._labels[trial.key] = label
            self._taken.add(label)
        return self._labels[trial.key]

    def open(self, *trials: TrialToKeep) -> None:
        """Make the folders of those that have none, and forget how the others ended, since they go on; once each.

        What does not agree of a trial is set aside, and the trial begins anew.
        """
        for trial in trials:
            self.label_of(trial)  # in their order
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
