"""Holds the rates of an optimiser's update: learning rate, momentum, weight decay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.config.schedules import learning_rate_at

Kept = Mapping[str, Tensor]
"""The vectors that an optimiser keeps from step to step, by the names in its declaration, of the weights' shape."""
Update = tuple[dict[str, Tensor], Tensor]
"""The vectors that an optimiser keeps from now on, and the step, which is subtracted from the weights."""
AVERAGED, SQUARES_AVERAGED = 0.9, 0.999
"""β₁ and β₂ of Adam, PyTorch's defaults (Kingma and Ba 2015, algorithm 1)."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Rates of a trial's update: numbers or, where trials are computed as one, [K, 1]."""

    learning_rate: float | Tensor
    """η of the iteration."""
    momentum: float | Tensor
    """μ of sgd."""
    weight_decay: float | Tensor
    """λ of adamw."""
    share_averaged: float | Tensor
    """1 − β₁^t at step t = 1, 2, …: the weight of gradients in Adam's running mean, which starts at 0."""
    share_squares_averaged: float | Tensor
    """1 − β₂^t, the same of its mean of squared gradients."""

    @classmethod
    def at(cls, config: TrialConfig, iteration: int) -> Self:
        """Return the rates of a trial in an iteration; its step has the number iteration + 1."""
        return cls(
            learning_rate=learning_rate_at(config, iteration),
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            share_averaged=1 - AVERAGED ** (iteration + 1),
            share_squares_averaged=1 - SQUARES_AVERAGED ** (iteration + 1),
        )
