"""Tiles of our Triton kernels tried on a GPU: `python -m tests.benchmarks.gpu.tiles --out DIR`, three minutes.

Each layer of a step of 36 trials, and its two gradients, by the tiles that `triton_convolutions` chooses and by others:
the milliseconds of both, and the bytes a second that the first moves. So it shows which kernel is far from the card's
copies, and what would bring it nearer. Kernels are compiled first, by processes side by side.
"""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from torch import Tensor

from dd_ray.training import Precision, Stack, set_precision, triton_convolutions, triton_layers
from dd_ray.training.triton_convolutions import Geometry, KernelError
from tests.benchmarks.gpu.record import tell
from tests.benchmarks.measure import best_device, machine, seconds_of
from tests.benchmarks.stack import BASE, seeds_of

Tile = Mapping[str, int]

OF_IMAGES: tuple[Tile, ...] = (
    {},
    *({"BLOCK_P": p, "WARPS": warps} for p in (64, 128, 256) for warps in (4, 8)),
    *({"STAGES": stages} for stages in (1, 2, 3, 4)),
    *({"BLOCK_R": r} for r in (16, 32, 64)),
)
OF_GRADIENTS: tuple[Tile, ...] = (
    *OF_IMAGES,
    *({"KERNEL_R": r, "KERNEL_P": p} for r in (32, 64, 128) for p in (16, 32, 64)),
    *({"KERNEL_STAGES": stages} for stages in (2, 3)),
    *({"GROUP_R": group, "GROUP_C": group} for group in (8, 16)),
    *({"SHARE": share} for share in (1024, 4096, 8192)),
)
OF_MODULE = ("SHARE", "WARPS")
"""What is no part of a tile."""
REPEATS = 7
ALIKE = 0.02
"""By how much results of other tiles may differ: by the order of their sums."""


@dataclass(frozen=True)
class Call:
    """A call of `convolve` or `differentiate` within a step."""

    function: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def __call__(self, tile: Tile) -> list[Tensor]:
        """Compute it by some tiles; what is not given is as the package chooses."""
        with _tiles(tile):
            results = getattr(triton_convolutions, self.function)(*self.arguments, **self.options)
        return [result for result in ([results] if isinstance(results, Tensor) else results) if result is not None]

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """Those to try."""
        return OF_IMAGES if self.function == "convolve" else OF_GRADIENTS

    @property
    def name(self) -> str:
        """What is computed, by the images that are read."""
        geometry, first = self.arguments[0], self.arguments[1]
        assert isinstance(geometry, Geometry)
        return f"{self.function} {'×'.join(map(str, first.shape[2:]))}, {geometry.wide[0]} and {geometry.narrow[0]}"


@contextmanager
def _tiles(tile: Tile) -> Iterator[None]:
    """Let these take the place of what the package chooses."""
    chosen = {name: value for name, value in tile.items() if name not in OF_MODULE}
    with mock.patch.multiple(
        triton_convolutions,
        _tile_of_images=_instead(triton_convolutions._tile_of_images, chosen),
        _tile_of_kernels=_instead(triton_convolutions._tile_of_kernels, chosen),
        **{name: tile.get(name, getattr(triton_convolutions, name)) for name in OF_MODULE},
    ):
        yield


def _instead(choose: Callable[..., dict[str, int]], tile: Tile) -> Callable[..., dict[str, int]]:
    def chosen(*given: Any) -> dict[str, int]:
        known = choose(*given)
        return known | {name: value for name, value in tile.items() if name in known}

    return chosen


def calls_of_a_step(trials: int, batch_size: int, small: bool = False) -> list[Call]:
    """Those of a step of so many trials, with the tensors of that step."""
    calls: list[Call] = []

    def recording(function: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            kept = {name: _detached(value) for name, value in options.items()}
            calls.append(Call(function, tuple(map(_detached, arguments)), kept))
            return getattr(triton_convolutions, function)(*arguments, **options)

        return call

    of_test = {"width_factor": 0.1, "num_frames": 4} if small else {}
    config = replace(BASE, batch_size=batch_size, **of_test)
    stack = Stack(seeds_of(config, trials), best_device(), "triton")
    with mock.patch.multiple(triton_layers, convolve=recording("convolve"), differentiate=recording("differentiate")):
        stack.step()
    return calls


def compile_share(share: int, shares: int, precision: Precision) -> None:
    """Compile one share of the kernels, with images of few trials, to which the same code applies."""
    set_precision(precision)
    calls = calls_of_a_step(trials=2, batch_size=16)
    every = [(call, tile) for call in calls for tile in call.tiles]
    for call, tile in every[share::shares]:
        _tried(call, tile)


def _tried(call: Call, tile: Tile) -> list[Tensor] | None:
    """What it comes to; None where there is no room for such tiles."""
    try:
        return call(tile)
    except KernelError:
        return None


def measure(out: Path, precision: Precision, small: bool) -> None:
    """Time each call of a step by each of its tiles."""
    set_precision(precision)
    device = best_device()
    for call in calls_of_a_step(2, 1, small=True)[::9] if small else calls_of_a_step(36, BASE.batch_size):
        expected = call({})
        times: dict[str, float] = {}
        for tile in call.tiles[: 2 if small else None]:
            results = _tried(call, tile)
            if results is not None and all(map(_alike, results, expected)):
                times[str(dict(tile))] = 1000 * seconds_of(partial(call, tile), device, 1 if small else REPEATS)
        moved = sum(map(_bytes, {id(t): t for t in (*call.arguments, *expected)}.values()))
        rate, best = moved / times["{}"] / 1e6, min(times, key=lambda each: times[each])
        tell(out, f"tiles {precision} {call.name}", ms=times["{}"], gb_per_s=rate, times=times)
        chosen = f"{precision} {call.name:44} {times['{}']:7.3f} ms {rate:7.0f} GB/s"
        print(f"{chosen} {times[best]:7.3f} ms by {best}", flush=True)


def _alike(result: Tensor, expected: Tensor) -> bool:
    return bool((result - expected).norm() <= ALIKE * expected.norm())


def _detached(value: object) -> object:
    return value.detach() if isinstance(value, Tensor) else value


def _bytes(value: object) -> int:
    """Of a tensor, where trials share it once."""
    if not isinstance(value, Tensor):
        return 0
    return min(value.numel() * value.element_size(), value.untyped_storage().nbytes())


def main(args: Sequence[str]) -> None:
    """Compile, measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--precision", nargs="+", default=["tf32", "bf16"])
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="that compile")
    parser.add_argument("--small", action="store_true", help="sizes of a test")
    options = parser.parse_args(args)
    options.out.mkdir(parents=True, exist_ok=True)
    print(machine(), flush=True)
    for precision in options.precision:
        if not options.small:
            spawned = multiprocessing.get_context("spawn")
            shares = [(share, options.processes, precision) for share in range(options.processes)]
            with spawned.Pool(options.processes) as pool:
                pool.starmap(compile_share, shares)
        measure(options.out, precision, options.small)


if __name__ == "__main__":
    main(sys.argv[1:])
