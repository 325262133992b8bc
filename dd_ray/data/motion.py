"""Paths of a circle's position through the unit square.

Shapes: n videos, T frames, positions in [0, 1] in the order (x, y).
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Uniform = Callable[[tuple[int, ...]], Floats]
Draws = TypeVar("Draws", NDArray[np.float32], NDArray[np.float64])
Path = Callable[[Uniform, int, int], Floats]

MIN_DISTANCE = 0.1
"""Start and end of a path are redrawn until they are further apart than this."""
MOST_ROUNDS = 10_000
"""The most rounds of redrawing. The rarest draws, 1 of 16, are complete after some hundred rounds."""
BOUNCE_LENGTH = (0.5, 1.5)
"""Shortest and longest path of a bouncing circle in a video, in widths of the square."""


def redraw_until(accepted: Callable[[Draws], NDArray[np.bool_]], draw: Callable[[int], Draws], n: int) -> Draws:
    """Draw n times; draws that are not accepted are redrawn together, in order of index, until all are accepted.

    Raises:
        RuntimeError: some are never accepted.
    """
    drawn = draw(n)
    for _ in range(MOST_ROUNDS):
        rejected = np.flatnonzero(~accepted(drawn))
        if not rejected.size:
            return drawn
        drawn[rejected] = draw(rejected.size)
    raise RuntimeError(f"of {n} draws, some were not accepted in {MOST_ROUNDS} rounds; what is accepted may not exist.")


def endpoints(uniform: Uniform, n: int, dimensions: int = 2) -> Floats:
    """Draw start and end [n, 2, dimensions], uniform in the unit cube, with a distance > MIN_DISTANCE."""
    return redraw_until(
        lambda ends: np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1) > MIN_DISTANCE,
        lambda m: uniform((m, 2, dimensions)),
        n,
    )


def equally_spaced(ends: Floats, num_frames: int) -> Floats:
    """Return positions [n, T, D], equally spaced on the straight lines from ends[:, 0] to ends[:, 1], both included."""
    return np.linspace(ends[:, 0], ends[:, 1], num=num_frames, axis=1)


def linear(uniform: Uniform, n: int, num_frames: int) -> Floats:
    """Draw straight paths [n, T, 2] of constant velocity; start and end are uniform, and > MIN_DISTANCE apart."""
    return equally_spaced(endpoints(uniform, n), num_frames)


def axis(uniform: Uniform, n: int, num_frames: int) -> Floats:
    """Draw straight paths [n, T, 2] of constant velocity along x or along y, with equal chances.

    Start and end of the moving coordinate are uniform, > MIN_DISTANCE apart; the other one is uniform.
    """
    moving = equally_spaced(endpoints(uniform, n, dimensions=1), num_frames)
    resting = np.broadcast_to(uniform((n, 1, 1)), moving.shape)
    path = np.concatenate([moving, resting], axis=-1)
    along_y = uniform((n, 1, 1)) < 1 / 2
    return np.where(along_y, path[..., ::-1], path)


def bounce(uniform: Uniform, n: int, num_frames: int) -> Floats:
    """Draw paths [n, T, 2] of constant speed that are reflected at the border of the unit square.

    The start is uniform in the square, and the displacement over the whole video is uniform in the ring of radii
    BOUNCE_LENGTH, so that most paths reach a border and some reach two or three. The straight line is folded back into
    the square, p ↦ 1 − |1 − (p mod 2)|. Only sums and products are used, not sines, so that all machines draw the same
    numbers.
    """
    shortest, longest = BOUNCE_LENGTH

    def in_ring(displacement: Floats) -> NDArray[np.bool_]:
        length = np.linalg.norm(displacement[:, 0], axis=-1)
        return (shortest < length) & (length <= longest)

    start = uniform((n, 1, 2))
    displacement = redraw_until(in_ring, lambda m: longest * (2 * uniform((m, 1, 2)) - 1), n)
    straight = start + np.linspace(0, 1, num_frames)[:, None] * displacement
    return 1 - np.abs(1 - straight % 2)


PATHS: dict[str, Path] = {"linear": linear, "axis": axis, "bounce": bounce}
"""The functions that draw paths, by the names of `motion` in a config."""
