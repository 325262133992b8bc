"""Sprites: a procedural stand-in for dSprites, still and moving.

A sprite is a square, an ellipse or a heart in one of many sizes, orientations and places, white on black or in front of
the Gaussian of the circles. Layout and order are those of dSprites (Matthey et al. 2017,
github.com/google-deepmind/dsprites-dataset): with grid = original, 3 shapes × 6 scales × 40 orientations × 32 × 32
places, the last fastest. The outlines are our own, so the images are like its images, and not the same.

A canvas has 64×64 pixels, of which pixel (i, j) has its middle at (i + ½, j + ½). With p = (x, y), s the scale and o
the orientation, each in [0, 1], a pixel is lit where its middle, less the centre 16.5 + 31 p, turned back by 2π o and
divided by the size ½ + ½ s, is at (u, v) in

    square    max(|u|, |v|) ≤ 10.25
    ellipse   (u / 14.75)² + (v / 9.05)² ≤ 1
    heart     (a² + b² − 1)³ ≤ a² b³,  (a, b) = (u, −v) / 10.7        (Weisstein, "Heart Curve", MathWorld)

whose areas are within 0.3% of 420 px² at full size. No sprite reaches over the border. A sprite turns clockwise as o
grows. Levels are equally spaced and include both ends, so that the first and the last orientation are the same, as
they are in dSprites. Images of 32×32 are means over 2×2 pixels, rounded to 8 bits, halves up. Places and angles are
float64, outlines float32, which is twice as fast; it decides a pixel within 1e-5 px of an outline.

Scores take these factors as numbers in [0, 1], although the shape is a category in an arbitrary order, and the
orientation is periodic: no continuous code of it is monotone, so R², SAP and MCC are low for it however well it is
encoded (mutual information, and so MIG, is less strict). The orientation of a square looks the same four times in a
turn. `supervised_encoder` is trained on these numbers, too.

Shapes: B videos, T frames, N frames of all, F factors, S pixels a side.
"""

import math
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import SPRITE_FACTORS, TrialConfig
from dd_ray.data.canvases import SPRITE_MARGIN, SPRITE_RANGE, background_canvases, drawn_over, paint_in_chunks
from dd_ray.data.correlation import correlated
from dd_ray.data.dataset import ContinuousDataset, Dataset, FiniteDataset, Paint
from dd_ray.data.levels import snap
from dd_ray.data.motion import PATHS, endpoints, equally_spaced
from dd_ray.data.rendering import CANVAS, IMAGE
from dd_ray.data.split import Draw, Factors
from dd_ray.data.stills import uniform_stills

SIZES = (3, 6, 40, 32, 32)
"""Numbers of levels of shape, scale, orientation, x and y in dSprites."""
NUM_SHAPES = SIZES[0]
SQUARE, ELLIPSE, HEART = 10.25, (14.75, 9.05), 10.7
"""Half a side of the square, half axes of the ellipse, and unit of the heart, in pixels of the canvas at full size."""
_PLACE = slice(3, 5)  # of SPRITE_FACTORS
_WINDOW = 32  # pixels that a sprite can reach, along an axis


