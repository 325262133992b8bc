"""An objective of one's own: free bits (Kingma et al. 2016, section 2.5), Σ_j max(λ_free, KL_j), times β."""

from dataclasses import dataclass
from typing import Annotated

from dd_ray.config import ObjectiveSpec, Option
from dd_ray.config.field import at_least
from dd_ray.objectives import kl_divergence
from dd_ray.objectives.posterior import Weighted


@dataclass(frozen=True, kw_only=True)
class FreeBitsOptions:
    """Options of the objective."""

    free_nats: Annotated[float, Option(within=(at_least(0),))] = 0.5
    """objective = free_bits: nats of each latent and frame that cost nothing."""


def free_bits_penalty(config, posterior, weights):
    """β Σ_t Σ_j max(free_nats, KL of latent j at frame t, averaged over the batch)."""
    kl_tl = kl_divergence(posterior.mu, posterior.logvar).mean(dim=0)
    return {"free_bits": Weighted(weights.beta, kl_tl.clamp_min(config.free_nats).sum())}


FREE_BITS = ObjectiveSpec(
    name="free_bits",
    title="free bits",
    penalty=free_bits_penalty,
    reads=("beta", "beta_norm", "beta_schedule"),
    options=FreeBitsOptions,
)
