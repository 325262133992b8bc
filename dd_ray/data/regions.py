"""Masks of an image: the inside of the circle, its edge, and the background.

With C(r) the circle alone on black, drawn with a radius of r pixels of the canvas and scaled to [0, 1]:

    inside      C(3.2) > 0.4
    edge        C(6.4) > 0.4, but not inside
    background  not C(9.6) > 0.4

which are about 12, 28 and 943 of 32×32 pixels; a ring around the circle is in none of the three. They are
the regions of the original study's published reconstruction errors.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.data.rendering import IMAGE, RADIUS, draw_circles

INNER_RADIUS, OUTER_RADIUS = 3.2, 9.6
_THRESHOLD = 0.4 * 255


class Regions(NamedTuple):
    """Masks of N images, each bool [N, H, W]; no pixel is in two of them."""

    inside: NDArray[np.bool_]
    edge: NDArray[np.bool_]
    background: NDArray[np.bool_]


def circle_regions(circle_positions: NDArray[np.floating], image_size: int = IMAGE) -> Regions:
    """Return the regions of images of circles.

    Args:
        circle_positions: float32 or float64 [N, 2], circle_x and circle_y in [0, 1], in the precision that
            the images were rendered from, since near the circle's border it decides a pixel.
        image_size: H and W of the images: 32, or 64, where C is not reduced and so is 0 or 1.
    """
    positions = torch.tensor(circle_positions)
    inside, circle, surround = (_covered(positions, r, image_size) for r in (INNER_RADIUS, RADIUS, OUTER_RADIUS))
    return Regions(inside=inside, edge=circle & ~inside, background=~surround)


def _covered(positions: Tensor, radius: float, image_size: int) -> NDArray[np.bool_]:
    return (draw_circles(positions, radius, image_size) > _THRESHOLD).numpy()
