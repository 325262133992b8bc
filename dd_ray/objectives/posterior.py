"""The input and output of a penalty of the latents."""

from typing import NamedTuple

from torch import Tensor


class Posterior(NamedTuple):
    """Gaussians N(μ, σ²), one for each latent of each frame, and a draw from each. All of one shape, [..., L]."""

    mu: Tensor
    logvar: Tensor
    """log σ²."""
    latents: Tensor
    """z = μ + σ ε."""


class Weighted(NamedTuple):
    """A term of the objective and its weight."""

    weight: float | Tensor
    value: Tensor
    """Scalar, averaged over B."""
    constant: float = 0.0
    """The constant part of the value that its estimator adds: it is in the loss, but not in the reported term."""
