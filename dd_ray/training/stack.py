"""The training of a stack of trials that share their network and their data."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from dd_ray.config import TrialConfig
from dd_ray.data import Dataset, make_dataset
from dd_ray.training.trial import Trial, TrialState

FREE_IN_A_STACK = ("beta", "beta_norm", "gamma", "lam", "alpha", "learning_rate", "seed")
"""What may differ between the trials of a stack; all else must be equal."""


class Stack:
    """K trials trained together: those at the same iteration learn from one rendering of its batch.

    On a CPU the trials are stepped one after the other, where fusing them does not pay. Each gets what it
    would get alone, bit for bit, and may join or leave at any time.
    """

    def __init__(self, configs: Iterable[TrialConfig] = (), device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._trials: dict[str, Trial] = {}
        self._dataset: Dataset | None = None
        for config in configs:
            self.add(config)

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials.values())

    def __getitem__(self, key: str) -> Trial:
        return self._trials[key]

    @property
    def dataset(self) -> Dataset:
        """The data that all trials share.

        Raises:
            LookupError: no trial has joined yet, so the data is not known.
        """
        if self._dataset is None:
            raise LookupError("an empty stack has no dataset")
        return self._dataset

    def add(self, config: TrialConfig, state: TrialState | None = None) -> Trial:
        """Let a trial join, at its beginning or at a state.

        Raises:
            ValueError: it is in the stack already, or cannot share a stack with those that are.
        """
        if config.key in self._trials:
            raise ValueError(f"trial {config.key} is in the stack already")
        for member in self:
            if difference := _difference(config, member.config):
                raise ValueError(f"trials of one stack must agree in {difference}")
        trial = Trial(config, self.device)
        if state is not None:
            trial.restore(state)
        if self._dataset is None or not self._trials:
            self._dataset = make_dataset(config, self.device)
        self._trials[config.key] = trial
        return trial

    def remove(self, key: str) -> Trial:
        """Let a trial leave."""
        return self._trials.pop(key)

    def step(self, iterations: int = 1) -> None:
        """Take every trial `iterations` further."""
        for _ in range(iterations):
            self.step_trials(list(self))

    def step_trials(self, trials: Iterable[Trial]) -> None:
        """Take some of the trials one iteration further."""
        trials = list(trials)
        batches = {iteration: self.dataset.batch(iteration) for iteration in {t.iteration for t in trials}}
        for trial in trials:
            trial.step(batches[trial.iteration])


def group_into_stacks(configs: Iterable[TrialConfig]) -> list[list[TrialConfig]]:
    """The configs in groups that can share a stack, in the order they came."""
    groups: dict[tuple[Any, ...], list[TrialConfig]] = {}
    for config in configs:
        groups.setdefault(tuple(_shared(config).values()), []).append(config)
    return list(groups.values())


def _shared(config: TrialConfig) -> dict[str, Any]:
    return {name: value for name, value in config.to_dict().items() if name not in FREE_IN_A_STACK}


def _difference(a: TrialConfig, b: TrialConfig) -> str | None:
    theirs = _shared(b)
    return next((name for name, value in _shared(a).items() if value != theirs[name]), None)
