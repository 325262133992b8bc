"""Draws the colour bar of a scale, with the scores before training and the least significant difference."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dd_ray.figures.colour_scale import ColourScale, readable_on
from dd_ray.metrics import described

BRACKET = "least significant difference"
"""Name, within a figure, of the bracket that shows the least significant difference."""


def draw_colour_bar(
    figure: Figure, panels: Sequence[Axes], scale: ColourScale, aspect: float, untrained: Sequence[float]
) -> None:
    """Draw a colour bar beside panels, with the untrained scores of their cells and the least significant difference.

    The latter is a bracket that begins at the lower end of the bar or, for differences, at 0.
    """
    bar = figure.colorbar(ScalarMappable(scale.norm, scale.cmap), ax=panels, fraction=0.06, pad=0.015, aspect=aspect)
    whole = described(scale.metric).count and (scale.norm.vmax or 0) >= 1
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


def _draw_bracket(bar: Axes, scale: ColourScale) -> None:
    low = 0.0 if scale.signed else float(scale.norm.vmin or 0.0)
    high, end = low + (scale.noise or 0.0), float(scale.norm.vmax or 0.0)
    # Open above, where no two values there can be differ by so much.
    x, y = [-0.25, -0.55, -0.55, -0.25], [low, low, min(high, end), high]
    shown = 4 if high <= end else 3
    bracket = bar.plot(x[:shown], y[:shown], color="0.2", linewidth=1, clip_on=False)
    bracket[0].set_gid(BRACKET)
    bar.set_xlim(0, 1)
