"""Computes weights and noise for a step of many trials in a thread, while the device takes the step before.

Shapes: K slots for trials, W numbers of each.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from dd_ray.config import TrialConfig
from dd_ray.data import Generators
from dd_ray.models import Model
from dd_ray.objectives import Weights
from dd_ray.training.rates import Rates
from dd_ray.training.trial import noise

Which = Mapping[int, tuple[TrialConfig, int]]
"""Trial and iteration, by slot."""

_thread = ThreadPoolExecutor(1, thread_name_prefix="draws")
"""One thread for all stacks of a process: drawing takes a fraction of a step, most of it without Python's lock."""


class Draws:
    """The host's numbers for one step. Those of the next step are drawn ahead.

    They depend on trial and iteration alone, so it does not matter when, or in which thread, they are drawn.

    Attributes:
        table: float32 [K, W]: of the trials that take part the fields of `Weights` and `Rates`, and a 1. Other slots
            have a 0 there; they are computed as well, and their fields are what they had before, or 1: a rate or scale
            of 0 would give NaN, which some libraries' kernels let reach other slots.
        noise: float32 [K, ...] of the trials that take part, else anything; None where the model takes none.
    """

    def __init__(self, model: Model, images: Sequence[int], table: Sequence[int], noise: Sequence[int] | None) -> None:
        self._model, self._images = model, images
        self._generators = Generators()
        self.table = np.ones(table, np.float32)
        self.table[:, -1] = 0
        self.noise = None if noise is None else np.zeros(noise, np.float32)
        self._held: dict[int, tuple[TrialConfig, int]] = {}
        self._ahead: Future[None] | None = None

    def draw(self, which: Which) -> None:
        """Make the numbers of these trials available; only those that were not drawn ahead are drawn now."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.result()
        self._hold(which)

    def draw_ahead(self, which: Which) -> None:
        """Let the thread draw the numbers of these trials, over the present ones, which must not be read any more."""
        self._ahead = _thread.submit(self._hold, which)

    def _hold(self, which: Which) -> None:
        for slot in self._held.keys() - which.keys():
            self.table[slot, -1] = 0
            del self._held[slot]
        drawn: dict[tuple[int, int], int] = {}
        for slot, (config, iteration) in which.items():
            if self._held.get(slot) != (config, iteration):
                self._held.pop(slot, None)  # it is incomplete until all is drawn
                weights = vars(Weights.at(config, iteration)).values()
                self.table[slot] = [*weights, *vars(Rates.at(config, iteration)).values(), 1]
                self._draw_noise(slot, config, iteration, drawn)
                self._held[slot] = (config, iteration)

    def _draw_noise(self, slot: int, config: TrialConfig, iteration: int, drawn: dict[tuple[int, int], int]) -> None:
        """Draw the noise of a slot once for all trials of a seed, which have the same noise."""
        if self.noise is None:
            return
        source = drawn.setdefault((config.seed, iteration), slot)
        if source != slot:
            self.noise[slot] = self.noise[source]
        else:
            self.noise[slot] = noise(config, self._model, self._images, iteration, self._generators)
