"""The colour scale of a metric: turns values into colours and text, alike in all panels, figures and the report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from dd_ray.config.symbols import setting
from dd_ray.figures.common import BETTER
from dd_ray.figures.number_text import TINY, of_half, of_value
from dd_ray.metrics import described, with_untrained
from dd_ray.results.comparisons import SPREAD
from dd_ray.results.summary import Summary

LOOKS = {
    "min": ("viridis_r", f"\n{BETTER['min']}"),
    "max": ("viridis", f"\n{BETTER['max']}"),
    None: ("cividis", ""),
}
"""Colour maps and their descriptions. Brighter is better; if no side is better, another map is used."""
LOOKS_OF_DIFFERENCES = {
    "min": ("RdBu_r", "\nbelow 0 is better"),
    "max": ("RdBu", "\nabove 0 is better"),
    None: ("PuOr_r", ""),
}
"""The same for differences, which are white at 0: blue is better. Both maps are among those that ColorBrewer (Harrower
and Brewer 2003, The Cartographic Journal 40, p. 27) lists as safe for the colour-blind."""
MOST_DIGITS = 6
WIDEST_ALIGNED = 100
"""Positive values whose ends are further apart, as a ratio, are not written with the same number of decimals."""
LEAST_SPAN = 3
"""A colour scale spans at least this many least significant differences, so that noise does not look like an effect."""


@dataclass(frozen=True)
class ColourScale:
    """Turns a metric's values into colours and text, alike in all panels and figures."""

    metric: str
    norm: Normalize
    cmap: str
    label: str
    """The metric, its unit, and which values are better."""
    signed: bool = False
    """True if the values are differences."""
    noise: float | None = None
    """The least difference that tells two cells apart, or one from 0; None if no cell has an interval."""

    @classmethod
    def of(cls, summary: Summary, metric: str) -> "ColourScale":
        """Return a scale that fits all cells of a metric."""
        cells = summary.cells[summary.cells["metric"] == metric]
        values = [value for value in cells["mean"] if math.isfinite(value)]
        noise = noise_of(cells, signed=bool(summary.reference))
        if summary.reference:
            return cls._of_differences(values, metric, summary.reference, noise)
        values += untrained_of(cells)
        low, high = min(values, default=0.0), max(values, default=1.0)
        if described(metric).count:
            low, high = 0, int(summary.trials["num_latents"].max())  # so that a collapsed cell is dark, even if all are
        wanting = max(0.0, LEAST_SPAN * (noise or 0.0) - (high - low)) / 2
        if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
            wanting = max(wanting, (abs(high) or 1) / 2)
        known = described(metric)
        low, high = _widened(low, high, wanting, known.within)
        cmap, hint = LOOKS[known.better]
        label = known.label.replace(" (", "\n(") + hint
        return cls(metric, Normalize(low, high), cmap, label, noise=noise)

    @classmethod
    def _of_differences(
        cls, values: Sequence[float], metric: str, reference: str, noise: float | None
    ) -> "ColourScale":
        """Return a scale that is symmetric about 0, so that colours tell the sign, and white is 0."""
        furthest = max(max(map(abs, values), default=0.0), LEAST_SPAN / 2 * (noise or 0.0)) or 1.0
        known = described(metric)
        cmap, hint = LOOKS_OF_DIFFERENCES[known.better]
        label = f"{known.label.replace(' (', chr(10) + '(')}\nminus that at {setting({reference: 0})}{hint}"
        return cls(metric, Normalize(-furthest, furthest), cmap, label, signed=True, noise=noise)

    @property
    def is_of_counts(self) -> bool:
        """Whether the values are counts of units, and not differences of these."""
        return described(self.metric).count and not self.signed

    @property
    def digits(self) -> int:
        """Significant digits of a value: three, or as many as give thirty steps on the scale or write a value in full.

        There are at most six; a value that needs more has an exponent and three digits.
        """
        low, high = self.norm.vmin or 0.0, self.norm.vmax or 0.0
        before_point = 1 + self._first_digit
        steps = self._first_digit + math.ceil(2.5 - math.log10(high - low))
        return min(MOST_DIGITS, max(3, before_point if before_point <= MOST_DIGITS else 3, steps))

    @property
    def decimals(self) -> int | None:
        """Number of decimals of all values, so that they can be compared at a glance, with `digits` for the largest.

        None where values span two powers of ten, or need an exponent: each has `digits` of its own then.
        """
        if 10.0 ** (self._first_digit + 1) <= TINY:
            return None
        if self.signed:
            return min(9, max(0, 2 - self._first_digit))
        low, high = self.norm.vmin or 0.0, self.norm.vmax or 0.0
        if self.is_of_counts or (low > 0 and high > WIDEST_ALIGNED * low) or self._first_digit >= MOST_DIGITS:
            return None
        return max(0, self.digits - 1 - self._first_digit)

    @property
    def interval_decimals(self) -> int | None:
        """Number of decimals of all intervals: two digits of the usual one.

        None where there is no interval, or it needs an exponent.
        """
        if self.noise is None or self.noise < TINY:
            return None
        return max(0, 1 - math.floor(math.log10(self.noise / math.sqrt(2))))

    @property
    def _first_digit(self) -> int:
        """Power of ten of the first digit of the scale's larger end."""
        return math.floor(math.log10(max(abs(self.norm.vmin or 0.0), abs(self.norm.vmax or 0.0))))

    def text(self, value: float) -> str:
        """Format a value for a cell, here and in the report (`shown` in its `text.js`)."""
        return of_value(value, self.digits, self.decimals, count=self.is_of_counts, signed=self.signed)

    def interval_text(self, half: float) -> str:
        """Format half of an interval, here and in the report (`halfOf` in its `text.js`)."""
        return of_half(half, self.interval_decimals)

    def colour(self, value: float) -> tuple[float, float, float]:
        """Return the background colour of a value's cell."""
        return mpl.colormaps[self.cmap](self.norm(value))[:3]


