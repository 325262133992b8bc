"""The inputs of a step of many trials, in memory that stays in place, as a captured graph needs it.

Shapes: K slots for trials, B videos, T frames, C×H×W pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import cycle

import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models import Model
from dd_ray.objectives import Weights
from dd_ray.training.draws import Draws
from dd_ray.training.rates import Rates
from dd_ray.training.trial import Trial

AHEAD = 3
"""Number of steps that the host may be ahead of the device."""


class Feed:
    """Images, noise and weights of the next step of K trials.

    The host writes into pinned memory and goes on; it waits only if it is `AHEAD` steps ahead of the device. What it
    writes has been drawn by a thread during the step before.
    """

    def __init__(self, capacity: int, model: Model, config: TrialConfig, device: torch.device) -> None:
        self.factor_names = config.factor_names
        self._capacity, self._device = capacity, device
        self._images = (config.batch_size, config.frames, *config.image_shape)
        self._weights = [field.name for field in fields(Weights)]
        self._rates = [field.name for field in fields(Rates)]
        names = [*self._weights, *self._rates, "active"]
        shape = model.noise_shape(*self._images[:2]) if config.stochastic else None
        self.noise = None if shape is None else torch.zeros(capacity, *shape, device=device)
        """[K, ...], in the model's `noise_shape`; None if it takes no noise."""
        self._table = torch.zeros(capacity, len(names), device=device)
        self._columns = dict(zip(names, self._table.unbind(1), strict=True))
        self._batches: dict[bool, tuple[Tensor, ...]] = {}
        self._draws = Draws(model, self._images, self._table.shape, None if self.noise is None else self.noise.shape)
        pinned = device.type == "cuda"
        self._stages = cycle(
            [_Stage(self._table.shape, None if shape is None else (capacity, *shape), pinned) for _ in range(AHEAD)]
        )

    @property
    def scalars(self) -> dict[str, Tensor]:
        """The fields of `Weights`, [K] each."""
        return {name: self._columns[name] for name in self._weights}

    @property
    def rates(self) -> Rates:
        """Of the optimiser's update, [K, 1] each."""
        return Rates(**{name: self._columns[name][:, None] for name in self._rates})

    @property
    def active(self) -> Tensor:
        """Bool [K], whether each slot takes part."""
        return self._columns["active"] > 0

    def batch(self, shared: bool) -> tuple[Tensor, ...]:
        """Return `Batch.tensors` that all slots see, [B, ...], or one batch for each slot, [K, B, ...]."""
        return self._batches[shared]

    def fill(self, where: Mapping[int, Trial], batches: Mapping[int, Batch]) -> bool:
        """Prepare the next iteration of the trials that take part, which are given by slot.

        Returns:
            Whether all of them see the same batch.
        """
        shared = len({trial.iteration for trial in where.values()}) == 1
        self._place_batches(where, batches, shared)
        stage = next(self._stages)
        stage.wait()
        self._draws.draw({slot: (trial.config, trial.iteration) for slot, trial in where.items()})
        stage.table[:] = self._draws.table
        self._table.copy_(stage.pinned_table, non_blocking=True)
        if self.noise is not None and stage.noise is not None and stage.pinned_noise is not None:
            stage.noise[:] = self._draws.noise
            self.noise.copy_(stage.pinned_noise, non_blocking=True)
        stage.sent()
        self._draws.draw_ahead({slot: (trial.config, trial.iteration + 1) for slot, trial in where.items()})
        return shared

    def rest(self) -> None:
        """Let no slot take part, so that the next step changes nothing."""
        self._columns["active"].zero_()

    def _place_batches(self, where: Mapping[int, Trial], batches: Mapping[int, Batch], shared: bool) -> None:
        first = next(iter(batches.values()))
        if shared not in self._batches:
            copies = () if shared else (self._capacity,)
            self._batches[shared] = tuple(
                torch.zeros(*copies, *tensor.shape, device=self._device) for tensor in first.tensors
            )
        places = where.items() if not shared else list(where.items())[:1]
        for slot, trial in places:
            for kept, new in zip(self._batches[shared], batches[trial.iteration].tensors, strict=True):
                (kept if shared else kept[slot]).copy_(new)


class _Stage:
    """Host memory for the inputs that are copied to the device before a step."""

    def __init__(self, table: Sequence[int], noise: Sequence[int] | None, pinned: bool) -> None:
        self.pinned_table = torch.zeros(*table, pin_memory=pinned)
        self.pinned_noise = None if noise is None else torch.zeros(*noise, pin_memory=pinned)
        self.table = self.pinned_table.numpy()
        self.noise = None if self.pinned_noise is None else self.pinned_noise.numpy()
        self._sent = torch.cuda.Event() if pinned else None

    def wait(self) -> None:
        """Wait until the device has read the previous content."""
        if self._sent is not None:
            self._sent.synchronize()

    def sent(self) -> None:
        """Note that the device has been told to read."""
        if self._sent is not None:
            self._sent.record()
