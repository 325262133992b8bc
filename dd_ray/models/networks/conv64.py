"""`conv64`: the network of Burgess et al. 2018 (appendix A.1), for 64×64 pixels.

Four 4×4 convolutions of stride 2 and 32 channels, two fully connected layers of 256 units, and a decoder that mirrors
them, all with ReLU. The output is a sigmoid, the mean of each pixel, as in all networks here.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from dd_ray.config import TrialConfig
from dd_ray.models.networks.base import Features, scaled
from dd_ray.models.networks.layers import Conv2d, Convolutions, ConvTranspose2d

CHANNELS = (32, 32, 32, 32)
HIDDEN = (256, 256)
SIDE = 4
"""Pixels along an axis after the convolutions."""


def _widths(config: TrialConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the channels, beginning with the image's, and the units, beginning with the last convolution's outputs."""
    channels = (config.image_shape[0], *scaled(CHANNELS, config.width_factor))
    return channels, (channels[-1] * SIDE**2, *scaled(HIDDEN, config.width_factor))


class Conv64Features(Features):
    """The encoder from images [N, C, 64, 64] to features [N, 256]."""

    def __init__(self, config: TrialConfig) -> None:
        channels, hidden = _widths(config)
        super().__init__(size=hidden[-1])
        self.convs = Convolutions(
            *(Conv2d(a, b, 4, stride=2, padding=1, activation="relu") for a, b in pairwise(channels))
        )
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(hidden))

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.convs(images).flatten(1)
        for linear in self.linears:
            x = functional.relu(linear(x))
        return x


class Conv64Decoder(nn.Module):
    """The decoder from codes [N, D] to images [N, C, 64, 64] in [0, 1]."""

    def __init__(self, config: TrialConfig, num_inputs: int) -> None:
        super().__init__()
        channels, hidden = _widths(config)
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((num_inputs, *reversed(hidden))))
        *drawing, last = pairwise(reversed(channels))
        geometry = {"kernel_size": 4, "stride": 2, "padding": 1}
        self.convs = Convolutions(
            *(ConvTranspose2d(a, b, activation="relu", **geometry) for a, b in drawing),
            ConvTranspose2d(*last, activation="linear", **geometry),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Draw images [N, C, 64, 64] in [0, 1] from codes [N, D]."""
        x = codes
        for linear in self.linears:
            x = functional.relu(linear(x))
        return torch.sigmoid(self.convs(x.unflatten(1, (-1, SIDE, SIDE))))
