"""Stochastic gradient descent, with momentum."""

from torch import Tensor

from dd_ray.training.rates import Kept, Rates, Update


def sgd(weights: Tensor, kept: Kept, gradient: Tensor, rates: Rates) -> Update:
    """b ← μ b + g,  w ← w − η b, elementwise, as `dd_ray.training.optimizers` takes it.

    Source: Sutskever et al. 2013, with η outside of b as in PyTorch's `torch.optim.SGD`.
    """
    direction = kept["gradient_avg"] * rates.momentum + gradient
    return {"gradient_avg": direction}, rates.learning_rate * direction
