"""What a penalty of the latents sees, and what it gives."""

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
    """A term and what it is multiplied by."""

    weight: float | Tensor
    value: Tensor
    """Scalar, averaged over B."""
    constant: float = 0.0
    """What of the value is a constant of how it is estimated: part of the loss, and not of the term that is told."""
