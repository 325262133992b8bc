"""The base class of VAEs: it encodes and decodes videos, and samples latents."""

import torch
from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.models.base import Model
from dd_ray.models.networks import GaussianEncoder, make_decoder


class VideoVAE(Model):
    """Encoder and decoder of the config's network, applied to every frame.

    A subclass defines in `forward` which latents are decoded to which frames.
    """

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.num_latents = config.num_latents
        self.stochastic = config.stochastic
        self.learns_alpha = config.learn_alpha
        alpha = torch.tensor(config.alpha)
        if self.learns_alpha:
            self.alpha = nn.Parameter(alpha)
        else:
            self.register_buffer("alpha", alpha)
        self.encoder = GaussianEncoder(config)
        self.decoder = make_decoder(config, config.num_latents)

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...] | None:
        """Return [B, T, L]: one draw for each latent."""
        return (batch_size, num_frames, self.num_latents)

    def learned_values(self) -> dict[str, Tensor]:
        """Return α if it is learned."""
        return {"alpha/learned": self.alpha.clone()} if self.learns_alpha else {}

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode videos [B, T, C, H, W] into mean and log-variance, each [B, T, L]."""
        size, num_frames = images.shape[:2]
        mu, logvar = self.encoder(images.flatten(0, 1))
        return mu.view(size, num_frames, -1), logvar.view(size, num_frames, -1)

    def code(self, images: Tensor) -> Tensor:
        """Return the encoder's means [B, T, L] of videos [B, T, C, H, W]."""
        return self.encode(images)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents [B, T, L] into videos [B, T, C, H, W] in [0, 1]."""
        size, num_frames = latents.shape[:2]
        return self.decoder(latents.flatten(0, 1)).unflatten(0, (size, num_frames))

    def sample(self, mu: Tensor, logvar: Tensor, noise: Tensor | None) -> Tensor:
        """Return z = μ + σ·ε with ε = `noise`; μ itself for a plain autoencoder, or without noise."""
        if noise is None or not self.stochastic:
            return mu
        return mu + noise * torch.exp(0.5 * logvar)

    def reconstruct(self, mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """Decode samples of a posterior, or its means, to frames [B, n − warm_up, C, H, W]: all but the first ones."""
        return self.decode(self.sample(self.decoder_input(mu), logvar, noise)[:, self.traits.warm_up :])
