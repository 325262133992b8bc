"""How each dataset is drawn, by the name that a config gives it; as `dd_ray/config/datasets.py` declares it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import DATASETS, TrialConfig, resolve
from dd_ray.data.arrays import as_images
from dd_ray.data.dataset import Dataset
from dd_ray.data.occluder import occluded
from dd_ray.data.rendering import checked


def make_dataset(config: TrialConfig, device: torch.device | str = "cpu") -> Dataset:
    """The dataset that a config asks for, rendering on a device."""
    dataset: Dataset = resolve(DATASETS[config.dataset].make)(config, torch.device(device))
    return dataset


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
    painted = resolve(DATASETS[config.dataset].painter)(config)(valid[:, None])[:, 0]
    pictures: NDArray[np.uint8] = occluded(painted, config.occluder).cpu().numpy()
    return pictures


def held_out_stills(config: TrialConfig, num_stills: int) -> NDArray[np.floating]:
    """Factors [N, F] of held-out still pictures, independent and uniform, the same for every network and sweep.

    Drawn from the unit cube, also for what is trained on a grid; of a file, the held-out pictures, `NUM_HELD_OUT` at
    most, whose factors are as they are there.
    """
    factors: NDArray[np.floating] = resolve(DATASETS[config.dataset].stills)(config, num_stills)
    return factors


def held_out_pictures(config: TrialConfig, num_stills: int) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Held-out still pictures: their factors [N, F] as `held_out_stills` has them, and what they show.

    Returns:
        Factors, and pictures as `still_images` takes them.
    """
    pictures = DATASETS[config.dataset].pictures
    if pictures is not None:
        of_file: tuple[NDArray[np.floating], NDArray[Any]] = resolve(pictures)(config, num_stills)
        return of_file
    factors = held_out_stills(config, num_stills)
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
