"""Writes numbers as text, with the same digits as the page of the report, whose script formats them in JavaScript."""

from decimal import ROUND_HALF_UP, Context, Decimal

import numpy as np

HUGE, TINY = 1e21, 1e-9
"""Numbers of at least this size, or below that, have an exponent, as no cell holds all their digits."""
_EXACT = Context(prec=64)
"""Holds all digits of what `HUGE` and `TINY` leave."""


def with_significant_digits(value: float, digits: int) -> str:
    """Format a value as JavaScript: with an exponent only below 10⁻⁶, or if it has more digits before the point."""
    return str(Decimal(f"{value:.{digits - 1}e}")).lower()


def with_decimals(value: float, decimals: int) -> str:
    """Format a value as JavaScript, which rounds halves up, and without a sign where it is rounded to 0."""
    if abs(value) >= HUGE:
        return with_significant_digits(value, 3)
    text = f"{Decimal(abs(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT):f}"
    return f"-{text}" if value < 0 and float(text) else text


def with_sign(value: float, decimals: int) -> str:
    """Format a difference, with its sign unless it is rounded to 0."""
    text = with_decimals(abs(value), decimals)
    return text if not float(text) else f"+{text}" if value > 0 else f"−{text}"


def with_two_digits(value: float) -> str:
    """Format a number in two digits without an exponent, as 5.1e-05 is hard to compare with 0.00031 at a glance."""
    if value >= HUGE or 0 < value < TINY:
        return with_significant_digits(value, 2)
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def of_value(value: float, digits: int, decimals: int | None, *, count: bool = False, signed: bool = False) -> str:
    """Format a value of a metric with so many decimals or, where they are None, with so many significant digits."""
    if value == 0:
        return "0"
    if count:
        return f"{value:.3g}"
    if decimals is None:
        return with_significant_digits(value, digits)
    return (with_sign if signed else with_decimals)(value, decimals)


def of_half(half: float, decimals: int | None) -> str:
    """Format half of an interval, in two digits of its own where it has none in so many decimals, or these are None."""
    text = "" if decimals is None else with_decimals(half, decimals)
    return text if text and float(text) else with_two_digits(half)
