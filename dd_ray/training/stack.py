"""The training of a stack of trials that share their network and their data."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

import torch

from dd_ray.config import TrialConfig, fields_with
from dd_ray.data import Dataset, make_dataset
from dd_ray.training.blocks import Blocks
from dd_ray.training.fused import Method
from dd_ray.training.trial import Trial, TrialState

StackMethod = Method | Literal["auto", "alone"]


class Stack:
    """K trials trained together: those at the same iteration learn from one rendering of its batch.

    On a CPU the trials are stepped one after the other, where fusing them does not pay. Each gets what it
    would get alone, bit for bit. On a GPU they are stepped as one, each to floating-point reordering of what it would
    get alone. Trials may join or leave at any time.

    Args:
        configs: the first trials.
        device: where they are trained.
        method: alone, one trial after the other; one of `fused.METHODS`; or auto: alone on a CPU, the fastest of them
            on a GPU, by measurement.
    """

    def __init__(
        self,
        configs: Iterable[TrialConfig] = (),
        device: torch.device | str = "cpu",
        method: StackMethod = "auto",
    ) -> None:
        self.device = torch.device(device)
        self._trials: dict[str, Trial] = {}
        self._dataset: Dataset | None = None
        self._shared: dict[str, Any] = {}
        alone = method == "alone" or (method == "auto" and self.device.type == "cpu")
        self._blocks = None if alone else Blocks(self.device, cast("Method", method))
        self.add_all((config, None) for config in configs)

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._trials.values())

    def __getitem__(self, key: str) -> Trial:
        return self._trials[key]

    @property
    def fused(self) -> bool:
        """Whether its trials are stepped as one."""
        return self._blocks is not None

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
        self.add_all([(config, state)])
        return self._trials[config.key]

    def add_all(self, members: Iterable[tuple[TrialConfig, TrialState | None]]) -> None:
        """Let trials join together, which is faster than one by one: their block has its size at once.

        Args:
            members: each trial, and the state that it goes on from; None where it begins.

        Raises:
            ValueError: one is in the stack already, or cannot share a stack with the others. None of them joins.
        """
        joining: dict[str, Trial] = {}
        shared = self._shared if self._trials else {}
        for config, state in members:
            if config.key in self._trials or config.key in joining:
                raise ValueError(f"trial {config.key} is in the stack already")
            its = _shared(config)
            if difference := next((name for name, value in its.items() if shared and value != shared[name]), None):
                raise ValueError(f"trials of one stack must agree in {difference}")
            shared = its
            trial = joining[config.key] = Trial(config, self.device)
            if state is not None:
                trial.restore(state)
        if not joining:
            return
        trials = list(joining.values())
        if self._dataset is None or not self._trials:
            self._dataset = make_dataset(trials[0].config, self.device)
        if self._blocks is not None:
            self._blocks.add(trials)
        self._trials |= joining
        self._shared = shared

    def remove(self, key: str) -> Trial:
        """Let a trial leave."""
        trial = self._trials.pop(key)
        if self._blocks is not None:
            self._blocks.remove(trial)
        return trial

    def release(self) -> None:
        """Give back what memory of the device can be taken again by the next step."""
        if self._blocks is not None:
            self._blocks.release()

    def step(self, iterations: int = 1) -> None:
        """Take every trial `iterations` further."""
        for _ in range(iterations):
            self.step_trials(list(self))

    def step_trials(self, trials: Iterable[Trial]) -> None:
        """Take some of the trials one iteration further."""
        trials = list(trials)
        if not trials:
            return
        batches = self.dataset.batches({trial.iteration for trial in trials})
        if self._blocks is not None:
            self._blocks.step(trials, batches)
            return
        for trial in trials:
            trial.step(batches[trial.iteration])


def group_into_stacks(configs: Iterable[TrialConfig]) -> list[list[TrialConfig]]:
    """The configs in groups that can share a stack, in the order they came."""
    groups: dict[tuple[Any, ...], list[TrialConfig]] = {}
    for config in configs:
        groups.setdefault(shared_fields(config), []).append(config)
    return list(groups.values())


def shared_fields(config: TrialConfig) -> tuple[Any, ...]:
    """What trials that can share a stack have in common, to group them by."""
    return tuple(_shared(config).values())


def _shared(config: TrialConfig) -> dict[str, Any]:
    free = fields_with(free=True)
    return {name: value for name, value in (config.to_dict() | config.data).items() if name not in free}
