"""Adam, and AdamW, which takes a share off each weight as well."""

from torch import Tensor

from dd_ray.training.rates import AVERAGED, SQUARES_AVERAGED, Kept, Rates, Update

EPSILON = 1e-8
"""PyTorch's default."""


def adam(weights: Tensor, kept: Kept, gradient: Tensor, rates: Rates) -> Update:
    """m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  w ← w − η m̂ / (√v̂ + ε), elementwise.

    m̂ = m / (1 − β₁^t) and v̂ = v / (1 − β₂^t) at step t. As `dd_ray.training.optimizers` takes it.

    Source: Kingma and Ba 2015, algorithm 1; PyTorch's `torch.optim.Adam`.
    """
    average = kept["gradient_avg"].lerp(gradient, 1 - AVERAGED)
    square_avg = (kept["square_avg"] * SQUARES_AVERAGED).addcmul_(gradient, gradient, value=1 - SQUARES_AVERAGED)
    size = (square_avg / rates.share_squares_averaged).sqrt_().add_(EPSILON)
    step = (average / size).mul_(rates.learning_rate / rates.share_averaged)
    return {"gradient_avg": average, "square_avg": square_avg}, step


def adamw(weights: Tensor, kept: Kept, gradient: Tensor, rates: Rates) -> Update:
    """Adam's update, and w ← w − η λ w with the weights before it.

    All weights decay, biases among them, and a learned α and the logit of a learned γ: α to 0, and γ to ½.

    Source: Loshchilov and Hutter 2019, algorithm 2; PyTorch's `torch.optim.AdamW`.
    """
    kept, step = adam(weights, kept, gradient, rates)
    return kept, step.add_(weights * (rates.learning_rate * rates.weight_decay))
