"""Codes of uniform factors whose scores are known: those of the reference's `metric_calibration`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Array = NDArray[np.floating]

NUM_POINTS = 10_000
"""Points that the reference's scores were computed from: half to fit, half to score."""

CODES: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "identity": lambda f, rng: f - 0.5,
    "permuted_and_negated": lambda f, rng: -(f - 0.5)[:, [2, 3, 0, 1]],
    "identity_plus_noise_sd0.1": lambda f, rng: f - 0.5 + 0.1 * rng.standard_normal(f.shape),
    "monotone_warp_cubed": lambda f, rng: 4 * (f - 0.5) ** 3 + 0.05 * (f - 0.5),
    "monotone_warp_normal_quantile": lambda f, rng: norm.ppf(f),
    "circle_xy_rotated_45": lambda f, rng: rotated(f - 0.5, 45, (0, 1)),
    "both_pairs_rotated_45": lambda f, rng: rotated(rotated(f - 0.5, 45, (0, 1)), 45, (2, 3)),
    "non_monotone_abs": lambda f, rng: np.abs(f - 0.5),
    "background_only_plus_2_dead": lambda f, rng: np.hstack([(f - 0.5)[:, 2:], _noise(rng, f, 2, 1e-3)]),
    "pure_noise": lambda f, rng: rng.standard_normal(f.shape),
    "identity_plus_6_noise_dims": lambda f, rng: np.hstack([f - 0.5, _noise(rng, f, 6)]),
    "identity_duplicated_8d": lambda f, rng: np.hstack([f - 0.5, f - 0.5]),
}
"""All but the two that hang on one random matrix."""
ONE_DRAW = {"random_rotation_4d", "collapsed_leaky_1e-4"}


def rotated(code: Array, degrees: float, columns: tuple[int, int]) -> Array:
    """A code [N, L] with two of its columns rotated in their plane."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    result = code.copy()
    result[:, columns] = code[:, columns] @ rotation
    return result


def _noise(rng: np.random.Generator, factors: Array, columns: int, size: float = 1.0) -> Array:
    return size * rng.standard_normal((len(factors), columns))


def straight_lines(rng: np.random.Generator) -> Array:
    """Latents of videos [20, 10, 4] that move evenly along lines."""
    start, velocity = rng.standard_normal((2, 20, 1, 4))
    return start + velocity * np.arange(10)[:, None]


def encoder(name: str, seed: int = 0) -> Callable[[Array], Array]:
    """A code as a function of the factors, as scores that draw their own samples want it."""
    rng = np.random.default_rng(seed)
    return lambda factors: CODES[name](factors, rng)
