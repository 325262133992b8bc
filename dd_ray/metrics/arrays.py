"""Helpers that the scores share: checks of their arguments, masks, and the few sums that several of them need.

Shapes: N points, L latents, F factors. Rows that belong together, such as the frames of a video, are
neighbours, so that the first half of the points, to fit on, is independent of the second, to score on.

A factor that does not vary over the points cannot be predicted, well or badly. All scores treat it alike: they are NaN
for that factor; a score that is a mean is the mean over the others, and NaN if no factor varies. `mean_of_factors`
takes that mean, and `without_constants` drops such factors where they would change the scores of the others.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

ENOUGH_POINTS = 5_000
"""With fewer points, scores that cut into bins or fit trees are biased by more than their tolerances."""


class FewPointsWarning(UserWarning):
    """Warns that a score was computed from fewer points than its estimate needs."""


def masked(latents: Array, mask: Mask | None, *, finite: bool = True) -> Array:
    """Return the latents [..., L] that a mask [L] selects, in float64; all of them if there is no mask.

    Raises:
        ValueError: the mask is not one bool per latent; or `finite` is true and a latent is NaN or infinite.
    """
    latents = np.asarray(latents, np.float64)
    if finite and not np.isfinite(latents).all():
        raise ValueError("latents hold NaN or infinite values, which have no score.")
    if mask is None:
        return latents
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != latents.shape[-1:]:
        expected = f"bool of shape ({latents.shape[-1]},)"
        raise ValueError(f"mask is {mask.dtype} of shape {mask.shape}; expected {expected}, one a latent.")
    return latents[..., mask]


def points(
    latents: Array, factors: Array, mask: Mask | None = None, *, enough_for: str | None = None
) -> tuple[Array, Array]:
    """Check latents [N, L] and factors [N, F]; return the latents that the mask selects, and the factors, in float64.

    Args:
        latents: [N, L].
        factors: [N, F].
        mask: [L], which latents to look at.
        enough_for: name of a score that needs `ENOUGH_POINTS`, for a warning if there are fewer.

    Raises:
        ValueError: these are not two tables with the same number of rows, or factors are not finite; or see `masked`.
    """
    shapes = f"latents {np.shape(latents)} and factors {np.shape(factors)}"
    if np.ndim(latents) != 2 or np.ndim(factors) != 2 or len(latents) != len(factors):
        raise ValueError(f"{shapes} are not [N, L] and [N, F] of the same N points.")
    if len(latents) < 2:
        raise ValueError(f"{shapes} hold no two points to compare.")
    if enough_for and len(latents) < ENOUGH_POINTS:
        message = f"{enough_for} of {len(latents):,} points is biased; give it at least {ENOUGH_POINTS:,}."
        warnings.warn(message, FewPointsWarning, stacklevel=3)  # at the line that called the score
    numbers = np.asarray(factors, np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("factors hold NaN or infinite values, of which there is no score.")
    return masked(latents, mask), numbers


def check_videos(shape: str, *arrays: Array) -> None:
    """Make sure that arrays, such as latents of videos, have three dimensions and are of one shape.

    Args:
        shape: names of their dimensions, such as `[B, T, L]`, for the message.
        *arrays: the arrays.

    Raises:
        ValueError: they do not.
    """
    shapes = [np.shape(array) for array in arrays]
    if len(set(shapes)) > 1 or len(shapes[0]) != 3:
        raise ValueError(f"latents {' and '.join(map(str, shapes))} are not {shape}{' both' * (len(shapes) > 1)}.")


def varies(a: Array) -> Mask:
    """Return the mask of the columns that are not constant, allowing for the rounding of a constant's variance."""
    return np.ptp(a, axis=0) > 0


def without_constants(factors: Array) -> Array:
    """Return the factors [N, F'] that vary over the points, of [N, F]; there may be none."""
    return factors[:, varies(factors)]


def mean_of_factors(scores: Array) -> float:
    """Return the mean of the scores [F] of those factors that have one; NaN where none has."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if known.size else float("nan")


def standardised(latents: Array) -> Array:
    """Return latents [N, L] less the mean of the first half of the points, in units of its standard deviation."""
    half = latents[: len(latents) // 2]
    return (latents - half.mean(axis=0)) / np.where(varies(half), half.std(axis=0), 1)


def correlations(a: Array, b: Array) -> Array:
    """Pearson correlations [L, F] of the columns; 0 where a column is constant."""
    both_vary = np.outer(varies(a), varies(b))
    a, b = (np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64) for x in (a, b))
    norm = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    return np.divide(a.T @ b, norm, out=np.zeros_like(norm), where=both_vary)


def held_out_r2(predicted: Array, factors: Array) -> Array:
    """R²_f = 1 − Σ (f − f̂)² / Σ (f − f̄)² over the second half of the points; NaN for a constant factor.

    Args:
        predicted: [N − N // 2, F], of the second half alone.
        factors: [N, F].
    """
    held_out = factors[len(factors) // 2 :]
    residual = np.square(held_out - predicted).sum(axis=0)
    variance = np.square(held_out - held_out.mean(axis=0)).sum(axis=0)
    return 1 - np.divide(residual, variance, out=np.full_like(residual, np.nan), where=varies(held_out))


def gap_of_two_largest(strength: Array) -> Array:
    """Return [F], by how much the largest entry of each column of [L, F] exceeds the second, or 0 if there is none."""
    padded = np.vstack([strength, np.zeros((2, strength.shape[1]))])
    ordered = np.sort(padded, axis=0)
    return ordered[-1] - ordered[-2]
