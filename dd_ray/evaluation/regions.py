"""Where in a still picture reconstructions are wrong: inside the circle, at its edge, in the background."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.data import Regions, circle_regions, render_circles
from dd_ray.models import VideoVAE

CHUNK = 640
"""Pictures at a time; bounds the memory."""


@torch.inference_mode()
def region_errors(model: VideoVAE, factors: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
    """Reconstruction error of still images inside the circle, at its edge and in the background.

    Images are decoded from the posterior means, without sampling.

    Args:
        model: encodes and decodes single images; a video model is asked about its networks alone.
        factors: float32 or float64 [N, 4] in [0, 1], in the order of `FACTORS`.

    Returns:
        Mean squared difference over the pixels of each of `dd_ray.data.Regions`, by its name, each [N].

    Raises:
        UserError: the factors are not as above.
    """
    device = next(model.parameters()).device
    chunks = [_region_errors(model, factors[i : i + CHUNK], device) for i in range(0, len(factors), CHUNK)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in Regions._fields}


def _region_errors(model: VideoVAE, factors: NDArray[np.floating], device: torch.device) -> dict[str, Any]:
    images = torch.from_numpy(render_circles(factors)).to(device)[:, None, None] / 255
    mu, _ = model.encode(images)
    squares = (model.decode(mu) - images).square()[:, 0, 0].cpu().numpy()
    regions = circle_regions(factors[:, :2])
    return {name: (squares * mask).sum(axis=(1, 2)) / mask.sum(axis=(1, 2)) for name, mask in regions._asdict().items()}
