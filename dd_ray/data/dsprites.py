"""The dataset of the public dSprites file, of which the user has a copy (`dd_ray.storage.dsprites`).

The file names its six factors color, shape, scale, orientation, posX and posY. Color has one level, so a batch has the
other five, as in disentanglement_lib (Locatello et al. 2019). Their values are level / (levels − 1), under the names of
`SPRITE_FACTORS`; `dd_ray.data.sprites` says how scores treat them. A trial's key contains the MD5 instead of the path.
"""

from dataclasses import replace
from functools import cache, partial
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data.dataset import FiniteDataset, Paint
from dd_ray.data.levels import snap
from dd_ray.data.rendering import IMAGE
from dd_ray.data.sprites import SpriteGrid, halve
from dd_ray.storage.dsprites import BYTES_PER_IMAGE, SIDE, open_dsprites


def make_dsprites(config: TrialConfig, device: torch.device) -> FiniteDataset:
    """Make the dataset of the file's images, each training image once in an epoch."""
    images = _images(config)
    pictures = _pictures(config.dsprites_file, config.dsprites_md5)
    return FiniteDataset(config, device, dsprites_painter(config), SpriteGrid(images.shape[1:-1]), pictures)


def dsprites_painter(config: TrialConfig) -> Paint:
    """Return the function that turns factors into the images of the nearest levels."""
    return partial(_paint, images=_images(config), image_size=config.image_size)


def dsprites_stills(config: TrialConfig, num_stills: int) -> NDArray[np.float32]:
    """Return factors [N, 5] of at most `NUM_HELD_OUT` held-out pictures of the file."""
    dataset = make_dsprites(replace(config, split="none", train_share=1.0), torch.device("cpu"))
    return dataset.members.factors(dataset.test_indices[: min(num_stills, NUM_HELD_OUT)])[:, 0]


def _images(config: TrialConfig) -> NDArray[np.uint8]:
    return open_dsprites(config.dsprites_file, config.dsprites_md5)


@cache
def _pictures(file: str | None, md5: str) -> NDArray[np.uint64]:
    """Return hashes [N] of the file's images, equal for images with the same pixels. It takes 2 s."""
    images = open_dsprites(file, md5).reshape(-1, BYTES_PER_IMAGE)
    return np.fromiter(
        (int.from_bytes(blake2b(image.tobytes(), digest_size=8).digest()) for image in images), np.uint64
    )


def _paint(factors: Tensor, images: NDArray[np.uint8], image_size: int) -> Tensor:
    """Look up images uint8 [B, T, S, S] of factors [B, T, 5]."""
    sizes = images.shape[1:-1]
    values = factors.flatten(0, 1).cpu().numpy()
    levels = [np.rint(snap(values[:, i], n) * (n - 1)).astype(np.int64) for i, n in enumerate(sizes)]
    packed = images.reshape(-1, BYTES_PER_IMAGE)[np.ravel_multi_index(levels, sizes)]
    canvases = torch.from_numpy(np.unpackbits(packed, axis=1) * np.uint8(255)).to(factors.device)
    canvases = canvases.view(-1, SIDE, SIDE)
    shown = halve(canvases) if image_size == IMAGE else canvases
    return shown.unflatten(0, factors.shape[:2])
