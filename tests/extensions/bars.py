"""A dataset of one's own: a bright bar that moves up or down."""

from functools import partial

import numpy as np
import torch

from dd_ray.config import DatasetSpec
from dd_ray.data.dataset import ContinuousDataset


def paint(factors, image_size):
    """Bars as high as their one factor [B, T, 1] says: uint8 [B, T, H, W]."""
    rows = torch.arange(image_size, device=factors.device)
    lit = (rows - (image_size - 1) * factors).abs() < 3
    return (lit.to(torch.uint8) * 255)[..., None].expand(*lit.shape, image_size).contiguous()


def painter(config):
    """Bars in images of the config's size."""
    return partial(paint, image_size=config.image_size)


def make_bars(config, device):
    """Bars that move evenly from one place to another."""

    def draw(rng, n):
        ends = rng.random((n, 2, 1), dtype=np.float32)
        return np.linspace(ends[:, 0], ends[:, 1], config.frames, axis=1)

    return ContinuousDataset(config, device, painter(config), draw)


MAKES = {"make": make_bars, "painter": painter, "factors": ("bar_y",)}
BARS = DatasetSpec(name="bars", **MAKES, training_size=100_000, moving=True, reads=("num_frames",))
