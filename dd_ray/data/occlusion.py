"""Several circles, the later of which lie in front of the earlier ones and hide them.

Circles, background, canvas and reduction are those of `dd_ray.data.rendering`, and one circle in front of a Gaussian
gives its images bit for bit. The circles' values are equally spaced, from 0 in front of a Gaussian (128 on black) for
the first to 255 for the last, which lies in front of all others. So where two overlap one sees which is in front,
circles cannot be mistaken for each other, and each stands out from the background: the Gaussian ends at 204, and is
dark only far from its centre.

Shapes: B videos, T frames, F factors, K circles, S pixels a side.
"""

from functools import partial

from torch import Tensor

from dd_ray.data.canvases import background_canvases, drawn_over, paint_in_chunks
from dd_ray.data.rendering import IMAGE, RADIUS, circle_masks, reduce_canvases

BEFORE_GAUSSIAN, BEFORE_BLACK = (0, 255), (128, 255)
"""Values of the first and the last circle."""


def circle_values(num_circles: int, ends: tuple[int, int]) -> list[int]:
    """Return the values of the circles, from the rearmost to the foremost; a single circle has the last value."""
    first, last = ends
    steps = max(1, num_circles - 1)
    return [last - (last - first) * (num_circles - 1 - k) // steps for k in range(num_circles)]


def paint_circles(
    factors: Tensor, num_circles: int, image_size: int, radius: float = RADIUS, contrast: float = 1.0
) -> Tensor:
    """Paint images of circles that hide each other.

    Args:
        factors: float32 or float64 [B, T, F], not checked: x and y of each circle, then those of the Gaussian, which is
            read off the first frame; without the latter, the background is black.
        num_circles: K.
        image_size: S, 32 or 64.
        radius: radius of the circles, in pixels of the canvas.
        contrast: c in (0, 1], of each circle with what is behind it: b + c (v − b) for the circle's value v and b
            behind it.

    Returns:
        uint8 [B, T, S, S], on the device of the factors.
    """
    paint = partial(_paint, num_circles=num_circles, image_size=image_size, radius=radius, contrast=contrast)
    return paint_in_chunks(factors, paint)


def _paint(factors: Tensor, num_circles: int, image_size: int, radius: float, contrast: float) -> Tensor:
    canvases = background_canvases(factors, 2 * num_circles)
    frames = factors.flatten(0, 1)
    ends = BEFORE_BLACK if factors.shape[-1] == 2 * num_circles else BEFORE_GAUSSIAN
    for k, value in enumerate(circle_values(num_circles, ends)):
        canvases = drawn_over(canvases, circle_masks(frames[:, 2 * k : 2 * k + 2], radius), value, contrast)
    images = reduce_canvases(canvases) if image_size == IMAGE else canvases
    return images.unflatten(0, factors.shape[:2])
