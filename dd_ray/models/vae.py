"""What the three VAEs share: encoding and decoding of videos, and the sampling of latents."""

import torch
from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.models.networks import GaussianEncoder, make_decoder


class VideoVAE(nn.Module):
    """Encoder and decoder of the config's network applied to every frame.

    A subclass says in `forward` which latents become which frames.
    """

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.num_latents = config.num_latents
        self.stochastic = config.stochastic
        self.image_size = config.image_size
        alpha = torch.tensor(config.alpha)
        if config.learn_alpha:
            self.alpha: Tensor = nn.Parameter(alpha)
        else:
            self.register_buffer("alpha", alpha)
        self.encoder = GaussianEncoder(config)
        self.decoder = make_decoder(config, config.num_latents)

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...]:
        """Shape of the standard normal noise that `forward` takes for B videos of T frames."""
        return (batch_size, num_frames, self.num_latents)

    def scheduled_at(self, iteration: int) -> dict[str, float]:
        """Values that schedules of the config give to buffers at an iteration; there are none in most models."""
        return {}

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Videos [B, T, C, H, W] to encoder mean and log-variance, each [B, T, L]."""
        size, num_frames = images.shape[:2]
        mu, logvar = self.encoder(images.flatten(0, 1))
        return mu.view(size, num_frames, -1), logvar.view(size, num_frames, -1)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, T, L] to videos [B, T, C, H, W] in [0, 1]."""
        size, num_frames = latents.shape[:2]
        return self.decoder(latents.flatten(0, 1)).unflatten(0, (size, num_frames))

    def sample(self, mu: Tensor, logvar: Tensor, noise: Tensor | None) -> Tensor:
        """z = μ + σ·ε with ε = `noise`; μ itself for a plain autoencoder, or where there is no noise."""
        if noise is None or not self.stochastic:
            return mu
        return mu + noise * torch.exp(0.5 * logvar)

    def reconstruct(self, mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """Frames [B, T', C, H, W] from latents sampled from the posterior, or from its means."""
        return self.decode(self.sample(mu, logvar, noise))
