"""A dataset of a user's own images: the samples come from a file (`dd_ray.storage.arrays`) instead of a renderer.

One video in ten is held out with all of its frames, and the others are trained on once per epoch, as in every finite
set. There are no pictures of factors that no sample has, so scores that ask for such pictures are left out.

If levels are held out (split = levels), the levels of a category, or of a factor with few values, are its values; other
factors are cut into `NUM_INTERVALS` equal intervals.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.config.arrays import factors_of
from dd_ray.data.batch import Batch
from dd_ray.data.conditions import as_floats, to_device
from dd_ray.data.dataset import FiniteDataset, Paint
from dd_ray.data.split import NUM_INTERVALS, Factors, interval_of
from dd_ray.errors import UserError
from dd_ray.metrics import in_two_halves
from dd_ray.storage.arrays import open_arrays, resting, scaled_factors

MOST_VALUES = 64
"""The most distinct values of a factor that count as a level each."""


class Samples:
    """The factors of a file's samples, by index."""

    periodic: tuple[str, ...] = ()  # values are already reduced by their period, so that no two mean the same

    def __init__(self, factors: Factors) -> None:
        self.size = len(factors)
        self._factors = factors

    def factors(self, indices: NDArray[np.int64]) -> Factors:
        """Return factors [n, T, F] of the samples with these indices [n]."""
        return self._factors[indices]


class ArraysDataset(FiniteDataset):
    """The samples of a file."""

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        arrays = open_arrays(str(config.data_file), config.data_contents)
        self._images = arrays.images
        self._declared = factors_of(config.data_factors) if config.data_factors else ()
        samples = Samples(scaled_factors(arrays, self._declared))
        super().__init__(config, device, arrays_painter(config), samples, num_held_out=arrays.contents.num_held_out)

    def batches(self, iterations: Iterable[int]) -> dict[int, Batch]:
        """Return the training batches of some iterations."""
        return {iteration: self._gathered(self.indices(iteration)) for iteration in iterations}

    def test_set(self) -> Batch:
        """Return the first num_test held-out samples, or all of them if there are fewer."""
        return self._gathered(self.test_indices[: self.num_test])

    def seen_set(self) -> Batch | None:
        """Return as many training samples if the split holds out part of the data on purpose; else None."""
        return None if self.split == "none" else self._gathered(self.train_indices[: self.num_test])

    def test_picture(self, video: int, frame: int) -> NDArray[Any]:
        """Return a frame of a held-out sample as it is in the file."""
        picture: NDArray[Any] = self._images[self.test_indices[video], frame]
        return picture

    def stills(self, num_stills: int) -> tuple[Factors, NDArray[Any]]:
        """Return frames of held-out videos, see `arrays_pictures`."""
        which = in_two_halves(self.test_indices[: max(2, num_stills // self._images.shape[1])])
        pictures, factors = self._images[which], self.members.factors(which)
        num_pictures = len(which) * pictures.shape[1]
        return factors.reshape(num_pictures, factors.shape[2]), pictures.reshape(num_pictures, *pictures.shape[2:])

    def _gathered(self, indices: NDArray[np.int64]) -> Batch:
        images = torch.from_numpy(self._images[indices])  # [B, T, H, W, C]
        factors = torch.from_numpy(self.members.factors(indices))
        images, factors = (to_device(part, self.device) for part in (images, factors))
        return Batch(as_images(images), factors, self.factor_names)

    def _all_factors(self) -> Factors:
        """Return the factors of all samples; a value of a factor that has many becomes the middle of its interval."""
        factors = super()._all_factors().copy()
        for i in np.flatnonzero(resting(factors)):
            if not self._declared[i].category and len(np.unique(factors[..., i])) > MOST_VALUES:
                factors[..., i] = (interval_of(factors[..., i]) + np.float32(0.5)) / np.float32(NUM_INTERVALS)
        return factors


def as_images(pictures: Tensor) -> Tensor:
    """Convert pictures [..., H, W, C], uint8 or floats, to float32 [..., C, H, W] in [0, 1]."""
    images = pictures.movedim(-1, -3).contiguous()
    return as_floats(images) if images.dtype == torch.uint8 else images.float()


def arrays_painter(config: TrialConfig) -> Paint:
    """Return a painter that raises a `UserError`, since a file has no pictures of other factors than its own."""

    def paint(factors: Tensor) -> Tensor:
        raise UserError("arrays are the samples of a file, and have no pictures of other factors; choose other data.")

    return paint


def arrays_stills(config: TrialConfig, num_stills: int) -> NDArray[np.float32]:
    """Return factors [N, F] of the held-out pictures, see `arrays_pictures`."""
    return arrays_pictures(config, num_stills)[0]


def arrays_pictures(config: TrialConfig, num_stills: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return at most num_stills held-out pictures: all frames of held-out videos, in the order of the videos.

    The number of videos is even, so that no video is in both halves of the pictures.

    Returns:
        Factors [N, F], and pictures [N, H, W, C], uint8 or floats as in the file.
    """
    return ArraysDataset(replace(config, split="none", train_share=1.0), torch.device("cpu")).stills(num_stills)
