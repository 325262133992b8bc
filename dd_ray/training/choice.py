"""Chooses the method that computes a block of trials: the fastest of those that work on this device."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch

from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.storage.gpu_attempts import Attempts, of_this_user
from dd_ray.storage.versions import versions
from dd_ray.training.fused import Block, Method, methods_of
from dd_ray.training.graphs import release_memory
from dd_ray.training.trial import Trial
from dd_ray.training.triton_convolutions import KernelError

REHEARSALS = 5
"""Number of steps by which methods are compared."""
STEPS_TO_MEASURE_AGAIN = 3000
"""Number of steps that a smaller block takes by the method of the larger one it came from, before methods are measured
again. Measuring takes half a minute, and when trials end one after the other, the last ones end soon."""
MOST_STREAMED = 64
"""The most trials that are tried on streams of their own: a graph of more has tens of thousands of nodes, and takes
minutes to capture."""


class DeviceLost(RuntimeError):
    """A method has made the GPU unusable for this process; the next process will not use the method."""


class Choice:
    """Keeps the methods that work on a device, and the fastest for blocks of each size.

    Args:
        device: device of the blocks.
        method: the method to use; auto measures all of them on a GPU, once for blocks of similar size, when they have
            settled. A method that fails, or lets NaN of one trial reach others, is left out with a warning, and one
            that makes the GPU unusable is left out in later processes, too.
        attempts: record of such methods; by default in the user's cache, for a GPU.

    Raises:
        UserError: the method is not available on the device.
    """

    def __init__(
        self, device: torch.device, method: Method | Literal["auto"], attempts: Attempts | None = None
    ) -> None:
        self._device = device
        self._methods = list(methods_of(device))
        if method not in ("auto", *self._methods):
            raise UserError(
                f"method = {method} needs a GPU (device = {device.type}) and the package triton, which comes with "
                f"PyTorch's CUDA builds; install one, or take one of {', '.join(self._methods)}."
            )
        self._method = method
        self._attempts = attempts or _attempts_on(device)
        self._measured: dict[int, Method] = {}
        self._proven: set[tuple[Method, int]] = set()
        self._apart: set[tuple[Method, int]] = set()
        if method == "auto" and self._attempts is not None:
            self._leave_out_those_given_up(self._attempts)

    def method_for(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch]) -> Method:
        """Return the method of a block, after measuring if that is due."""
        if self._method != "auto":
            return self._method
        if not self.is_to_be_measured(block):
            return self._measured[_size(block)]
        larger = [size for size in sorted(self._measured) if size > _size(block)]
        if block.num_steps >= STEPS_TO_MEASURE_AGAIN or (block.settled and not larger):
            self.measure(block, trials, batches)
            return self._measured[_size(block)]
        return self._measured[larger[0]] if larger else self._first(block, trials, batches)

    def _first(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch]) -> Method:
        """Return the first method that keeps trials apart, for the steps before the fastest is known."""
        for method in tuple(self._methods):
            if (method, _size(block)) in self._apart or len(self._methods) == 1:
                return method
            try:
                with self.attempt(method, block):
                    self._check_keeps_apart(block, trials, batches, method)
            except torch.OutOfMemoryError:
                return method  # the step itself handles the error
            except (KernelError, RuntimeError) as error:
                self.leave_out(method, error)
            else:
                return method
        return self._methods[0]

    def _check_keeps_apart(
        self, block: Block, trials: list[Trial], batches: Mapping[int, Batch], method: Method
    ) -> None:
        what = (method, _size(block))
        if what in self._apart or len(trials) < 2:
            return
        if not block.isolates(trials, batches, method):
            raise KernelError("A trial that diverges would make others diverge.")
        self._apart.add(what)

    def is_to_be_measured(self, block: Block) -> bool:
        """Return whether the fastest method for blocks of about its size is still unknown."""
        return self._method == "auto" and _size(block) not in self._measured

    def measure(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch]) -> None:
        """Find the fastest method for blocks of about this size."""
        seconds = dict.fromkeys(self._methods, math.inf)
        for method in tuple(self._methods):
            if method != "streams" or len(block.slots) <= MOST_STREAMED:
                seconds[method] = self._seconds_of(block, trials, batches, method)
        self._measured[_size(block)] = min(self._methods, key=lambda method: seconds[method])

    @contextmanager
    def attempt(self, method: Method, block: Block) -> Iterator[None]:
        """Run the block with a method. The first time, wait for the device, so that an error can be attributed to it.

        Raises:
            DeviceLost: it has made the GPU unusable for this process.
        """
        what = (method, _size(block))
        if self._attempts is None or what in self._proven:
            yield
            return
        with self._attempts.trying(method):
            yield
            if error := _error_of(self._device):
                raise self._lost(method, error) from error
        self._proven.add(what)

    def leave_out(self, method: Method, error: Exception) -> None:
        """Stop using a method that has failed.

        Raises:
            DeviceLost: it has made the GPU unusable for this process, which is recorded.
            Exception: the error, if there is no other method.
        """
        if isinstance(error, DeviceLost):
            raise error
        if lost := _error_of(self._device):
            raise self._lost(method, error) from lost
        if self._method != "auto" or len(self._methods) == 1:
            raise error
        warnings.warn(f"method = {method} is left out. {error}", stacklevel=2)
        self._methods.remove(method)
        self._measured = {size: fastest for size, fastest in self._measured.items() if fastest != method}

    def _leave_out_those_given_up(self, attempts: Attempts) -> None:
        for method in tuple(self._methods):
            if len(self._methods) > 1 and (why := attempts.given_up(method)):
                warnings.warn(f"method = {method} is left out: {why}.", stacklevel=2)
                self._methods.remove(method)

    def _lost(self, method: Method, error: Exception) -> DeviceLost:
        if self._attempts is not None:
            self._attempts.give_up(method, f"it cost a process its GPU: {str(error).partition(chr(10))[0]}")
        return DeviceLost(f"this process has lost its GPU to method = {method}, which later ones do without: {error}")

    def _seconds_of(self, block: Block, trials: list[Trial], batches: Mapping[int, Batch], method: Method) -> float:
        """Measure the seconds of a step; infinite if memory is short, or the method fails, which is then left out."""
        try:
            with self.attempt(method, block):
                self._check_keeps_apart(block, trials, batches, method)
                if method == "triton" and not block.agrees(trials, batches, method):
                    raise KernelError("Its gradients are not those of PyTorch's convolutions.")
                seconds = _seconds(block.rehearsal(trials, batches, method))
        except torch.OutOfMemoryError:
            seconds = math.inf
        except (KernelError, RuntimeError) as error:  # from a library or a compiler; another method may not need it
            self.leave_out(method, error)
            seconds = math.inf
        block.close()
        release_memory()
        return seconds


def _attempts_on(device: torch.device) -> Attempts | None:
    if device.type != "cuda":
        return None
    return of_this_user(f"{torch.cuda.get_device_name(device)} {versions()}")


def _error_of(device: torch.device) -> Exception | None:
    """Wait for a GPU, and return the error that it gives if it has become unusable; else None."""
    try:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except RuntimeError as error:
        return error
    return None


def _size(block: Block) -> int:
    """Return a class of sizes, within which blocks differ by up to four times; methods are measured once for each."""
    return len(block.slots).bit_length() // 2


def _seconds(rehearsal: Callable[[], Callable[[], object]]) -> float:
    """Measure the seconds of a step on a GPU."""
    step = rehearsal()
    step()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(REHEARSALS):
        step()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000
