"""`mlp`: fully connected layers of 1200 units, two in the encoder and three in the decoder, for images of any size.

The network of Higgins et al. 2017 (table 1, 2DShapes): ReLU in the encoder, tanh in the decoder.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from dd_ray.config import TrialConfig
from dd_ray.models.networks.base import Features, scaled

ENCODER = (1200, 1200)
DECODER = (1200, 1200, 1200)


class MLPFeatures(Features):
    """The encoder from images [N, C, H, W] to features [N, 1200]."""

    def __init__(self, config: TrialConfig) -> None:
        hidden = scaled(ENCODER, config.width_factor)
        super().__init__(size=hidden[-1])
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise((math.prod(config.image_shape), *hidden)))

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)
        for linear in self.linears:
            x = functional.relu(linear(x))
        return x


class MLPDecoder(nn.Module):
    """The decoder from codes [N, D] to images [N, C, H, W] in [0, 1]."""

    def __init__(self, config: TrialConfig, num_inputs: int) -> None:
        super().__init__()
        self.image_shape = config.image_shape
        hidden = scaled(DECODER, config.width_factor)
        widths = (num_inputs, *hidden, math.prod(self.image_shape))
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, codes: Tensor) -> Tensor:
        """Draw images [N, C, H, W] in [0, 1] from codes [N, D]."""
        x = codes
        for linear in self.linears[:-1]:
            x = torch.tanh(linear(x))
        return torch.sigmoid(self.linears[-1](x)).unflatten(1, self.image_shape)
