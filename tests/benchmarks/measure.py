"""What the benchmarks share: clocks, alternating runs, and a line that says what they ran on."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dd_ray.training import Stack
from dd_ray.training.fused import STEPS_TO_SETTLE
from dd_ray.training.painting import TIMES_BEFORE

Case = tuple[str, int]
"""Name of what is timed, and number of threads."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one case: median and quartiles of its runs."""

    median: float
    quartiles: tuple[float, float]


def alternate(cases: Mapping[Case, Callable[[], object]], repeats: int) -> dict[Case, Timing]:
    """Time every case `repeats` times, with its number of threads, after one run that warms up.

    The runs alternate between the cases, so that drift and neighbours hit all alike.
    """
    seconds: dict[Case, list[float]] = {case: [] for case in cases}
    before = torch.get_num_threads()
    try:
        for repeat in range(repeats + 1):
            for case, run in cases.items():
                torch.set_num_threads(case[1])
                start = time.perf_counter()
                run()
                if repeat > 0:
                    seconds[case].append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return {case: _timing(values) for case, values in seconds.items()}


def wait_for(device: torch.device) -> None:
    """Until the device has done all it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(run: Callable[[], object], device: torch.device, repeats: int, warm_ups: int = 2) -> float:
    """Median of some runs, each waited for, after some that warm up."""
    seconds = []
    for repeat in range(warm_ups + repeats):
        wait_for(device)
        start = time.perf_counter()
        run()
        wait_for(device)
        if repeat >= warm_ups:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def seconds_of_trials(sweep: Path) -> float:
    """From the beginning of the first trial of a sweep to the end of the last one: without the start of Ray."""
    trials = list((sweep / "cells").iterdir())
    begun = min((trial / "owner").stat().st_mtime for trial in trials)
    return max((trial / "outcome.json").stat().st_mtime for trial in trials) - begun


def warm_up(stack: Stack) -> None:
    """Take a stack so far that further steps are as fast as they will be: settled, and captured, as is its painting."""
    steps = STEPS_TO_SETTLE if stack.fused else 1
    stack.step(1 + (max(steps, TIMES_BEFORE) if stack.device.type == "cuda" else steps))
    wait_for(stack.device)


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine() -> str:
    """Hardware, versions and date."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    gpu = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}; " if torch.cuda.is_available() else ""
    return (
        f"{gpu}{model}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}; {time.strftime('%Y-%m-%d')}"
    )


def _timing(values: list[float]) -> Timing:
    lower, median, upper = statistics.quantiles(values, n=4)
    return Timing(median, (lower, upper))
