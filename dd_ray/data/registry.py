"""Makes datasets and their pictures by the names that `dd_ray/config/datasets.py` declares."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import DATASETS, TrialConfig, resolve
from dd_ray.config.extensions import naming, own_code_of
from dd_ray.data.arrays import as_images
from dd_ray.data.dataset import Dataset
from dd_ray.data.occluder import occluded
from dd_ray.data.rendering import checked
from dd_ray.errors import UserError
from dd_ray.storage.dsprites import fetching


def make_dataset(config: TrialConfig, device: torch.device | str = "cpu") -> Dataset:
    """Make the dataset that a config names, which renders on the given device.

    Raises:
        UserError: a user's own dataset draws or paints something else than it is to, or raises an error.
    """
    own = own_code_of(config, "dataset")
    with naming(own):
        dataset: Dataset = resolve(DATASETS[config.dataset].make)(config, torch.device(device))
        if own:
            _check_own(dataset, config, own)
    return dataset


def _check_own(dataset: Dataset, config: TrialConfig, own: str) -> None:
    if not isinstance(dataset, Dataset):
        raise UserError(
            f"{own} makes a {type(dataset).__name__}; let it be a dd_ray.data.Dataset, such as ContinuousDataset."
        )
    names, factors = dataset.factor_names, torch.as_tensor(dataset.factors(0))
    expected = (config.batch_size, config.frames, len(names))
    if factors.shape != expected:
        raise UserError(
            f"{own} draws factors of shape {tuple(factors.shape)}; give {expected}: {expected[0]} videos of "
            f"{expected[1]} frames, each with {', '.join(names) or 'no factor'}."
        )
    try:
        checked(factors.flatten(0, 1).double(), names)
    except UserError as error:
        raise UserError(f"{own}: {error}") from error
    if not factors.equal(torch.as_tensor(dataset.factors(0))):
        raise UserError(
            f"{own} draws other factors for the same batch each time, and a trial could not be resumed; let it draw "
            "all random numbers from the generator that it is given, or from dd_ray.data.generator."
        )
    if type(dataset).render is not Dataset.render:
        return
    painted = dataset.paint(factors.to(dataset.device))
    size = (*expected[:2], config.image_size, config.image_size)
    if painted.dtype != torch.uint8 or painted.shape != size:
        raise UserError(
            f"{own} paints {str(painted.dtype).removeprefix('torch.')} images of shape {tuple(painted.shape)}; give "
            f"uint8 of shape {size}, from 0 (black) to 255 (white)."
        )
    if painted.max() == 1:
        raise UserError(f"{own} paints images of which no value is above 1, all but black; multiply them by 255.")


def fetched_dataset(config: TrialConfig, device: torch.device | str = "cpu") -> Dataset:
    """Make the dataset that a config names, to train on it: what it names by a URL is downloaded first."""
    with fetching():
        return make_dataset(config, device)


def render_stills(
    config: TrialConfig, factors: NDArray[np.floating], device: torch.device | str = "cpu"
) -> NDArray[np.uint8]:
    """Render still pictures of any factors as a config's dataset shows them.

    Args:
        config: config that names the dataset.
        factors: float32 or float64 [N, F] in [0, 1], named by `config.factor_names`. A category between two levels is
            rounded, and so is every factor if pictures exist for some levels only.
        device: device on which they are rendered.

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
    """Return factors [N, F] of held-out stills, independent and uniform, the same for every network and sweep.

    They are drawn from the unit cube, also for networks that are trained on a grid. For a file, they are those of at
    most `NUM_HELD_OUT` held-out pictures, as they are in the file.
    """
    factors: NDArray[np.floating] = resolve(DATASETS[config.dataset].stills)(config, num_stills)
    return factors


def held_out_pictures(config: TrialConfig, num_stills: int) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Return held-out still pictures with their factors [N, F], as in `held_out_stills`.

    Returns:
        Factors, and pictures in the form that `still_images` takes.
    """
    pictures = DATASETS[config.dataset].pictures
    if pictures is not None:
        of_file: tuple[NDArray[np.floating], NDArray[Any]] = resolve(pictures)(config, num_stills)
        return of_file
    factors = held_out_stills(config, num_stills)
    return factors, render_stills(config, factors)


def still_images(pictures: NDArray[Any], device: torch.device | str = "cpu") -> Tensor:
    """Convert still pictures to the images that a model takes.

    Args:
        pictures: [N, H, W] or [N, H, W, C], uint8, or floats in [0, 1].
        device: device of the result.

    Returns:
        Float32 [N, 1, C, H, W] in [0, 1].
    """
    with_channels = pictures[..., None] if pictures.ndim == 3 else pictures
    return as_images(torch.from_numpy(with_channels).to(device))[:, None]
