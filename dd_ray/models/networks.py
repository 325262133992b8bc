"""Encoder and decoder networks.

`conv32`: four 3×3 convolutions of stride 2 from 1×32×32 to 64×2×2, and their mirror image, after Higgins
et al. 2017 (table 1, Chairs), made smaller for 32×32. PyTorch's default initialisation.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (1, 32, 32, 64, 64)
SMALLEST = (CHANNELS[-1], 2, 2)
NUM_FEATURES = 256


class Conv32Features(nn.Module):
    """Images [N, 1, 32, 32] to features [N, 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(CHANNELS))

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for conv in self.convs:
            x = functional.relu(conv(x), inplace=True)
        return x.flatten(1)


class GaussianEncoder(nn.Module):
    """Images [N, 1, 32, 32] to mean and log-variance [N, L] of the posterior."""

    def __init__(self, num_latents: int) -> None:
        super().__init__()
        self.features = Conv32Features()
        self.mu = nn.Linear(NUM_FEATURES, num_latents)
        self.logvar = nn.Linear(NUM_FEATURES, num_latents)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return self.mu(features), self.logvar(features)


class Conv32Decoder(nn.Module):
    """Latents [N, L] to images [N, 1, 32, 32] in [0, 1]."""

    def __init__(self, num_latents: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_latents, NUM_FEATURES)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1) for a, b in pairwise(reversed(CHANNELS))
        )

    def forward(self, latents: Tensor) -> Tensor:
        x = self.linear(latents).view(-1, *SMALLEST)
        for conv in self.convs[:-1]:
            x = functional.elu(conv(x), inplace=True)
        return torch.sigmoid(self.convs[-1](x))
