"""Estimates what a sweep costs, from counts and measured rates, and how many evaluations and scores it can afford."""

import functools
import math
import time
from collections.abc import Collection, Sequence

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
EFFICIENCY = 0.43
"""The share of a core's matrix-product rate that the products of training reach."""
SECONDS_PER_ITERATION, SECONDS_PER_FRAME = 0.010, 1.44e-4
"""Time of an iteration beside its products: calls, rendering, and layers that wait for memory. With `EFFICIENCY` the
estimate is within 10% of eight measured times of `conv32`, for 2 to 64 videos of ten frames at a quarter to all of its
width (AMD EPYC, one thread), and of the time for 64 videos on a Xeon with AMX, whose products are twice as fast."""


def core_seconds(configs: Sequence[TrialConfig], iterations: int) -> float:
    """Estimate the time on a core of this machine: t = a + b · frames + GFLOP / (e · rate of its matrix products).

    Args:
        configs: configs with the same mean cost as those of the sweep.
        iterations: number of iterations of all trials together.
    """
    gflop, frames = (sum(map(of, configs)) / len(configs) for of in (_gflop, _frames))
    beside = SECONDS_PER_ITERATION + SECONDS_PER_FRAME * frames
    return iterations * (1 + EVALUATION_SHARE) * (beside + gflop / (EFFICIENCY * _core_gflops()))


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


@functools.cache
def _core_gflops() -> float:
    """Measure the matrix-product rate of one core in float32, which takes about 50 ms."""
    size = 512
    a = np.ones((size, size), np.float32)
    best = math.inf
    with threadpool_limits(1):
        for _ in range(8):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
