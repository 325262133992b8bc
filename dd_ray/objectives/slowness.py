"""A slowness prior (SlowVAE; Klindt et al. 2021): latents move rarely, and then far.

    p(z) = N(z_0; 0, I) Π_{t≥1} Laplace(z_t; z_{t−1}, 1 / rate)

whose KL from the posterior has one term for the first frame and one for each later frame. With both weights 1 the
objective is the negative evidence bound of that prior.

The public code (github.com/bethgelab/slow_disentanglement, scripts/solver.py; β = 1, weight 10, rate 6) takes pairs of
frames, and differs in two terms. It adds the cross-entropy CE in both directions, of each frame and the Laplace
distribution about the other, but subtracts the frames' mean entropy H only once: 2 CE − H in place of CE − H, so the
same weight is about twice as strong there. And its KL from the normal is the mean over both frames, here the first
frame's.

The published weight is for the cross-entropy of images of 64×64. For a network to follow what moves, the penalty of
doing so must be smaller than the gain in reconstruction, see `dd_ray.evaluation.price_of_motion`. For one circle in
videos of ten frames of 32×32, with squared error, the penalty is a tenth of the gain with these weights, and half of it
with weights five times as large:

    rate                         1      3      6     12
    in front of a Gaussian      32    3.8    1.1   0.38
    on black                   110     13    4.0    1.4
"""

import math

import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.objectives.beta import kl_divergence
from dd_ray.objectives.posterior import Posterior, Weighted
from dd_ray.objectives.weights import Weights


def slowness_kl(mu: Tensor, logvar: Tensor, rate: float | Tensor) -> Tensor:
    """E_{q(z_{t−1})} KL(q(z_t) ‖ Laplace(z_{t−1}, 1 / rate)) for t ≥ 1, in nats, elementwise.

    = rate · E|d| − log(rate / 2) − ½ log(2πe σ_t²), where d = z_t − z_{t−1} ~ N(m, s²) with m = μ_t − μ_{t−1} and
    s² = σ_t² + σ_{t−1}², and E|d| = s √(2/π) exp(−m² / 2s²) + m erf(m / √2 s), the mean of a folded normal.

    It is the expectation over the frame before, in closed form, so nothing is sampled. The public code takes that
    frame's mean instead, and so leaves σ_{t−1} out of s.

    Args:
        mu: [B, n, L].
        logvar: [B, n, L], log σ².
        rate: rate of the Laplace distribution, whose scale is 1 / rate.

    Returns:
        [B, n − 1, L].
    """
    m = mu[:, 1:] - mu[:, :-1]
    # Both variances may underflow to 0. The bound changes s² by no more than rounding, and keeps all gradients finite.
    s2 = (logvar[:, 1:].exp() + logvar[:, :-1].exp()).clamp_min(torch.finfo(logvar.dtype).tiny ** 0.5)
    s = s2.sqrt()
    distance = math.sqrt(2 / math.pi) * s * torch.exp(-(m / s).square() / 2) + m * torch.erf(m / (math.sqrt(2) * s))
    entropy = 0.5 * (math.log(2 * math.pi * math.e) + logvar[:, 1:])
    return rate * distance - torch.log(torch.as_tensor(rate) / 2) - entropy


def slowness_penalty(config: TrialConfig, posterior: Posterior, weights: Weights) -> dict[str, Weighted]:
    """β · KL(q(z_0) ‖ N(0, I)) + w · Σ_{t≥1} E KL(q(z_t) ‖ Laplace(z_{t−1})), w = `slowness_weight`, of [B, n, L]."""
    mu, logvar = posterior.mu, posterior.logvar
    return {
        "first_kl": Weighted(weights.beta, kl_divergence(mu[:, 0], logvar[:, 0]).sum() / len(mu)),
        "slowness": Weighted(weights.slowness_weight, slowness_kl(mu, logvar, weights.slowness_rate).sum() / len(mu)),
    }
