"""Helpers of the scores that ask for new samples: they draw factors and encode their pictures.

Shapes: V votes (batches, each asked for one answer), S samples of a batch, F factors, L latents.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dd_ray.metrics.arrays import Array, Mask, masked

Encode = Callable[[Array], Array]
"""Draws and encodes pictures: factors [N, F] in [0, 1] to latents [N, L]."""

BATCH_SIZE = 64
"""Samples of a vote, as disentanglement_lib has it by default (Locatello et al. 2019)."""
NUM_TRAIN, NUM_TEST = 800, 800
"""Votes to fit a classifier on (Kim and Mnih 2018, sec. 4), and others to score it on."""
_CHUNK = 6_400  # samples encoded at a time; bounds the memory of their pictures


def draw_batches(rng: np.random.Generator, num_votes: int, num_factors: int) -> tuple[NDArray[np.intp], Array]:
    """Draw the index [V] of the factor that each vote fixes, and uniform factors [V, S, F], with none fixed yet."""
    return rng.integers(num_factors, size=num_votes), rng.random((num_votes, BATCH_SIZE, num_factors))


def encode_all(encode: Encode, factors: Array, mask: Mask | None) -> Array:
    """Encode factors [..., F], and return the latents [..., L] that the mask selects.

    Raises:
        ValueError: `encode` does not return a row for each of factors [N, F]; or see `masked`.
    """
    flat = factors.reshape(-1, factors.shape[-1])
    latents = np.concatenate([_rows(encode, flat[i : i + _CHUNK]) for i in range(0, len(flat), _CHUNK)])
    return masked(latents.reshape(*factors.shape[:-1], -1), mask)


def check_number(num_factors: int) -> None:
    """Make sure that there is a factor to fix.

    Raises:
        ValueError: there is none.
    """
    if num_factors < 1:
        raise ValueError(f"num_factors = {num_factors} leaves none to fix; give 1 or more.")


def _rows(encode: Encode, factors: Array) -> Array:
    latents = encode(factors)
    if np.ndim(latents) != 2 or len(latents) != len(factors):
        raise ValueError(f"encode returns {np.shape(latents)} of factors {factors.shape}; return [N, L] of the same N.")
    return latents
