"""What latents do by themselves: whether they are used, and whether they move in straight lines."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

ACTIVE_VARIANCE = 0.01
"""A latent is in use if the variance of its mean over the data exceeds this (Burda et al. 2016, sec. 5)."""


def active_units(mu: Array) -> int:
    """How many latents are in use: Var_x[μ_j(x)] > 0.01. `mu` is [N, L]."""
    return int((np.var(mu, axis=0, dtype=np.float64) > ACTIVE_VARIANCE).sum())


def prediction_ratio(mu: Array, mu_predicted: Array) -> float:
    """Σ_{t≥2} ‖μ_t − μ̂_t‖² / Σ_{t≥2} ‖μ_t − μ_{t−1}‖²: error of linear prediction in units of the motion.

    Args:
        mu: [B, T, L] latents of videos.
        mu_predicted: [B, T, L] their predictions; frames 0 and 1 are not looked at.

    Returns:
        0 for latents in uniform motion; 1 if predicting that nothing moves is as good; free of the scale
        of the latents, unlike the penalty. NaN if nothing moves, or T < 3.
    """
    error = np.square(mu[:, 2:] - mu_predicted[:, 2:], dtype=np.float64).sum()
    motion = np.square(mu[:, 2:] - mu[:, 1:-1], dtype=np.float64).sum()
    return float(error / motion) if motion > 0 else float("nan")
