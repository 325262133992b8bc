"""How each dataset is drawn, by the name that a config gives it; `dd_ray.config.datasets` has all else of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data.arrays import ArraysDataset, arrays_painter, arrays_pictures, arrays_stills, as_images
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
    pictures: Callable[[TrialConfig, int], tuple[NDArray[np.floating], NDArray[Any]]] | None = None
    """These factors with their pictures [N, H, W, C], where the factors alone do not give them."""


DATASETS: dict[str, Entry] = {
    "still_circles": Entry(make_circles, circle_painter),
    "moving_circles": Entry(make_circles, circle_painter),
    "still_sprites": Entry(make_sprites, sprite_painter, sprite_stills),
    "moving_sprites": Entry(make_sprites, sprite_painter, sprite_stills),
    "dsprites": Entry(make_dsprites, dsprites_painter, dsprites_stills),
    "arrays": Entry(ArraysDataset, arrays_painter, arrays_stills, arrays_pictures),
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
    most, whose factors are as they are there.
    """
    return DATASETS[config.dataset].stills(config, num_stills)


def held_out_pictures(config: TrialConfig, num_stills: int) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Held-out still pictures: their factors [N, F] as `held_out_stills` has them, and what they show.

    Returns:
        Factors, and pictures as `still_images` takes them.
    """
    entry = DATASETS[config.dataset]
    if entry.pictures:
        return entry.pictures(config, num_stills)
    factors = entry.stills(config, num_stills)
    return factors, render_stills(config, factors)


def still_images(pictures: NDArray[Any], device: torch.device | str = "cpu") -> Tensor:
    """Still pictures as a model takes them.

    Args:
        pictures: [N, H, W] or [N, H, W, C], uint8, or floats in [0, 1].
        device: where to.

    Returns:
        Float32 [N, 1, C, H, W] in [0, 1].
    """
    with_channels = pictures[..., None] if pictures.ndim == 3 else pictures
    return as_images(torch.from_numpy(with_channels).to(device))[:, None]
