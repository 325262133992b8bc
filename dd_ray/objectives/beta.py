"""β-VAE (Higgins et al. 2017, eq. 4): β · KL(q(z|x) ‖ N(0, I)). At β = 1 it is the VAE (Kingma and Welling 2014)."""

from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.objectives.posterior import Posterior, Weighted
from dd_ray.objectives.weights import Weights


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = −½ (1 + log σ² − μ² − σ²), in nats, elementwise (Kingma and Welling 2014, B)."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())


def beta_penalty(config: TrialConfig, posterior: Posterior, weights: Weights) -> dict[str, Weighted]:
    """β Σ_frames KL(q(z_t|x) ‖ N(0, I)) of a posterior [B, n, L]."""
    kl_btl = kl_divergence(posterior.mu, posterior.logvar)
    # The published code averaged the KL over frames instead of summing it.
    averaged = config.compat == "original" and config.model == "predictive_vae"
    count = kl_btl.shape[0] * (kl_btl.shape[1] if averaged else 1)
    return {"kl": Weighted(weights.beta, kl_btl.sum() / count)}
