"""Encoder and decoder networks: a file each, declared in `dd_ray/config/networks.py`.

All have PyTorch's default initialisation, and a sigmoid at the end of the decoder.
"""

from torch import Tensor, nn

from dd_ray.config import NETWORKS, TrialConfig, resolve
from dd_ray.models.networks.base import Features

__all__ = ["Features", "GaussianEncoder", "make_decoder", "make_features"]


def make_features(config: TrialConfig) -> Features:
    """Build the part of the config's network that computes features of images."""
    features: Features = resolve(NETWORKS[config.network].features)(config)
    return features


def make_decoder(config: TrialConfig, num_inputs: int) -> nn.Module:
    """Build the part of the config's network that draws images [N, C, H, W] in [0, 1] from codes [N, num_inputs]."""
    decoder: nn.Module = resolve(NETWORKS[config.network].decoder)(config, num_inputs)
    return decoder


class GaussianEncoder(nn.Module):
    """An encoder from images [N, C, H, W] to mean and log-variance [N, L] of the posterior."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.features = make_features(config)
        self.mu = nn.Linear(self.features.size, config.num_latents)
        self.logvar = nn.Linear(self.features.size, config.num_latents)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images [N, C, H, W] into mean and log-variance, each [N, L]."""
        features = self.features(images)
        return self.mu(features), self.logvar(features)
