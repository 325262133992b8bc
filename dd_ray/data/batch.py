"""What a model is given: images, and the named factors that they were rendered from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

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

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The batch with a function applied to each of its tensors, which all have B first."""
        return replace(self, images=function(self.images), factors=function(self.factors))

    def split(self, size: int) -> list[Self]:
        """The batch in parts of so many videos; the last may have fewer."""
        parts = [slice(start, start + size) for start in range(0, len(self.images), size)]
        return [self.map(partial(_rows, part=part)) for part in parts]


def _rows(tensor: Tensor, part: slice) -> Tensor:
    return tensor[part]
