"""Canvases on which circles and sprites are painted: their backgrounds, and how many are painted at a time.

Shapes: B videos, T frames, F factors, S pixels a side.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dd_ray.data.rendering import CANVAS, draw_backgrounds, in_chunks

SPRITE_MARGIN, SPRITE_RANGE = 16.5, 31
"""Centre of a sprite at position 0, and its distance to that at position 1."""

_CHUNK_CPU = 64
"""Frames painted at a time on a CPU: few, so that intermediate results stay in its cache."""


def paint_in_chunks(factors: Tensor, paint: Callable[[Tensor], Tensor]) -> Tensor:
    """Paint images uint8 [B, T, S, S] of videos [B, T, F], a few videos at a time."""
    return torch.cat([paint(part) for part in in_chunks(factors, factors.shape[1], _CHUNK_CPU)])


def background_canvases(factors: Tensor, num_before: int) -> Tensor:
    """Draw backgrounds uint8 [B·T, 64, 64] of videos [B, T, F]: Gaussians at the factors after the first num_before."""
    num_videos, num_frames, num_factors = factors.shape
    if num_factors == num_before:
        return torch.zeros(num_videos * num_frames, CANVAS, CANVAS, dtype=torch.uint8, device=factors.device)
    canvases = draw_backgrounds(factors[:, 0, num_before:]).canvases[:, 1:-1, 1:-1]
    return canvases.repeat_interleave(num_frames, dim=0)


def drawn_over(canvases: Tensor, lit: Tensor, value: int, contrast: float) -> Tensor:
    """Draw lit pixels of value v on uint8 canvases b with contrast c: b + c (v − b), rounded, halves up.

    With c = 1 that is v, and the canvases are overwritten.
    """
    if contrast == 1:
        return canvases.masked_fill_(lit, value)
    behind = canvases.float()
    return torch.where(lit, (behind + contrast * (value - behind)).add_(0.5).floor_().to(torch.uint8), canvases)
