"""A grey bar that hides a part of the path of what moves.

The bar is upright in the middle of the picture, as high as it is, before all else. Of width w, in pixels of the canvas
of 64×64, it covers the columns from 32 − w/2 to 32 + w/2; of a pixel that it covers in part it has that share, also
in pictures of 32×32. What moves is hidden in a frame if its centre is behind the bar, and so about half of it or more.

It is a part of the scene, so that still pictures show it as well: a network that was trained with the bar has never
seen a picture without.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dd_ray.config import BACKGROUND_FACTORS
from dd_ray.data.canvases import SPRITE_MARGIN, SPRITE_RANGE
from dd_ray.data.rendering import CANVAS, CIRCLE_MARGIN, CIRCLE_RANGE

GREY = 128
"""Value of the bar."""
CENTRES = {"circle": (CIRCLE_MARGIN + 0.5, CIRCLE_RANGE), "sprite": (SPRITE_MARGIN, SPRITE_RANGE)}
"""Of things at x = 0: how far their centre is from the left border, and how much further at x = 1. Others have all of
the canvas."""


def occluded(pictures: Tensor, width: float) -> Tensor:
    """Pictures behind the bar.

    Args:
        pictures: uint8 [..., S, S].
        width: of the bar, in pixels of the canvas; without any, the pictures are returned as they are.

    Returns:
        uint8, of the same shape.
    """
    if not width:
        return pictures
    size = pictures.shape[-1]
    borders = torch.arange(size + 1, device=pictures.device) * (CANVAS / size)
    inside = borders.clamp((CANVAS - width) / 2, (CANVAS + width) / 2)
    share = inside.diff() * (size / CANVAS)
    return (pictures * (1 - share) + GREY * share).add_(0.5).floor_().to(torch.uint8)


def hidden_frames(factors: Tensor, names: Sequence[str], width: float) -> Tensor:
    """In which frames the centre of something that is no background is behind the bar.

    Args:
        factors: [B, T, F].
        names: of the F factors; x of a thing is THING_x.
        width: of the bar, in pixels of the canvas.

    Returns:
        bool [B, T].
    """
    hidden = torch.zeros(factors.shape[:2], dtype=torch.bool, device=factors.device)
    for i, name in enumerate(names):
        thing, _, coordinate = name.rpartition("_")
        if coordinate == "x" and name not in BACKGROUND_FACTORS:
            margin, reach = CENTRES.get(thing.rstrip("1234"), (0, CANVAS))
            hidden |= (margin + reach * factors[..., i] - CANVAS / 2).abs() < width / 2
    return hidden
