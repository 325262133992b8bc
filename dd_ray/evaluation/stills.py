"""Still pictures through a model: latents of single pictures, also of models that know videos.

Shapes: N pictures, F factors, L latents, C×H×W pixels.
"""

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.config import TrialConfig, data_config
from dd_ray.data import held_out_pictures, render_stills, still_images
from dd_ray.models import Model

NUM_STILLS = 10_000
"""Held-out still pictures: half to fit on, half to score, of which scores need 5,000."""
CHUNK = 640
"""Pictures at a time; bounds the memory of encoding them."""
CHUNK_GPU = 8192
"""The same of a GPU, which takes as long for fewer."""


def encode_stills(model: Model, config: TrialConfig, factors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Latents of still pictures: posterior means, or what a supervised encoder takes the factors for.

    For a video model these are the latents of a video in which every frame is that picture, in every frame: the
    linear prediction of what rests is that it rests, so that `inertia_vae`'s filter gives
    z_i = (1 − γ) e + γ e = e from the first frame on, whatever γ and α. There is no time to wait for it to settle,
    and the latent is the encoder's own, which is therefore all that is computed. A test shows every variant such
    videos.

    Args:
        model: the network, on any device.
        config: of the network; names the data that the pictures are of.
        factors: float32 or float64 [N, F] in [0, 1], named by `config.factor_names`.

    Returns:
        [N, L].

    Raises:
        UserError: the network has no encoder, or the factors are not as above.
    """
    # Where the network is: a score asks for up to 300,000 pictures, which take a CPU a quarter of a minute.
    device, size = _device_of(model), _chunk_of(model)
    chunks = [factors[i : i + size] for i in range(0, len(factors), size)]
    return np.concatenate([encode_pictures(model, render_stills(config, chunk, device)) for chunk in chunks])


def encode_test_stills(model: Model, config: TrialConfig) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
    """Latents [10,000, L] of the held-out still pictures of a config's data, and their factors [10,000, F].

    The factors are independent and uniform over their whole range, and the pictures the same for every network of
    every sweep on the same data. Of arrays they are the held-out frames, as many as there are and as they are.
    """
    factors, pictures = _test_stills(data_config(config.data))
    return encode_pictures(model, pictures), factors


@functools.lru_cache(maxsize=2)
def _test_stills(config: TrialConfig) -> tuple[NDArray[np.floating], NDArray[Any]]:
    """Factors and pictures, rendered once for all networks of this process."""
    return held_out_pictures(config, NUM_STILLS)


@torch.inference_mode()
def encode_pictures(model: Model, pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Latents [N, L] of still pictures, as `encode_stills` has them.

    Args:
        model: the network, on any device.
        pictures: [N, H, W] or [N, H, W, C], uint8, or floats in [0, 1].
    """
    device, size = _device_of(model), _chunk_of(model)
    chunks = [pictures[i : i + size] for i in range(0, len(pictures), size)]
    return np.concatenate([model.code(still_images(chunk, device))[:, 0].cpu().numpy() for chunk in chunks])


def _device_of(model: Model) -> torch.device:
    return next(model.parameters()).device


def _chunk_of(model: Model) -> int:
    return CHUNK if _device_of(model).type == "cpu" else CHUNK_GPU
