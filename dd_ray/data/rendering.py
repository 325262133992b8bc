"""Exact images of a circle in front of a Gaussian background, rendered in batches on any torch device.

An image is drawn on a canvas of 64×64 pixels and reduced to 32×32:

    background  b = trunc(0.8 · 255 · g / max g),  g = exp(−d²/2v),  v = 15·64 px²,
                d² the squared distance to 64 · (background_x, background_y)
    circle      255 where d² − r ≤ r²,  r = 6.4 px,
                d² the squared distance to 48 · (circle_x, circle_y) + 8
    reduction   antialiased bilinear, along x, then along y, rounded to 8 bits after each:
                taps (1, 3, 3, 1)/8 at a stride of 2, and (3, 3, 1)/7, (1, 3, 3)/7 at the borders

A circle reaches 9×9 pixels of the reduced image at most. So the background is reduced once for all frames
that share it, and only those 9×9 pixels are reduced again for each frame.

Exactness: distances, comparison and background are float64, and sums of the reduction are small integers, so the images
equal their definition bit for bit. One exception is known: g is computed as the product of its factors along x and y,
which may differ from the exponential of the sum in the last bit, as the exponentials of two machines may. If b is that
close to a whole number, a pixel may differ by 1. But b is a whole number only at g = max g, where both are exact;
otherwise the chance is of the order of 1e-9 for a background.

Shapes: N frames, B videos, T frames of a video, M backgrounds. Canvases are padded by one black pixel on each side, so
that taps that reach over the border need no special case: position p of the canvas is p + 1 in the padded one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config.names import CIRCLE_RADIUS
from dd_ray.data.batch import FACTORS
from dd_ray.errors import UserError

CANVAS = 64
IMAGE = 32
BACKGROUND_VARIANCE = 15 * CANVAS
BACKGROUND_PEAK = 0.8 * 255
RADIUS = CIRCLE_RADIUS
CIRCLE_RANGE, CIRCLE_MARGIN = 48, 8

_PADDED = CANVAS + 2
_PATCH = 9  # output pixels that a circle can reach, along an axis
_WINDOW = 2 * _PATCH + 2  # canvas pixels that those are computed from
_REACH = 6.9  # px: no pixel further from the centre along an axis is lit, sqrt(r² + r) = 6.88

# Frames worked on at a time: on a CPU a batch of 64 videos, as smaller parts cost more overhead and larger
# ones leave its cache; on a GPU as many as keep it busy.
_CHUNK_CPU = 640
_CHUNK_GPU = 4096

_Factors = TypeVar("_Factors", Tensor, NDArray[np.float32], NDArray[np.float64])


@dataclass(frozen=True)
class Backgrounds:
    """M backgrounds, without circles."""

    canvases: Tensor
    """Uint8 [M, 66, 66], padded by zeros."""
    images: Tensor
    """Uint8 [M, 32, 32], the canvases reduced."""


def render_circles(factors: _Factors, image_size: int = IMAGE) -> _Factors:
    """Render images of circles in front of Gaussian backgrounds, as the module's equations define them.

    Args:
        factors: float32 or float64 [N, 4] in [0, 1], in the order of `FACTORS`; a tensor or an array. The
            precision is honoured: the circle's centre is rounded to it before 8 px are added in float64,
            and near the circle's border that decides a pixel.
        image_size: 32, or 64 for the canvas before its reduction.

    Returns:
        uint8 [N, image_size, image_size], rows are y; a tensor on the same device, or an array.

    Raises:
        UserError: image_size, or the shape, type or values of the factors are not as above.
    """
    if image_size not in (IMAGE, CANVAS):
        raise UserError(f"image_size = {image_size!r} cannot be rendered; give {IMAGE}, or {CANVAS} (unreduced).")
    if isinstance(factors, Tensor):
        return render_videos(checked(factors)[:, None], image_size=image_size)[:, 0]
    return render_videos(checked(torch.tensor(factors))[:, None], image_size=image_size)[:, 0].numpy()


def draw_circles(positions: Tensor, radius: float, image_size: int) -> Tensor:
    """Draw circles on black at positions [N, 2], which are (x, y) in [0, 1].

    Args:
        positions: float32 or float64, not checked; their precision matters as in `render_circles`.
        radius: r of the module's equation, in pixels of the canvas.
        image_size: 32, or 64 for the canvas before its reduction.

    Returns:
        uint8 [N, image_size, image_size], on the device of the positions.
    """
    images = positions.new_empty(len(positions), image_size, image_size, dtype=torch.uint8)
    for images_n, positions_n in zip(in_chunks(images), in_chunks(positions), strict=True):
        lit = circle_masks(positions_n, radius).to(torch.uint8).mul_(255)
        images_n.copy_(reduce_canvases(lit) if image_size == IMAGE else lit)
    return images


def circle_masks(positions: Tensor, radius: float = RADIUS) -> Tensor:
    """Return the pixels of the canvas that circles at positions [N, 2] cover, bool [N, 64, 64]; see `draw_circles`."""
    return _lit(torch.arange(CANVAS, device=positions.device), _circle_centres(positions), radius)


def reduce_canvases(canvases: Tensor) -> Tensor:
    """Reduce canvases uint8 [N, 64, 64] to images uint8 [N, 32, 32], as the module's docstring defines."""
    scales = _tap_scales(torch.arange(IMAGE, device=canvases.device))
    return _reduce(torch.nn.functional.pad(canvases, (1, 1, 1, 1)), scales, scales[:, None])


