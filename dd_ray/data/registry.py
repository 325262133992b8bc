"""How each dataset is drawn, by the name that a config gives it; `dd_ray.config.datasets` has all else of it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.config import TrialConfig
from dd_ray.data.circles import circle_painter, make_circles
from dd_ray.data.dataset import Dataset, Paint
from dd_ray.data.dsprites import dsprites_painter, dsprites_stills, make_dsprites
from dd_ray.data.rendering import checked
from dd_ray.data.sprites import make_sprites, sprite_painter, sprite_stills
from dd_ray.data.stills import uniform_stills


class Entry(NamedTuple):
    """How a dataset is drawn."""

    make: Callable[[TrialConfig, torch.device], Dataset]
    """Its batches and its held-out set."""
    painter: Callable[[TrialConfig], Paint]
    """How any factors in [0, 1] become its images."""
    stills: Callable[[TrialConfig, int], NDArray[np.floating]] = uniform_stills
    """Factors [N, F] of N held-out still pictures, see `held_out_stills`."""


DATASETS: dict[str, Entry] = {
    "still_circles": Entry(make_circles, circle_painter),
    "moving_circles": Entry(make_circles, circle_painter),
    "still_sprites": Entry(make_sprites, sprite_painter, sprite_stills),
    "moving_sprites": Entry(make_sprites, sprite_painter, sprite_stills),
    "dsprites": Entry(make_dsprites, dsprites_painter, dsprites_stills),
}


def make_dataset(config: TrialConfig, device: torch.device | str = "cpu") -> Dataset:
    """The dataset that a config asks for, rendering on a device."""
    return DATASETS[config.dataset].make(config, torch.device(device))


def render_stills(
    config: TrialConfig, factors: NDArray[np.floating], device: torch.device | str = "cpu"
) -> NDArray[np.uint8]:
    """Still pictures of any factors, as a config's dataset shows them.

    Args:
        config: names the dataset.
        factors: float32 or float64 [N, F] in [0, 1], named by `config.factor_names`. A category between two levels is
            rounded, and so is every factor where there are pictures of some levels only.
        device: where they are rendered.

    Returns:
        uint8 [N, H, W].

    Raises:
        UserError: the factors are not as above.
    """
    valid = checked(torch.tensor(factors), config.factor_names).to(device)
    return DATASETS[config.dataset].painter(config)(valid[:, None])[:, 0].cpu().numpy()


def held_out_stills(config: TrialConfig, num_stills: int) -> NDArray[np.floating]:
    """Factors [N, F] of held-out still pictures, independent and uniform, the same for every network and sweep.

    Drawn from the unit cube, also for what is trained on a grid; of a file, the held-out pictures, `NUM_HELD_OUT` at
    most.
    """
    return DATASETS[config.dataset].stills(config, num_stills)
