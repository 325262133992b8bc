"""The test by flips of signs of whole seeds."""

import numpy as np

from dd_ray.results.comparisons.adjusted import stepwise
from dd_ray.results.comparisons.spread import SPREAD, Array

FEWEST_SEEDS_TO_FLIP = 6
"""The fewest seeds for a test by flips of signs: with five, its smallest p-value is 2 of 32, more than `LEVEL`."""
MOST_SEEDS_TO_FLIP_ALL = 12
FLIPS = 2048
"""Number of flips, drawn at random if there are more."""


def by_flips(differences: Array) -> Array:
    """Compute adjusted p-values of the largest |mean| under flips of the signs of whole seeds.

    Args:
        differences: [M, S], without NaN.
    """
    seeds = differences.shape[1]
    if seeds <= MOST_SEEDS_TO_FLIP_ALL:
        # The last seed keeps its sign, since flipping all signs leaves absolute values the same.
        bits = np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds) & 1
    else:
        bits = np.random.default_rng(0).integers(2, size=(FLIPS, seeds))
        bits[0] = 0  # as measured
    means = np.abs((1.0 - 2.0 * bits) @ differences.T) / seeds  # [flips, differences]
    measured = means[0]
    rising = np.argsort(-measured, kind="stable")[::-1]
    largest = np.maximum.accumulate(means[:, rising], axis=1)  # of the first, of the first two ...: of those left
    return stepwise(measured, lambda left, bound: float((largest[:, len(left) - 1] >= bound * (1 - SPREAD)).mean()))
