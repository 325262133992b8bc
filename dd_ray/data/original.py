"""The finite image and video sets of the original study, addressed by index.

Source: github.com/zahariaa/disentangled-dynamics. Orders and values are its own, so that index i here is
image or video i there; the factors are in the order of `FACTORS`.
"""

from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dd_ray.data.motion import Floats, endpoints, equally_spaced

CIRCLE_LEVELS = 16
"""Number of positions of the circle on each axis (still images)."""
BACKGROUND_LEVELS = 32
"""Number of positions of the background on each axis (both sets)."""
NUM_VIDEOS = 200_000
NUM_FRAMES = 10


class FiniteSet(Protocol):
    """Images or videos that are addressed by index."""

    size: int
    periodic: tuple[str, ...]
    """Names of the factors whose first and last level look the same."""

    def factors(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return factors [n, T, F] of the images or videos with these indices [n]."""
        ...


def levels(n: int) -> NDArray[np.float32]:
    """Return n equally spaced positions from 0 to 1."""
    return np.linspace(0, 1, n, dtype=np.float32)


class StillImages:
    """All 32·32·16·16 combinations of background_x, background_y, circle_x, circle_y, the last fastest."""

    shape = (BACKGROUND_LEVELS, BACKGROUND_LEVELS, CIRCLE_LEVELS, CIRCLE_LEVELS)
    size = int(np.prod(shape))
    periodic: tuple[str, ...] = ()

    def factors(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return factors [n, 1, F] of the images with these indices [n]."""
        background_x, background_y, circle_x, circle_y = (
            levels(n)[places] for n, places in zip(self.shape, np.unravel_index(indices, self.shape), strict=True)
        )
        return np.stack([circle_x, circle_y, background_x, background_y], axis=-1)[:, None]


class Videos:
    """200,000 straight paths of 10 frames before backgrounds on a grid, as seed 0 drew them."""

    size = NUM_VIDEOS
    periodic: tuple[str, ...] = ()

    def factors(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return factors [n, T, F] of the videos with these indices [n]."""
        ends, backgrounds = _drawn_videos()
        circles = equally_spaced(ends[indices], NUM_FRAMES).astype(np.float32)
        still = np.broadcast_to(backgrounds[indices, None], circles.shape)
        return np.concatenate([circles, still], axis=-1)


@cache
def _drawn_videos() -> tuple[Floats, NDArray[np.float32]]:
    """Draw start and end of the circles, [N, 2, 2], and backgrounds, [N, 2]."""
    # The original drew from numpy's legacy generator, in this order; no other gives its videos.
    legacy = np.random.RandomState(0)
    ends = endpoints(legacy.random_sample, NUM_VIDEOS)
    backgrounds = [legacy.choice(levels(BACKGROUND_LEVELS), NUM_VIDEOS, replace=True) for _ in "xy"]
    return ends, np.stack(backgrounds, axis=-1)
