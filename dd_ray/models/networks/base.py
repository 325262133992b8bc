"""What all networks share.

Shapes: N images, C×H×W pixels, D inputs of a decoder (latents, or factors).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Features(nn.Module, ABC):
    """The part of an encoder before its outputs: images [N, C, H, W] to features [N, size].

    Attributes:
        size: how many features there are.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Features [N, size] of images [N, C, H, W]."""


def scaled(widths: Sequence[int], factor: float) -> tuple[int, ...]:
    """Widths of hidden layers, multiplied and rounded; at least 1."""
    return tuple(max(1, round(factor * width)) for width in widths)
