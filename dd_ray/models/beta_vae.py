"""β-VAE (Higgins et al. 2017) on every frame by itself."""

from torch import Tensor

from dd_ray.data import Batch
from dd_ray.models.outputs import Reconstruction
from dd_ray.models.prediction import predict_linearly
from dd_ray.models.vae import VideoVAE


class BetaVAE(VideoVAE):
    """z_t ~ N(μ(x_t), σ²(x_t)), x̂_t = decoder(z_t).

    `mu_predicted` plays no part in its objective; `predictive_vae` adds a term of it.
    """

    def forward(self, batch: Batch, noise: Tensor | None = None) -> Reconstruction:
        """Encode and decode all frames; `noise` [B, T, L] standard normal, or None to decode the means."""
        mu, logvar = self.encode(batch.images)
        latents = self.sample(mu, logvar, noise)
        every_frame = slice(0, mu.shape[1])
        return Reconstruction(
            mu=mu,
            logvar=logvar,
            latents=latents,
            mu_predicted=predict_linearly(mu, self.alpha),
            frames=every_frame,
            kl_frames=every_frame,
            reconstruction=self.decode(latents),
            target=batch.target,
        )
