"""Maps of a sweep's grid: `python analysis/grid_maps.py results/inertia_grid_quick`.

One figure: a row of panels for each metric, a column for each value of the third axis (λ), and in each panel
a heat map over the other two (γ along x, β along y). A sweep of one axis becomes a curve; one of more than
three, a figure for each combination of the rest.

Cells that are not complete at the map's iteration are hatched and carry a letter, with the iteration of their last
evaluation; those with fewer seeds than others say how many (n). A cell without a value is empty, and says why.
What counts as complete, and which seeds are averaged, `dd_ray.summary` says.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import tyro
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dd_ray import results
from dd_ray.config_options import option_name
from dd_ray.errors import UserError, exit_on_user_error
from dd_ray.metrics import REPORTED, Metric
from dd_ray.summary import COMPLETE, Layout, Summary, combinations, summarise
from dd_ray.sweep.store import SweepFolder

SYMBOLS = {"beta": "β", "beta_norm": "β$_{\\mathrm{norm}}$", "gamma": "γ", "lam": "λ", "alpha": "α"}
MARKS = {
    "failed": ("F", "failed"),
    "diverged": ("D", "diverged"),
    "undefined": ("–", "the metric is undefined"),
    "unfinished": ("U", "unfinished"),
    "stopped_early": ("S", "stopped early"),
    "absent": ("·", "not part of the sweep"),
}
"""Letter and meaning of each mark but `complete`, the worst first."""
LOOKS = {
    "min": ("viridis_r", "\nlower is better"),
    "max": ("viridis", "\nhigher is better"),
    None: ("cividis", ""),
}
"""Colour map, and what is said of it. Brighter is better; where nothing is better, another map, lest it look as if."""
WIDEST_WITH_NUMBERS = 10
"""Cells along x, up to which a panel has its numbers written into it."""
CELL, CELL_WITHOUT_NUMBERS = (0.66, 0.52), (0.2, 0.2)
"""Inches; the first holds `S 150 n=2` across, and a value, its interval and a mark below each other."""
HATCH = "///"
EMPTY_COLOUR = (0.93, 0.93, 0.93)
CURVE = mpl.colormaps["viridis"](0.3)

_field = tyro.conf.arg(metavar="FIELD", help_behavior_hint="")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[str, tyro.conf.Positional]
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]", help_behavior_hint="")] = ()
    """Columns of the table to map. Reconstruction error (or factor error), linear R², MCC and active units
    where none is given."""
    x: Annotated[str | None, _field] = None
    """Config field along x, spelled as on the command line of a sweep; γ where it is swept."""
    y: Annotated[str | None, _field] = None
    """Config field along y; β where it is swept."""
    columns: Annotated[str | None, _field] = None
    """Config field with a column of panels for each of its values; λ where it is swept."""
    iteration: Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint="")] = None
    """Draw the state of the map at this iteration, or at the last evaluation before it. The end of the sweep
    where it is not given."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")] = None
    """Folder to write to; `figures` in the sweep's folder where it is not given, or here where that is a URL."""


@dataclass(frozen=True)
class Scale:
    """How a metric's values become colours and text: one for all panels and figures."""

    metric: str
    norm: Normalize
    cmap: str
    label: str
    """The metric, its unit, and which values are better."""
    untrained: float | None
    """The score to compare with, where there is one."""

    @classmethod
    def of(cls, summary: Summary, metric: str) -> "Scale":
        """The scale that all of a metric's cells fit."""
        values = summary.cells.loc[summary.cells["metric"] == metric, "mean"].dropna().tolist()
        untrained = summary.untrained.get(metric) if metric in results.WITH_UNTRAINED else None
        values += [untrained] if untrained is not None else []
        low, high = min(values, default=0.0), max(values, default=1.0)
        if metric == "active_units":
            low, high = 0, int(summary.trials["num_latents"].max())  # so that a collapsed cell is dark, also if all are
        elif high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
            low, high = low - (abs(low) or 1) / 100, high + (abs(high) or 1) / 100
        known = REPORTED.get(metric, Metric(metric, metric, None))
        cmap, hint = LOOKS[known.better]
        return cls(metric, Normalize(low, high), cmap, known.label.replace(" (", "\n(") + hint, untrained)

    def text(self, value: float) -> str:
        """A value as a cell shows it: three digits, or as many as split the scale into thirty steps."""
        low, high = self.norm.vmin or 0.0, self.norm.vmax or 0.0
        first_digit = math.floor(math.log10(max(abs(low), abs(high))))
        digits = max(3, first_digit + math.ceil(2.5 - math.log10(high - low)))
        return f"{value:.3g}" if self.metric == "active_units" else f"{value:#.{digits}g}".rstrip(".")

    def colour(self, value: float) -> tuple[float, float, float]:
        """Background of a value's cell."""
        return mpl.colormaps[self.cmap](self.norm(value))[:3]


