"""What a model is given: images, and the named factors that they were rendered from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    clean: Tensor | None = None
    """[B, T, C, H, W] the images before what was done to them, where these are to be reconstructed; else None."""

    lost: Mapping[str, Tensor] = field(default_factory=dict)
    """Bool [B, T], by what became of them (dropped, hidden): frames in which what is there cannot be seen."""

    @property
    def target(self) -> Tensor:
        """[B, T, C, H, W] what a model that is shown the images is to reconstruct."""
        return self.images if self.clean is None else self.clean

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Images, factors, and the clean images where there are any: what a step of training is given."""
        return (self.images, self.factors) if self.clean is None else (self.images, self.factors, self.clean)

    @classmethod
    def of(cls, tensors: Sequence[Tensor], factor_names: tuple[str, ...]) -> Self:
        """The batch of the tensors that `tensors` gives."""
        images, factors, *clean = tensors
        return cls(images, factors, factor_names, clean=clean[0] if clean else None)

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The batch with a function applied to each of its tensors, which all have B first."""
        clean = None if self.clean is None else function(self.clean)
        lost = {name: function(frames) for name, frames in self.lost.items()}
        return replace(self, images=function(self.images), factors=function(self.factors), clean=clean, lost=lost)

    def split(self, size: int) -> list[Self]:
        """The batch in parts of so many videos; the last may have fewer."""
        parts = [slice(start, start + size) for start in range(0, len(self.images), size)]
        return [self.map(partial(_rows, part=part)) for part in parts]


def _rows(tensor: Tensor, part: slice) -> Tensor:
    return tensor[part]
