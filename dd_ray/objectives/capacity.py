"""Controlled capacity (Burgess et al. 2018): g · |KL(q(z|x) ‖ N(0, I)) − C|, C growing in training.

The published γ is g here, `capacity_weight`, since γ is taken.
"""

from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.objectives.beta import kl_divergence
from dd_ray.objectives.posterior import Posterior, Weighted
from dd_ray.objectives.weights import Weights


def capacity_gap(kl: Tensor, capacity: float | Tensor) -> Tensor:
    """Σ_frames |KL − C| = n · |KL − C|, with KL the mean over the batch and over the frames of a video.

    C is per frame, so that it means the same for videos and still images. For still images this is the published term.

    Args:
        kl: [B, n, L], the elementwise KL in nats.
        capacity: C, nats per frame.

    Returns:
        Scalar, nats per video.
    """
    return (kl.sum() / len(kl) - kl.shape[1] * capacity).abs()


def capacity_penalty(config: TrialConfig, posterior: Posterior, weights: Weights) -> dict[str, Weighted]:
    """g · n · |KL − C| of a posterior [B, n, L]."""
    gap = capacity_gap(kl_divergence(posterior.mu, posterior.logvar), weights.capacity)
    return {"capacity_gap": Weighted(weights.capacity_weight, gap)}
