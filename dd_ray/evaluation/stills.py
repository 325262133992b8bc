"""Still pictures through a model: latents of single pictures, also of models that know videos.

Shapes: N pictures, F factors, L latents, C×H×W pixels.
"""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.data import FACTORS, Batch, Stream, generator, render_circles
from dd_ray.models import Model, SupervisedEncoder

NUM_STILLS = 10_000
"""Held-out still pictures: half to fit on, half to score, of which scores need 5,000."""
CHUNK = 640
"""Pictures at a time; bounds the memory of encoding them."""


def encode_stills(model: Model, factors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Latents of still pictures: posterior means, or what a supervised encoder takes the factors for.

    For a video model these are the latents of a video in which every frame is that picture, in every frame: the
    linear prediction of what rests is that it rests, so that `inertia_vae`'s filter gives
    z_i = (1 − γ) e + γ e = e from the first frame on, whatever γ and α. There is no time to wait for it to settle,
    and the latent is the encoder's own, which is therefore all that is computed. A test shows every variant such
    videos.

    Args:
        model: the network, on any device.
        factors: float32 or float64 [N, F] in [0, 1].

    Returns:
        [N, L].
    """
    chunks = [factors[i : i + CHUNK] for i in range(0, len(factors), CHUNK)]
    return np.concatenate([_encode(model, chunk, torch.from_numpy(render_circles(chunk))) for chunk in chunks])


def encode_test_stills(model: Model) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Latents [10,000, L] of the held-out still pictures, and their factors [10,000, F].

    The factors are independent and uniform over their whole range, and the pictures the same for every network of
    every sweep.
    """
    factors, pictures = _test_stills()
    starts = range(0, len(factors), CHUNK)
    return np.concatenate([_encode(model, factors[i : i + CHUNK], pictures[i : i + CHUNK]) for i in starts]), factors


@functools.cache
def _test_stills() -> tuple[NDArray[np.float64], Tensor]:
    """Factors, and pictures [N, H, W] in bytes, rendered once for all networks of this process."""
    factors = generator(0, Stream.TEST_STILLS, 0).random((NUM_STILLS, len(FACTORS)))
    return factors, torch.from_numpy(render_circles(factors))


@torch.inference_mode()
def _encode(model: Model, factors: NDArray[np.floating], pictures: Tensor) -> NDArray[np.float32]:
    device = next(model.parameters()).device
    images = pictures.to(device)[:, None, None] / 255  # [N, 1, C, H, W]
    if isinstance(model, SupervisedEncoder):
        named = torch.from_numpy(np.asarray(factors, np.float32)).to(device)[:, None]
        latents = model(Batch(images, named)).predicted
    else:
        latents, _ = model.encode(images)
    return latents[:, 0].cpu().numpy()
