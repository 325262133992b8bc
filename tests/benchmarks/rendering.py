"""Frames rendered a second, from factors to uint8 images: `python -m tests.benchmarks.rendering`."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from dd_ray.data.rendering import render_videos

ITERATIONS = 10
REPEATS = 15
THREADS = (1, 2)

VIDEO = TrialConfig(model="inertia_vae", beta=0.1)
CASES = {
    "videos, original grid": TrialConfig(model="inertia_vae", beta=0.1, grid="original"),
    "videos, continuous": VIDEO,
    "still images, continuous": TrialConfig(model="beta_vae", beta=0.1, dataset="still_circles"),
}


@dataclass(frozen=True)
class Row:
    """One measurement: the median of REPEATS runs, and their quartiles, in frames a second."""

    case: str
    threads: int
    frames_per_second: float
    quartiles: tuple[float, float]


def rows() -> list[Row]:
    """Every case at every number of threads; the runs alternate, so that drift hits all alike."""
    cases = {(name, n): _renderer(config) for n in THREADS for name, config in CASES.items()}
    rates: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
    before = torch.get_num_threads()
    try:
        for repeat in range(REPEATS + 1):
            for (name, threads), render in cases.items():
                torch.set_num_threads(threads)
                start = time.perf_counter()
                frames = render()
                if repeat > 0:  # the first run warms up
                    rates[name, threads].append(frames / (time.perf_counter() - start))
    finally:
        torch.set_num_threads(before)
    return [_row(name, threads, values) for (name, threads), values in rates.items()]


def _renderer(config: TrialConfig) -> Callable[[], int]:
    """A function that renders ITERATIONS training batches, one by one, and returns the number of frames."""
    dataset = make_dataset(config)
    batches = [torch.from_numpy(dataset.factors(i)) for i in range(ITERATIONS)]

    def render() -> int:
        for factors in batches:
            render_videos(factors, dataset.grid)
        return ITERATIONS * config.batch_size * config.frames

    return render


def _row(name: str, threads: int, values: list[float]) -> Row:
    lower, median, upper = statistics.quantiles(values, n=4)
    return Row(name, threads, median, (lower, upper))


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}; {time.strftime('%Y-%m-%d')}"
    )


def main() -> None:
    """Print the rows as a Markdown table."""
    print("| 64 samples a batch | threads | frames/s (median) | quartiles |")
    print("| --- | ---: | ---: | ---: |")
    for row in rows():
        lower, upper = row.quartiles
        print(f"| {row.case} | {row.threads} | {row.frames_per_second:,.0f} | {lower:,.0f} to {upper:,.0f} |")
    print(f"\n{_machine()}. Median of {REPEATS} alternating runs of {ITERATIONS} batches each.")


if __name__ == "__main__":
    main()