def checked(factors: Tensor, names: Sequence[str] = FACTORS) -> Tensor:
    """Return the factors, after checking type, shape and range."""
    if factors.ndim != 2 or factors.shape[1] != len(names):
        raise UserError(
            f"factors of shape {tuple(factors.shape)} cannot be rendered; give [N, {len(names)}], "
            f"the columns being {', '.join(names)}."
        )
    if factors.dtype not in (torch.float32, torch.float64):
        raise UserError(f"factors of type {factors.dtype} cannot be rendered; give float32 or float64.")
    if not (valid := (factors >= 0) & (factors <= 1)).all():
        row, column = (~valid).nonzero()[0].tolist()
        raise UserError(
            f"{names[column]} = {factors[row, column].item()} in row {row} is out of range; factors lie in [0, 1]."
        )
    return factors


def render_videos(factors: Tensor, grid: Backgrounds | None = None, image_size: int = IMAGE) -> Tensor:
    """Render videos in which the background rests. The factors are not checked.

    Args:
        factors: float32 or float64 [B, T, F] in the order of `FACTORS`. The background is read off the
            first frame of each video.
        grid: the backgrounds of a square grid, see `grid_backgrounds`, if all backgrounds lie on it. They are then
            looked up instead of drawn.
        image_size: 32, or 64 for the canvases before their reduction.

    Returns:
        uint8 [B, T, image_size, image_size], on the device of the factors.
    """
    num_videos, num_frames, _ = factors.shape
    images = factors.new_empty(num_videos, num_frames, image_size, image_size, dtype=torch.uint8)
    draw = _draw_frames if image_size == IMAGE else _draw_unreduced
    for images_b, factors_b in zip(in_chunks(images, num_frames), in_chunks(factors, num_frames), strict=True):
        positions = factors_b[:, 0, 2:]
        if grid is None:
            backgrounds = draw_backgrounds(positions)
            which = torch.arange(len(positions), device=factors.device)
        else:
            backgrounds, which = grid, _index_on_grid(positions, len(grid.images))
        which_n = which.repeat_interleave(num_frames, output_size=len(which) * num_frames)
        draw(factors_b[..., :2].flatten(0, 1), backgrounds, which_n, out=images_b.flatten(0, 1))
    return images


@cache
def grid_backgrounds(num_levels: int, device: torch.device) -> Backgrounds:
    """Return the num_levels² backgrounds on a square grid of positions, x slowest: 5.5 MB for 32 levels.

    They are drawn once per device and kept, since all trials of a process share them.
    """
    # By numpy, as the grids of the factors are, since torch.linspace rounds differently.
    levels = torch.from_numpy(np.linspace(0, 1, num_levels, dtype=np.float32)).to(device)
    return draw_backgrounds(torch.cartesian_prod(levels, levels))


def _index_on_grid(positions: Tensor, grid_size: int) -> Tensor:
    """Return indices [M] into `grid_backgrounds` of positions [M, 2] on the grid."""
    num_levels = math.isqrt(grid_size)
    x, y = (positions * (num_levels - 1)).round().long().unbind(-1)
    return x * num_levels + y


def draw_backgrounds(positions: Tensor) -> Backgrounds:
    """Draw backgrounds at positions [M, 2], which are (x, y) in [0, 1], by the module's equation."""
    canvases = _draw_canvases(positions)
    eighths_or_sevenths = _tap_scales(torch.arange(IMAGE, device=positions.device))
    return Backgrounds(canvases, _reduce(canvases, eighths_or_sevenths, eighths_or_sevenths[:, None]))


def _draw_canvases(positions: Tensor) -> Tensor:
    """Draw backgrounds before the reduction, uint8 [M, 66, 66]."""
    centres = (CANVAS * positions).double()
    squares = (torch.arange(CANVAS, device=positions.device) - centres[:, :, None]).square()
    g = torch.exp(squares / (-2 * BACKGROUND_VARIANCE))  # [M, 2, 64], the factors along x and y
    g = torch.nn.functional.pad(g / g.amax(-1, keepdim=True), (1, 1))
    return ((BACKGROUND_PEAK * g[:, 1, :, None]) * g[:, 0, None, :]).to(torch.uint8)


