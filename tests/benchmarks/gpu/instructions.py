"""What our Triton kernels take of an H100: `python -m tests.benchmarks.gpu.instructions`, which needs no GPU.

They are compiled, and counted by their machine code. For each launch of a step of 36 trials of 64 × 10 frames it tells
a thread's registers, the shared memory of a program, and the milliseconds that its instructions take where no cycle is
lost. A loop counts as often as it is gone through, all else once, so that these are a little too many.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Any
from unittest import mock

import torch

from dd_ray.models.networks.layers import keep_images_as
from dd_ray.training import triton_convolutions
from tests.benchmarks.stack import BASE
from tests.benchmarks.table import Table, show
from tests.training.compiled import compiled_for_an_h100, instructions_of, registers_of
from tests.training.traffic import step_of_nothing

TRIALS = 36
PRECISIONS = ("ieee", "tf32", "bf16")
ISSUED = 132 * 4 * 1.755e9
"""Instructions of warps that an H100 SXM begins in a second: multiprocessors × schedulers × cycles (its datasheet)."""
COLUMNS = ("computed", "programs", "registers", "shared KiB", "instructions of a warp", "ms")


@dataclass(frozen=True)
class Launch:
    """Programs that compute the same of a layer."""

    name: str
    what: str
    programs: int
    arguments: Sequence[Any]
    constants: Mapping[str, Any]
    rounds: float
    """Through the loop of a program, as a mean."""

    def row(self) -> tuple[str, int, int, float, float, float]:
        """Compile it and count, by `COLUMNS`."""
        compiled = compiled_for_an_h100(self.name, self.arguments, self.constants)
        within, without = instructions_of(compiled)
        of_warp = self.rounds * within + without
        ms = 1000 * self.programs * self.constants["num_warps"] * of_warp / ISSUED
        return self.what, self.programs, registers_of(compiled)[0], compiled.metadata.shared / 1024, of_warp, ms


def launches_of(precision: str) -> Iterator[Launch]:
    """Tell what a step launches; of both gradients of a layer, each by itself."""
    for name, grid, arguments, constants in _recorded(precision):
        source, target = ("SOURCE", "TARGET") if name == "convolve" else ("GRADIENT", "IMAGES")
        what = " to ".join("×".join(map(str, constants[side])) for side in (source, target))
        if name == "convolve":
            yield Launch(name, what, prod(grid), arguments, constants, _rounds(constants, source))
            continue
        per_tile, tiles, share = prod(grid[1:]), constants["KERNEL_TILES"], arguments[8]
        if arguments[3] is not None:
            programs, alone = (grid[0] - tiles) * per_tile, constants | {"KERNEL_TILES": 0}
            yield Launch(name, f"gradient {what}", programs, arguments, alone, _rounds(constants, source))
        without = [None if place in (3, 4) else argument for place, argument in enumerate(arguments)]
        rounds = share / constants["KERNEL_P"]
        yield Launch(name, f"kernel of {what}", tiles * per_tile, without, constants, rounds)


def _rounds(constants: Mapping[str, Any], source: str) -> float:
    """Count the rounds of a program that computes images: a mean over phases, which differ in their taps."""
    steps = constants["STRIDE"] if constants["TRANSPOSED"] else (1, 1)
    along = [
        [len(range(first, n, step)) for first in range(step)] for n, step in zip(constants["SIZE"], steps, strict=True)
    ]
    rounds = [ceil(constants[source][0] * y * x / constants["BLOCK_R"]) for y, x in product(*along)]
    return sum(rounds) / len(rounds)


def _recorded(precision: str) -> list[tuple[str, tuple[int, int, int], Sequence[Any], dict[str, Any]]]:
    launched: list[tuple[str, tuple[int, int, int], Sequence[Any], dict[str, Any]]] = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getitem__(self, grid: tuple[int, int, int]) -> Any:
            return lambda *arguments, **constants: launched.append((self.name, grid, arguments, constants))

    keep_images_as(torch.bfloat16 if precision == "bf16" else torch.float32)
    try:
        with mock.patch.multiple(triton_convolutions, _kernel=Recorder, _precision=lambda: precision):
            step_of_nothing(BASE, TRIALS, "triton")
    finally:
        keep_images_as(torch.float32)
    return launched


def tables() -> Iterator[Table]:
    """A table for each precision; `ieee` is float32."""
    for precision in PRECISIONS:
        rows = [launch.row() for launch in launches_of(precision)]
        total = sum(row[-1] for row in rows)
        yield Table(
            title=f"A step of {TRIALS} trials in {precision}, compiled for an H100",
            columns=COLUMNS,
            rows=rows,
            note=f"{total:.2f} ms in all, if no cycle is lost.",
        )


if __name__ == "__main__":
    show(tables())
