"""The weights of an objective's terms."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.config.schedules import value_at


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of the terms of a trial's loss: numbers or, where trials are computed as one, scalar tensors."""

    beta: float | Tensor
    """β, the weight of the KL, or of the total correlation."""
    lam: float | Tensor
    """λ, the weight of the prediction error."""
    capacity: float | Tensor
    """C, in nats per frame."""
    capacity_weight: float | Tensor
    """Weight of |KL − C|."""
    slowness_weight: float | Tensor
    """Weight of the KL from the frame before."""
    slowness_rate: float | Tensor
    """Rate of the Laplace distribution of steps."""
    velocity_scale: float | Tensor
    """s, the standard deviation of a change of velocity."""
    velocity_alpha: float | Tensor
    """α of the prior: the share of the last step that it repeats."""

    @classmethod
    def at(cls, config: TrialConfig, iteration: int) -> Self:
        """Return the weights of a trial at an iteration."""
        return cls(
            beta=value_at(config, "beta", iteration),
            lam=value_at(config, "lam", iteration),
            capacity=value_at(config, "capacity", iteration),
            capacity_weight=config.capacity_weight,
            slowness_weight=config.slowness_weight,
            slowness_rate=config.slowness_rate,
            velocity_scale=config.velocity_scale,
            velocity_alpha=config.velocity_alpha,
        )
