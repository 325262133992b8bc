"""`conv32`: four 3×3 convolutions of stride 2 from 32×32 pixels to 2×2, and a decoder that mirrors them.

After Higgins et al. 2017 (table 1, Chairs), made smaller for 32×32; ReLU in the encoder, ELU in the decoder.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.models.networks.base import Features, scaled
from dd_ray.models.networks.layers import Conv2d, Convolutions, ConvTranspose2d

CHANNELS = (32, 32, 64, 64)
SIDE = 2
"""Pixels along an axis after the convolutions."""


def _channels(config: TrialConfig) -> tuple[int, ...]:
    return (config.image_shape[0], *scaled(CHANNELS, config.width_factor))


class Conv32Features(Features):
    """The encoder from images [N, C, 32, 32] to features [N, 256]."""

    def __init__(self, config: TrialConfig) -> None:
        channels = _channels(config)
        super().__init__(size=channels[-1] * SIDE**2)
        self.convs = Convolutions(
            *(Conv2d(a, b, 3, stride=2, padding=1, activation="relu") for a, b in pairwise(channels))
        )

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.convs(images).flatten(1)
        return features


class Conv32Decoder(nn.Module):
    """The decoder from codes [N, D] to images [N, C, 32, 32] in [0, 1]."""

    def __init__(self, config: TrialConfig, num_inputs: int) -> None:
        super().__init__()
        channels = _channels(config)
        self.linear = nn.Linear(num_inputs, channels[-1] * SIDE**2)
        *hidden, last = pairwise(reversed(channels))
        geometry = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
        self.convs = Convolutions(
            *(ConvTranspose2d(a, b, activation="elu", **geometry) for a, b in hidden),
            ConvTranspose2d(*last, activation="linear", **geometry),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Draw images [N, C, 32, 32] in [0, 1] from codes [N, D]."""
        return torch.sigmoid(self.convs(self.linear(codes).unflatten(1, (-1, SIDE, SIDE))))
