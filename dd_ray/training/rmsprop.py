"""RMSprop on one vector of weights, or on those of many trials at once."""

import torch
from torch import Tensor

SMOOTHING = 0.99
EPSILON = 1e-8
"""PyTorch's defaults."""


@torch.no_grad()
def rmsprop_(
    weights: Tensor,
    square_avg: Tensor,
    gradient: Tensor,
    learning_rate: float | Tensor,
    active: Tensor | None = None,
) -> None:
    """v ← ρ v + (1 − ρ) g²,  w ← w − η g / (√v + ε), in place, elementwise.

    One vector for all parameters takes a quarter of the time of one tensor after another.

    Args:
        weights: w, [..., P].
        square_avg: v, the same shape.
        gradient: g, the same shape.
        learning_rate: η, or [..., 1].
        active: bool [..., 1]; where it is false, w and v stay as they are, whatever g is.

    Source: Tieleman and Hinton 2012, "Lecture 6.5: RMSProp"; PyTorch's `torch.optim.RMSprop` without momentum.
    """
    smoothing: float | Tensor = SMOOTHING
    if active is not None:
        gradient = gradient.where(active, 0.0)
        smoothing = torch.where(active, SMOOTHING, 1.0)
    new_square_avg = (square_avg * smoothing).addcmul_(gradient, gradient, value=1 - SMOOTHING)
    step = learning_rate * gradient / new_square_avg.sqrt().add_(EPSILON)
    # From here on no memory is asked for, so that a step is taken whole or not at all.
    square_avg.copy_(new_square_avg)
    weights.sub_(step)
