"""Tiles of our Triton kernels tried on a GPU: `python -m tests.benchmarks.gpu.tiles --out DIR`, three minutes.

Each launch of a step of 36 trials, and of both gradients of a layer each by itself, by the tiles that
`triton_convolutions` chooses and by others: the milliseconds of the kernel alone, and the bytes a second that it moves
by the first. So it shows which kernel is far from the card's copies, and what would bring it nearer. A kernel takes a
third of a second to compile, and less to measure: `gpu.ahead --tiles` compiles them all where there is no GPU.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from dd_ray.training import Precision, Stack, set_precision, triton_convolutions, triton_layers
from tests.benchmarks.gpu.record import tell
from tests.benchmarks.measure import best_device, machine, seconds_of
from tests.benchmarks.stack import BASE, seeds_of
from tests.training.launches import Launch, recorded
from tests.training.traffic import bytes_of

Tile = Mapping[str, int]


def _products(**sides: Sequence[int]) -> tuple[Tile, ...]:
    return tuple(dict(zip(sides, values, strict=True)) for values in product(*sides.values()))


TRIALS = 36
PRECISIONS: tuple[Precision, ...] = ("tf32", "bf16")
STAGES = {"STAGES": (1, 2, 3), "WARPS": (4, 8)}
KERNEL_STAGES = {"KERNEL_STAGES": (1, 2, 3), "WARPS": (4, 8)}
OF_IMAGES = _products(BLOCK_P=(64, 128, 256), BLOCK_R=(16, 32, 64), **STAGES)
OF_A_CHANNEL = _products(BLOCK_P=(64, 128, 256, 512), BLOCK_R=(16, 32), **STAGES)
OF_KERNELS = _products(KERNEL_R=(32, 64, 128), KERNEL_P=(16, 32, 64), **KERNEL_STAGES)
OF_A_CHANNEL_S_KERNELS = _products(KERNEL_P=(16, 32, 64, 128), **KERNEL_STAGES)
SHARES = _products(SHARE=(512, 1024, 4096, 8192))
OF_MODULE = ("SHARE", "WARPS")
"""What is no part of a tile."""
MOST_SUMS = 64
"""Of a thread, which has no registers for more."""
IMAGES = 3
WRITTEN = {"convolve": (IMAGES,), "images": (IMAGES, 4), "kernel": (5,), "both": (IMAGES, 4, 5)}
"""Places of the arguments that a part writes: images, and [K, N, ...] to be summed over N, which depends on tiles."""
LAUNCHES, REPLAYS = 6, 4
"""Launches in a graph, and how often it is replayed."""
ALIKE = 0.02
"""By how much results of other tiles may differ: by the order of their sums."""


@dataclass(frozen=True)
class Call:
    """A call of `convolve` or `differentiate` within a step."""

    function: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def __call__(self) -> object:
        """Make it."""
        return getattr(triton_convolutions, self.function)(*self.arguments, **self.options)

    def parts(self, tile: Tile) -> dict[str, Launch]:
        """What it launches by some tiles; what is not given is as the package chooses."""
        with _tiles(tile):
            (launch,) = recorded(self)
        return launch.parts()

    def launches(self, part: str) -> Iterator[tuple[Tile, Launch]]:
        """A part as the package launches it, and then by the tiles to try, where they make it another."""
        chosen = self.parts({})[part]
        yield {}, chosen
        made = [(chosen.grid, chosen.constants)]
        for tile in _to_try(part, chosen.constants):
            launch = self.parts(tile)[part]
            same = (launch.grid, launch.constants)
            if same not in made and _sums_of_a_thread(part, launch.constants) <= MOST_SUMS:
                made.append(same)
                yield tile, launch


def _to_try(part: str, chosen: Mapping[str, Any]) -> tuple[Tile, ...]:
    if part == "both":
        return ()
    if part == "kernel":
        wide = chosen["IMAGES" if chosen["TRANSPOSED"] else "GRADIENT"]
        return (*(OF_KERNELS if wide[0] > 1 else OF_A_CHANNEL_S_KERNELS), *SHARES)
    return OF_IMAGES if chosen["BLOCK_C"] > 1 else OF_A_CHANNEL


def _sums_of_a_thread(part: str, constants: Mapping[str, Any]) -> float:
    of_images = ("BLOCK_P", "BLOCK_C" if constants["BLOCK_C"] > 1 else "BLOCK_R")
    rows, columns = ("KERNEL_R", "KERNEL_C") if part == "kernel" else of_images
    return constants[rows] * constants[columns] / (32 * constants["num_warps"])


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


def calls_of(step: Callable[[], object]) -> list[Call]:
    """Those of a step, with its tensors."""
    calls: list[Call] = []

    def recording(function: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            kept = {name: _detached(value) for name, value in options.items()}
            calls.append(Call(function, tuple(map(_detached, arguments)), kept))
            return getattr(triton_convolutions, function)(*arguments, **options)

        return call

    with mock.patch.multiple(triton_layers, convolve=recording("convolve"), differentiate=recording("differentiate")):
        step()
    return calls


def _detached(value: object) -> object:
    return value.detach() if isinstance(value, Tensor) else value


def measure(out: Path, precision: Precision, small: bool, ends: float) -> None:
    """Time each part of each launch of a step by each of its tiles, as far as these are begun before a clock's time."""
    set_precision(precision)
    config = replace(BASE, batch_size=1, width_factor=0.1, num_frames=4) if small else BASE
    stack = Stack(seeds_of(config, 2 if small else TRIALS), best_device(), "triton")
    for call in calls_of(stack.step)[:: 9 if small else 1]:
        for part, launch in call.parts({}).items():
            if time.monotonic() > ends:
                print(f"no time for {precision} {part} {launch.what}", flush=True)
                continue
            result = timed(call, part, ends, most=2 if small else None)
            tell(out, f"tiles {precision} {part} {launch.what}", **result)
            print(_line(f"{precision} {part} {launch.what}", result), flush=True)


