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
from dd_ray.sweep.memory import FLOAT, num_weights

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


@dataclass(frozen=True)
class Work:
    """The work of an iteration beside its matrix products, in the units of `Rates`, and how efficient these are.

    Attributes:
        calls: work that does not grow with the images, in additions of 16 numbers, which are hardly more than a call.
        megabytes_per_frame: work of a frame that waits for memory, as the megabytes that a copy reads and writes.
        passes: how often weights are read or written, by the layers and by the optimiser.
        efficiency: the share of the rate of large matrix products that a network's products reach.
    """

    calls: int
    megabytes_per_frame: float
    passes: int
    efficiency: float


BY_PYTORCH, COMPILED = Work(11_500, 2.5, 40, 0.67), Work(9_000, 2.1, 40, 1.05)
"""Measured without and with the package's compiled convolutions, on an AMD EPYC with AVX-512: the estimates are within
25% of the median times of 4 to 640 frames an iteration of conv32, of a quarter of its width to all of it, and of 40 to
640 frames of a VAE of mlp, whose weights do not fit into a cache."""


def core_seconds(configs: Sequence[TrialConfig], iterations: int, cores: int) -> float:
    """Estimate the time on a core of this machine, from the work of an iteration and the rates at which it does it:

    t = calls · seconds of a call + (frames · megabytes + passes · megabytes of weights) / rate of a copy
        + GFLOP / (efficiency · rate of products).

    Args:
        configs: configs with the same mean cost as those of the sweep.
        iterations: number of iterations of all trials together.
        cores: cores that are busy at a time. Rates are measured on so many at once, as they share memory and heat.
    """
    work, rates = COMPILED if _are_compiled() else BY_PYTORCH, _rates(min(cores, available_cores()))
    gflop, frames, weights = (sum(map(of, configs)) / len(configs) for of in (_gflop, _frames, num_weights))
    moved = frames * work.megabytes_per_frame + work.passes * weights * FLOAT / 1e6
    beside = work.calls * rates.seconds_per_call + moved / rates.megabytes_per_second
    return iterations * (1 + EVALUATION_SHARE) * (beside + gflop / (work.efficiency * rates.gflops))


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
    one = EVALUATION_COST * max(config.num_tested * (1 + (config.split != "none")) for config in configs)
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
        megabytes_per_second: rate of a copy in memory, read and written.
        seconds_per_call: time of an addition of 16 numbers, on one core.
    """

    gflops: float
    megabytes_per_second: float
    seconds_per_call: float


@functools.cache
def _rates(cores: int) -> Rates:
    """Measure them, which takes about 0.15 s."""
    size, calls = 512, 1000
    ones, few = np.ones((size, size), np.float32), np.ones(16, np.float32)
    images = np.ones(2**22, np.float32)  # 16 MiB, more than a core's share of the cache

    def add() -> None:
        for _ in range(calls):
            few + few

    with threadpool_limits(1):
        product, copy = (_best_seconds(work, cores) for work in (lambda: ones @ ones, images.copy))
        call = _best_seconds(add, 1) / calls
    return Rates(2 * size**3 / product / 1e9, 2 * images.nbytes / copy / 1e6, call)


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
