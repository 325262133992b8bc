"""The datasets by the names that a config gives them. A new one is a file beside this one and a line here."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data.circles import circle_painter, make_circles
from dd_ray.data.dataset import Dataset, Paint
from dd_ray.data.dsprites import dsprites_painter, make_dsprites
from dd_ray.data.rendering import checked
from dd_ray.data.sprites import NUM_SHAPES, make_sprites, snap, sprite_painter
from dd_ray.data.streams import Stream, generator


class Entry(NamedTuple):
    """What there is to know of a dataset."""

    make: Callable[[TrialConfig, torch.device], Dataset]
    """Its batches and its held-out set."""
    painter: Callable[[TrialConfig], Paint]
    """How any factors in [0, 1] become its images."""


DATASETS: dict[str, Entry] = {
    "still_circles": Entry(make_circles, circle_painter),
    "moving_circles": Entry(make_circles, circle_painter),
    "still_sprites": Entry(make_sprites, sprite_painter),
    "moving_sprites": Entry(make_sprites, sprite_painter),
    "dsprites": Entry(make_dsprites, dsprites_painter),
}


def make_dataset(config: TrialConfig, device: torch.device | str = "cpu") -> Dataset:
    """The dataset that a config asks for, rendering on a device."""
    return DATASETS[config.dataset].make(config, torch.device(device))


def render_stills(config: TrialConfig, factors: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Still pictures of any factors, as a config's dataset shows them.

    Args:
        config: names the dataset.
        factors: float32 or float64 [N, F] in [0, 1], named by `config.factor_names`. A category between two levels is
            rounded, and so is every factor where there are pictures of some levels only.

    Returns:
        uint8 [N, H, W].

    Raises:
        UserError: the factors are not as above.
    """
    valid = checked(torch.tensor(factors), config.factor_names)
    return DATASETS[config.dataset].painter(config)(valid[:, None])[:, 0].numpy()


def held_out_stills(config: TrialConfig, num_stills: int) -> NDArray[np.floating]:
    """Factors [N, F] of held-out still pictures, independent and uniform, the same for every network and sweep.

    Drawn from the unit cube, also for what is trained on a grid; of a file, the held-out pictures, `NUM_HELD_OUT` at
    most.
    """
    if config.dataset == "dsprites":
        dataset = make_dsprites(replace(config, split="none", train_share=1.0), torch.device("cpu"))
        return dataset.members.factors(dataset.test_indices[: min(num_stills, NUM_HELD_OUT)])[:, 0]
    factors = generator(0, Stream.TEST_STILLS, 0).random((num_stills, len(config.factor_names)))
    if "sprite_shape" in config.factor_names:
        factors[:, 0] = snap(factors[:, 0], NUM_SHAPES)
    return factors
