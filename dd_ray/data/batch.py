"""What a model is given: images, and the named factors that they were rendered from."""

from dataclasses import dataclass

from torch import Tensor

from dd_ray.config import BACKGROUND_FACTORS, CIRCLE_FACTORS

FACTORS = CIRCLE_FACTORS + BACKGROUND_FACTORS
"""Names of the factors of one circle in front of a Gaussian, in order; `TrialConfig.factor_names` has those of all."""


@dataclass(frozen=True)
class Batch:
    """B videos of T frames, and their factors. Still images are videos of T = 1 frame."""

    images: Tensor
    """Float32 [B, T, C, H, W] in [0, 1]."""
    factors: Tensor
    """Float32 [B, T, F] in [0, 1], named by factor_names."""
    factor_names: tuple[str, ...]
    """Names of the F factors."""
