"""Tells which latents a network uses at all."""

import numpy as np

from dd_ray.metrics.arrays import Array, Mask, masked

ACTIVE_VARIANCE = 0.01
"""A latent is in use if the variance of its mean over the data exceeds this (Burda et al. 2016, sec. 5)."""


def active_mask(mu: Array) -> Mask:
    """Return the mask [L] of the latents in use, Var_x[μ_j(x)] > 0.01, for the other scores. `mu` is [N, L].

    It says nothing about what a latent encodes: noise of variance 1 is active. Source: Burda et al. 2016, sec. 5.

    Raises:
        ValueError: `mu` is of another shape, such as [B, T, L] of videos, whose frames would count as latents;
            or it holds no row, NaN or infinite values.
    """
    if np.ndim(mu) != 2:
        raise ValueError(f"latents {np.shape(mu)} are not [N, L]; reshape those of videos to (-1, L).")
    if not len(mu):
        raise ValueError(f"latents {np.shape(mu)} hold no row, and so no variance; give several.")
    return np.var(masked(mu, None), axis=0) > ACTIVE_VARIANCE


def active_units(mu: Array) -> int:
    """Count the latents in use, Var_x[μ_j(x)] > 0.01. `mu` is [N, L]. Source: Burda et al. 2016, sec. 5."""
    return int(active_mask(mu).sum())
