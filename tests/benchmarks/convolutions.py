"""Compiled convolutions beside PyTorch's and the rate of matrix products: `python -m tests.benchmarks.convolutions`.

An iteration of one trial, with both kinds of convolutions and with large products of matrices in turns. The share of
the products' rate is the operations of the iteration, by PyTorch's counter, over its time and this rate.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch

from dd_ray.config import TrialConfig
from dd_ray.training import Stack, cpu_convolutions, keep_freed_memory
from dd_ray.training.cpu_kernels import kernels
from tests.benchmarks.limits import MATRIX, demand
from tests.benchmarks.measure import alternate, machine

REPEATS = 9
WAYS = ("PyTorch's", "compiled")
INERTIA = TrialConfig(model="inertia_vae", beta=0.1, gamma=0.5)
STILLS = TrialConfig(model="beta_vae", dataset="still_circles", beta=0.1)
CONFIGS = {
    "`inertia_vae`, 64 × 10 frames": INERTIA,
    "`inertia_vae`, 8 × 10 frames": replace(INERTIA, batch_size=8),
    "`inertia_vae`, 4 × 10 frames": replace(INERTIA, batch_size=4),
    "`inertia_vae`, 8 × 10 frames, a quarter as wide": replace(INERTIA, batch_size=8, width_factor=0.25),
    "`beta_vae`, 64 images": STILLS,
    "`beta_vae`, 4 images": replace(STILLS, batch_size=4),
    "`beta_vae`, 64 images of 64×64, `conv64`": replace(STILLS, network="conv64", image_size=64),
}


def main(args: Sequence[str] = ()) -> None:
    """Print milliseconds an iteration, and the rates of products, as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    threads = parser.parse_args(args).threads
    if kernels() is None:
        sys.exit("there are no compiled convolutions here")
    keep_freed_memory()
    size = MATRIX["cpu"]
    a, b = torch.randn(2, size, size)
    print("| | threads | PyTorch's, ms | compiled | factor | of the products' rate |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, config in CONFIGS.items():
        stack, flops = Stack([config]), demand(config).flops
        steps = {(way, number): step_with(stack, way) for way in WAYS for number in threads}
        products: dict[tuple[str, int], Callable[[], object]] = {("products", n): lambda: a @ b for n in threads}
        timings = alternate({**steps, **products}, REPEATS)
        for number in threads:
            before, after = (timings[way, number].median for way in WAYS)
            rate = 2 * size**3 / timings["products", number].median
            shares = f"{flops / before / rate:.0%} and {flops / after / rate:.0%} of {rate / 1e9:.0f} GFLOP/s"
            times = f"{1000 * before:.1f} | {1000 * after:.1f} | {before / after:.2f}"
            print(f"| {name} | {number} | {times} | {shares} |", flush=True)
    print(f"\n{machine()}. Medians of {REPEATS} iterations in turns.")


def step_with(stack: Stack, way: str) -> Callable[[], None]:
    """Return a function that trains a stack for an iteration with one of `WAYS`."""

    def step() -> None:
        with _convolutions(way):
            stack.step()

    return step


@contextmanager
def _convolutions(way: str) -> Iterator[None]:
    before = cpu_convolutions.kernels
    try:
        if way != "compiled":
            cpu_convolutions.kernels = lambda: None
        yield
    finally:
        cpu_convolutions.kernels = before


if __name__ == "__main__":
    main(sys.argv[1:])
