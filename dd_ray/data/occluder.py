"""A grey bar in front of the scene, which hides part of the path of what moves.

The bar stands upright in the middle of the picture, over its full height, in front of all else. With a width of w
pixels of the canvas of 64×64, it covers the columns from 32 − w/2 to 32 + w/2. A pixel that it covers in part is mixed
in that proportion, also in pictures of 32×32. A thing counts as hidden in a frame if its centre is behind the bar, so
that about half of it or more is covered.

The bar is part of the scene, so still pictures show it as well: a network that was trained with the bar has never seen
a picture without it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dd_ray.config import BACKGROUND_FACTORS
from dd_ray.data.canvases import SPRITE_MARGIN, SPRITE_RANGE
from dd_ray.data.rendering import CANVAS, CIRCLE_MARGIN, CIRCLE_RANGE

GREY = 128
"""Value of the bar's pixels."""
CENTRES = {"circle": (CIRCLE_MARGIN + 0.5, CIRCLE_RANGE), "sprite": (SPRITE_MARGIN, SPRITE_RANGE)}
"""By thing: the distance of its centre from the left border at x = 0, and how much further it is at x = 1, in pixels of
the canvas. For other things these are 0 and the width of the canvas."""


def occluded(pictures: Tensor, width: float) -> Tensor:
    """Draw the bar in front of pictures.

    Args:
        pictures: uint8 [..., S, S].
        width: width of the bar, in pixels of the canvas; with 0, the pictures are returned as they are.

    Returns:
        uint8 pictures of the same shape.
    """
    if not width:
        return pictures
    size = pictures.shape[-1]
    borders = torch.arange(size + 1, device=pictures.device) * (CANVAS / size)
    inside = borders.clamp((CANVAS - width) / 2, (CANVAS + width) / 2)
    share = inside.diff() * (size / CANVAS)
    return (pictures * (1 - share) + GREY * share).add_(0.5).floor_().to(torch.uint8)


def hidden_frames(factors: Tensor, names: Sequence[str], width: float) -> Tensor:
    """Return the frames in which the centre of something other than the background is behind the bar.

    Args:
        factors: [B, T, F].
        names: names of the F factors; x of a thing is THING_x.
        width: width of the bar, in pixels of the canvas.

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
