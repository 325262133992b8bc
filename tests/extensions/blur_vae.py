"""A model of one's own: each latent is a mean of what the encoder says of this frame and of the one before."""

from dataclasses import dataclass
from typing import Annotated

import torch

from dd_ray.config import ModelSpec, Option, Within
from dd_ray.config.models import PREDICTION, VAE
from dd_ray.models import Reconstruction, VideoVAE
from dd_ray.models.prediction import predict_linearly


@dataclass(frozen=True, kw_only=True)
class BlurOptions:
    """Options of the model: each is swept, tabled and part of a trial's key like any other."""

    blur: Annotated[float, Option(within=(Within("give a number in [0, 1]", 0, 1),), symbol="blur")] = 0.5
    """The share of the frame before in each latent (blur_vae)."""


class BlurVAE(VideoVAE):
    """z_t ~ N((1 − b) e_t + b e_{t−1}, σ_t²), and z_0 of e_0 alone; all frames are decoded."""

    def __init__(self, config):
        super().__init__(config)
        self.blur = config.blur

    def forward(self, batch, noise=None):
        e, logvar = self.encode(batch.images)
        mu = torch.cat([e[:, :1], (1 - self.blur) * e[:, 1:] + self.blur * e[:, :-1]], dim=1)
        every, predicted = slice(0, mu.shape[1]), predict_linearly(mu, self.alpha)
        made = {"mu": mu, "logvar": logvar, "latents": self.sample(mu, logvar, noise), "mu_predicted": predicted}
        seen = {"reconstruction": self.reconstruct(mu, logvar, noise), "target": batch.target}
        return Reconstruction(**made, **seen, frames=every, kl_frames=every)


READS = (*VAE, *PREDICTION)
BLUR = ModelSpec(name="blur_vae", title="blur VAE", build=BlurVAE, reads=READS, options=BlurOptions, needs_videos=True)
