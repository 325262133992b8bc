"""What is done to the frames of a video on their way to a model, so that a filter has something to filter.

    bar           see `dd_ray.data.occluder`
    pixel noise   x ↦ x + σ ε, ε ~ N(0, 1) of each pixel and frame, cut off at 0 and 1
    lost frames   each but the first with the same probability; black, or frozen: the last frame that was not lost, with
                  the very noise that it had, as where a transmission fails behind the camera

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
from dd_ray.config.names import Dropped
from dd_ray.data.batch import Batch
from dd_ray.data.occluder import hidden_frames, occluded
from dd_ray.data.streams import Stream, generator


class Streams(NamedTuple):
    """Where the random numbers of the conditions come from."""

    pixels: Stream
    drops: Stream


TRAINING = Streams(Stream.PIXELS, Stream.DROPS)
TESTING = Streams(Stream.TEST_PIXELS, Stream.TEST_DROPS)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a dataset. By default there are none, and a batch stays as it is, bit for bit."""

    occluder: float
    pixel_noise: float
    drop_rate: float
    dropped: Dropped
    keeps_clean: bool
    """Whether a batch has the clean images, too."""

    @classmethod
    def of(cls, config: TrialConfig) -> Self:
        """Those that a config asks for."""
        return cls(
            occluder=config.occluder,
            pixel_noise=config.pixel_noise,
            drop_rate=config.drop_rate,
            dropped=config.dropped,
            keeps_clean=config.target == "clean",
        )

    def shown(self, painted: Tensor, factors: Tensor, names: tuple[str, ...]) -> Batch:
        """The batch of pictures as the scene has them, behind the bar where there is one.

        Args:
            painted: uint8 [B, T, 1, S, S], without the bar.
            factors: [B, T, F].
            names: of the F factors.
        """
        if not self.occluder:
            return Batch(_as_floats(painted), factors, names)
        return Batch(
            _as_floats(occluded(painted, self.occluder)),
            factors,
            names,
            clean=_as_floats(painted) if self.keeps_clean else None,
            lost={"hidden": hidden_frames(factors, names, self.occluder)},
        )

    def applied(self, batch: Batch, streams: Streams, seed: int, iteration: int) -> Batch:
        """The batch under these conditions. The start of a larger batch is treated as that of a smaller one.

        Args:
            batch: as it is rendered.
            streams: `TRAINING` or `TESTING`.
            seed: of the data.
            iteration: that the batch is of.
        """
        if self.keeps_clean and batch.clean is None:
            batch = replace(batch, clean=batch.images)
        if self.pixel_noise:
            batch = replace(batch, images=self._noisy(batch.images, generator(seed, streams.pixels, iteration)))
        if self.drop_rate:
            batch = self._with_losses(batch, generator(seed, streams.drops, iteration))
        return batch

    def _noisy(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Drawn on the host, so that every device has the same noise: 16 ms of a busy core for 64 × 10 frames of 32×32
        pixels, which take 8 ms to render."""
        noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
        return to_device(noise, images.device).mul_(self.pixel_noise).add_(images).clamp_(0, 1)

    def _with_losses(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """At a higher rate frames are lost that are lost at a lower one, and others."""
        images, device = batch.images, batch.images.device
        drawn = rng.random(images.shape[:2]) < self.drop_rate
        drawn[:, 0] = False  # of a video without a beginning there would be nothing to freeze
        lost = to_device(torch.from_numpy(drawn), device)
        if self.dropped == "black":
            seen = images.masked_fill(lost[:, :, None, None, None], 0)
        else:
            frames = np.maximum.accumulate(np.where(drawn, 0, np.arange(drawn.shape[1])), axis=1)  # [B, T]
            shown = to_device(torch.from_numpy(frames), device)
            seen = images[torch.arange(len(images), device=device)[:, None], shown]
        return replace(batch, images=seen, lost={**batch.lost, "dropped": lost})


def _as_floats(pictures: Tensor) -> Tensor:
    # A tensor, since by a plain number a GPU divides by multiplying with its inverse, which is not exact.
    return pictures.float().div_(torch.full((), 255.0, device=pictures.device))


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device, which is not waited for."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # else the device would be waited for
    return tensor.to(device, non_blocking=True)
