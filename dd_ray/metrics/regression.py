"""R²: how much of the factors can be predicted from the latents, however it is spread over them."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from dd_ray.metrics.arrays import Array, Mask, held_out_r2, points, standardised
from dd_ray.metrics.boosting import fit_each_factor

LABEL_DRAWS = 20
"""Number of draws of few labels over which scores are averaged."""


def linear_r2(latents: Array, factors: Array, mask: Mask | None = None) -> Array:
    """R² of predicting each factor from all latents by ordinary least squares, on points not fitted.

        R²_f = 1 − Σ (f − f̂)² / Σ (f − f̄)²

    The regression is fitted on the first half of the points, with latents in units of their standard
    deviation, and scored on the second half (the linear read-out of Alain and Bengio 2017, sec. 3).

    Args:
        latents: [N, L]; rows that belong together, such as frames of a video, must be neighbours, so that
            the halves are independent.
        factors: [N, F].
        mask: [L], which latents to look at; none of them scores about 0.

    Returns:
        [F], at most 1; 0 for a code that says nothing, and negative where the fit misleads. It is 1 for
        every affine code, however its axes mix the factors, so it is not a score of disentanglement; and it
        is blind to size. NaN for a factor that does not vary.

    Cost: 2 ms for 4 latents and 10,000 points. It is silent about few points; `share_lost_to_fitting` says by how much
    it is too low, which hangs on the number of videos, not of frames.
    """
    latents, factors = points(latents, factors, mask)
    half = len(latents) // 2
    design = np.column_stack([standardised(latents), np.ones(len(latents))])
    weights, *_ = np.linalg.lstsq(design[:half], factors[:half], rcond=None)
    return held_out_r2(design[half:] @ weights, factors)


def linear_r2_of_few(latents: Array, factors: Array, num_labels: int, mask: Mask | None = None) -> Array:
    """R² of predicting each factor from all latents by a regression that is fitted on few points.

    It is `linear_r2` with the regression fitted on n points of the first half, drawn without replacement; the mean over
    `LABEL_DRAWS` draws, which are the same for every code. It tells how well a code can be read with few labels (as in
    Locatello et al. 2019, sec. 5.5): with 30 labels, a code of many latents is read worse than one of few. If the
    latents of the n points are linearly dependent, so that no regression is the best, the one of least Σ (f − f̂)² +
    ‖w‖² is taken, with latents in units of their standard deviation (ridge).

    Args:
        latents: [N, L].
        factors: [N, F].
        num_labels: n, at least 1.
        mask: [L], which latents to look at; none of them scores about −1 / n.

    Returns:
        [F], at most 1, and below 0 where the fit misleads; NaN for a factor that does not vary, and for all where the
        first half has fewer than n points.

    Raises:
        ValueError: n is less than 1, or as of `linear_r2`.

    Cost: 25 ms for 4 latents and 10,000 points, whatever n.
    """
    if num_labels < 1:
        raise ValueError(f"num_labels = {num_labels} is out of range; give 1 or more.")
    latents, factors = points(latents, factors, mask)
    half, z = len(latents) // 2, standardised(latents)
    if half < num_labels:
        return np.full(factors.shape[1], np.nan)
    rng = np.random.Generator(np.random.Philox(0))
    # Sorting uniform numbers, since how numpy permutes may change with its version.
    draws = [np.argsort(rng.random(half), kind="stable")[:num_labels] for _ in range(LABEL_DRAWS)]
    return np.mean([held_out_r2(_read_out(z, factors, labelled)[half:], factors) for labelled in draws], axis=0)


def _read_out(z: Array, factors: Array, labelled: NDArray[np.intp]) -> Array:
    """Predict factors [N, F] by a regression that is fitted on the labelled points [n]."""
    means = z[labelled].mean(axis=0), factors[labelled].mean(axis=0)
    design, read = z[labelled] - means[0], factors[labelled] - means[1]
    weights, _, rank, _ = np.linalg.lstsq(design, read, rcond=None)
    if rank < z.shape[1]:
        weights = np.linalg.solve(design.T @ design + np.eye(z.shape[1]), design.T @ read)
    predicted: Array = (z - means[0]) @ weights + means[1]
    return predicted


def share_lost_to_fitting(num_latents: int, num_videos: int) -> float:
    """Return by how much `linear_r2` is too low with few videos, as a share of the unexplained variance 1 − R².

        (n + 1) (n − 2) / ((n − 1) (n − L − 2)) − 1,   n = V // 2

    of V videos, half of them to fit on: the mean error of a least-squares prediction of a new point from L normal
    latents, over the variance about the mean (Stein 1960; Hastie et al. 2009, sec. 2.5, for large n). It is exact where
    latents and factors rest in each video, as a background does, and too large where frames of a video differ.

    Args:
        num_latents: L.
        num_videos: V, or groups of rows that are alike; still images are groups of one.

    Returns:
        0.024 for 4 latents and 512 videos, 0.23 for 64; infinite where n ≤ L + 2.
    """
    n = num_videos // 2
    if n <= num_latents + 2:
        return float("inf")
    return (n + 1) * (n - 2) / ((n - 1) * (n - num_latents - 2)) - 1


def nonlinear_r2(latents: Array, factors: Array, mask: Mask | None = None) -> Array:
    """R² of predicting each factor from all latents by any function, on points not fitted.

    The function is one of scikit-learn's histogram gradient boosted trees a factor (Friedman 2001; Ke et
    al. 2017), fitted on the first half of the points, a tenth of which says when to stop (after 1,000 trees
    at the latest), and scored on the second half. Trees need no scale, no bandwidth and no choice of
    features, so latents of noise and collapsed ones do no harm: on a perfect code beside six latents of
    noise they have 1.00 where nearest neighbours and kernels have 0.93, and on pure noise −0.02.

    Args:
        latents: [N, L]; rows that belong together must be neighbours.
        factors: [N, F].
        mask: [L], which latents to look at; none of them scores about 0.

    Returns:
        [F], at most 1; 0 for a code that says nothing, or slightly negative. A lower bound of what the code
        holds: steps approach oblique and rapidly varying functions slowly (0.998 for a rotation of four
        latents, where a kernel has 1.000; 0.14 where it has 0.29 on a faint trace of the circle). No score
        of disentanglement, and blind to size. NaN for a factor that does not vary, and for all where there are fewer
        than 4 points.

    Cost: up to 0.5 s a factor for 4 latents and 10,000 points on one core, most for oblique codes.

    Warns:
        FewPointsWarning: N < 5,000, where trees miss what is there.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415

    latents, factors = points(latents, factors, mask, enough_for="Non-linear R²")
    if len(latents) < 4 or not factors.shape[1]:  # of a single point none is left to say when to stop
        return np.full(factors.shape[1], np.nan)
    make = partial(HistGradientBoostingRegressor, max_iter=1_000, early_stopping=True, random_state=0)
    return fit_each_factor(make, latents, factors)[1]