def draw(summary: Summary, scales: Sequence[Scale], title: str) -> Figure:
    """One figure: a row of panels for each metric, maps where there is a y axis, else curves.

    Args:
        summary: with the cells and trials of this figure.
        scales: one for each metric.
        title: above all.
    """
    layout, usual_seeds = summary.layout, summary.cells["seeds_in_cell"].max()
    cells = summary.cells.assign(fewer_seeds=summary.cells["seeds"].between(1, usual_seeds - 1))
    columns = combinations(cells, [layout.columns] if layout.columns else [])
    spacing = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05, wspace=0.01, hspace=0.02)
    figure = Figure(figsize=_size(cells, layout, len(scales)), layout=spacing, facecolor="white")
    sharey: Any = "all" if layout.y else "row"
    panels = figure.subplots(len(scales), len(columns), squeeze=False, sharex="all", sharey=sharey)
    for row, scale in zip(panels, scales, strict=True):
        for panel, column in zip(row, columns, strict=True):
            here = _matching(cells, {"metric": scale.metric, **column})
            if layout.y:
                _draw_map(panel, here, layout, scale)
            else:
                _draw_curve(panel, here, _matching(summary.trials, column), layout.x, scale)
        if layout.y:
            _draw_colour_bar(figure, row, scale)
        else:
            row[0].set_ylabel(scale.label, fontsize=8)
    for panel, column in zip(panels[0], columns, strict=True):
        panel.set_title(_setting(column), fontsize=9, pad=6 if layout.y else 16)  # above the notes of a curve
    _label_axes(panels, cells, layout)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    _draw_legend(figure, cells, layout)
    return figure


