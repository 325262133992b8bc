"""RMSprop."""

from torch import Tensor

from dd_ray.training.rates import Kept, Rates, Update

SMOOTHING = 0.99
EPSILON = 1e-8
"""PyTorch's defaults."""


def rmsprop(weights: Tensor, kept: Kept, gradient: Tensor, rates: Rates) -> Update:
    """v ← ρ v + (1 − ρ) g²,  w ← w − η g / (√v + ε), elementwise, as `dd_ray.training.optimizers` takes it.

    Source: Tieleman and Hinton 2012, "Lecture 6.5: RMSProp"; PyTorch's `torch.optim.RMSprop` without momentum.
    """
    square_avg = (kept["square_avg"] * SMOOTHING).addcmul_(gradient, gradient, value=1 - SMOOTHING)
    step = (rates.learning_rate * gradient).div_(square_avg.sqrt().add_(EPSILON))
    return {"square_avg": square_avg}, step
