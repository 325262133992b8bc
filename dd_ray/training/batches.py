"""The batches of a stack's steps, of which a CPU renders some ahead."""

import math
from collections.abc import Collection

from dd_ray.config import TrialConfig
from dd_ray.data import Batch, Dataset

NUMBERS_TOGETHER = 640 * 32 * 32
"""Pixels that are rendered together: those of 64 videos of 10 frames. The operations of a rendering take as long for a
tenth of them, or, of a few still images, for a thousandth."""


class Batches:
    """Renders the batches of the steps ahead together where they are small, and keeps them until they are used.

    It begins with one, and then renders twice as many as before, so that few steps render few.

    Args:
        dataset: gives the batches.
        config: config of a trial of the stack.
    """

    def __init__(self, dataset: Dataset, config: TrialConfig) -> None:
        self._dataset = dataset
        numbers = config.batch_size * config.frames * math.prod(config.image_shape)
        self._most, self._together = max(1, NUMBERS_TOGETHER // numbers), 1
        self._rendered: dict[int, Batch] = {}

    def at(self, iterations: Collection[int]) -> dict[int, Batch]:
        """Return the batches of some iterations, the next ones of trials."""
        ahead = {iteration + i for iteration in iterations for i in range(self._together)}
        self._rendered = {iteration: batch for iteration, batch in self._rendered.items() if iteration in ahead}
        if not self._rendered.keys() >= {*iterations}:
            self._rendered |= self._dataset.batches(sorted(ahead - self._rendered.keys()))
            self._together = min(self._most, 2 * self._together)
        return {iteration: self._rendered[iteration] for iteration in iterations}
