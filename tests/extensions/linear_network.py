"""A network of one's own: one linear layer there, and one back."""

import math

from torch import nn

from dd_ray.config import NetworkSpec
from dd_ray.models.networks import Features


class LinearFeatures(Features):
    """Images [N, C, H, W] to features [N, 64]."""

    def __init__(self, config):
        super().__init__(size=64)
        self.linear = nn.Linear(math.prod(config.image_shape), 64)

    def forward(self, images):
        return self.linear(images.flatten(1))


class LinearDecoder(nn.Module):
    """Codes [N, D] to images [N, C, H, W] in [0, 1]."""

    def __init__(self, config, num_inputs):
        super().__init__()
        self.image_shape = config.image_shape
        self.linear = nn.Linear(num_inputs, math.prod(config.image_shape))

    def forward(self, codes):
        return self.linear(codes).sigmoid().unflatten(1, self.image_shape)


LINEAR = NetworkSpec(
    name="linear", features=LinearFeatures, decoder=LinearDecoder, gflop_per_frame={32: 0.0004, 64: 0.0016}
)