def timed(call: Call, part: str, ends: float, most: int | None = None) -> dict[str, Any]:
    """Time a part of a call by so many of its tiles at most, and by none that is not begun before a clock's time."""
    chosen = call.parts({})[part]
    expected, found = _results(chosen, part), dict[str, float | str]()
    for tile, launch in islice(call.launches(part), most):
        if tile and time.monotonic() > ends:
            break
        found[str(dict(tile))] = _tried(launch, part, expected)
    times = {tile: ms for tile, ms in found.items() if isinstance(ms, float)}
    best, mb = min(times, key=lambda tile: times[tile]), _bytes(chosen, part) / 1e6
    return {
        "ms": times["{}"],
        "mb": mb,
        "gb_per_s": mb / times["{}"],
        "best": best,
        "best_ms": times[best],
        "times": times,
        "left_out": {tile: why for tile, why in found.items() if tile not in times},
    }


def _tried(launch: Launch, part: str, expected: Sequence[Tensor]) -> float | str:
    """Milliseconds of a launch, or why they are not to be told."""
    try:
        alike = all(map(_alike, _results(launch, part), expected))
        return _milliseconds(launch) if alike else "another result"
    except Exception as error:  # a compiler may raise any, and a card has not the room for every tile
        return repr(error)[:200]


def _results(launch: Launch, part: str) -> list[Tensor]:
    """What a launch writes, where nothing was before."""
    written = {place: launch.arguments[place] for place in WRITTEN[part] if launch.arguments[place] is not None}
    for tensor in written.values():
        tensor.fill_(float("nan"))
    launch()
    return [tensor if place == IMAGES else tensor.sum(1) for place, tensor in written.items()]


def _alike(result: Tensor, expected: Tensor) -> bool:
    return bool((result.float() - expected).norm() <= ALIKE * expected.float().norm())


def _milliseconds(launch: Launch) -> float:
    """Of the kernel alone: by a graph of some launches, where the device has graphs."""
    if best_device().type != "cuda":
        return 1000 * seconds_of(launch, best_device(), repeats=1, warm_ups=0)
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):  # `torch.cuda.graph` would first give back all memory that is free
        graph.capture_begin()
        for _ in range(LAUNCHES):
            launch()
        graph.capture_end()
    return min(_milliseconds_of_replay(graph) for _ in range(REPLAYS)) / LAUNCHES


def _milliseconds_of_replay(graph: torch.cuda.CUDAGraph) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    graph.replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def _bytes(launch: Launch, part: str) -> int:
    """Of the tensors that a launch reads and writes."""
    places = (0, 1, 2, *WRITTEN[part])
    tensors = {id(launch.arguments[place]): launch.arguments[place] for place in places}
    return sum(bytes_of(tensor) for tensor in tensors.values() if tensor is not None)


def _line(name: str, result: Mapping[str, Any]) -> str:
    chosen = f"{result['ms']:7.3f} ms {result['mb']:6.0f} MB {result['gb_per_s']:5.0f} GB/s"
    return f"{name:44} {chosen} {result['best_ms']:7.3f} ms by {result['best']}"


def main(args: Sequence[str]) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--precision", nargs="+", default=PRECISIONS)
    parser.add_argument("--minutes", type=float, default=3.0, help="after which nothing new is begun")
    parser.add_argument("--small", action="store_true", help="sizes of a test")
    options = parser.parse_args(args)
    ends = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    print(machine(), flush=True)
    for precision in options.precision:
        measure(options.out, precision, options.small, ends)


if __name__ == "__main__":
    main(sys.argv[1:])