class SpriteGrid:
    """All combinations of levels of the factors of sprites; the last factor varies fastest."""

    periodic: tuple[str, ...] = ("sprite_orientation",)

    def __init__(self, sizes: tuple[int, ...] = SIZES) -> None:
        self.sizes = sizes
        self.size = math.prod(sizes)

    def factors(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return factors [n, 1, F] of the images with these indices [n]."""
        places = np.unravel_index(indices, self.sizes)
        levels = [place / max(1, n - 1) for place, n in zip(places, self.sizes, strict=True)]
        return np.stack(levels, axis=-1).astype(np.float32)[:, None]


@cache
def _pictures() -> NDArray[np.int64]:
    """Return numbers [N] of the images of the grid, equal for images with the same pixels.

    Apart from the first and the last orientation, such images are of small sprites that are turned a little, or by
    nearly a symmetry. Places differ by whole pixels, so the numbers are the same at all places.
    """
    *turned, width, height = SIZES
    grid = SpriteGrid((*turned, 1, 1))
    images = paint_sprites(torch.from_numpy(grid.factors(np.arange(grid.size))), CANVAS)
    _, alike = np.unique(images.numpy().reshape(grid.size, -1), axis=0, return_inverse=True)
    return (alike.reshape(-1, 1) * (width * height) + np.arange(width * height)).reshape(-1)


def make_sprites(config: TrialConfig, device: torch.device) -> Dataset:
    """Make the dataset of still or moving sprites, drawn from the unit cube or in the layout of dSprites."""
    paint = sprite_painter(config)
    if config.grid == "original":
        return FiniteDataset(config, device, paint, SpriteGrid(), _pictures())
    return ContinuousDataset(config, device, paint, _draw(config), categories={"sprite_shape": NUM_SHAPES})


def sprite_painter(config: TrialConfig) -> Paint:
    """Return the function that turns any factors of sprites into images."""
    return partial(paint_sprites, image_size=config.image_size, contrast=config.contrast)


def sprite_stills(config: TrialConfig, num_stills: int) -> NDArray[np.float64]:
    """Draw factors [N, F] of held-out still pictures from the unit cube, with one of the three shapes."""
    factors = uniform_stills(config, num_stills)
    shape = config.factor_names.index("sprite_shape")
    factors[:, shape] = snap(factors[:, shape], NUM_SHAPES)
    return factors


def _draw(config: TrialConfig) -> Draw:
    """Return a function that draws all factors uniformly from [0, 1], the shape included."""
    num_frames, num_factors = config.frames, len(config.factor_names)
    first = SPRITE_FACTORS.index("sprite_x" if config.moves == "position" else f"sprite_{config.moves}")

    def draw(rng: np.random.Generator, n: int) -> Factors:
        factors = np.tile(rng.random((n, 1, num_factors)), (1, num_frames, 1))
        if config.frames > 1:
            moving = (
                PATHS[config.motion](rng.random, n, num_frames)
                if config.moves == "position"
                # The orientation stays in [0, 1] as well: it turns at most once, and never across its ends.
                else equally_spaced(endpoints(rng.random, n, dimensions=1), num_frames)
            )
            factors[..., first : first + moving.shape[-1]] = moving
        if config.correlation:
            place, background = factors[:, :1, _PLACE], slice(len(SPRITE_FACTORS), None)
            factors[..., background] = correlated(factors[:, :1, background], place, config.correlation)
        return factors.astype(np.float32)

    return draw


def paint_sprites(factors: Tensor, image_size: int, contrast: float = 1.0) -> Tensor:
    """Paint images of sprites, as the module's equations define them.

    Args:
        factors: float32 or float64 [B, T, F] in [0, 1], not checked: `SPRITE_FACTORS`, then x and y of the Gaussian,
            which is read off the first frame; without these, the background is black. A shape between two levels is
            rounded by `snap`.
        image_size: S, 32 or 64.
        contrast: c in (0, 1], of a sprite with what is behind it: b + c (255 − b) for the value b behind it.

    Returns:
        uint8 [B, T, S, S], on the device of the factors.
    """
    return paint_in_chunks(factors, partial(_paint, image_size=image_size, contrast=contrast))


def halve(canvases: Tensor) -> Tensor:
    """Average uint8 [N, 64, 64] over 2×2 pixels, and round to uint8 [N, 32, 32], halves up."""
    rows = canvases.to(torch.int16)
    rows = rows[:, ::2] + rows[:, 1::2]
    return ((rows[..., ::2] + rows[..., 1::2] + 2) >> 2).to(torch.uint8)


def _paint(factors: Tensor, image_size: int, contrast: float) -> Tensor:
    canvases = background_canvases(factors, len(SPRITE_FACTORS))
    lit, places = _lit(factors[..., : len(SPRITE_FACTORS)].flatten(0, 1))
    flat = canvases.flatten(1)
    flat.scatter_(1, places, drawn_over(flat.gather(1, places), lit, 255, contrast))
    images = halve(canvases) if image_size == IMAGE else canvases
    return images.unflatten(0, factors.shape[:2])


def _lit(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lit pixels, bool [N, 1024], of a window around each sprite [N, 5], and their places in the canvas."""
    shape, scale, orientation, *positions = frames.double().unbind(-1)
    centres = SPRITE_MARGIN + SPRITE_RANGE * torch.stack(positions, dim=-1)
    first = centres.floor() - _WINDOW // 2  # never below 0, nor so high that the window ends beyond the canvas
    offsets = first[:, :, None] + torch.arange(_WINDOW, device=frames.device) + 0.5 - centres[:, :, None]
    x, y = offsets[:, 0, None, :].float(), offsets[:, 1, :, None].float()
    size, angle = (0.5 + 0.5 * scale)[:, None, None], (2 * math.pi * orientation)[:, None, None]
    cos, sin = (angle.cos() / size).float(), (angle.sin() / size).float()
    lit = _inside(snap(shape, NUM_SHAPES)[:, None, None], cos * x + sin * y, cos * y - sin * x)
    pixels = torch.arange(_WINDOW, device=frames.device)
    corners = (first[:, 1] * CANVAS + first[:, 0]).long()
    return lit.flatten(1), corners[:, None] + (CANVAS * pixels[:, None] + pixels).flatten()


def _inside(shape: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return whether (u, v), in pixels at full size, is inside the outline of shape 0, ½ or 1."""
    squares_u, squares_v = u * u, v * v
    square = torch.maximum(squares_u, squares_v) <= SQUARE**2
    ellipse = squares_u / ELLIPSE[0] ** 2 + squares_v / ELLIPSE[1] ** 2 <= 1
    a, b, b_squared = squares_u / HEART**2, v / -HEART, squares_v / HEART**2
    round_ = a + b_squared - 1
    heart = round_ * round_ * round_ <= a * b_squared * b
    return torch.where(shape == 0, square, torch.where(shape == 1, heart, ellipse))
