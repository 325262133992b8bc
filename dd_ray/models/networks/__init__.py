"""Encoder and decoder networks. A new one is a file here and a line in `NETWORKS`.

All have PyTorch's default initialisation, and a sigmoid at the end of the decoder.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.models.networks.base import Features
from dd_ray.models.networks.conv32 import Conv32Decoder, Conv32Features
from dd_ray.models.networks.conv64 import Conv64Decoder, Conv64Features
from dd_ray.models.networks.mlp import MLPDecoder, MLPFeatures

__all__ = ["NETWORKS", "Features", "GaussianEncoder", "make_decoder", "make_features"]


class _Network(NamedTuple):
    features: Callable[[TrialConfig], Features]
    decoder: Callable[[TrialConfig, int], nn.Module]


NETWORKS = {
    "conv32": _Network(Conv32Features, Conv32Decoder),
    "conv64": _Network(Conv64Features, Conv64Decoder),
    "mlp": _Network(MLPFeatures, MLPDecoder),
}


def make_features(config: TrialConfig) -> Features:
    """The part of the config's network that looks at images."""
    return NETWORKS[config.network].features(config)


def make_decoder(config: TrialConfig, num_inputs: int) -> nn.Module:
    """The part of the config's network that draws images [N, C, H, W] in [0, 1] from codes [N, num_inputs]."""
    return NETWORKS[config.network].decoder(config, num_inputs)


class GaussianEncoder(nn.Module):
    """Images [N, C, H, W] to mean and log-variance [N, L] of the posterior."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.features = make_features(config)
        self.mu = nn.Linear(self.features.size, config.num_latents)
        self.logvar = nn.Linear(self.features.size, config.num_latents)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return self.mu(features), self.logvar(features)
