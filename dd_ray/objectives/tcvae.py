"""β-TCVAE (Chen et al. 2018, eq. 4): the KL in three terms, of which β weighs the second.

    E_x KL(q(z|x) ‖ p(z)) = I(x; z)  +  KL(q(z) ‖ Π_j q(z_j))  +  Σ_j KL(q(z_j) ‖ p(z_j)),     q(z) = E_x q(z|x)

The terms are the index-code mutual information, the total correlation and the dimension-wise KL, in nats. q(z) and
q(z_j) are mixtures of the posteriors of all N samples of the data, of which a batch has B: each is estimated as a
weighted sum of the batch's posteriors.

FactorVAE (Kim and Mnih 2018) has the same total correlation in its objective, estimated by a discriminator. It is not
implemented: the discriminator is a second network with an optimiser of its own, trained in alternation on a second
batch whose latents are permuted over its samples, while a trial here has one network, one optimiser and one batch.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dd_ray.config import Sampling, TrialConfig
from dd_ray.objectives.posterior import Posterior, Weighted
from dd_ray.objectives.weights import Weights


class Decomposition(NamedTuple):
    """The three terms, each [..., S] for S draws. They add up to log q(z|x) − log p(z), whatever the weights."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


def log_weights_of(sampling: Sampling, batch_size: int, num_data: int, device: torch.device | None = None) -> Tensor:
    """log W, [B, B]: q(z_i) ≈ Σ_j W_ij q(z_i|x_j) for the draw of sample i, from the posteriors of the batch.

    *weighted* (Chen et al. 2018, app. C.1): W = 1 / (N B), a lower bound of log q(z_i) on average. Except for constants
    in N, which have no gradient, the terms are those of the batch taken as all of the data, whose mutual information is
    at most log B. With B = N, log q(z_i) is too low by log N: I is too high by log N, the sum over the L dimensions too
    low by L log N, and the total correlation too high by (L − 1) log N. `weighted_constants` returns these; they are
    subtracted from the reported terms.

    *stratified* (app. C.2): 1 / N for the sample's own posterior, which is always in the batch, and (N − 1) / (N (B −
    1)) for each of the others. Σ_j W_ij q(z_i|x_j) is then unbiased over batches that contain x_i and are otherwise
    drawn uniformly without replacement, and equals q(z_i) if B = N. Its logarithm is too low on average, by Jensen's
    inequality, the more so the narrower the posteriors are. The published weights single out one of the other samples;
    these are their mean over all choices of it.

    Args:
        sampling: one of the two.
        batch_size: B.
        num_data: N ≥ B.
        device: device of the result.
    """
    if sampling == "weighted":
        return torch.full((batch_size, batch_size), -math.log(num_data * batch_size), device=device)
    if batch_size == 1:
        return torch.zeros(1, 1, device=device)
    own = torch.eye(batch_size, device=device)
    return (own / num_data + (1 - own) * ((num_data - 1) / (num_data * (batch_size - 1)))).log()


def weighted_constants(num_latents: int, num_data: int) -> tuple[float, float, float]:
    """Return what the 1 / N of weighted sampling adds to the terms: log N, (L − 1) log N and −L log N, in nats.

    Without these, the terms are those of the batch taken as all of the data. They add up to 0, so the KL is unchanged.
    """
    log_n = math.log(num_data)
    return log_n, (num_latents - 1) * log_n, -num_latents * log_n


def decompose_kl(drawn: Posterior, mu: Tensor, logvar: Tensor, log_weights: Tensor) -> Decomposition:
    """Compute the three terms for draws from some posteriors, with q(z) a mixture of M posteriors.

    Args:
        drawn: [..., S, L] the posteriors that were drawn from, and the draws.
        mu: [..., M, L], means of the posteriors of which q(z) is a mixture.
        logvar: [..., M, L], their log-variances.
        log_weights: log W, which broadcasts with [S, M].
    """
    own = _log_normal(drawn.latents, drawn.mu, drawn.logvar).sum(-1)
    of_all = mu.transpose(-2, -1).unsqueeze(-3), logvar.transpose(-2, -1).unsqueeze(-3)
    each = _log_normal(drawn.latents.unsqueeze(-1), *of_all)  # [..., S, L, M]
    joint = torch.logsumexp(log_weights + each.sum(-2), dim=-1)
    marginals = torch.logsumexp(log_weights.unsqueeze(-2) + each, dim=-1).sum(-1)
    zero = torch.zeros_like(drawn.latents)
    prior = _log_normal(drawn.latents, zero, zero).sum(-1)
    return Decomposition(own - joint, joint - marginals, marginals - prior)


def _log_normal(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; μ, σ²), elementwise."""
    # This order leaves little to compute for each pair of z and μ.
    at_mean = -0.5 * (math.log(2 * math.pi) + logvar)
    return at_mean - ((z - mu) * (math.sqrt(0.5) * torch.exp(-0.5 * logvar))).square()


def tcvae_penalty(config: TrialConfig, posterior: Posterior, weights: Weights) -> dict[str, Weighted]:
    """I(x; z) + β · TC + Σ_j KL_j of a posterior [B, n, L], summed over frames.

    Frame t of a video is compared with frame t of the others, which are independent of it, unlike its neighbours in
    time. The loss includes the constants of weighted sampling; the reported terms do not.
    """
    by_frame = Posterior(*(tensor.transpose(0, 1) for tensor in posterior))  # [n, B, L]
    log_weights = log_weights_of(config.tc_sampling, len(posterior.mu), config.num_data, posterior.mu.device)
    terms_nb = decompose_kl(by_frame, by_frame.mu, by_frame.logvar, log_weights)
    num_frames, size, num_latents = by_frame.mu.shape
    constants = weighted_constants(num_latents, config.num_data if config.tc_sampling == "weighted" else 1)
    return {
        name: Weighted(
            weights.beta if name == "total_correlation" else 1.0, value_nb.sum() / size, num_frames * constant
        )
        for (name, value_nb), constant in zip(terms_nb._asdict().items(), constants, strict=True)
    }
