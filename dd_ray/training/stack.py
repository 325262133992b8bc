"""Trains a stack of trials that share their network and their data."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, cast

import torch

from dd_ray.config import TrialConfig, fields_with
from dd_ray.data import Dataset, fetched_dataset
from dd_ray.errors import UserError
from dd_ray.training.batches import Batches
from dd_ray.training.blocks import Blocks
from dd_ray.training.fused import Method
from dd_ray.training.graphs import on
from dd_ray.training.painting import Painting
from dd_ray.training.trial import Trial, TrialState

StackMethod = Method | Literal["auto", "alone"]


class Stack:
    """K trials that are trained together: those at the same iteration share one rendering of its batch.

    On a CPU, where fusing does not pay, the trials are stepped one after the other, and each gets the same numbers as
    alone, bit for bit. On a GPU they are stepped as one, and each gets the same as alone up to floating-point
    reordering. Trials may join or leave at any time.

    Args:
        configs: the trials to begin with.
        device: device on which they are trained.
        method: alone (one trial after the other), one of `fused.METHODS`, or auto: alone on a CPU, and on a GPU the one
            measured to be the fastest.
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
        self._batches: Batches | None = None
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
        """True if its trials are stepped as one."""
        return self._blocks is not None

    @property
    def dataset(self) -> Dataset:
        """The data that all trials share.

        Raises:
            LookupError: no trial has joined yet, so the data are unknown.
        """
        if self._dataset is None:
            raise LookupError("an empty stack has no dataset")
        return self._dataset

    def add(self, config: TrialConfig, state: TrialState | None = None) -> Trial:
        """Add a trial, at its beginning or at a state.

        Raises:
            ValueError: it is in the stack already, or cannot share a stack with the others.
        """
        self.add_all([(config, state)])
        return self._trials[config.key]

    def add_all(self, members: Iterable[tuple[TrialConfig, TrialState | None]]) -> None:
        """Add trials together, which is faster than one by one, since their block gets its final size at once.

        Args:
            members: each trial, and the state that it continues from; None if it begins.

        Raises:
            ValueError: a trial is in the stack already, or cannot share a stack with the others. None of them is added.
            UserError: a trial is to begin with other weights than those of its seed, and there is no state with them;
                or a user's own code fails `Trial.check_own_code`.
        """
        joining: dict[str, Trial] = {}
        shared = self._shared if self._trials else {}
        for config, state in members:
            if config.key in self._trials or config.key in joining:
                raise ValueError(f"trial {config.key} is in the stack already")
            if state is None and config.warm_start_weights is not None:
                raise UserError(
                    f"warm_start = {config.warm_start} is for sweeps, which take these weights; leave it out."
                )
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
            self._dataset = fetched_dataset(trials[0].config, self.device)
            if self.device.type == "cuda":
                self._dataset.paint = Painting(self._dataset.paint)
            # A GPU paints the images of a step by one launch, however few they are.
            self._batches = Batches(self._dataset, trials[0].config) if self.device.type == "cpu" else None
        for trial in trials:
            if trial.own_code:
                trial.check_own_code(self._dataset.batches([trial.iteration])[trial.iteration])
        if self._blocks is not None:
            self._blocks.add(trials)
        self._trials |= joining
        self._shared = shared

    def remove(self, key: str) -> Trial:
        """Remove a trial, and return it."""
        trial = self._trials.pop(key)
        if self._blocks is not None:
            self._blocks.remove(trial)
        return trial

    def release(self) -> None:
        """Free memory of the device that the next step can allocate again."""
        if self._blocks is not None:
            self._blocks.release()

    def step(self, iterations: int = 1) -> None:
        """Train every trial for so many iterations.

        Raises:
            ValueError: it is a negative number.
        """
        if iterations < 0:
            raise ValueError(f"iterations = {iterations} is out of range; give 0 or more.")
        for _ in range(iterations):
            self.step_trials(list(self))

    def step_trials(self, trials: Iterable[Trial]) -> None:
        """Train some of the trials for one iteration."""
        trials = list(trials)
        if not trials:
            return
        with on(self.device):
            self._step_trials(trials)

    def _step_trials(self, trials: list[Trial]) -> None:
        iterations = {trial.iteration for trial in trials}
        batches = self._batches.at(iterations) if self._batches else self.dataset.batches(iterations)
        if self._blocks is not None:
            self._blocks.step(trials, batches)
            return
        for trial in trials:
            trial.step(batches[trial.iteration])


def group_into_stacks(configs: Iterable[TrialConfig]) -> list[list[TrialConfig]]:
    """Group configs that can share a stack, in their order."""
    groups: dict[tuple[Any, ...], list[TrialConfig]] = {}
    for config in configs:
        groups.setdefault(shared_fields(config), []).append(config)
    return list(groups.values())


def shared_fields(config: TrialConfig) -> tuple[Any, ...]:
    """Return the values that trials must have in common to share a stack, to group them by."""
    return tuple(_shared(config).values())


def _shared(config: TrialConfig) -> dict[str, Any]:
    free = fields_with(free=True)
    return {name: value for name, value in (config.to_dict() | config.data).items() if name not in free}
