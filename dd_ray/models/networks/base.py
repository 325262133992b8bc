"""The base class of encoders' features.

Shapes: N images, C×H×W pixels, D inputs of a decoder (latents, or factors).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Features(nn.Module, ABC):
    """The part of an encoder before its output layers, from images [N, C, H, W] to features [N, size].

    Attributes:
        size: number of features.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Compute features [N, size] of images [N, C, H, W]."""


def scaled(widths: Sequence[int], factor: float) -> tuple[int, ...]:
    """Multiply widths of hidden layers by a factor, and round them to at least 1."""
    return tuple(max(1, round(factor * width)) for width in widths)
