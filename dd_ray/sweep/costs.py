"""What a sweep costs, and what of it evaluations and scores may take: estimates from counts and measured rates."""

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
"""Part of the time that evaluations may take where their number is not given."""
EVALUATION_COST = 0.65
"""Time of evaluating on one video, in units of training on one, measured: one encoding and two decodings
without gradients, against one of each with."""
GPU_HOURS_PER_FRAME = 1 / (50_000 * 64 * 10)
"""Time that a trial of conv32 alone on a GPU takes to learn from a frame: the original study's hour for 50,000
iterations of 64 videos of 10 frames. Trials that share a GPU take less of it each, how much has not been measured."""
FINAL_SHARE = 0.03
"""Part of a trial's time that scores of its network at the end may take where they are not named. Scores of networks
before training are computed once for all trials that begin alike."""
FRAMES_PER_SECOND = 6_250
"""Frames that a core trains conv32 on in the time of a second's worth of `FURTHER` scores, measured."""
STILLS_COST = 0.25
"""Seconds of a core that encoding the still pictures of those scores takes, measured."""
EFFICIENCY = 0.43
"""Share of the matrix-product rate of a core that the products of training reach."""
SECONDS_PER_ITERATION, SECONDS_PER_FRAME = 0.010, 1.44e-4
"""What an iteration takes beside its products: calls, rendering, and layers that wait for memory. With `EFFICIENCY`
this is within 10% of eight measured times of `conv32`, of 2 to 64 videos of ten frames and a quarter to all of its
width (AMD EPYC, one thread), and of that of 64 on a Xeon with AMX, whose products are twice as fast."""


def core_seconds(configs: Sequence[TrialConfig], iterations: int) -> float:
    """Rough time on one core of this machine: t = a + b · frames + GFLOP / (e · rate of its matrix products).

    Args:
        configs: that cost what those of the sweep do, in the mean.
        iterations: of all trials together.
    """
    gflop, frames = (sum(map(of, configs)) / len(configs) for of in (_gflop, _frames))
    beside = SECONDS_PER_ITERATION + SECONDS_PER_FRAME * frames
    return iterations * (1 + EVALUATION_SHARE) * (beside + gflop / (EFFICIENCY * _core_gflops()))


def gpu_hours(configs: Sequence[TrialConfig], iterations: int) -> float:
    """Hours of a GPU at most, as if each trial was alone on it; configs and iterations as for `core_seconds`."""
    frames = sum(map(_frames_of_conv32, configs)) / len(configs)
    return frames * iterations * GPU_HOURS_PER_FRAME


def affordable_evaluations(configs: Sequence[TrialConfig], iterations: int) -> int:
    """How often a trial of so many iterations may be evaluated after the first time, at least once."""
    training = iterations * min(config.batch_size for config in configs)
    one = EVALUATION_COST * max(config.num_test * (1 + (config.split != "none")) for config in configs)
    affordable = int(EVALUATION_SHARE * training / one) - 1
    return min(MOST_EVALUATIONS, iterations, max(1, affordable))


def affordable_scores(configs: Sequence[TrialConfig], iterations: int, known: Collection[str]) -> tuple[str, ...]:
    """As many of the known scores of `FURTHER` as trials of so many iterations have time for, the cheapest first."""
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
    """Weights, and so what is done with them, grow nearly with the square of the width."""
    return NETWORKS[config.network].gflop_per_frame[config.image_size] * config.width_factor**2


def _gflop(config: TrialConfig) -> float:
    """Of an iteration."""
    return _frames(config) * _gflop_per_frame(config)


def _frames(config: TrialConfig) -> float:
    """Of an iteration; for a model that only encodes or only draws, half of them."""
    return config.batch_size * config.frames * (config.traits.encodes + config.traits.draws) / 2


def _frames_of_conv32(config: TrialConfig) -> float:
    """Frames of an iteration, weighted by what one costs in units of one of conv32."""
    return config.batch_size * config.frames * _gflop_per_frame(config) / NETWORKS["conv32"].gflop_per_frame[32]


@functools.cache
def _core_gflops() -> float:
    """Matrix-product rate of one core, float32, measured in about 50 ms."""
    size = 512
    a = np.ones((size, size), np.float32)
    best = math.inf
    with threadpool_limits(1):
        for _ in range(8):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
