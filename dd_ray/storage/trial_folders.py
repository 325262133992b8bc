"""The folders of a sweep's trials, made as the trials come to be trained."""

from typing import Protocol

from dd_ray.config import TrialConfig
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel


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


class TrialFolders:
    """Opens folders, and gives each trial a label that no other has: it names a TensorBoard run.

    Args:
        sweep: with the folders of earlier trials, which keep their labels.
    """

    def __init__(self, sweep: SweepFolder) -> None:
        self._sweep = sweep
        folders = sweep.trials()
        described = in_parallel(lambda folder: folder.describe()["label"], folders)
        self._labels = {folder.key: label for folder, label in zip(folders, described, strict=True)}
        self._taken = set(described)
        self._opened: set[str] = set()

    def label_of(self, trial: TrialToKeep) -> str:
        """Its label; with a part of its key where another trial has that label."""
        if trial.key not in self._labels:
            label = f"{trial.label},key={trial.key[:6]}" if trial.label in self._taken else trial.label
            self._labels[trial.key] = label
            self._taken.add(label)
        return self._labels[trial.key]

    def open(self, *trials: TrialToKeep) -> None:
        """Make the folders of those that have none, and forget how the others ended, since they go on; once each."""
        for trial in trials:
            self.label_of(trial)  # in their order
        in_parallel(self._open, [trial for trial in trials if trial.key not in self._opened])
        self._opened |= {trial.key for trial in trials}

    def _open(self, trial: TrialToKeep) -> None:
        folder = self._sweep.trial(trial.key)
        folder.create(trial.config.to_dict(), self._labels[trial.key])
        folder.reopen()
