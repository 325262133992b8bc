"""Measures where in still pictures reconstructions are wrong: inside the circle, at its edge, or in the background."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.data import FACTORS, Batch, Regions, circle_regions, render_circles
from dd_ray.evaluation.stills import CHUNK, check_some
from dd_ray.models import Model, device_of


class PicturedRegions(NamedTuple):
    """Still pictures and their regions, rendered once for all networks."""

    factors: NDArray[np.floating]
    """[N, 4], the factors of the pictures."""
    pictures: NDArray[Any]
    """uint8 [N, H, W]."""
    regions: Regions

    @classmethod
    def of(cls, factors: NDArray[np.floating], image_size: int = 32) -> "PicturedRegions":
        """Render pictures and their regions.

        Args:
            factors: float32 or float64 [N, 4] in [0, 1], in the order of `FACTORS`.
            image_size: H and W, those of the networks.

        Raises:
            UserError: the factors are not as above, or of no picture.
        """
        check_some(factors)
        return cls(factors, render_circles(factors, image_size), circle_regions(factors[:, :2], image_size))


@torch.inference_mode()
def region_errors(model: Model, pictured: PicturedRegions) -> dict[str, NDArray[np.float32]]:
    """Compute the reconstruction error of still images inside the circle, at its edge and in the background.

    Images are decoded from the posterior means, without sampling, or drawn from the factors by a supervised decoder.

    Args:
        model: a model that draws single images; of a video model, encoder and decoder alone are used.
        pictured: N images.

    Returns:
        Mean squared difference over the pixels of each of `dd_ray.data.Regions`, by its name, each [N].

    Raises:
        UserError: the model does not draw.
    """
    starts = range(0, len(pictured.pictures), CHUNK)
    chunks = [_region_errors(model, pictured, slice(start, start + CHUNK)) for start in starts]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in Regions._fields}


def _region_errors(model: Model, pictured: PicturedRegions, part: slice) -> dict[str, Any]:
    squares = _squares(model, pictured.factors[part], pictured.pictures[part])
    masks = {name: mask[part] for name, mask in pictured.regions._asdict().items()}
    return {name: (squares * mask).sum(axis=(1, 2)) / mask.sum(axis=(1, 2)) for name, mask in masks.items()}


@torch.inference_mode()
def still_errors(model: Model, factors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Compute the mean squared reconstruction error per pixel, [N], of still images; see `region_errors`.

    Raises:
        UserError: the model does not draw, or the factors are not [N, 4] in [0, 1], or of no picture.
    """
    check_some(factors)
    parts = [factors[i : i + CHUNK] for i in range(0, len(factors), CHUNK)]
    squares = [_squares(model, part, render_circles(part, model.image_size)) for part in parts]
    return np.concatenate([each.mean(axis=(1, 2)) for each in squares])


def _squares(model: Model, factors: NDArray[np.floating], pictures: NDArray[Any]) -> NDArray[np.float32]:
    """Return squared differences [N, H, W] of pictures and their reconstructions."""
    device = device_of(model)
    images = torch.from_numpy(pictures).to(device)[:, None, None] / 255
    named = torch.from_numpy(np.asarray(factors, np.float32)).to(device)[:, None]
    drawn = model.redraw(Batch(images, named, FACTORS))
    squares: NDArray[np.float32] = (drawn - images).square()[:, 0, 0].cpu().numpy()
    return squares
