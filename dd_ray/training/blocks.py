"""The trials of a stack in blocks that are stepped as one: a single block, until memory runs out."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import torch

from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.training.fused import Block, Method, methods_of
from dd_ray.training.graphs import Pool, release_memory
from dd_ray.training.trial import Trial
from dd_ray.training.triton_convolutions import KernelError

SIZES_AN_OCTAVE = 8
"""Capacities of a block between n and 2n, from 16 on: few, so that few steps are captured as trials come and go. Below
they are powers of 2."""
REHEARSALS = 5
"""Steps by which methods are compared."""
MOST_STREAMED = 64
"""Trials that are tried on streams of their own: a graph of more has tens of thousands of nodes, and takes minutes."""


class Blocks:
    """Trials on a device, each in one block.

    Args:
        device: of the trials.
        method: how to compute them; auto measures all methods on a GPU, once for blocks of about a size, when they
            have settled.

    Raises:
        UserError: the method is not available on the device.
    """

    def __init__(self, device: torch.device, method: Method | Literal["auto"]) -> None:
        self._device = device
        self._methods = list(methods_of(device))
        if method not in ("auto", *self._methods):
            raise UserError(
                f"method = {method} needs a GPU (device = {device.type}) and the package triton, which comes with "
                f"PyTorch's CUDA builds; install one, or take one of {', '.join(self._methods)}."
            )
        self._method = method
        self._pool = Pool()
        self._home: dict[str, Block] = {}
        self._most = math.inf
        self._measured: dict[int, Method] = {}

    def add(self, trials: Sequence[Trial]) -> None:
        """Let trials in: into free slots, or into a block that is made large enough for all of them at once."""
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
        """Let a trial go; two blocks that fit into one become one, and one that has become much too large smaller."""
        block = self._home.pop(trial.config.key)
        block.remove(trial)
        smallest = sorted(self._blocks(), key=lambda each: len(each.trials))[:2]
        if len(smallest) == 2 and sum(len(each.trials) for each in smallest) <= self._most:
            self._settle([trial for each in smallest for trial in each.trials])
        elif block.trials and 4 * capacity_for(len(block.trials)) <= 3 * len(block.slots):
            self._settle(block.trials)

    def step(self, trials: Iterable[Trial], batches: Mapping[int, Batch]) -> None:
        """Take some of the trials one iteration further, each with the batch of its iteration.

        Raises:
            UserError: there is not enough memory for a single trial.
        """
        waiting = list(trials)
        while waiting:
            block = self._home[waiting[0].config.key]
            together = [trial for trial in waiting if self._home[trial.config.key] is block]
            try:
                block.step(together, batches, self._method_for(block, together, batches))
                failure = None
            except torch.OutOfMemoryError as error:
                failure = error.with_traceback(None)  # which holds what was computed
            if failure is not None and self._is_to_be_measured(block):
                self.release()
                self._measure(block, together, batches)  # another method may need less
            elif failure is not None:
                self._halve(block, failure)
            else:
                stepped = {trial.config.key for trial in together}
                waiting = [trial for trial in waiting if trial.config.key not in stepped]

    def release(self) -> None:
        """Give back the memory of captured steps."""
        for block in self._blocks():
            block.close()
        release_memory()

    def _blocks(self) -> list[Block]:
        return list({id(block): block for block in self._home.values()}.values())

    def _settle(self, trials: Sequence[Trial]) -> None:
        """Make a block for these trials, wherever they are."""
        block = Block(trials[0].config, capacity_for(len(trials)), self._device, self._pool)
        for trial in trials:
            if (before := self._home.get(trial.config.key)) is not None:
                before.remove(trial)
                if not before.trials:
                    before.close()
            block.add(trial)
            self._home[trial.config.key] = block

    def _halve(self, block: Block, error: torch.OutOfMemoryError) -> None:
        """Let half of a block's trials be stepped after the other half from now on; none of them has been stepped."""
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

    def _method_for(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch]) -> Method:
        if self._method != "auto":
            return self._method
        if self._is_to_be_measured(block):
            if not block.settled:
                return self._methods[0]
            self._measure(block, trials, batches)
        return self._measured[_size(block)]

    def _is_to_be_measured(self, block: Block) -> bool:
        return self._method == "auto" and _size(block) not in self._measured

    def _measure(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch]) -> None:
        """Find the fastest method for blocks of about this size."""
        seconds = dict.fromkeys(self._methods, math.inf)
        for method in tuple(self._methods):
            if method != "streams" or len(block.slots) <= MOST_STREAMED:
                seconds[method] = self._seconds_of(block, trials, batches, method)
        self._measured[_size(block)] = min(self._methods, key=lambda method: seconds[method])

    def _seconds_of(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch], method: Method) -> float:
        """Of a step; infinite where there is not the memory, or the method fails, which is then left out."""
        try:
            if method == "triton" and not block.agrees(trials, batches, method):
                raise KernelError("Its gradients are not those of PyTorch's convolutions.")
            return _seconds(block.rehearsal(trials, batches, method))
        except torch.OutOfMemoryError:
            return math.inf
        except (KernelError, RuntimeError) as error:  # of a library or a compiler; another method may do without it
            if len(self._methods) == 1:
                raise
            warnings.warn(f"method = {method} is left out. {error}", stacklevel=2)
            self._methods.remove(method)
            return math.inf
        finally:
            block.close()
            release_memory()


def capacity_for(num_trials: int) -> int:
    """Slots of a block for so many trials: from 16 on, at most an eighth more than there are trials."""
    octave = 2 ** (num_trials - 1).bit_length()
    grain = max(2, octave // 2 // SIZES_AN_OCTAVE) if num_trials > SIZES_AN_OCTAVE * 2 else octave
    return math.ceil(num_trials / grain) * grain


def _size(block: Block) -> int:
    """The same for blocks up to four times as large: methods are measured once for each."""
    return len(block.slots).bit_length() // 2


def _seconds(rehearsal: Callable[[], Callable[[], object]]) -> float:
    """Of a step on a GPU."""
    step = rehearsal()
    step()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(REHEARSALS):
        step()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000
