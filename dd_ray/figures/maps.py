"""Draws a panel of a map: a metric's cells as colours with numbers and marks, or as a curve along one axis.

Every mark is a shape or a letter as well as a colour, so that it can be read in grey: hatching on cells that are not
complete, a cross on cells whose networks collapsed, a star on the best cell and an outline around those that may be as
good, triangles on differences that are not 0. `dd_ray.results.comparisons` defines what the marks hold for.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from dd_ray.config.options import shown
from dd_ray.config.symbols import setting, symbol
from dd_ray.figures.common import BETTER, MARKS, frame
from dd_ray.metrics import with_untrained
from dd_ray.results.comparisons import SPREAD
from dd_ray.results.summary import COMPLETE, Summary, described

COLLAPSED, BEST, ABOVE, BELOW = "C", "★", "▲", "▼"
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
WIDEST_WITH_NUMBERS = 10
"""The most cells along x with which numbers are written into a panel."""
MOST_DIGITS = 6
HUGE, TINY = 1e21, 1e-9
"""Numbers of at least this size, or below that, have an exponent, as no cell holds all their digits."""
WIDEST_ALIGNED = 100
"""Positive values whose ends are further apart, as a ratio, are not written with the same number of decimals."""
LEAST_SPAN = 3
"""A colour scale spans at least this many least significant differences, so that noise does not look like an effect."""
HATCH = "///"
EMPTY_COLOUR = (0.93, 0.93, 0.93)
CURVE = mpl.colormaps["viridis"](0.3)
BRACKET = "least significant difference"
"""Name, within a figure, of the bracket that shows the least significant difference."""
EDGE = 0.03
"""The part of an axis that lies beyond the values that there can be, for dots at the last of them."""
OUTLINE = 1.8
"""Width of an outline, in points."""

_EXACT = Context(prec=64)
"""Holds all digits of what `HUGE` and `TINY` leave."""

Cell = Mapping[Hashable, Any]
"""A cell: a row of `dd_ray.results.summary.Summary.cells`."""
Segment = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Scale:
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
    def of(cls, summary: Summary, metric: str) -> "Scale":
        """Return a scale that fits all cells of a metric."""
        cells = summary.cells[summary.cells["metric"] == metric]
        values = [value for value in cells["mean"] if math.isfinite(value)]
        noise = noise_of(cells, signed=bool(summary.reference))
        if summary.reference:
            return cls._of_differences(values, metric, summary.reference, noise)
        values += untrained_of(cells)
        low, high = min(values, default=0.0), max(values, default=1.0)
        if metric == "active_units":
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
    def _of_differences(cls, values: Sequence[float], metric: str, reference: str, noise: float | None) -> "Scale":
        """Return a scale that is symmetric about 0, so that colours tell the sign, and white is 0."""
        furthest = max(max(map(abs, values), default=0.0), LEAST_SPAN / 2 * (noise or 0.0)) or 1.0
        known = described(metric)
        cmap, hint = LOOKS_OF_DIFFERENCES[known.better]
        label = f"{known.label.replace(' (', chr(10) + '(')}\nminus that at {setting({reference: 0})}{hint}"
        return cls(metric, Normalize(-furthest, furthest), cmap, label, signed=True, noise=noise)

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
        if (
            self.metric == "active_units"
            or (low > 0 and high > WIDEST_ALIGNED * low)
            or self._first_digit >= MOST_DIGITS
        ):
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
        if value == 0:
            return "0"
        if self.metric == "active_units" and not self.signed:
            return f"{value:.3g}"
        if self.decimals is None:
            return _with_digits(value, self.digits)
        return (_with_sign if self.signed else _with_decimals)(value, self.decimals)

    def interval_text(self, half: float) -> str:
        """Format half of an interval, here and in the report (`halfOf` in its `text.js`)."""
        decimals = self.interval_decimals
        text = "" if decimals is None else _with_decimals(half, decimals)
        return text if text and float(text) else _two_digits(half)

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


def _with_digits(value: float, digits: int) -> str:
    """Format a value as JavaScript: with an exponent only below 10⁻⁶, or if it has more digits before the point."""
    return str(Decimal(f"{value:.{digits - 1}e}")).lower()


def _with_decimals(value: float, decimals: int) -> str:
    """Format a value as JavaScript, which rounds halves up, and without a sign where it is rounded to 0."""
    if abs(value) >= HUGE:
        return _with_digits(value, 3)
    text = f"{Decimal(abs(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP, _EXACT):f}"
    return f"-{text}" if value < 0 and float(text) else text


def _with_sign(value: float, decimals: int) -> str:
    text = _with_decimals(abs(value), decimals)
    return text if not float(text) else f"+{text}" if value > 0 else f"−{text}"


def matching(frame: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows that have these values."""
    for axis, value in values.items():
        frame = frame[frame[axis] == value]
    return frame


