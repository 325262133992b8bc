"""Probes of trained networks, which return arrays.

networks      trained networks of a sweep, and the original study's
side_by_side  asks many networks at once
answers       reconstructions, traversals, dreams, what each latent does
lag           how far behind the circle in a reconstruction is
"""

from dd_ray.probes.answers import (
    DREAM_GAMMAS,
    DREAM_SEEN,
    HeldOutPicture,
    dream,
    held_out_picture,
    held_out_videos,
    latent_table,
    middle_picture,
    pictures_of,
    reconstruct,
    traversal,
)

__all__ = [
    "DREAM_GAMMAS",
    "DREAM_SEEN",
    "HeldOutPicture",
    "dream",
    "held_out_picture",
    "held_out_videos",
    "latent_table",
    "middle_picture",
    "pictures_of",
    "reconstruct",
    "traversal",
]
