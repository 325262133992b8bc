"""What our Triton kernels take of an H100: `python -m tests.benchmarks.gpu.instructions`, which needs no GPU.

They are compiled, and counted by their machine code. For each launch of a step of 36 trials of 64 × 10 frames it tells
a thread's registers, the shared memory of a program, and the milliseconds that its instructions take where no cycle is
lost. A loop counts as often as it is gone through, all else once, so that these are a little too many.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import ceil, prod
from typing import Any

from tests.benchmarks.stack import BASE
from tests.benchmarks.table import Table, show
from tests.training.compiled import compiled_for_an_h100, instructions_of, registers_of
from tests.training.launches import Launch, multiplied_as, recorded
from tests.training.traffic import step_of_nothing

TRIALS = 36
PRECISIONS = ("ieee", "tf32", "bf16")
ISSUED = 132 * 4 * 1.755e9
"""Instructions of warps that an H100 SXM begins in a second: multiprocessors × schedulers × cycles (its datasheet)."""
COLUMNS = ("computed", "programs", "registers", "shared KiB", "instructions of a warp", "ms")


@dataclass(frozen=True)
class Programs:
    """Programs that compute the same of a layer."""

    what: str
    launch: Launch
    rounds: float
    """Through the loop of a program, as a mean."""

    @property
    def number(self) -> int:
        """Of all of them."""
        return prod(self.launch.grid)

    def row(self) -> tuple[str, int, int, float, float, float]:
        """Compile it and count, by `COLUMNS`."""
        compiled = compiled_for_an_h100(self.launch)
        within, without = instructions_of(compiled)
        of_warp = self.rounds * within + without
        ms = 1000 * self.number * self.launch.constants["num_warps"] * of_warp / ISSUED
        return self.what, self.number, registers_of(compiled)[0], compiled.metadata.shared / 1024, of_warp, ms


def programs_of(precision: str) -> Iterator[Programs]:
    """Tell what a step launches; of both gradients of a layer, each by itself."""
    with multiplied_as(precision):
        launches = recorded(partial(step_of_nothing, BASE, TRIALS, "triton"))
    for launch in launches:
        for part, alone in launch.parts().items():
            if part == "kernel":
                rounds = launch.arguments[8] / launch.constants["KERNEL_P"]
                yield Programs(f"kernel of {launch.what}", alone, rounds)
            elif part != "both":
                gradient, source = ("", "SOURCE") if part == "convolve" else ("gradient ", "GRADIENT")
                yield Programs(gradient + launch.what, alone, _rounds(launch.constants, source))


def _rounds(constants: Mapping[str, Any], source: str) -> float:
    """Count the rounds of a program that computes images: a mean over phases, which differ in their taps."""
    steps = constants["STRIDE"] if constants["TRANSPOSED"] else (1, 1)
    along = [
        [len(range(first, n, step)) for first in range(step)] for n, step in zip(constants["SIZE"], steps, strict=True)
    ]
    rounds = [ceil(constants[source][0] * y * x / constants["BLOCK_R"]) for y, x in product(*along)]
    return sum(rounds) / len(rounds)


def tables() -> Iterator[Table]:
    """A table for each precision; `ieee` is float32."""
    for precision in PRECISIONS:
        rows = [programs.row() for programs in programs_of(precision)]
        total = sum(row[-1] for row in rows)
        yield Table(
            title=f"A step of {TRIALS} trials in {precision}, compiled for an H100",
            columns=COLUMNS,
            rows=rows,
            note=f"{total:.2f} ms in all, if no cycle is lost.",
        )


if __name__ == "__main__":
    show(tables())
