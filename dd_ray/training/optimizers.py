"""The update of weights by an optimiser, of one trial or of many at once.

Shapes: P weights, in one vector, which takes a quarter of the time of one tensor after another; [..., P] of many.
"""

import torch
from torch import Tensor

from dd_ray.config import OPTIMIZERS, TrialConfig, resolve
from dd_ray.training.rates import Kept, Rates

EPSILON = 1e-6
"""Added to the norm that a gradient is divided by, as in PyTorch's `clip_grad_norm_`."""


def nothing_kept(config: TrialConfig, weights: Tensor) -> dict[str, Tensor]:
    """Make the vectors that a trial's optimiser keeps, as they are before the first step: zeros."""
    return {name: torch.zeros_like(weights) for name in OPTIMIZERS[config.optimizer].keeps}


@torch.no_grad()
def update_(
    config: TrialConfig, weights: Tensor, kept: Kept, gradient: Tensor, rates: Rates, *, active: Tensor | None = None
) -> None:
    """Take a step of a trial's optimiser in place, by its gradient g or, with clip_gradient = c, by g min(1, c / ‖g‖).

    Args:
        config: of the trial, or one that has the optimiser and the clip_gradient of all.
        weights: w, [..., P].
        kept: what the optimiser keeps, the same shape each.
        gradient: g, the same shape. The norm is over P, of each trial its own.
        rates: numbers, or [..., 1].
        active: bool [..., 1]; where it is false, w and what is kept stay as they are, whatever g is.

    Source: of the clipping, Pascanu et al. 2013, algorithm 1; PyTorch's `clip_grad_norm_`.
    """
    if config.clip_gradient is not None:
        norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
        gradient = gradient * (config.clip_gradient / (norm + EPSILON)).clamp_(max=1.0)
    new, step = resolve(OPTIMIZERS[config.optimizer].update)(weights, kept, gradient, rates)
    if active is not None:
        new = {name: value.where(active, kept[name]) for name, value in new.items()}
        step = step.where(active, 0.0)
    # From here on no memory is asked for, so that a step is taken whole or not at all.
    for name, value in new.items():
        kept[name].copy_(value)
    weights.sub_(step)
