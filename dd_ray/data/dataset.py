"""Datasets: training batches and a held-out set, of factors that are drawn anew or come from a finite set.

Factors are drawn with numpy and are cheap; images are rendered from them with torch, on the device.
Shapes: B videos (or still images) of a batch, T frames, F factors, H×W pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data.batch import Batch
from dd_ray.data.conditions import TESTING, TRAINING, Conditions, to_device
from dd_ray.data.original import FiniteSet
from dd_ray.data.split import (
    Draw,
    Factors,
    Levels,
    at_trained_levels,
    levels_of_draws,
    levels_of_set,
    never_trained,
    split_combinations,
    split_draws,
)
from dd_ray.data.streams import Stream, generator, shuffled
from dd_ray.errors import UserError

Paint = Callable[[Tensor], Tensor]
"""Paints images uint8 [B, T, H, W] of factors [B, T, F], on the device of the factors."""

TEST_SEED = 0
"""The seed of every held-out set."""
TEST_BLOCK = 512
"""Held-out factors are drawn in blocks of this size, so that a smaller set is the start of a larger one."""


class Dataset(ABC):
    """Training batches and one held-out set, both determined by the config alone."""

    def __init__(self, config: TrialConfig, device: torch.device, paint: Paint) -> None:
        self.device = device
        self.paint = paint
        self.factor_names = config.factor_names
        self.batch_size = config.batch_size
        self.num_test = config.num_test
        self.image_size = config.image_size
        self.split = config.split
        self.level_share = config.train_share if config.split == "levels" else 1.0
        self.never_trained: tuple[str, ...] = ()
        """Factors of which a half, or a category, is in no combination that is trained on."""
        self.seed = config.stream_seed
        self.conditions = Conditions.of(config)

    @abstractmethod
    def factors(self, iteration: int) -> Factors:
        """Return factors [B, T, F] of a training batch: a pure function of (dataset seed, iteration ≥ 0)."""

    @abstractmethod
    def test_factors(self) -> Factors:
        """Return factors [num_test, T, F] of the held-out set."""

    @abstractmethod
    def seen_factors(self) -> Factors:
        """Return factors [≤ num_test, T, F] of training samples, or of samples at levels that are trained on."""

    @abstractmethod
    def levels(self) -> dict[str, Levels]:
        """Return the levels of each factor that rests in a video, by its name, and which of them are trained on."""

    def test_picture(self, video: int, frame: int) -> NDArray[Any] | None:
        """Return a picture [H, W, C] of the held-out set; None if it can be rendered from its factors."""
        return None

    def render(self, factors: Factors | Tensor) -> Batch:
        """Render factors [B, T, F] of this dataset, of one iteration or of several, into a batch.

        The factors must be the dataset's own: the background rests in a video, and lies on the grid if there is one.
        `render_stills` renders any others. The images are without noise and losses.
        """
        factors = to_device(torch.as_tensor(factors), self.device)
        return self.conditions.shown(self.paint(factors)[:, :, None], factors, self.factor_names)

    def batch(self, iteration: int) -> Batch:
        """Return the training batch of an iteration ≥ 0. It does not depend on earlier calls."""
        return self.batches([iteration])[iteration]

    def batches(self, iterations: Iterable[int]) -> dict[int, Batch]:
        """Return the training batches of some iterations, which are rendered together."""
        factors = {iteration: self.factors(iteration) for iteration in iterations}
        whole = self.render(np.concatenate(list(factors.values())))
        parts = zip(factors, whole.split(self.batch_size), strict=True)
        return {i: self.conditions.applied(part, TRAINING, self.seed, i) for i, part in parts}

    def test_set(self) -> Batch:
        """Return the held-out set of num_test videos (or images), the same for every seed of training."""
        return self._tested(self.test_factors())

    def seen_set(self) -> Batch | None:
        """Return training samples to compare the held-out set with if part of the data is held out; else None."""
        return None if self.split == "none" else self._tested(self.seen_factors())

    def _tested(self, factors: Factors) -> Batch:
        return self.conditions.applied(self.render(factors), TESTING, TEST_SEED, 0)


class ContinuousDataset(Dataset):
    """A dataset whose factors are drawn anew for each batch.

    Args:
        config: config that names the dataset.
        device: device on which images are rendered.
        paint: turns factors into images.
        draw: draws factors from [0, 1], those of `categories` as well.
        categories: number of values of each factor that is a category, by its name.
    """

    def __init__(
        self,
        config: TrialConfig,
        device: torch.device,
        paint: Paint,
        draw: Draw,
        categories: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        super().__init__(config, device, paint)
        self._levels = levels_of_draws(self.factor_names, draw, self.level_share, categories)
        if config.split == "combinations":
            draws = split_combinations(self.factor_names, draw, config.train_share, categories)
            self.never_trained = never_trained(self.factor_names, config.train_share, categories)
        else:
            draws = split_draws(self.factor_names, draw, self._levels, categories)
        self.draw_train, self.draw_test = draws

    def levels(self) -> dict[str, Levels]:
        return self._levels

    def factors(self, iteration: int) -> Factors:
        return self.draw_train(generator(self.seed, Stream.TRAIN, iteration), self.batch_size)

    def test_factors(self) -> Factors:
        return self._drawn_in_blocks(self.draw_test)

    def seen_factors(self) -> Factors:
        return self._drawn_in_blocks(self.draw_train)

    def _drawn_in_blocks(self, draw: Draw) -> Factors:
        num_blocks = -(-self.num_test // TEST_BLOCK)
        blocks = [draw(generator(TEST_SEED, Stream.TEST, i), TEST_BLOCK) for i in range(num_blocks)]
        return np.concatenate(blocks)[: self.num_test]


class FiniteDataset(Dataset):
    """A dataset with a finite set of samples. Each training sample occurs once in an epoch, in an order of its own.

    A batch may end one epoch and begin the next.

    Args:
        config: config that names the dataset.
        device: device on which images are rendered.
        paint: turns factors into images.
        members: the finite set of samples.
        pictures: [N] a number for each member, equal for members that look the same, so that no held-out picture is
            also trained on. None if all differ.
        num_held_out: number of members that are held out, unless levels are.

    Raises:
        UserError: nothing is left to train on.
    """

    def __init__(
        self,
        config: TrialConfig,
        device: torch.device,
        paint: Paint,
        members: FiniteSet,
        pictures: NDArray[np.integer] | None = None,
        *,
        num_held_out: int = NUM_HELD_OUT,
    ) -> None:
        super().__init__(config, device, paint)
        self.members = members
        order = shuffled(members.size, generator(TEST_SEED, Stream.TEST, 0))
        test, train = np.split(order, [num_held_out])
        if self.level_share < 1:
            if not (levels := self.levels()):
                raise UserError(
                    "split = levels holds out levels of what rests in a video, and here every factor moves; use "
                    "split = samples."
                )
            trained = at_trained_levels(self.factor_names, self._all_factors(), levels)
            test, train = order[~trained[order]], train[trained[train]]
        if pictures is not None:
            train = train[~np.isin(pictures[train], pictures[test])]
        if config.split == "samples":
            train = train[: max(1, round(config.train_share * len(train)))]
        if not len(train):
            raise UserError(f"train_share = {config.train_share} leaves no sample of {config.dataset}; give more.")
        self.test_indices, self.train_indices = test, train

    def _all_factors(self) -> Factors:
        return self.members.factors(np.arange(self.members.size))

    def factors(self, iteration: int) -> Factors:
        return self.members.factors(self.indices(iteration))

    def levels(self) -> dict[str, Levels]:
        return levels_of_set(self.factor_names, self._all_factors(), self.level_share, self.members.periodic)

    def test_factors(self) -> Factors:
        return self.members.factors(self.test_indices[: self.num_test])

    def seen_factors(self) -> Factors:
        return self.members.factors(self.train_indices[: self.num_test])

    def indices(self, iteration: int) -> NDArray[np.int64]:
        """Return the indices [B] in the finite set of a training batch."""
        steps = iteration * self.batch_size + np.arange(self.batch_size)
        size = len(self.train_indices)
        epochs, places = np.divmod(steps, size)
        parts = [_epoch_order(self.seed, e, size)[places[epochs == e]] for e in np.unique(epochs).tolist()]
        return self.train_indices[np.concatenate(parts)]


# Consecutive batches share an epoch, a batch across a border needs two, and trials of a stack may be epochs apart.
@lru_cache(maxsize=8)
def _epoch_order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return shuffled(size, generator(seed, Stream.TRAIN, epoch))
