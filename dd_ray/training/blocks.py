"""Keeps the trials of a stack in blocks that are stepped as one: a single block, unless memory runs out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch

from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.training.choice import Choice
from dd_ray.training.fused import Block, Method
from dd_ray.training.graphs import Pool, release_memory
from dd_ray.training.trial import Trial
from dd_ray.training.triton_convolutions import KernelError

SIZES_AN_OCTAVE = 8
"""Number of block capacities between n and 2n, from n = 16 on: few, so that few steps are captured as trials come and
go. Smaller capacities are even, or less than 4."""


class Blocks:
    """The trials on a device, each of which is in one block.

    Args:
        device: device of the trials.
        method: method of computing them, see `Choice`.

    Raises:
        UserError: the method is not available on the device.
    """

    def __init__(self, device: torch.device, method: Method | Literal["auto"]) -> None:
        self._device = device
        self._choice = Choice(device, method)
        self._pool = Pool()
        self._home: dict[str, Block] = {}
        self._most = math.inf

    def add(self, trials: Sequence[Trial]) -> None:
        """Add trials, to free slots or to a block that is made large enough for all of them."""
        smallest = min(self._blocks(), key=lambda block: len(block.trials), default=None)
        if smallest is None or len(smallest.trials) + len(trials) > self._most:
            most = min(len(trials), self._most)
            for begin in range(0, len(trials), int(most)):
                self._settle(trials[begin : begin + int(most)])
        elif smallest.slots.count(None) >= len(trials):
            for trial in trials:
                smallest.add(trial)
                self._home[trial.config.key] = smallest
        else:
            self._settle([*smallest.trials, *trials])

    def remove(self, trial: Trial) -> None:
        """Remove a trial. Then merge two blocks that fit into one, and make a block smaller that is much too large."""
        block = self._home.pop(trial.config.key)
        block.remove(trial)
        smallest = sorted(self._blocks(), key=lambda each: len(each.trials))[:2]
        if len(smallest) == 2 and sum(len(each.trials) for each in smallest) <= self._most:
            self._settle([trial for each in smallest for trial in each.trials])
        elif block.trials and 4 * capacity_for(len(block.trials)) <= 3 * len(block.slots):
            self._settle(block.trials)

    def step(self, trials: Iterable[Trial], batches: Mapping[int, Batch]) -> None:
        """Train some of the trials for one iteration, each on the batch of its iteration.

        Raises:
            UserError: there is not enough memory for a single trial.
            DeviceLost: a method has made the GPU unusable for this process.
        """
        waiting = list(trials)
        while waiting:
            block = self._home[waiting[0].config.key]
            together = [trial for trial in waiting if self._home[trial.config.key] is block]
            method = self._choice.method_for(block, together, batches)
            try:
                with self._choice.attempt(method, block):
                    block.step(together, batches, method)
                failure = None
            except torch.OutOfMemoryError as error:
                failure = error.with_traceback(None)  # the traceback would keep all tensors of the step
            except (KernelError, RuntimeError) as error:  # of a library or a compiler; no trial has been stepped
                self._choice.leave_out(method, error)
                block.close()
                continue
            if failure is not None and self._choice.is_to_be_measured(block):
                self.release()
                self._choice.measure(block, together, batches)  # another method may need less memory
            elif failure is not None:
                self._halve(block, failure)
            else:
                stepped = {trial.config.key for trial in together}
                waiting = [trial for trial in waiting if trial.config.key not in stepped]

    def release(self) -> None:
        """Free the memory of captured steps."""
        for block in self._blocks():
            block.close()
        release_memory()

    def _blocks(self) -> list[Block]:
        return list({id(block): block for block in self._home.values()}.values())

    def _settle(self, trials: Sequence[Trial]) -> None:
        """Move these trials into one new block."""
        block = Block(trials[0].config, capacity_for(len(trials)), self._device, self._pool)
        for trial in trials:
            if (before := self._home.get(trial.config.key)) is not None:
                before.remove(trial)
                if not before.trials:
                    before.close()
            block.add(trial)
            self._home[trial.config.key] = block

    def _halve(self, block: Block, error: torch.OutOfMemoryError) -> None:
        """Split a block, so that its halves are stepped one after the other from now on. None has been stepped yet."""
        trials = block.trials
        if len(trials) < 2:
            raise UserError(
                f"there is not enough memory for one trial of batch_size = {trials[0].config.batch_size}; "
                "give a smaller one, or fewer trials to a GPU (--gpus-per-trial)."
            ) from error
        self.release()
        self._most = math.ceil(len(trials) / 2)
        for half in (trials[: int(self._most)], trials[int(self._most) :]):
            self._settle(half)


def capacity_for(num_trials: int) -> int:
    """Return the capacity of a block for so many trials: at most an eighth more from 16 on, below at most a fifth."""
    if num_trials < 4:
        return num_trials
    octave = 2 ** (num_trials - 1).bit_length()
    grain = max(2, octave // 2 // SIZES_AN_OCTAVE)
    return math.ceil(num_trials / grain) * grain