def _draw_frames(positions: Tensor, backgrounds: Backgrounds, which: Tensor, out: Tensor) -> None:
    """Draw circles at positions [N, 2] in front of the backgrounds with indices `which` [N], into `out`."""
    pixels, device = backgrounds.canvases.flatten(), positions.device
    centres = _circle_centres(positions)
    # Output pixel k is computed from canvas pixels 2k − 1 to 2k + 2, so the first one that sees the circle
    # follows from the first lit pixel. In the padded canvas its window starts at 2k.
    first = ((centres - _REACH).ceil_() - 1).div_(2).floor_().clamp_(max=IMAGE - _PATCH)
    lit = _lit(2 * first[:, :, None] - 1 + torch.arange(_WINDOW, device=device), centres)

    first_x, first_y = first.long().unbind(-1)
    corners = which * _PADDED**2 + 2 * first_y * _PADDED + 2 * first_x
    windows = pixels.index_select(0, (corners[:, None] + _square(_WINDOW, _PADDED, device)).flatten())
    windows = torch.maximum(windows.view_as(lit), lit.to(torch.uint8).mul_(255))

    scales = _tap_scales(first[:, :, None] + torch.arange(_PATCH, device=device))  # [N, 2, 9]
    patches = _reduce(windows, scales[:, 0, None, :], scales[:, 1, :, None])
    torch.index_select(backgrounds.images, 0, which, out=out)
    places = (first_y * IMAGE + first_x)[:, None] + _square(_PATCH, IMAGE, device)
    out.flatten(1).scatter_(1, places, patches.flatten(1))


def _draw_unreduced(positions: Tensor, backgrounds: Backgrounds, which: Tensor, out: Tensor) -> None:
    """Draw as `_draw_frames`, but the canvases before their reduction."""
    lit = _lit(torch.arange(CANVAS, device=positions.device), _circle_centres(positions))
    out.copy_(backgrounds.canvases[which, 1:-1, 1:-1].masked_fill_(lit, 255))


def _circle_centres(positions: Tensor) -> Tensor:
    """Return centres [N, 2] in canvas pixels, rounded to the positions' precision before the margin is added."""
    return (CIRCLE_RANGE * positions).double() + CIRCLE_MARGIN


def _lit(pixels: Tensor, centres: Tensor, radius: float = RADIUS) -> Tensor:
    """Return whether circles at centres [N, 2] cover the pixels in columns and rows [N, 2, W]: bool [N, W, W]."""
    squares = (pixels - centres[:, :, None]).square()
    return squares[:, 1, :, None] + squares[:, 0, None, :] <= _largest_lit_square(radius)


@cache
def _largest_lit_square(radius: float) -> float:
    """Return the largest d² for which d² − r ≤ r² in float64, so that a single comparison decides."""
    square = radius**2 + radius
    while square - radius > radius**2:
        square = math.nextafter(square, 0)
    while math.nextafter(square, math.inf) - radius <= radius**2:
        square = math.nextafter(square, math.inf)
    return square


def _reduce(padded: Tensor, scale_x: Tensor, scale_y: Tensor) -> Tensor:
    """Halve padded uint8 canvases [N, 2n + 2, 2n + 2] to uint8 [N, n, n], with antialiasing.

    Each scale is 1 / (sum of an output pixel's taps); they broadcast against [N, n, n].
    """
    taps = _taps(padded.shape[-1] // 2 - 1, padded.device)
    rows = _round(padded.float() @ taps, scale_x)
    return _round(taps.T @ rows, scale_y).to(torch.uint8)


def _round(sums: Tensor, scales: Tensor) -> Tensor:
    """Return sums · scales, rounded half up, in place, for integer sums and scales of 1/8 or 1/7."""
    # No sum of sevenths is a half, and the nearest is 1/14 away: the error of 1/7 in float32 is harmless.
    return sums.mul_(scales).add_(1 / 2).floor_()


@cache
def _taps(num_outputs: int, device: torch.device) -> Tensor:
    """Return taps (1, 3, 3, 1) at a stride of 2, [2n + 2, n]: integers, which are exact in TF32 as well."""
    inputs = torch.arange(2 * num_outputs + 2, device=device)
    tap = inputs[:, None] - 2 * torch.arange(num_outputs, device=device)
    return ((tap >= 0) & (tap <= 3)).float() + 2 * ((tap == 1) | (tap == 2))


def _tap_scales(outputs: Tensor) -> Tensor:
    """Return 1 / (sum of the taps inside the canvas) for indices of output pixels."""
    return torch.where((outputs == 0) | (outputs == IMAGE - 1), 1 / 7, 1 / 8)


def _square(side: int, stride: int, device: torch.device) -> Tensor:
    """Return flat indices [side²] of a square in the corner of an image whose rows have `stride` pixels."""
    pixels = torch.arange(side, device=device)
    return (stride * pixels[:, None] + pixels).flatten()


def in_chunks(of: Tensor, num_frames: int = 1, chunk_cpu: int = _CHUNK_CPU) -> tuple[Tensor, ...]:
    """Split a tensor [B, ...] into views of about as many frames as are worked on at a time, chunk_cpu on a CPU."""
    frames = chunk_cpu if of.device.type == "cpu" else _CHUNK_GPU
    return of.split(max(1, frames // num_frames))