def _matching(frame: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    for axis, value in values.items():
        frame = frame[frame[axis] == value]
    return frame


def _values(cells: pd.DataFrame, axis: str) -> list[Any]:
    return sorted(cells[axis].unique())


def _has_numbers(cells: pd.DataFrame, layout: Layout) -> bool:
    return layout.y is None or cells[layout.x].nunique() <= WIDEST_WITH_NUMBERS


def _size(cells: pd.DataFrame, layout: Layout, num_rows: int) -> tuple[float, float]:
    """Inches: from the cells, so that numbers fit into them, and fonts are the same in every figure."""
    columns, num_x, num_y = (cells[axis].nunique() if axis else 1 for axis in (layout.columns, layout.x, layout.y))
    width, height = CELL if _has_numbers(cells, layout) else CELL_WITHOUT_NUMBERS
    # At least what a curve, or the label of a colour bar, takes.
    least_width, least_height = (1.0, 1.35) if layout.y else (3.0, 1.65)
    panel_width, panel_height = max(least_width, num_x * width), max(least_height, num_y * height)
    labels, legend = 1.9, 0.18 * (cells["mark"].nunique() + 2)
    return max(5.6, columns * panel_width + labels), num_rows * (panel_height + 0.12) + 1.3 + legend


def _draw_map(panel: Axes, cells: pd.DataFrame, layout: Layout, scale: Scale) -> None:
    assert layout.y
    xs, ys = _values(cells, layout.x), _values(cells, layout.y)
    with_numbers = _has_numbers(cells, layout)
    for cell in cells.to_dict("records"):
        content = _content(cell, scale) if with_numbers else _letter(cell)
        _draw_cell(panel, (xs.index(cell[layout.x]), ys.index(cell[layout.y])), cell, scale, content)
    panel.set(xlim=(-0.5, len(xs) - 0.5), ylim=(-0.5, len(ys) - 0.5))
    panel.set_yticks(range(len(ys)), [_shown(y) for y in ys])
    panel.tick_params(length=0, labelsize=8)
    panel.spines[:].set_visible(False)


def _draw_cell(panel: Axes, at: tuple[int, int], cell: Mapping[str, Any], scale: Scale, content: str) -> None:
    background = EMPTY_COLOUR if math.isnan(cell["mean"]) else scale.colour(cell["mean"])
    ink = _readable_on(background)
    corner = (at[0] - 0.5, at[1] - 0.5)
    panel.add_patch(Rectangle(corner, 1, 1, facecolor=background, edgecolor="white", linewidth=1.2))
    text = panel.text(*at, content, ha="center", va="center", fontsize=7, color=ink, linespacing=1.15)
    if cell["mark"] != COMPLETE:
        inner = (at[0] - 0.48, at[1] - 0.48)
        hatching = Rectangle(inner, 0.96, 0.96, facecolor="none", edgecolor=ink, alpha=0.4, linewidth=0)
        panel.add_patch(hatching).set_hatch(_hatch(cell["mark"]))
        text.set_bbox({"facecolor": background, "edgecolor": "none", "pad": 0.8})  # keeps hatching off the text


def _content(cell: Mapping[str, Any], scale: Scale) -> str:
    """What is written into a cell of a map: the mean, its interval, and what is to be noted."""
    mean = "" if math.isnan(cell["mean"]) else scale.text(cell["mean"])
    interval = "" if math.isnan(cell["ci_high"]) else f"±{cell['ci_high'] - cell['mean']:.2g}"
    return "\n".join(filter(None, [mean, interval, _note(cell)]))


def _note(cell: Mapping[str, Any]) -> str:
    """A cell's mark, with the iteration, and its number of seeds where it has fewer than usual."""
    at, seeds = cell["mark_iteration"], f"n={cell['seeds']}" if cell["fewer_seeds"] else ""
    iteration = "" if math.isnan(at) else f"{at:.0f}" if at < 10_000 else f"{at / 1000:.3g}k"
    return " ".join(filter(None, [_letter(cell), iteration, seeds]))


def _letter(cell: Mapping[str, Any]) -> str:
    return "" if cell["mark"] == COMPLETE else MARKS[cell["mark"]][0]


def _hatch(mark: str) -> str:
    return "" if mark in (COMPLETE, "absent") else HATCH


def _readable_on(background: tuple[float, float, float]) -> str:
    """Black or white, whichever has the higher contrast (WCAG 2.1, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in background]
    return "black" if float(np.dot(linear, (0.2126, 0.7152, 0.0722))) > 0.179 else "white"


def _draw_colour_bar(figure: Figure, panels: NDArray[Any], scale: Scale) -> None:
    bar = figure.colorbar(ScalarMappable(scale.norm, scale.cmap), ax=list(panels), fraction=0.06, pad=0.015, aspect=14)
    bar.locator = MaxNLocator(4, integer=scale.metric == "active_units")
    bar.update_ticks()
    if scale.untrained is not None:
        at = float(scale.norm(scale.untrained))
        heights = {tick: float(scale.norm(tick)) for tick in bar.get_ticks()}
        # Numbers make room for the word.
        bar.set_ticks([tick for tick, height in heights.items() if 0 <= height <= 1 and abs(height - at) > 0.08])
        bar.ax.yaxis.set_ticks([scale.untrained], ["untrained"], minor=True)
        bar.ax.axhline(scale.untrained, color=_readable_on(scale.colour(scale.untrained)), linewidth=1)
    bar.ax.tick_params(labelsize=7, which="both")
    bar.set_label(scale.label, fontsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_curve(panel: Axes, cells: pd.DataFrame, trials: pd.DataFrame, axis: str, scale: Scale) -> None:
    """Means with intervals over categories, complete seeds as dots; what is marked is hollow and not connected."""
    xs = _values(cells, axis)
    cells = cells.sort_values(axis, ignore_index=True)
    complete = cells["mark"] == COMPLETE
    if cells["seeds"].max() > 1:
        seeds = trials[trials["mark"] == COMPLETE]
        panel.plot([xs.index(x) + 0.12 for x in seeds[axis]], seeds[scale.metric], "o", color="0.6", markersize=3)
    half = cells["ci_high"] - cells["mean"]
    panel.errorbar(cells.index, cells["mean"], yerr=half, fmt="none", ecolor=CURVE, elinewidth=1.2, capsize=2.5)
    panel.plot(cells["mean"].where(complete), "-o", color=CURVE, markersize=5, linewidth=1.2)
    panel.plot(cells["mean"].mask(complete), "o", color=CURVE, markerfacecolor="white", markersize=5)
    for x, cell in enumerate(cells.to_dict("records")):
        if cell["mark"] != COMPLETE:
            band = panel.axvspan(x - 0.48, x + 0.48, hatch=_hatch(cell["mark"]), zorder=0, linewidth=0)
            band.set(facecolor=EMPTY_COLOUR, edgecolor="0.75")
        note = panel.text(x, 1.02, _note(cell), fontsize=7, ha="center", va="bottom")
        note.set_transform(panel.get_xaxis_transform())
    if scale.untrained is not None:
        panel.axhline(scale.untrained, color="0.5", linewidth=0.8, linestyle=":")
        label = panel.text(0.995, scale.untrained, "untrained", fontsize=7, color="0.35", ha="right", va="bottom")
        label.set_transform(panel.get_yaxis_transform())
    panel.set_xlim(-0.5, len(xs) - 0.5)
    panel.margins(y=0.1)
    panel.tick_params(labelsize=8)
    if scale.metric == "active_units":
        panel.set_ylim(-0.1, (scale.norm.vmax or 0) + 0.1)
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _label_axes(panels: NDArray[Any], cells: pd.DataFrame, layout: Layout) -> None:
    labels = [_shown(x) for x in _values(cells, layout.x)]
    upright = not _has_numbers(cells, layout) or max(map(len, labels)) > 8
    for panel in panels[-1]:
        panel.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0)
        panel.set_xlabel(_symbol(layout.x), fontsize=10)
    if layout.y:
        for panel in panels[:, 0]:
            panel.set_ylabel(_symbol(layout.y), fontsize=10, rotation=0, labelpad=6, ha="right", va="center")


def _draw_legend(figure: Figure, cells: pd.DataFrame, layout: Layout) -> None:
    """What the marks of this figure mean, and at which iterations they were set."""
    entries: list[Artist] = []
    for mark, (letter, meaning) in MARKS.items():
        marked = cells[cells["mark"] == mark]
        if len(marked):
            at = marked["mark_iteration"].dropna()
            ends = " to ".join(f"{i:,.0f}" for i in sorted({at.min(), at.max()})) if len(at) else ""
            text = f"{letter}  {meaning}" + (f" at iteration {ends}" if ends else "")
            patch = Patch(facecolor=EMPTY_COLOUR, edgecolor="0.45", linewidth=0.5, hatch=_hatch(mark) * 2, label=text)
            entries.append(patch)
    if cells["fewer_seeds"].any():
        text = "n=…  mean of fewer seeds: those that got furthest, the others left out"
        entries.append(Patch(facecolor="none", edgecolor="none", label=text))
    if cells["seeds"].max() > 1 and layout.y is None:
        dot = Line2D([], [], marker="o", color="0.6", markersize=3, linestyle="none", label="complete seeds")
        entries.append(dot)
    if entries:
        figure.legend(handles=entries, loc="outside lower left", fontsize=8, frameon=False, handleheight=1.2)


def _symbol(axis: str) -> str:
    return SYMBOLS.get(axis, axis.replace("_", " "))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _setting(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_symbol(axis)} = {_shown(value)}" for axis, value in values.items())


def title_of(study: str, summary: Summary, rest: Mapping[str, Any]) -> str:
    """What is above a figure, of one combination of the fields that have no place in it."""
    seeds = summary.cells["seeds_in_cell"]
    fewest, most = seeds[seeds > 0].min(), seeds.max()
    several = f"{most}" if fewest == most else f"{fewest} to {most}"
    mean = "mean ± 95% interval" if _has_numbers(summary.cells, summary.layout) else "mean"
    number = "1 seed" if most == 1 else f"{mean} of {several} seeds"
    at = f"iteration {summary.iteration:,}" + (f" of {summary.last:,}" if summary.iteration < summary.last else "")
    return "\n".join(filter(None, [study, f"{at}, {number}", _setting(rest)]))


def write_maps(options: Options) -> list[Path]:
    """Draw the maps of a sweep and write them, and the numbers behind them.

    Returns:
        The figures, and last the table.

    Raises:
        UserError: there is no such sweep, metric, axis or iteration, or the folder cannot be written.
    """
    sweep = SweepFolder.open(options.path)
    manifest, table = sweep.manifest() or {}, results.load(options.path)
    places = {"x": options.x, "y": options.y, "columns": options.columns}
    summary = summarise(table, manifest, metrics=options.metrics, places=places, iteration=options.iteration)
    scales = [Scale.of(summary, metric) for metric in summary.cells["metric"].unique()]
    stem = "grid_maps" if options.iteration is None else f"grid_maps_iteration_{summary.iteration}"
    folder = options.out or (sweep.files.local or Path()) / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for rest in combinations(summary.cells, summary.layout.rest):
            part = replace(summary, cells=_matching(summary.cells, rest), trials=_matching(summary.trials, rest))
            if (part.cells["mark"] == "absent").all():
                continue
            figure = draw(part, scales, title_of(manifest["study"], part, rest))
            written.append(folder / f"{stem}{_suffix(rest)}.png")
            with mpl.rc_context({"hatch.linewidth": 0.7}):
                figure.savefig(written[-1], dpi=150)
        written.append(folder / f"{stem}.csv")
        summary.cells.to_csv(written[-1], index=False)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); choose another --out.") from error
    return written


def _suffix(rest: Mapping[str, Any]) -> str:
    """Part of a file's name, with all the digits that tell two values apart."""
    shown = {axis: f"{value:.12g}" if isinstance(value, float) else value for axis, value in rest.items()}
    return "".join(f"_{option_name(axis).replace('-', '_')}_{value}" for axis, value in shown.items())


def main(args: list[str] | None = None) -> None:
    """Draw maps of a sweep's grid: metrics over γ, β and λ. Prints the files that it writes."""
    options = tyro.cli(Options, args=args, description=main.__doc__)
    with exit_on_user_error():
        for path in write_maps(options):
            print(path)


if __name__ == "__main__":
    main()
