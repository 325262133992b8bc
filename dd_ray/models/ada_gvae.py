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
    # By expm1, since posteriors of an untrained network differ so little that exp(x) − 1 would be all rounding.
    log_ratio = logvar - other_logvar
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + (other_mu - mu).square() * (-other_logvar).exp())


def share_latents(mu: Tensor, logvar: Tensor, other_mu: Tensor, other_logvar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the latents that two pictures share, and their common posterior (Locatello et al. 2020, section 4).

    δ_i = KL(q(z_i|x) ‖ q(z_i|x')), and latent i is shared if δ_i < ½ (max_j δ_j + min_j δ_j). Mean and variance of a
    shared latent are the averages of both pictures' means and variances.

    Args:
        mu: μ of the first picture, [..., L].
        logvar: log σ² of the first picture, [..., L].
        other_mu: μ of the second picture, [..., L].
        other_logvar: log σ² of the second picture, [..., L].

    Returns:
        Mask of the shared latents, bool [..., L], and the averaged mean and log-variance [..., L] of all latents.
    """
    with torch.no_grad():
        delta = gaussian_kl(mu, logvar, other_mu, other_logvar)
        threshold = (delta.amax(-1, keepdim=True) + delta.amin(-1, keepdim=True)) / 2
    shared_logvar = torch.logaddexp(logvar, other_logvar) - math.log(2)
    return delta < threshold, (mu + other_mu) / 2, shared_logvar


def average_pairs(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Average the latents that frames t and t + ⌊T/2⌋ share, in posteriors [B, T, L] of frames; the same shape."""
    half = mu.shape[1] // 2
    first, second = slice(0, half), slice(half, 2 * half)
    shared, mu_bpl, logvar_bpl = share_latents(mu[:, first], logvar[:, first], mu[:, second], logvar[:, second])

    def averaged(own: Tensor, average: Tensor) -> Tensor:
        parts = [average.where(shared, own[:, frames]) for frames in (first, second)]
        return torch.cat([*parts, own[:, 2 * half :]], dim=1)

    return averaged(mu, mu_bpl), averaged(logvar, logvar_bpl)


class AdaGVAE(VideoVAE):
    """The β-VAE on every frame, where the two frames of a pair have the same posterior of the latents that they share.

    Frame t is paired with frame t + ⌊T/2⌋, half of the video later; the last frame of an odd number has no partner.
    `share_latents` decides for each pair which latents are shared, so the model is not told which factors rest, nor how
    many. The paper draws random pairs that differ in a few factors; here the video provides them.

    `mu` and `logvar` of its outputs are these posteriors, which depend on both frames; `encoded` are the encoder's
    means of single frames, which the scores of still pictures use.
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
