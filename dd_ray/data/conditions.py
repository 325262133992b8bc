"""What is done to the frames of a video on their way to a model, so that a filter has something to filter.

    pixel noise   x ↦ x + σ ε, ε ~ N(0, 1) of each pixel and frame, cut off at 0 and 1

Whatever is drawn follows from (seed, iteration) alone, as batches do. Still pictures, by which scores of stills are
taken, are shown without.

Shapes: B videos, T frames, C×H×W pixels.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data.batch import Batch
from dd_ray.data.streams import Stream, generator


class Streams(NamedTuple):
    """Where the random numbers of the conditions come from."""

    pixels: Stream


TRAINING = Streams(Stream.PIXELS)
TESTING = Streams(Stream.TEST_PIXELS)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a dataset. By default there are none, and a batch stays as it is, bit for bit."""

    pixel_noise: float
    keeps_clean: bool
    """Whether a batch has the clean images, too."""

    @classmethod
    def of(cls, config: TrialConfig) -> Self:
        """Those that a config asks for."""
        return cls(pixel_noise=config.pixel_noise, keeps_clean=config.target == "clean")

    def applied(self, batch: Batch, streams: Streams, seed: int, iteration: int) -> Batch:
        """The batch under these conditions. The start of a larger batch is treated as that of a smaller one.

        Args:
            batch: as it is rendered.
            streams: `TRAINING` or `TESTING`.
            seed: of the data.
            iteration: that the batch is of.
        """
        if self.keeps_clean:
            batch = replace(batch, clean=batch.images)
        if self.pixel_noise:
            batch = replace(batch, images=self._noisy(batch.images, generator(seed, streams.pixels, iteration)))
        return batch

    def _noisy(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Costs 7 ms for 64 × 10 frames of 32×32 pixels, on the host, so that every device has the same noise."""
        noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
        return to_device(noise, images.device).mul_(self.pixel_noise).add_(images).clamp_(0, 1)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device, which is not waited for."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # else the device would be waited for
    return tensor.to(device, non_blocking=True)