def values_along(cells: pd.DataFrame, axis: str) -> list[Any]:
    """Return the values along an axis, in order."""
    return sorted(cells[axis].unique())


def outline(region: NDArray[np.bool_]) -> list[Segment]:
    """Return the border of a region of cells [rows, columns], including holes, as edges of cells.

    A cell's centre lies at (column, row), its sides half a unit from there.
    """
    padded = np.pad(region, 1)
    upright = [((x - 0.5, y - 0.5), (x - 0.5, y + 0.5)) for y, x in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])]
    level = [((x - 0.5, y - 0.5), (x + 0.5, y - 0.5)) for y, x in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    return upright + level


def draw_map(panel: Axes, cells: pd.DataFrame, axes: tuple[str, str], scale: Scale, *, with_numbers: bool) -> None:
    """Draw a metric over two axes, x and y."""
    x_axis, y_axis = axes
    xs, ys = values_along(cells, x_axis), values_along(cells, y_axis)
    region = np.zeros((len(ys), len(xs)), bool)
    for cell in cells.to_dict("records"):
        at = xs.index(cell[x_axis]), ys.index(cell[y_axis])
        content = _content(cell, scale) if with_numbers else _glyphs(cell, scale)
        _draw_cell(panel, at, cell, scale, content)
        region[at[::-1]] = cell.get("in_best_region", False)
    _draw_outline(panel, outline(region))
    panel.set(xlim=(-0.5, len(xs) - 0.5), ylim=(-0.5, len(ys) - 0.5))
    panel.set_yticks(range(len(ys)), [shown(y) for y in ys])
    panel.tick_params(length=0, labelsize=8)
    panel.spines[:].set_visible(False)


def _draw_cell(panel: Axes, at: tuple[int, int], cell: Cell, scale: Scale, content: str) -> None:
    background = EMPTY_COLOUR if math.isnan(cell["mean"]) else scale.colour(cell["mean"])
    ink = readable_on(background)
    x, y = at
    panel.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=background, edgecolor="white", linewidth=1.2))
    text = panel.text(x, y, content, ha="center", va="center", fontsize=7, color=ink, linespacing=1.15, zorder=4)
    if cell["mark"] != COMPLETE:
        hatching = Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor="none", edgecolor=ink, alpha=0.4, linewidth=0)
        panel.add_patch(hatching).set_hatch(hatch_of(cell["mark"]))
    if cell["collapsed_seeds"]:
        ends = np.array([-0.46, 0.46])
        for slope in (1, -1):
            panel.plot(x + ends, y + slope * ends, color=ink, linewidth=1.1, zorder=2)
    if cell["mark"] != COMPLETE or cell["collapsed_seeds"]:
        text.set_bbox({"facecolor": background, "edgecolor": "none", "pad": 0.8})  # keeps lines off the text


def _draw_outline(panel: Axes, segments: Sequence[Segment]) -> None:
    halo = patheffects.Stroke(linewidth=OUTLINE + 2, foreground="white")
    look: dict[str, Any] = {"colors": "black", "linewidths": OUTLINE, "capstyle": "projecting", "zorder": 5}
    border = LineCollection(segments, **look, clip_on=False, path_effects=[halo, patheffects.Normal()])
    panel.add_collection(border, autolim=False)


def _content(cell: Cell, scale: Scale) -> str:
    """Return the text in a cell of a map: the mean, its interval, and notes."""
    mean = "" if math.isnan(cell["mean"]) else scale.text(cell["mean"])
    interval = "" if math.isnan(cell["high"]) else f"±{scale.interval_text(half_of(cell['mean'], cell['high']))}"
    distinction = _distinction(cell)
    return "\n".join(filter(None, [f"{distinction} {mean}".strip(), interval, *_notes(cell)]))


def _two_digits(value: float) -> str:
    """Format a number in two digits without an exponent, as 5.1e-05 is hard to compare with 0.00031 at a glance."""
    if value >= HUGE or 0 < value < TINY:
        return _with_digits(value, 2)
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def _glyphs(cell: Cell, scale: Scale) -> str:
    """Return the marks in a cell that is too small for numbers."""
    sign = {1.0: "+", -1.0: "−"}.get(float(np.sign(cell["mean"])), "") if scale.signed else ""
    collapsed, of = cell["collapsed_seeds"], cell["seeds_in_cell"]
    collapse = "" if not collapsed else COLLAPSED if collapsed == of else COLLAPSED.lower()
    return letter_of(cell["mark"]) + collapse + (_distinction(cell) or sign)


def _distinction(cell: Cell) -> str:
    if cell.get("best"):
        return BEST
    return "" if not cell.get("differs") else ABOVE if cell["mean"] > 0 else BELOW


