"""Launches of our Triton kernels, recorded in place of being made, so that one can look at each by itself."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import torch

from dd_ray.models.networks.layers import images_kept_as
from dd_ray.training import triton_convolutions


@dataclass(frozen=True)
class Launch:
    """A kernel's name, and what it is launched with."""

    name: str
    grid: tuple[int, int, int]
    arguments: Sequence[Any]
    constants: Mapping[str, Any]

    def __call__(self) -> None:
        """Make it."""
        triton_convolutions._kernel(self.name)[self.grid](*self.arguments, **self.constants)

    @property
    def what(self) -> str:
        """From which images to which, by their channels and pixels."""
        sides = ("SOURCE", "TARGET") if self.name == "convolve" else ("GRADIENT", "IMAGES")
        return " to ".join("×".join(map(str, self.constants[side])) for side in sides)

    def parts(self) -> "dict[str, Launch]":
        """The launch as it is, and of both gradients of a layer each by itself."""
        if self.name == "convolve":
            return {"convolve": self}
        (programs, *others), tiles = self.grid, self.constants["KERNEL_TILES"]
        none = [0 if place == 7 else None if place in (3, 4) else value for place, value in enumerate(self.arguments)]
        kernel = replace(self, grid=(tiles, *others), arguments=none)
        if programs == tiles:
            return {"kernel": kernel}
        images = replace(self, grid=(programs - tiles, *others), constants={**self.constants, "KERNEL_TILES": 0})
        return {"images": images, "kernel": kernel, "both": self}


def recorded(run: Callable[[], object]) -> list[Launch]:
    """Return what something would launch."""
    launches: list[Launch] = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, grid: tuple[int, int, int]) -> Any:
            return lambda *arguments, **constants: launches.append(Launch(self.name, grid, arguments, constants))

    with mock.patch.object(triton_convolutions, "_kernel", Recorder):
        run()
    return launches


@contextmanager
def multiplied_as(precision: str) -> Iterator[None]:
    """During the block, let launches multiply ieee, tf32 or bf16, as Triton calls them, without a GPU too."""
    between = torch.bfloat16 if precision == "bf16" else torch.float32
    with images_kept_as(between), mock.patch.object(triton_convolutions, "_precision", return_value=precision):
        yield
