"""Rounds numbers to significant digits, as JSON can hold them: many at once, in a tenth of the time."""

import math

import numpy as np
from numpy.typing import ArrayLike

DIGITS, DIGITS_OF_DIFFERENCES, DIGITS_OF_INTERVALS = 6, 5, 4
"""Digits of cells, of their differences and of half intervals on a page."""
DIGITS_OF_TRIALS = 5
"""Digits of single networks, which make up half of a page."""
_TENS = np.array([float(f"1e{power}") for power in range(23)])
"""Powers of ten that a double holds exactly."""
_NEAR_TIE = 1e-6
"""How far from a half the product with a power of ten may be without doubt to which side it is rounded."""


def with_digits(value: float, digits: int = DIGITS) -> float | None:
    """Return the number of so many digits that is nearest to a value; None where it is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def rounded(given: ArrayLike, digits: int = DIGITS) -> list[float | None]:
    """Return `with_digits` of each value.

    A number of d digits is n / 10^k with a whole number n below 10^d. For 0 ≤ k ≤ 22 both are doubles, and so their
    quotient is the double nearest to it. All others, and those near a tie, are rounded one by one.

    Args:
        given: [N] values.
        digits: at most 15.
    """
    values = np.asarray(given, np.float64)
    size = np.abs(values)
    usual = np.isfinite(values) & (size > 0)
    power = digits - 1 - np.floor(np.log10(size, where=usual, out=np.zeros_like(size))).astype(int)
    usual &= (power >= 0) & (power < len(_TENS))
    tens = _TENS[np.where(usual, power, 0)]
    scaled = np.where(usual, size, 0) * tens
    whole = np.rint(scaled)
    usual &= (np.abs(np.abs(scaled - whole) - 0.5) > _NEAR_TIE) & (whole >= 10 ** (digits - 1)) & (whole <= 10**digits)
    found: list[float | None] = np.copysign(whole / tens, values).tolist()
    for place in np.flatnonzero(~usual).tolist():
        found[place] = with_digits(float(values[place]), digits)
    return found
