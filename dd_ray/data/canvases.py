"""Canvases that circles and sprites are painted on: their backgrounds, and so many at a time as are fast.

Shapes: B videos, T frames, F factors, S pixels a side.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dd_ray.data.rendering import CANVAS, draw_backgrounds, in_chunks

SPRITE_MARGIN, SPRITE_RANGE = 16.5, 31
"""Centre of a sprite at position 0, and how far that at 1 is from it."""

_CHUNK_CPU = 64
"""Frames at a time on a CPU: few, so that what they are computed from stays in its cache."""


def paint_in_chunks(factors: Tensor, paint: Callable[[Tensor], Tensor]) -> Tensor:
    """Images uint8 [B, T, S, S] of videos [B, T, F], painted a few videos at a time."""
    return torch.cat([paint(part) for part in in_chunks(factors, factors.shape[1], _CHUNK_CPU)])


def background_canvases(factors: Tensor, num_before: int) -> Tensor:
    """Backgrounds of videos [B, T, F], uint8 [B·T, 64, 64]: Gaussians by the factors after the first num_before."""
    num_videos, num_frames, num_factors = factors.shape
    if num_factors == num_before:
        return torch.zeros(num_videos * num_frames, CANVAS, CANVAS, dtype=torch.uint8, device=factors.device)
    canvases = draw_backgrounds(factors[:, 0, num_before:]).canvases[:, 1:-1, 1:-1]
    return canvases.repeat_interleave(num_frames, dim=0)


def drawn_over(canvases: Tensor, lit: Tensor, value: int, contrast: float) -> Tensor:
    """Uint8 canvases b on which lit pixels have a value v with contrast c: b + c (v − b), rounded, halves up.

    Where c = 1 that is v, and the canvases are written to.
    """
    if contrast == 1:
        return canvases.masked_fill_(lit, value)
    behind = canvases.float()
    return torch.where(lit, (behind + contrast * (value - behind)).add_(0.5).floor_().to(torch.uint8), canvases)
