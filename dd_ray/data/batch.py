"""What a model is given: images, and the named factors that they were rendered from."""

from dataclasses import dataclass

from torch import Tensor

FACTORS = ("circle_x", "circle_y", "background_x", "background_y")
"""Names of the generative factors, in the order of every array of factors. Each lies in [0, 1]."""


@dataclass(frozen=True)
class Batch:
    """B videos of T frames, and their factors. Still images are videos of T = 1 frame."""

    images: Tensor
    """Float32 [B, T, C, H, W] in [0, 1]."""
    factors: Tensor
    """Float32 [B, T, F] in [0, 1], named by factor_names."""
    factor_names: tuple[str, ...] = FACTORS
    """Names of the F factors."""
