"""Cuts columns into bins, and computes the mutual information of two columns from their bins.

Shapes: N points, L latents, F factors.
"""

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from dd_ray.metrics.arrays import Array

Bins = NDArray[np.intp]

NUM_BINS = 20
"""Number of bins of a column (Locatello et al. 2019)."""
MOST_LEVELS = 64
POINTS_A_LEVEL = 50
"""A column has levels if it has at most 20 different values, or at most 64 with this many points each on average. So a
factor that rests in each of 512 videos has no levels."""


def ranks(columns: Array) -> Array:
    """Rank the entries of each column of [N, C] from 0 to N − 1; equal entries share their mean rank."""
    columns = np.asarray(columns)
    if not columns.size:
        return np.zeros(columns.shape)
    return np.stack([_ranks_of(column) for column in columns.T], axis=1)


def _ranks_of(column: Array) -> Array:
    ordered = np.sort(column)
    return (np.searchsorted(ordered, column, "left") + np.searchsorted(ordered, column, "right") - 1) / 2


def rank_bins(columns: Array, num_bins: int = NUM_BINS) -> Bins:
    """Cut columns, by rank, into bins of equally many points. Equal entries share a bin: a constant column has one."""
    return ((ranks(columns) + 0.5) / len(columns) * num_bins).astype(np.intp)


def equal_width_bins(columns: Array, num_bins: int = NUM_BINS) -> Bins:
    """Cut columns into bins of equal width from the smallest entry to the largest; a constant column has one."""
    low, width = columns.min(axis=0), np.ptp(columns, axis=0)
    width[width == 0] = 1
    return np.minimum((columns - low) / width * num_bins, num_bins - 1).astype(np.intp)


def level_bins(column: Array) -> Bins | None:
    """Return the index [N] of each entry's level, in ascending order, if a column [N] has few values; else None.

    Rank bins would merge two levels where a level has fewer points than a bin, and so measure another factor.
    """
    levels, bins = np.unique(column, return_inverse=True)
    many = len(levels) > MOST_LEVELS or len(levels) * POINTS_A_LEVEL > len(column)
    return None if len(levels) > NUM_BINS and many else bins.astype(np.intp)


def levels_or_bins(column: Array, cut: Callable[[Array], Bins] = rank_bins) -> Bins:
    """Return the levels [N] of a column [N] that has few, else the bins that it is cut into."""
    levels = level_bins(column)
    return cut(column[:, None])[:, 0] if levels is None else levels


def mutual_information(a: Bins, b: Bins) -> Array:
    """I(a; b) = H(a) + H(b) − H(a, b) in nats of the binned columns, [L, F], from their counts.

    The estimate exceeds the truth by about (bins − 1)² / 2N for independent columns: 0.036 nats, 0.012 of
    the entropy, for 20 bins and 5,000 points.
    """
    joint = [[entropy(column_a * (b.max() + 1) + column_b) for column_b in b.T] for column_a in a.T]
    separate = np.add.outer([entropy(column) for column in a.T], [entropy(column) for column in b.T])
    return np.maximum(separate - np.reshape(joint, separate.shape), 0)


def entropy(bins: Bins) -> float:
    """H = −Σ p log p in nats of one binned column [N], from its counts."""
    return float(scipy.special.entr(np.bincount(bins) / len(bins)).sum())
