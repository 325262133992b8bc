"""Ada-GVAE (Locatello et al. 2020, section 4): frames of a video share the latents in which they hardly differ.

Shapes: B videos, T frames, P pairs of frames of a video, L latents.
"""

import math

import torch
from torch import Tensor

from dd_ray.data import Batch
from dd_ray.models.outputs import Reconstruction
from dd_ray.models.prediction import predict_linearly
from dd_ray.models.vae import VideoVAE


def gaussian_kl(mu: Tensor, logvar: Tensor, other_mu: Tensor, other_logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(μ', σ'²)) = ½ (σ²/σ'² + (μ' − μ)²/σ'² − 1 + log σ'² − log σ²), in nats, elementwise."""
    # By expm1, since posteriors of an untrained network differ so little that 1 less 1 would be all rounding.
    log_ratio = logvar - other_logvar
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + (other_mu - mu).square() * (-other_logvar).exp())


def share_latents(mu: Tensor, logvar: Tensor, other_mu: Tensor, other_logvar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which latents two pictures share, and the posterior that both have of these (Locatello et al. 2020, section 4).

    δ_i = KL(q(z_i|x) ‖ q(z_i|x')), and latent i is shared where δ_i < ½ (max_j δ_j + min_j δ_j). The mean and the
    variance of a shared latent are the means of both.

    Args:
        mu: [..., L] of the first picture.
        logvar: [..., L], log σ².
        other_mu: [..., L] of the second.
        other_logvar: [..., L].

    Returns:
        Which are shared, bool [..., L], and mean and log-variance [..., L] as if all were.
    """
    with torch.no_grad():
        delta = gaussian_kl(mu, logvar, other_mu, other_logvar)
        threshold = (delta.amax(-1, keepdim=True) + delta.amin(-1, keepdim=True)) / 2
    shared_logvar = torch.logaddexp(logvar, other_logvar) - math.log(2)
    return delta < threshold, (mu + other_mu) / 2, shared_logvar


def average_pairs(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Posteriors [B, T, L] of frames, with the latents that frames t and t + ⌊T/2⌋ share averaged; the same shape."""
    half = mu.shape[1] // 2
    first, second = slice(0, half), slice(half, 2 * half)
    shared, mu_bpl, logvar_bpl = share_latents(mu[:, first], logvar[:, first], mu[:, second], logvar[:, second])

    def averaged(own: Tensor, average: Tensor) -> Tensor:
        parts = [average.where(shared, own[:, frames]) for frames in (first, second)]
        return torch.cat([*parts, own[:, 2 * half :]], dim=1)

    return averaged(mu, mu_bpl), averaged(logvar, logvar_bpl)


class AdaGVAE(VideoVAE):
    """The β-VAE on every frame, but that the two frames of a pair have one posterior of the latents that they share.

    Frame t is paired with frame t + ⌊T/2⌋, so that what moves has moved by half of the video; the last frame of an odd
    number is by itself. Which latents are shared is decided anew for each pair, by `share_latents`, so that nobody
    says which factors rest, nor how many. The paper draws pairs that differ in a few factors at random; here the video
    has them.

    `mu` and `logvar` of its outputs are of these posteriors, which see both frames; `encoded` are the encoder's means
    of each frame by itself, which the scores of still pictures take.
    """

    def forward(self, batch: Batch, noise: Tensor | None = None) -> Reconstruction:
        """Encode all frames, average pairs and decode; `noise` [B, T, L] standard normal, or None for the means."""
        encoded, of_encoder = self.encode(batch.images)
        mu, logvar = average_pairs(encoded, of_encoder)
        every_frame = slice(0, mu.shape[1])
        return Reconstruction(
            mu=mu,
            logvar=logvar,
            latents=self.sample(mu, logvar, noise),
            mu_predicted=predict_linearly(mu, self.alpha),
            frames=every_frame,
            kl_frames=every_frame,
            reconstruction=self.reconstruct(mu, logvar, noise),
            target=batch.target,
            encoded=encoded,
        )