def noise_of(cells: pd.DataFrame, *, signed: bool) -> float | None:
    """Return the least significant difference of two cells of one metric or, for differences, of one to 0.

    LSD = t √2 s / √n (Fisher 1935, sec. 24), which is √2 times half an interval; the median over cells is taken. None
    for counts, and if no seeds differ.
    """
    half = pd.Series(halves_of(cells["mean"].to_numpy(float), cells["high"].to_numpy(float)))
    half = half[(half > 0) & np.isfinite(half)]
    if half.empty or described(cells["metric"].iloc[0]).count:
        return None
    return float(half.median() * (1 if signed else math.sqrt(2)))


def half_of(mean: float, high: float) -> float:
    """Return half of an interval: its end less its mean, and 0 where these differ by rounding alone."""
    return float(halves_of(np.array(mean), np.array(high)))


def halves_of(mean: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `half_of` of each of many."""
    half = high - mean
    return np.where(np.abs(half) <= SPREAD * np.abs(mean), 0.0, half)


def untrained_of(cells: pd.DataFrame) -> list[float]:
    """Return the scores before training of cells of one metric, if it must be compared with them."""
    has = "untrained" in cells and len(cells) and cells["metric"].iloc[0] in with_untrained()
    return cells["untrained"].dropna().tolist() if has else []


def _widened(low: float, high: float, more: float, within: tuple[float, float]) -> tuple[float, float]:
    """Widen a scale by `more` at both ends, but not past the values that there can be; the rest at the other end."""
    least, most = min(low, within[0]), max(high, within[1])
    below, above = max(0.0, least - (low - more)), max(0.0, high + more - most)
    return max(least, low - more - above), min(most, high + more + below)


def readable_on(background: Sequence[float]) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2.1, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background]
    return "black" if float(np.dot(linear, (0.2126, 0.7152, 0.0722))) > 0.179 else "white"
