"""Estimates what a sweep costs, from counts and measured rates, and how many evaluations and scores it can afford."""

import functools
import os
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from dd_ray.config import NETWORKS, TrialConfig
from dd_ray.metrics import FURTHER

MOST_EVALUATIONS = 20
EVALUATION_SHARE = 0.04
"""The share of the time that evaluations may take, if their number is not given."""
EVALUATION_COST = 0.65
"""The measured time of evaluating on one video, in units of training on one: an encoding and two decodings without
gradients, against one of each with gradients."""
GPU_HOURS_PER_FRAME = 1 / (50_000 * 64 * 10)
"""Hours that a trial of conv32 alone on a GPU takes for a frame: the original study's hour for 50,000 iterations of 64
videos of 10 frames. Trials that share a GPU take less each, so it is an upper bound for them."""
FINAL_SHARE = 0.03
"""The share of a trial's time that scores at its end may take, if they are not named. Scores of untrained networks are
computed once for all trials that begin alike."""
FRAMES_PER_SECOND = 6_250
"""Measured number of frames that a core trains conv32 on in one second, by which seconds in `FURTHER` are scaled."""
STILLS_COST = 0.25
"""Measured seconds of a core that encoding the still pictures for those scores takes."""
SECONDS_PER_ITERATION = 0.010
"""Time of an iteration that does not grow with its images: calls, and the optimiser."""


@dataclass(frozen=True)
class Speed:
    """The speed at which a core trains a convolutional network, beside the rate of its matrix products.

    Attributes:
        seconds_per_frame: time of a frame beside its products: rendering, and layers that wait for memory.
        efficiency: the share of the rate of large matrix products that a network's products reach.
    """

    seconds_per_frame: float
    efficiency: float


BY_PYTORCH, COMPILED = Speed(1.44e-4, 0.43), Speed(0.7e-4, 0.75)
"""Measured without and with the package's compiled convolutions. The estimate is within 10% of the median times of
`inertia_vae` with 4, 8 and 64 videos of 10 frames (AMD EPYC with AVX2, one thread, beside other work)."""


def core_seconds(configs: Sequence[TrialConfig], iterations: int, cores: int) -> float:
    """Estimate the time on a core of this machine: t = a + b · frames + GFLOP / (e · rate of its matrix products).

    Args:
        configs: configs with the same mean cost as those of the sweep.
        iterations: number of iterations of all trials together.
        cores: cores that are busy at a time. Rates are measured on so many at once, as they share memory and heat.
    """
    speed, rates = COMPILED if _are_compiled() else BY_PYTORCH, _rates(min(cores, available_cores()))
    gflop, frames = (sum(map(of, configs)) / len(configs) for of in (_gflop, _frames))
    beside = SECONDS_PER_ITERATION + speed.seconds_per_frame * frames * rates.slowdown
    return iterations * (1 + EVALUATION_SHARE) * (beside + gflop / (speed.efficiency * rates.gflops))


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_hours(configs: Sequence[TrialConfig], iterations: int) -> float:
    """Estimate the hours of a GPU at most, as if each trial was alone on it; arguments as for `core_seconds`."""
    frames = sum(map(_frames_of_conv32, configs)) / len(configs)
    return frames * iterations * GPU_HOURS_PER_FRAME


def affordable_evaluations(configs: Sequence[TrialConfig], iterations: int) -> int:
    """Return how often a trial of so many iterations can be evaluated after the first time, at least once."""
    training = iterations * min(config.batch_size for config in configs)
    one = EVALUATION_COST * max(config.num_test * (1 + (config.split != "none")) for config in configs)
    affordable = int(EVALUATION_SHARE * training / one) - 1
    return min(MOST_EVALUATIONS, iterations, max(1, affordable))


def affordable_scores(configs: Sequence[TrialConfig], iterations: int, known: Collection[str]) -> tuple[str, ...]:
    """Return as many known scores of `FURTHER` as trials of so many iterations have time for, the cheapest first."""
    frames = iterations * min(map(_frames_of_conv32, configs))
    left = FINAL_SHARE * frames / FRAMES_PER_SECOND - STILLS_COST
    chosen = []
    for name, score in sorted(FURTHER.items(), key=lambda item: item[1].cost):
        if name not in known:
            continue
        left -= score.cost * (1 + score.masked)
        if left >= 0:
            chosen.append(name)
    return tuple(chosen)


def _gflop_per_frame(config: TrialConfig) -> float:
    """Return the GFLOP of a frame. The weights, and with them the work, grow nearly with the square of the width."""
    return NETWORKS[config.network].gflop_per_frame[config.image_size] * config.width_factor**2


def _gflop(config: TrialConfig) -> float:
    """Return the GFLOP of an iteration."""
    return _frames(config) * _gflop_per_frame(config)


def _frames(config: TrialConfig) -> float:
    """Return the frames of an iteration; half of them for a model that only encodes or only draws."""
    return config.batch_size * config.frames * (config.traits.encodes + config.traits.draws) / 2


def _frames_of_conv32(config: TrialConfig) -> float:
    """Return the frames of an iteration, weighted by their cost in units of a frame of conv32."""
    return config.batch_size * config.frames * _gflop_per_frame(config) / NETWORKS["conv32"].gflop_per_frame[32]


@dataclass(frozen=True)
class Rates:
    """Rates of each of some cores while all of them are busy.

    Attributes:
        gflops: rate of matrix products in float32, in 10⁹ operations a second.
        slowdown: how many times longer a copy in memory takes than on a core alone.
    """

    gflops: float
    slowdown: float


@functools.cache
def _rates(cores: int) -> Rates:
    """Measure them, which takes about 0.15 s."""
    size = 512
    ones = np.ones((size, size), np.float32)
    images = np.ones(2**22, np.float32)  # 16 MiB, more than a core's share of the cache
    with threadpool_limits(1):
        product = _best_seconds(lambda: ones @ ones, cores)
        copy, alone = (_best_seconds(images.copy, count) for count in (cores, 1))
    return Rates(gflops=2 * size**3 / product / 1e9, slowdown=max(1.0, copy / alone))


def _best_seconds(work: Callable[[], object], cores: int) -> float:
    """Measure the shortest of eight runs on each of some cores at once, and return their mean."""

    def best(_: int) -> float:
        seconds = []
        for _ in range(8):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(best, range(cores))) / cores


def _are_compiled() -> bool:
    """Return whether the package's own convolutions were compiled, without loading them."""
    folder = Path(__file__).parents[1] / "training"
    return PathFinder.find_spec("_kernels", [str(folder)]) is not None
