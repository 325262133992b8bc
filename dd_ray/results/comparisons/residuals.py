"""The residual squares of cells whose seeds are blocks."""

import numpy as np
from numpy.typing import NDArray

from dd_ray.results.comparisons.spread import Array, size_of


def residuals(values: Array) -> Array:
    """Return what is left of scores [C, S], in units of their size, without the means of cells and then of seeds."""
    values = values / size_of(values)
    away = values - np.nanmean(values, axis=1, keepdims=True)
    return np.asarray(away - np.nanmean(away, axis=0), np.float64)


def residual_squares(values: Array) -> tuple[float, int]:
    """Minimise Σ (y_cs − μ_c − b_s)² over cells' means μ and seeds' b; return it and its degrees of freedom.

    Args:
        values: [C, S].
    """
    present = ~np.isnan(values)
    if values.size and present.all():  # then both are plain means
        rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
        return float((rest**2).sum()), (values.shape[0] - 1) * (values.shape[1] - 1)
    cell, seed = np.nonzero(present)
    y = values[cell, seed]
    design = np.hstack([cell[:, None] == np.arange(len(values)), seed[:, None] == np.arange(values.shape[1])])
    solution, _, rank, _ = np.linalg.lstsq(design.astype(float), y, rcond=None)
    return float(((y - design @ solution) ** 2).sum()), len(y) - int(rank)


def squares_of_groups(differences: Array, groups: NDArray[np.integer]) -> tuple[float, int]:
    """Sum the residual squares of all groups, and return their degrees of freedom as well.

    The reference of a group is included as the cell whose difference is 0.
    """
    if not np.isnan(differences).any():
        return _squares_of_complete_groups(differences, groups)
    squares, degrees = 0.0, 0
    for group in np.unique(groups):
        found, free = residual_squares(np.vstack([np.zeros(differences.shape[1]), differences[groups == group]]))
        squares, degrees = squares + found, degrees + free
    return squares, degrees


def _squares_of_complete_groups(differences: Array, groups: NDArray[np.integer]) -> tuple[float, int]:
    """The same without a missing seed, where effects of cells and of seeds are plain means."""
    belongs = (groups == np.unique(groups)[:, None]).astype(float)  # [groups, M]
    of_seeds = belongs @ differences / (1 + belongs.sum(axis=1, keepdims=True))  # [groups, S]
    of_seeds -= of_seeds.mean(axis=1, keepdims=True)
    rest = differences - differences.mean(axis=1, keepdims=True) - belongs.T @ of_seeds
    return float((rest**2).sum() + (of_seeds**2).sum()), differences.shape[0] * (differences.shape[1] - 1)
