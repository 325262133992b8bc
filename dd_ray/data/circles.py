"""Training batches and the held-out set of circles before Gaussian backgrounds.

Factors are drawn with numpy and are cheap; images are rendered from them with torch, on the device.
Shapes: B videos (or still images) of a batch, T frames, F factors.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data.batch import FACTORS, Batch
from dd_ray.data.motion import PATHS
from dd_ray.data.original import BACKGROUND_LEVELS, FiniteSet, StillImages, Videos
from dd_ray.data.rendering import grid_backgrounds, render_videos
from dd_ray.data.streams import Stream, generator

Factors = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], Factors]

TEST_SEED = 0
"""Seed of every held-out set."""
TEST_BLOCK = 512
"""Held-out factors are drawn in blocks of this size, so that a smaller set is the start of a larger one."""


class Dataset(ABC):
    """Training batches and one held-out set, both functions of the config alone."""

    factor_names = FACTORS
    """Names of the F factors, in the order of the factor arrays."""

    def __init__(self, config: TrialConfig, device: torch.device) -> None:
        self.device = device
        self.batch_size = config.batch_size
        self.num_test = config.num_test
        self.seed = config.dataset_seed
        self.grid = grid_backgrounds(BACKGROUND_LEVELS, device) if config.grid == "original" else None

    @abstractmethod
    def factors(self, iteration: int) -> Factors:
        """Factors [B, T, F] of a training batch: a pure function of (dataset seed, iteration ≥ 0)."""

    @abstractmethod
    def test_factors(self) -> Factors:
        """Factors [num_test, T, F] of the held-out set."""

    def render(self, factors: Factors | Tensor) -> Batch:
        """The batch of factors [B, T, F] of this dataset, those of one iteration or of several.

        Trusts that they are its own: the background rests in a video, and lies on the grid where there is
        one. `render_circles` renders any others.
        """
        factors = torch.as_tensor(factors).to(self.device)
        images = render_videos(factors, self.grid)[:, :, None]
        # A tensor, since by a plain number a GPU divides by multiplying with its inverse, which is not exact.
        white = torch.full((), 255.0, device=self.device)
        return Batch(images.float().div_(white), factors, self.factor_names)

    def batch(self, iteration: int) -> Batch:
        """The training batch of an iteration ≥ 0, whatever was asked for before."""
        return self.render(self.factors(iteration))

    def test_set(self) -> Batch:
        """The held-out set of num_test videos (or images), the same for every seed of training."""
        return self.render(self.test_factors())


class ContinuousCircles(Dataset):
    """Factors drawn anew for each batch."""

    def __init__(self, config: TrialConfig, device: torch.device, draw: Draw) -> None:
        super().__init__(config, device)
        self.draw = draw

    def factors(self, iteration: int) -> Factors:
        return self.draw(generator(self.seed, Stream.TRAIN, iteration), self.batch_size)

    def test_factors(self) -> Factors:
        num_blocks = -(-self.num_test // TEST_BLOCK)
        blocks = [self.draw(generator(TEST_SEED, Stream.TEST, i), TEST_BLOCK) for i in range(num_blocks)]
        return np.concatenate(blocks)[: self.num_test]


class FiniteCircles(Dataset):
    """Factors of a finite set: each of the training ones once an epoch, in an order of the epoch's own.

    A batch may end one epoch and begin the next.
    """

    def __init__(self, config: TrialConfig, device: torch.device, members: FiniteSet) -> None:
        super().__init__(config, device)
        self.members = members
        order = _shuffled(members.size, generator(TEST_SEED, Stream.TEST, 0))
        self.test_indices, self.train_indices = np.split(order, [NUM_HELD_OUT])

    def factors(self, iteration: int) -> Factors:
        return self.members.factors(self.indices(iteration))

    def test_factors(self) -> Factors:
        return self.members.factors(self.test_indices[: self.num_test])

    def indices(self, iteration: int) -> NDArray[np.int64]:
        """Indices [B] in the finite set of a training batch."""
        steps = iteration * self.batch_size + np.arange(self.batch_size)
        size = len(self.train_indices)
        epochs, places = np.divmod(steps, size)
        parts = [_epoch_order(self.seed, e, size)[places[epochs == e]] for e in np.unique(epochs).tolist()]
        return self.train_indices[np.concatenate(parts)]


# Consecutive batches share an epoch, and one that crosses over needs two; trials of a stack may be apart.
@lru_cache(maxsize=8)
def _epoch_order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return _shuffled(size, generator(seed, Stream.TRAIN, epoch))


def _shuffled(size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    # Sorting uniform numbers, since how numpy permutes may change with its version.
    return np.argsort(rng.random(size), kind="stable")


def _draw_stills(rng: np.random.Generator, n: int) -> Factors:
    return rng.random((n, 1, len(FACTORS)), dtype=np.float32)


def _draw_videos(motion: str, num_frames: int) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> Factors:
        circles = PATHS[motion](rng.random, n, num_frames)
        backgrounds = np.broadcast_to(rng.random((n, 1, 2)), circles.shape)
        return np.concatenate([circles, backgrounds], axis=-1).astype(np.float32)

    return draw


def make_dataset(config: TrialConfig, device: torch.device | str = "cpu") -> Dataset:
    """The dataset that a config asks for, rendering on a device."""
    device = torch.device(device)
    still = config.dataset == "still_circles"
    if config.grid == "original":
        return FiniteCircles(config, device, StillImages() if still else Videos())
    draw = _draw_stills if still else _draw_videos(config.motion, config.num_frames)
    return ContinuousCircles(config, device, draw)
