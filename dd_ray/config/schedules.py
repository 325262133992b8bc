"""Values that change during training.

They depend on the config and the iteration alone, so that a trial is the same whether or not it was interrupted, and
however long it is trained.
"""

import math
from typing import Literal, assert_never

from dd_ray.config import Schedule, TrialConfig

Scheduled = Literal["beta", "gamma", "lam", "capacity"]


def share_at(schedule: Schedule, iteration: int, length: int, cycles: int) -> float:
    """Return s_i in [0, 1], the share of its final value that a scheduled value has at iteration i; 1 from i = n on.

    constant: 1. linear: i / n. cosine: ½ (1 − cos(π i / n)), which begins and ends gently (Loshchilov and Hutter 2017,
    eq. 5, but rising). cyclic: M cycles, each of which rises linearly from 0 to 1 in its first half and stays 1 in its
    second (Fu et al. 2019, with R = ½).

    Args:
        schedule: one of the four.
        iteration: i ≥ 0.
        length: n ≥ 1.
        cycles: M ≥ 1; only cyclic uses it.
    """
    done = min(1.0, iteration / length)
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return done
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * done))
        case "cyclic":
            if done == 1:
                return 1.0
            begins = iteration * cycles % length == 0  # which done · M misses by rounding, as 0.58 · 50 < 29
            return 0.0 if begins else min(1.0, 2 * (done * cycles % 1))
        case _:
            assert_never(schedule)


def learning_rate_at(config: TrialConfig, iteration: int) -> float:
    """Return η_i, the learning rate of a trial in iteration i.

    With η its `learning_rate`, n its `learning_rate_iterations` and w its `warm_up_iterations`: in the warm-up
    η (i + 1) / w. After it η if the schedule is constant, or else η (1 − s_{i−w}) with the s of `share_at` of length
    n − w: for cosine η ½ (1 + cos(π (i − w) / (n − w))) (Loshchilov and Hutter 2017, eq. 5, without restarts).
    """
    full, warm_up = config.learning_rate, config.warm_up_iterations
    if iteration < warm_up:
        return full * (iteration + 1) / warm_up
    if config.learning_rate_schedule == "constant":
        return full
    length = config.learning_rate_iterations - warm_up
    return full * (1 - share_at(config.learning_rate_schedule, iteration - warm_up, length, cycles=1))


def value_at(config: TrialConfig, name: Scheduled, iteration: int) -> float:
    """Return β, γ, λ or C of a trial at an iteration: s_i times the value that the config gives."""
    full = {"beta": config.beta_value, "gamma": config.gamma, "lam": config.lam, "capacity": config.capacity_max}[name]
    length = config.capacity_iterations if name == "capacity" else config.schedule_iterations
    return full * share_at(getattr(config, f"{name}_schedule"), iteration, length, config.schedule_cycles)