def _notes(cell: Cell) -> list[str]:
    """Return notes: collapse, with the seeds if not all; the mark with its iteration; the seeds if fewer than usual."""
    collapsed, of = cell["collapsed_seeds"], cell["seeds_in_cell"]
    collapse = "" if not collapsed else COLLAPSED if collapsed == of else f"{COLLAPSED} {collapsed}/{of}"
    at, seeds = cell["mark_iteration"], f"n={cell['seeds']}" if cell["fewer_seeds"] else ""
    iteration = "" if math.isnan(at) else f"{at:.0f}" if at < 10_000 else f"{at / 1000:.3g}k"
    state = " ".join(filter(None, [letter_of(cell["mark"]), iteration, seeds]))
    return [note for note in (collapse, state) if note]


def letter_of(mark: str) -> str:
    """Return the letter of a mark; empty for `complete`."""
    return MARKS[mark][0] if mark in MARKS else ""


def hatch_of(mark: str) -> str:
    """Return the hatching of a mark; empty if there is nothing to doubt."""
    return "" if mark in (COMPLETE, "absent") else HATCH


def readable_on(background: Sequence[float]) -> str:
    """Return black or white, whichever has the higher contrast (WCAG 2.1, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background]
    return "black" if float(np.dot(linear, (0.2126, 0.7152, 0.0722))) > 0.179 else "white"


def _widened(low: float, high: float, more: float, within: tuple[float, float]) -> tuple[float, float]:
    """Widen a scale by `more` at both ends, but not past the values that there can be; the rest at the other end."""
    least, most = min(low, within[0]), max(high, within[1])
    below, above = max(0.0, least - (low - more)), max(0.0, high + more - most)
    return max(least, low - more - above), min(most, high + more + below)


def draw_colour_bar(
    figure: Figure, panels: Sequence[Axes], scale: Scale, aspect: float, untrained: Sequence[float] = ()
) -> None:
    """Draw a colour bar beside panels, with the untrained scores of their cells and the least significant difference.

    The latter is a bracket that begins at the lower end of the bar or, for differences, at 0.
    """
    bar = figure.colorbar(ScalarMappable(scale.norm, scale.cmap), ax=panels, fraction=0.06, pad=0.015, aspect=aspect)
    whole = scale.metric == "active_units" and ((scale.norm.vmax or 0) >= 1)
    bar.locator = MaxNLocator(4, integer=whole)
    if scale.signed:
        bar.formatter = FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−", 1) if value else "0")
    bar.update_ticks()
    if untrained:
        ends = sorted({min(untrained), max(untrained)})
        middle = (ends[0] + ends[-1]) / 2
        at = float(scale.norm(middle))
        heights = {tick: float(scale.norm(tick)) for tick in bar.get_ticks()}
        # Numbers of the bar make room for the word.
        bar.set_ticks([tick for tick, height in heights.items() if 0 <= height <= 1 and abs(height - at) > 0.08])
        bar.ax.yaxis.set_ticks([middle], ["untrained"], minor=True)
        for end in ends:
            bar.ax.axhline(end, color=readable_on(scale.colour(end)), linewidth=1)
        bar.ax.plot([1, 1], [ends[0], ends[-1]], color="0.2", linewidth=2.5, clip_on=False)
    if scale.noise is not None:
        _draw_bracket(bar.ax, scale)
    bar.ax.tick_params(labelsize=7, which="both")
    bar.set_label(scale.label, fontsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_bracket(bar: Axes, scale: Scale) -> None:
    low = 0.0 if scale.signed else float(scale.norm.vmin or 0.0)
    high, end = low + (scale.noise or 0.0), float(scale.norm.vmax or 0.0)
    # Open above, where no two values there can be differ by so much.
    x, y = [-0.25, -0.55, -0.55, -0.25], [low, low, min(high, end), high]
    shown = 4 if high <= end else 3
    bracket = bar.plot(x[:shown], y[:shown], color="0.2", linewidth=1, clip_on=False)
    bracket[0].set_gid(BRACKET)
    bar.set_xlim(0, 1)


def draw_curve(panel: Axes, cells: pd.DataFrame, trials: pd.DataFrame, axis: str, scale: Scale) -> None:
    """Draw means with intervals over categories, and complete seeds as dots; marked cells are hollow and apart."""
    xs = values_along(cells, axis)
    cells = cells.sort_values(axis, ignore_index=True)
    complete = cells["mark"] == COMPLETE
    if cells["seeds"].max() > 1:
        seeds = trials[trials["mark"] == COMPLETE]
        panel.plot([xs.index(x) + 0.12 for x in seeds[axis]], seeds[scale.metric], "o", color="0.6", markersize=3)
    half = cells["high"] - cells["mean"]
    panel.errorbar(cells.index, cells["mean"], yerr=half, fmt="none", ecolor=CURVE, elinewidth=1.2, capsize=2.5)
    panel.plot(cells["mean"].where(complete), "-o", color=CURVE, markersize=5, linewidth=1.2)
    panel.plot(cells["mean"].mask(complete), "o", color=CURVE, markerfacecolor="white", markersize=5)
    panel.plot(cells["mean"].where(cells["collapsed_seeds"] > 0), "x", color="black", markersize=9)
    for x, cell in enumerate(cells.to_dict("records")):
        _note_on_curve(panel, x, cell)
    region = cells.get("in_best_region", pd.Series(False, cells.index)).to_numpy(bool)
    segments = [((x0, y0 + 0.5), (x1, y1 + 0.5)) for (x0, y0), (x1, y1) in outline(region[None])]
    border = LineCollection(segments, colors="black", linewidths=1, capstyle="projecting", zorder=0.5, clip_on=False)
    panel.add_collection(border, autolim=False)
    border.set_transform(panel.get_xaxis_transform())
    _draw_level(panel, cells, scale)
    _finish_curve(panel, len(xs), scale)


def lines_above_curve(cells: pd.DataFrame) -> int:
    """Return the most lines that the notes above a curve take."""
    return max(len(_notes_on_curve(cell)) for cell in cells.to_dict("records"))


def lines_in_cell(cells: pd.DataFrame) -> int:
    """Return the most lines that are written into a cell of a map."""
    return 1 + int(cells["low"].notna().any()) + max(len(_notes(cell)) for cell in cells.to_dict("records"))


def _notes_on_curve(cell: Cell) -> list[str]:
    return [note for note in (_distinction(cell), *_notes(cell)) if note]


def _note_on_curve(panel: Axes, x: int, cell: Cell) -> None:
    if cell["mark"] != COMPLETE:
        band = panel.axvspan(x - 0.48, x + 0.48, hatch=hatch_of(cell["mark"]), zorder=0, linewidth=0)
        band.set(facecolor=EMPTY_COLOUR, edgecolor="0.75")
    note = panel.text(x, 1.03, "\n".join(_notes_on_curve(cell)), fontsize=7, ha="center", va="bottom")
    note.set_transform(panel.get_xaxis_transform())


def _draw_level(panel: Axes, cells: pd.DataFrame, scale: Scale) -> None:
    """Draw what a curve must be compared with: the same cells before training, or 0."""
    if scale.signed:
        panel.axhline(0, color="0.3", linewidth=0.8)
    if untrained_of(cells):
        levels = cells["untrained"].to_numpy(float)
        at = np.arange(len(levels))
        panel.hlines(levels, at - 0.5, at + 0.5, color="0.5", linewidth=0.8, linestyle=":")
        last = int(np.flatnonzero(~np.isnan(levels))[-1])
        label = panel.text(last + 0.49, levels[last], "untrained", fontsize=7, color="0.35", ha="right", va="bottom")
        label.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])


def _finish_curve(panel: Axes, num_x: int, scale: Scale) -> None:
    panel.set_xlim(-0.5, num_x - 0.5)
    panel.margins(y=0.1)
    panel.tick_params(labelsize=8)
    if scale.metric == "active_units" and not scale.signed:
        panel.set_ylim(-0.1, (scale.norm.vmax or 0) + 0.1)
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    elif not scale.signed:
        limit(panel, scale.metric)
    frame(panel, axis="y")


def limit(panel: Axes, metric: str) -> None:
    """Limit the y axis to the values that a metric can have, where intervals go past them."""
    (least, most), (low, high) = described(metric).within, panel.get_ylim()
    edge = EDGE * (min(most, high) - max(least, low))  # so that a dot at the limit is whole
    panel.set_ylim(max(low, least - edge), min(high, most + edge))


def label_axes(blocks: Sequence[NDArray[Any]], cells: pd.DataFrame, x: str, y: str | None, *, upright: bool) -> None:
    """Write values and name of x below the lowest panel of each column, and of y to the left of each row.

    Args:
        blocks: for each metric, its panels [rows, columns]; some of the last row may be invisible.
        cells: the cells of all panels.
        x: the field along x.
        y: the field along y, if there is one.
        upright: whether to turn the values of x, as for long ones.
    """
    labels = [shown(value) for value in values_along(cells, x)]
    wrapped = len(blocks[0]) > 1
    for block in blocks:
        for column in block.T:
            lowest = [panel for panel in column if panel.get_visible()][-1]
            for panel in column:
                has_labels = panel is lowest and (wrapped or block is blocks[-1])
                panel.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0)
                panel.tick_params(labelbottom=has_labels)
                panel.set_xlabel(symbol(x) if has_labels else "", fontsize=10)
        for row in block:
            for panel in row[1:]:
                panel.tick_params(labelleft=False)
            if y:
                row[0].set_ylabel(symbol(y), fontsize=10, rotation=0, labelpad=6, ha="right", va="center")
