"""A constant-velocity prior: each latent keeps its velocity, except for Gaussian accelerations.

    p(z) = N(z_0; 0, I) N(z_1; z_0, I) Π_{t≥2} N(z_t; ẑ_t, s² I),    ẑ_t = z_{t−1} + α (z_{t−1} − z_{t−2})

This is the linear-Gaussian model of tracking (Bar-Shalom, Li and Kirubarajan 2001, section 6.2), in its second-order
form. Its KL from a posterior that is independent over frames has one term for each frame, and is multiplied by β. At β
= 1 the objective is the negative evidence bound of that prior.

The position of a latent is paid for once: the prior of the second frame is centred on the first, and as wide as that of
positions, so that no speed below the size of the latents is preferred. Later frames pay only for changes of the
velocity. With a prior N(0, I) of the second frame, a resting latent would pay twice for its position.

A posterior that is independent over frames cannot equal this prior, whose frames depend on each other. So even a latent
that encodes nothing costs something in each frame: ½ log(1 + (1 + α)² + α²), 0.9 nats at α = 1, if all σ_t are equal
and optimal, and less if they may differ. This cost is the same for all latents of constant velocity, whatever the
velocity.
"""

import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.objectives.beta import kl_divergence
from dd_ray.objectives.posterior import Posterior, Weighted
from dd_ray.objectives.weights import Weights


def velocity_kl(mu: Tensor, logvar: Tensor, scale: float | Tensor, alpha: float | Tensor) -> Tensor:
    """E_{q(z_{t−1}) q(z_{t−2})} KL(q(z_t) ‖ p(z_t | z_{t−1}, z_{t−2})) for t ≥ 1, in nats, elementwise.

    = ½ (E r_t² / p_t² − 1 − log σ_t² / p_t²), where r_t = z_t − ẑ_t has the mean μ_t − μ̂_t and the variance
    σ_t² + (1 + α)² σ_{t−1}² + α² σ_{t−2}², and p_t = s; at t = 1, ẑ_1 = z_0 and p_1 = 1.

    It is the expectation over the frames before, in closed form, so nothing is sampled.

    Args:
        mu: [B, n, L].
        logvar: [B, n, L], log σ².
        scale: s > 0, the standard deviation of a change of velocity.
        alpha: α, the share of the last step that the prediction repeats; 1 is constant velocity.

    Returns:
        [B, n − 1, L].
    """
    variance = logvar.exp()
    second = _kl_from_normal(mu[:, 1:2] - mu[:, :1], variance[:, :1], logvar[:, 1:2])
    missed = mu[:, 2:] - mu[:, 1:-1] - alpha * (mu[:, 1:-1] - mu[:, :-2])
    before = (1 + alpha) ** 2 * variance[:, 1:-1] + alpha**2 * variance[:, :-2]
    log_scale = torch.as_tensor(scale, dtype=mu.dtype).log()
    later = _kl_from_normal(missed / scale, before / scale**2, logvar[:, 2:] - 2 * log_scale)
    return torch.cat([second, later], dim=1)


def _kl_from_normal(mean: Tensor, spread: Tensor, logvar: Tensor) -> Tensor:
    """E_d KL(N(d, σ²) ‖ N(0, 1)) with d of this mean and of variance `spread`, elementwise."""
    return kl_divergence(mean, logvar) + 0.5 * spread


def velocity_penalty(config: TrialConfig, posterior: Posterior, weights: Weights) -> dict[str, Weighted]:
    """β · (KL(q(z_0) ‖ N(0, I)) + Σ_{t≥1} E KL(q(z_t) ‖ p(z_t | z_{t−1}, z_{t−2}))) of a posterior [B, n, L]."""
    mu, logvar = posterior.mu, posterior.logvar
    later = velocity_kl(mu, logvar, weights.velocity_scale, weights.velocity_alpha)
    return {
        "first_kl": Weighted(weights.beta, kl_divergence(mu[:, 0], logvar[:, 0]).sum() / len(mu)),
        "velocity": Weighted(weights.beta, later.sum() / len(mu)),
    }
