"""Where in a still picture reconstructions are wrong: inside the circle, at its edge, in the background."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.data import Regions, circle_regions, render_circles
from dd_ray.models import VideoVAE

CHUNK = 640
"""Pictures at a time; bounds the memory."""


class PicturedRegions(NamedTuple):
    """Still pictures and where in them the regions are, rendered once for all networks."""

    pictures: NDArray[Any]
    """uint8 [N, H, W]."""
    regions: Regions

    @classmethod
    def of(cls, factors: NDArray[np.floating]) -> "PicturedRegions":
        """Render pictures.

        Args:
            factors: float32 or float64 [N, 4] in [0, 1], in the order of `FACTORS`.

        Raises:
            UserError: the factors are not as above.
        """
        return cls(render_circles(factors), circle_regions(factors[:, :2]))


@torch.inference_mode()
def region_errors(model: VideoVAE, pictured: PicturedRegions) -> dict[str, NDArray[np.float32]]:
    """Reconstruction error of still images inside the circle, at its edge and in the background.

    Images are decoded from the posterior means, without sampling.

    Args:
        model: encodes and decodes single images; a video model is asked about its networks alone.
        pictured: N images.

    Returns:
        Mean squared difference over the pixels of each of `dd_ray.data.Regions`, by its name, each [N].
    """
    starts = range(0, len(pictured.pictures), CHUNK)
    chunks = [_region_errors(model, pictured, slice(start, start + CHUNK)) for start in starts]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in Regions._fields}


def _region_errors(model: VideoVAE, pictured: PicturedRegions, part: slice) -> dict[str, Any]:
    device = next(model.parameters()).device
    images = torch.from_numpy(pictured.pictures[part]).to(device)[:, None, None] / 255
    mu, _ = model.encode(images)
    squares = (model.decode(mu) - images).square()[:, 0, 0].cpu().numpy()
    masks = {name: mask[part] for name, mask in pictured.regions._asdict().items()}
    return {name: (squares * mask).sum(axis=(1, 2)) / mask.sum(axis=(1, 2)) for name, mask in masks.items()}
