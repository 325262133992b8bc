"""Conditions that make videos harder, so that a filter has something to filter: a bar, noise and lost frames.

    bar           see `dd_ray.data.occluder`
    pixel noise   x ↦ x + σ ε, ε ~ N(0, 1) of each pixel and frame, cut off at 0 and 1
    lost frames   each but the first with the same probability; black, or frozen: the last frame that was not lost, with
                  the very noise that it had, as where a transmission fails behind the camera

All random numbers depend on (seed, iteration) alone, as batches do. Still pictures, from which the scores of stills are
computed, are shown without noise and losses.

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
    """The streams of random numbers that the conditions draw from."""

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
    """True if batches have the clean images, too."""

    @classmethod
    def of(cls, config: TrialConfig) -> Self:
        """Return the conditions that a config asks for."""
        return cls(
            occluder=config.occluder,
            pixel_noise=config.pixel_noise,
            drop_rate=config.drop_rate,
            dropped=config.dropped,
            keeps_clean=config.target == "clean",
        )

    def shown(self, painted: Tensor, factors: Tensor, names: tuple[str, ...]) -> Batch:
        """Make a batch of painted pictures, behind the bar if there is one.

        Args:
            painted: uint8 [B, T, 1, S, S], without the bar.
            factors: [B, T, F].
            names: names of the F factors.
        """
        if not self.occluder:
            return Batch(as_floats(painted), factors, names)
        return Batch(
            as_floats(occluded(painted, self.occluder)),
            factors,
            names,
            clean=as_floats(painted) if self.keeps_clean else None,
            lost={"hidden": hidden_frames(factors, names, self.occluder)},
        )

    def applied(self, batch: Batch, streams: Streams, seed: int, iteration: int) -> Batch:
        """Apply the conditions to a batch. The first videos of a larger batch are treated like those of a smaller one.

        Args:
            batch: the batch as it was rendered.
            streams: `TRAINING` or `TESTING`.
            seed: seed of the data.
            iteration: iteration of the batch.
        """
        if self.keeps_clean and batch.clean is None:
            batch = replace(batch, clean=batch.images)
        if self.pixel_noise:
            batch = replace(batch, images=self._noisy(batch.images, generator(seed, streams.pixels, iteration)))
        if self.drop_rate:
            batch = self._with_losses(batch, generator(seed, streams.drops, iteration))
        return batch

    def _noisy(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Add noise that is drawn on the host, so that every device has the same.

        It takes 16 ms of a core for 64 × 10 frames of 32×32 pixels, which are rendered in 8 ms."""
        noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
        return to_device(noise, images.device).mul_(self.pixel_noise).add_(images).clamp_(0, 1)

    def _with_losses(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Lose frames at random. The frames lost at a lower rate are among those lost at a higher one."""
        images, device = batch.images, batch.images.device
        drawn = rng.random(images.shape[:2]) < self.drop_rate
        drawn[:, 0] = False  # the first frame is never lost, so that there is one to freeze
        lost = to_device(torch.from_numpy(drawn), device)
        if self.dropped == "black":
            seen = images.masked_fill(lost[:, :, None, None, None], 0)
        else:
            frames = np.maximum.accumulate(np.where(drawn, 0, np.arange(drawn.shape[1])), axis=1)  # [B, T]
            shown = to_device(torch.from_numpy(frames), device)
            seen = images[torch.arange(len(images), device=device)[:, None], shown]
        return replace(batch, images=seen, lost={**batch.lost, "dropped": lost})


def as_floats(pictures: Tensor) -> Tensor:
    """Convert uint8 pictures of any shape to float32 in [0, 1]."""
    # A tensor, since a GPU divides by a plain number through multiplying with its inverse, which is not exact.
    return pictures.float().div_(torch.full((), 255.0, device=pictures.device))


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device without waiting for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # else the copy would wait for the device
    return tensor.to(device, non_blocking=True)
