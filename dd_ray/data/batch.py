"""The input of a model: images, and the named factors that they were rendered from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from torch import Tensor

from dd_ray.config import ONE_CIRCLE_FACTORS

FACTORS = ONE_CIRCLE_FACTORS
"""Names of the factors of one circle in front of a Gaussian, in order; `TrialConfig.factor_names` has any config's."""


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
    """[B, T, C, H, W] the images before bar, noise and losses, if these are to be reconstructed; else None."""

    lost: Mapping[str, Tensor] = field(default_factory=dict)
    """Bool [B, T] by reason (dropped, hidden): the frames in which a thing, or the whole picture, cannot be seen."""

    @property
    def target(self) -> Tensor:
        """[B, T, C, H, W] the images that a model should reconstruct from `images`."""
        return self.images if self.clean is None else self.clean

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Images, factors, and the clean images if there are any: the input of a training step."""
        return (self.images, self.factors) if self.clean is None else (self.images, self.factors, self.clean)

    @classmethod
    def of(cls, tensors: Sequence[Tensor], factor_names: tuple[str, ...]) -> Self:
        """Make a batch of such tensors as `tensors` returns."""
        images, factors, *clean = tensors
        return cls(images, factors, factor_names, clean=clean[0] if clean else None)

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply a function to each tensor of the batch, all of which have B first."""
        clean = None if self.clean is None else function(self.clean)
        lost = {name: function(frames) for name, frames in self.lost.items()}
        return replace(self, images=function(self.images), factors=function(self.factors), clean=clean, lost=lost)

    def split(self, size: int) -> list[Self]:
        """Split the batch into parts of `size` videos; the last part may have fewer."""
        parts = [slice(start, start + size) for start in range(0, len(self.images), size)]
        return [self.map(partial(_rows, part=part)) for part in parts]


def _rows(tensor: Tensor, part: slice) -> Tensor:
    return tensor[part]
