"""How well latents tell the factors: scores of `latents` [N, L] against `factors` [N, F].

Every score here is blind to the size of the latents: a collapsed code of size 1e-5 correlates as well as
one of size 1. Read them beside the KL and the number of active units.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.floating]


def linear_r2(latents: Array, factors: Array) -> Array:
    """R² of predicting each factor from all latents by ordinary least squares, on points not fitted.

    R²_f = 1 − Σ (f − f̂)² / Σ (f − f̄)², the regression fitted on the first half of the points, with
    latents in units of their standard deviation, and scored on the second half.

    Args:
        latents: [N, L]; rows that belong together, such as frames of a video, must be neighbours, so that
            the halves are independent.
        factors: [N, F].

    Returns:
        [F], at most 1; 0 for a code that says nothing, and negative where the fit misleads. It is 1 for
        every affine code, however its axes mix the factors. NaN for a factor that does not vary.
    """
    latents, factors = latents.astype(np.float64), factors.astype(np.float64)
    half = len(latents) // 2
    scale = latents[:half].std(axis=0)
    scale[scale == 0] = 1
    design = np.column_stack([(latents - latents[:half].mean(axis=0)) / scale, np.ones(len(latents))])
    weights, *_ = np.linalg.lstsq(design[:half], factors[:half], rcond=None)
    held_out = factors[half:]
    residual = np.square(held_out - design[half:] @ weights).sum(axis=0)
    variance = np.square(held_out - held_out.mean(axis=0)).sum(axis=0)
    return 1 - np.divide(residual, variance, out=np.full_like(residual, np.nan), where=_varies(held_out))


def mean_correlation_coefficient(latents: Array, factors: Array) -> float:
    """MCC: mean |Pearson correlation| of each factor with a latent of its own (Hyvärinen and Morioka 2016).

    Latents and factors are matched one to one so that the sum of |r| is largest (Hungarian method). A
    factor that finds no latent counts 0, as does a latent that does not vary.

    Args:
        latents: [N, L].
        factors: [N, F].

    Returns:
        In [0, 1]; 1 if each factor has a latent that is an affine function of it alone. An untrained
        network has about 0.44 on circles with four latents, so compare with that, not with 0.
    """
    strength = np.abs(_correlations(latents, factors))
    rows, columns = linear_sum_assignment(strength, maximize=True)
    return float(strength[rows, columns].sum() / factors.shape[1])


def _correlations(a: Array, b: Array) -> Array:
    """Pearson correlations [L, F] of the columns; 0 where a column is constant."""
    varies = np.outer(_varies(a), _varies(b))
    a, b = (np.asarray(x, np.float64) - np.mean(x, axis=0, dtype=np.float64) for x in (a, b))
    norm = np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))
    return np.divide(a.T @ b, norm, out=np.zeros_like(norm), where=varies)


def _varies(a: Array) -> NDArray[np.bool_]:
    """Which columns are not constant; rounding leaves the variance of constant ones above 0."""
    return np.ptp(a, axis=0) > 0
