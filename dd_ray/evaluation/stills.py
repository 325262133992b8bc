"""Encodes still pictures: latents of single pictures, also for models of videos.

Shapes: N pictures, F factors, L latents, C×H×W pixels.
"""

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.config import TrialConfig, data_config
from dd_ray.data import held_out_pictures, render_stills, still_images
from dd_ray.errors import UserError
from dd_ray.models import Model, device_of

NUM_STILLS = 10_000
"""Number of held-out still pictures: half to fit on, half to score; scores need 5,000 each."""
CHUNK = 640
"""Pictures that are encoded at a time, which bounds the memory."""
CHUNK_GPU = 8192
"""The same on a GPU, which takes as long for fewer."""


def encode_stills(model: Model, config: TrialConfig, factors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Encode still pictures: into posterior means, or the factors that a supervised encoder predicts.

    For a video model these are the latents, at every frame, of a video that shows the picture in all frames: what rests
    is predicted to rest, so that `inertia_vae`'s filter gives z_i = (1 − γ) e + γ e = e from the first frame on, for
    any γ and α. So the latent is the encoder's own, which is all that is computed. A test checks this with such videos
    for every model.

    Args:
        model: the network, on any device.
        config: config of the network, which also names the data of the pictures.
        factors: float32 or float64 [N, F] in [0, 1], named by `config.factor_names`.

    Returns:
        Latents [N, L].

    Raises:
        UserError: the network has no encoder, or the factors are not as above, or of no picture.
    """
    check_some(factors)
    # On the network's device: a score asks for up to 300,000 pictures, which take 15 s on a CPU.
    device, size = device_of(model), _chunk_of(model)
    chunks = [factors[i : i + size] for i in range(0, len(factors), size)]
    return np.concatenate([encode_pictures(model, render_stills(config, chunk, device)) for chunk in chunks])


def encode_test_stills(model: Model, config: TrialConfig) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
    """Encode the held-out still pictures of a config's data: latents [10,000, L], and their factors [10,000, F].

    The factors are independent and uniform over their whole range, and the pictures are the same for all networks of
    all sweeps on the same data. For arrays, they are the held-out frames, with the factors that these have.
    """
    factors, pictures = _test_stills(data_config(config.data))
    return encode_pictures(model, pictures), factors


@functools.lru_cache(maxsize=2)
def _test_stills(config: TrialConfig) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Return factors and pictures, rendered once for all networks of this process."""
    return held_out_pictures(config, NUM_STILLS)


@torch.inference_mode()
def encode_pictures(model: Model, pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Encode still pictures into latents [N, L], as `encode_stills` does.

    Args:
        model: the network, on any device.
        pictures: [N, H, W] or [N, H, W, C], uint8, or floats in [0, 1].

    Raises:
        UserError: the network has no encoder, or the pictures are not as above, or of another size or of other channels
            than the network's.
    """
    pictures = np.asarray(pictures)
    _check_pictures(pictures, model)
    device, size = device_of(model), _chunk_of(model)
    chunks = [pictures[i : i + size] for i in range(0, len(pictures), size)]
    return np.concatenate([model.code(still_images(chunk, device))[:, 0].cpu().numpy() for chunk in chunks])


def check_some(factors: NDArray[np.floating]) -> None:
    """Make sure that there are factors, of one picture at least.

    Raises:
        UserError: they are not.
    """
    if not np.ndim(factors) or not len(factors):
        raise UserError(f"factors of shape {np.shape(factors)} are of no picture; give [N, F] with a row for each.")


def _check_pictures(pictures: NDArray[Any], model: Model) -> None:
    taken = (model.image_size, model.image_size, model.image_channels)
    shape = (*pictures.shape, 1) if pictures.ndim == 3 else pictures.shape
    if shape[1:] != taken or not len(pictures):
        without = f"[N, {taken[0]}, {taken[1]}] or " if model.image_channels == 1 else ""
        raise UserError(
            f"pictures of shape {pictures.shape} cannot be encoded; give {without}[N, {', '.join(map(str, taken))}]."
        )
    if pictures.dtype == np.uint8:
        return
    low, high = pictures.min(), pictures.max()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise UserError(
            f"pictures of {pictures.dtype} from {low:g} to {high:g} cannot be encoded; give uint8, or floats in [0, 1]."
        )


def _chunk_of(model: Model) -> int:
    return CHUNK if device_of(model).type == "cpu" else CHUNK_GPU
