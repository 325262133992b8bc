"""Where reconstructions fail: `python analysis/reconstruction_errors.py results/beta_grid_quick`.

Mean squared errors inside the circle, at its edge and in the background (`dd_ray.data.Regions`), decoded from the
posterior means of still pictures at 8 positions on each of the four axes, 4,096 in all; a supervised decoder draws them
from their factors. Video models are asked about their encoder and decoder: in a video at rest their filter changes
nothing (`dd_ray.evaluation.encode_stills`).

- `reconstruction_errors.png`: each region's error over all positions, a bar for each cell, seeds averaged. With
  `--original FOLDER` also of the original study's networks, from its checkpoints in `FOLDER/checkpoints`, beside the
  numbers that it published itself, `FOLDER/region_errors.npz`; the table has the differences.
- `reconstruction_errors_positions.png`: a row for each cell: each region's error over the positions of the circle and,
  of the background, over those of the Gaussian, averaged over the other two axes, x to the right and y down as in the
  pictures; and the errors against the distance of the circle's centre and the Gaussian's, in pixels of 32×32,
  mean and range from the lower to the upper quartile. All rows are on the same scales, which are logarithmic.

Left out are networks of other pictures than one circle in front of a Gaussian, which have no such regions, and
supervised encoders, which decode nothing.

Seeds that got less far than others of their cell are left out of its mean, and the cell's name says so.
"""

import textwrap
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from tqdm import tqdm

from dd_ray.config.labels import parts_of, with_parts
from dd_ray.data import Regions
from dd_ray.data.rendering import CANVAS, CIRCLE_MARGIN, CIRCLE_RANGE, IMAGE
from dd_ray.errors import UserError
from dd_ray.evaluation import PicturedRegions, region_errors
from dd_ray.figures.common import (
    FEWEST_SEEDS_WITH_BARS,
    figures_of_rows,
    folder_of,
    frame,
    label_logarithms,
    ordered_colours,
    run_command,
    setting,
    write,
)
from dd_ray.metrics import seed_interval
from dd_ray.probes.networks import Network, NetworkOptions, subjects_of, suitable, trials_option

POSITIONS = np.linspace(0, 1, 8)
"""On each axis, as in the original study's numbers."""
PUBLISHED = "region_errors.npz"
BIN_WIDTH = 2.0
"""Pixels of 32×32, of the distances that are averaged together."""
FEWEST_PICTURES = 16
"""At a distance, for it to be drawn; in the table are all."""
REGIONS = dict(zip(Regions._fields, ("inside the circle", "edge of the circle", "background"), strict=True))
STYLES: dict[str, dict[str, Any]] = {
    region: {"color": colour, "linestyle": line, "linewidth": width}
    for region, colour, line, width in zip(
        REGIONS, ordered_colours(3), ("-", (0, (5, 1.5)), (0, (1.2, 1.2))), (1.6, 1.6, 2.2), strict=True
    )
}
MAPS = {
    "inside": ("circle", "inside\nover circle positions"),
    "edge": ("circle", "edge\nover circle positions"),
    "background": ("circle", "background\nover circle positions"),
    "background of the Gaussian": ("background", "background\nover Gaussian positions"),
}
"""Panels of a row: the positions that are along x and y, and what stands above."""
ROW_HEIGHT = 1.75
LINE_LENGTH = 30
"""Characters beside a row."""
COLOUR = ordered_colours(4)[1]
BAR, PUBLISHED_BAR = 0.62, 0.42
"""Heights, in rows."""


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Options of the command line."""

    cells: Annotated[tuple[str, ...], trials_option("all")] = ()


Errors = dict[str, NDArray[np.floating]]
"""By region, [S, 8, 8, 8, 8]: seeds, background_x, background_y, circle_x, circle_y."""


@dataclass(frozen=True)
class Cell:
    """Errors of the networks that differ in their seed alone."""

    name: str
    settings: Mapping[str, Any]
    states: str
    """Of all seeds, such as `finished@300 stopped_early@150`."""
    note: str
    """What is to be said of seeds that did not finish, or of where the network is from."""
    complete: bool
    errors: Errors
    """Of the seeds that got furthest."""
    published: Mapping[str, NDArray[np.floating]] | None = None
    """By region, [8, 8, 8, 8]."""

    @property
    def label(self) -> str:
        """Its name on an axis."""
        return "\n".join(filter(None, [setting(self.settings) or self.name, self.note]))


def grid() -> NDArray[np.float64]:
    """Factors [4096, 4] of the pictures, in the order of the published errors."""
    background_x, background_y, circle_x, circle_y = np.meshgrid(*[POSITIONS] * 4, indexing="ij")
    return np.stack([circle_x, circle_y, background_x, background_y], axis=-1).reshape(-1, 4)


def distances() -> NDArray[np.float64]:
    """[8, 8, 8, 8] distance of the circle's centre and the Gaussian's, in pixels of a picture of 32×32."""
    factors = grid()
    circles, gaussians = CIRCLE_RANGE * factors[:, :2] + CIRCLE_MARGIN, CANVAS * factors[:, 2:]  # px of the canvas
    apart = (circles - gaussians) / (CANVAS / IMAGE)
    return np.linalg.norm(apart, axis=1).reshape((len(POSITIONS),) * 4)


def measure(subjects: Sequence[Network]) -> list[Cell]:
    """Errors of networks, those of the same settings and different seeds together."""
    groups: dict[tuple[Any, ...], list[Network]] = {}
    for subject in subjects:
        told = tuple((field, value) for field, value in subject.settings.items() if field != "seed")
        alone = subject.name if subject.state == "original" else ""
        groups.setdefault((alone, *told), []).append(subject)
    # The bar shows on a terminal only.
    progress = tqdm(total=len(subjects), desc="networks", disable=None, leave=False)
    sizes = {subject.config.image_size for subject in subjects}
    pictured = {size: PicturedRegions.of(grid(), size) for size in sizes}
    with progress:
        return [_measure_group(dict(key[1:]), group, pictured, progress) for key, group in groups.items()]


def _measure_group(
    settings: Mapping[str, Any], group: Sequence[Network], pictured: Mapping[int, PicturedRegions], progress: Any
) -> Cell:
    furthest = max(subject.iteration or 0 for subject in group)
    errors = []
    for subject in group:
        if (subject.iteration or 0) == furthest:
            errors.append(region_errors(subject.model, pictured[subject.config.image_size]))
        progress.update()
    shape = (len(errors), *(len(POSITIONS),) * 4)
    together = {region: np.stack([e[region] for e in errors]).reshape(shape) for region in REGIONS}
    states = [s.state if s.iteration is None else f"{s.state}@{s.iteration}" for s in group]
    name = group[0].name
    if group[0].state != "original":
        name = with_parts({part: value for part, value in parts_of(name).items() if part != "seed"})
    return Cell(name, settings, " ".join(states), *_note(group, furthest), together)


def _note(group: Sequence[Network], furthest: int) -> tuple[str, bool]:
    """What is to be said of the seeds of a cell, and whether all have finished."""
    if group[0].state == "original":
        return "original study", True
    ended = sorted({subject.state for subject in group} - {"finished"})
    words = " or ".join(state.replace("_", " ") for state in ended)
    at_end = [subject.state for subject in group if subject.iteration == furthest]
    if not words:
        return "", True
    if set(at_end) == {"finished"}:
        return f"{len(at_end)} of {len(group)} seeds; the rest {words}", False
    return f"{words} at iteration {furthest:,}", False


def with_published(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """The original's cells with the errors that it published, if the folder has them; others as they are.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    path = folder / PUBLISHED
    if not path.is_file():
        return list(cells)
    try:
        with np.load(path, allow_pickle=False) as archive:
            beta_norm = archive["beta_norm"].tolist()
            errors = {region: archive[region] for region in REGIONS}
        if {array.shape for array in errors.values()} != {(len(beta_norm), *(len(POSITIONS),) * 4)}:
            raise ValueError("its arrays have other shapes")
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} does not hold the original's published errors ({error}).") from error
    return [
        replace(cell, published={region: array[beta_norm.index(beta)] for region, array in errors.items()})
        if cell.states == "original" and (beta := cell.settings.get("beta_norm")) in beta_norm
        else cell
        for cell in cells
    ]


def draw_bars(cells: Sequence[Cell]) -> Figure:
    """A panel for each region, a bar for each cell; published errors below those of the original's cells."""
    rows = sum(_rows_of(cell) for cell in cells)
    spacing = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.05)
    figure = Figure(figsize=(10.6, max(2.3, 1.35 + 0.4 * rows)), layout=spacing, facecolor="white")
    panels = figure.subplots(1, len(REGIONS), sharex="all", sharey="all")
    for panel, (region, title) in zip(panels, REGIONS.items(), strict=True):
        _draw_region(panel, cells, region)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("mean squared error", fontsize=8.5)
    at = np.cumsum([0.0] + [_rows_of(cell) for cell in cells])
    panels[0].set_yticks(at[:-1], [cell.label for cell in cells])
    panels[0].set_ylim(at[-1] - 0.4, -0.6)
    _, right = panels[0].get_xlim()
    panels[0].set_xlim(0, right * 1.18)  # room for the numbers
    figure.suptitle(
        "Reconstruction errors over 4,096 positions of circle and Gaussian", x=0.005, ha="left", fontsize=10
    )
    seeds = max(len(cell.errors["inside"]) for cell in cells)
    handles: list[Artist] = [Patch(facecolor=COLOUR, label="from the network's weights")]
    if seeds > 1:
        bars = ", with the 95% interval of their mean" if seeds >= FEWEST_SEEDS_WITH_BARS else ""
        dot = {"marker": "o", "markersize": 3, "color": "black", "markerfacecolor": "white", "linestyle": "none"}
        handles.append(Line2D([], [], label=f"seeds{bars}", **dot))  # type: ignore[arg-type]
    if any(cell.published for cell in cells):
        handles.append(Patch(facecolor="white", edgecolor="0.3", hatch="////", label="published by the original study"))
    if not all(cell.complete for cell in cells):
        handles.append(Patch(facecolor="white", edgecolor=COLOUR, label="not finished"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=8, frameon=False)
    return figure


def _draw_region(panel: Axes, cells: Sequence[Cell], region: str) -> None:
    at = 0.0
    for cell in cells:
        seeds = _means(cell.errors[region])
        mean, _, high = map(float, seed_interval(seeds))
        face = COLOUR if cell.complete else "white"
        panel.barh(at, mean, BAR, color=face, edgecolor=COLOUR, linewidth=1)
        if len(seeds) > 1:
            panel.plot(seeds, [at] * len(seeds), "o", markersize=3, color="black", markerfacecolor="white")
        if len(seeds) < FEWEST_SEEDS_WITH_BARS:
            high = mean
        else:
            panel.errorbar(mean, at, xerr=high - mean, fmt="none", ecolor="black", elinewidth=0.9, capsize=2)
        _write_number(panel, max(high, *seeds), at, mean)
        if cell.published:
            published = float(cell.published[region].mean())
            below = at + BAR / 2 + PUBLISHED_BAR / 2 + 0.04
            panel.barh(below, published, PUBLISHED_BAR, facecolor="white", edgecolor="0.3", linewidth=0.8, hatch="////")
            _write_number(panel, published, below, published)
        at += _rows_of(cell)
    panel.tick_params(labelsize=8)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=5)
    frame(panel, axis="x")


def _write_number(panel: Axes, right_of: float, at: float, value: float) -> None:
    panel.annotate(f"{value:#.3g}", (right_of, at), (4, 0), textcoords="offset points", va="center", fontsize=7)


def _rows_of(cell: Cell) -> float:
    return 1.6 if cell.published else 1.0


def _means(errors: NDArray[np.floating]) -> NDArray[np.float64]:
    """[S] each seed's error over all positions."""
    return errors.reshape(len(errors), -1).mean(axis=1, dtype=np.float64)


def over_positions(cell: Cell) -> dict[str, NDArray[np.float64]]:
    """Of each of `MAPS`, the errors [x, y] averaged over seeds and the other two axes."""
    averaged = {"circle": (0, 1, 2), "background": (0, 3, 4)}
    return {
        name: cell.errors[name.split()[0]].mean(axis=averaged[thing], dtype=np.float64)
        for name, (thing, _) in MAPS.items()
    }


def over_distances(cell: Cell) -> pd.DataFrame:
    """Errors of each region by the distance of circle and Gaussian, over all positions and seeds.

    Columns: `region`, `distance` (the middle of its bin, in pixels), `error` (mean), `lower_quartile`,
    `upper_quartile`, `pictures`, how many there are at that distance.
    """
    bins = np.floor(distances() / BIN_WIDTH)
    parts = []
    for region, errors in cell.errors.items():
        values = pd.DataFrame({"bin": np.tile(bins.ravel(), len(errors)), "error": errors.ravel().astype(float)})
        grouped = values.groupby("bin")["error"]
        columns = {
            "region": region,
            "distance": (np.unique(bins) + 0.5) * BIN_WIDTH,
            "error": grouped.mean(),
            "lower_quartile": grouped.quantile(0.25),
            "upper_quartile": grouped.quantile(0.75),
            "pictures": grouped.size() // len(errors),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Scales:
    """What all rows of all figures share."""

    norm: LogNorm
    """Of the maps' colours."""
    errors: tuple[float, float]
    """Ends of the axis of errors against distances."""

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> "Scales":
        """Scales that every cell fits."""
        low, high = _range(array for cell in cells for array in over_positions(cell).values())
        curves = [over_distances(cell) for cell in cells]
        lowest, highest = _range(
            curve.loc[curve["pictures"] >= FEWEST_PICTURES, "error"].to_numpy() for curve in curves
        )
        return cls(LogNorm(low, high), (lowest / 1.5, highest * 1.5))


def _range(arrays: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """The smallest and the largest value, so far above 0 and apart that a logarithmic scale can have them."""
    values = np.concatenate([array.ravel() for array in arrays])
    low = max(float(values.min()), 1e-9)
    return low, max(float(values.max()), 2 * low)


def draw_positions(cells: Sequence[Cell], scales: Scales) -> Figure:
    """A row of panels for each cell: its maps, and its errors against the distance."""
    spacing = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04)
    figure = Figure(figsize=(10.6, ROW_HEIGHT * len(cells) + 1.3), layout=spacing, facecolor="white")
    panels = figure.subplots(len(cells), len(MAPS) + 1, squeeze=False, width_ratios=[1] * len(MAPS) + [1.9])
    for row, cell in zip(panels, cells, strict=True):
        maps = over_positions(cell)
        for panel, (name, (thing, _)) in zip(row, MAPS.items(), strict=False):
            panel.imshow(maps[name].T, norm=scales.norm, cmap="viridis", extent=(-1 / 14, 15 / 14, 15 / 14, -1 / 14))
            panel.set(
                xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xticklabels=["0", ".5", "1"], yticklabels=["0", ".5", "1"]
            )
            panel.tick_params(labelsize=7, length=2)
            panel.spines[:].set_visible(False)
            panel.set_ylabel(f"{thing} y", fontsize=7.5, labelpad=1)
        _draw_distances(row[-1], cell, scales)
        row[0].set_ylabel(f"{_wrapped(cell.label)}\n\ncircle y", fontsize=7.5)
    for panel, (_, title) in zip(panels[0], MAPS.values(), strict=False):
        panel.set_title(title, fontsize=8)
    for panel, (thing, _) in zip(panels[-1], MAPS.values(), strict=False):
        panel.set_xlabel(f"{thing} x", fontsize=7.5)
    panels[0][-1].set_title("all regions\nover the distance of circle and Gaussian", fontsize=8)
    panels[-1][-1].set_xlabel("distance (pixels of 32×32)", fontsize=7.5)
    thickness = 0.13 / (ROW_HEIGHT * len(cells))  # the same, however many rows there are
    bar = figure.colorbar(
        ScalarMappable(scales.norm, "viridis"),
        ax=panels[:, : len(MAPS)],
        location="bottom",
        fraction=thickness,
        pad=0.01,
        aspect=35,
        shrink=0.6,
    )
    label_logarithms(bar.ax.xaxis, scales.norm.vmin, scales.norm.vmax)
    bar.set_label("mean squared error (logarithmic)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)  # type: ignore[operator]
    figure.suptitle("Reconstruction errors over positions", x=0.005, ha="left", fontsize=10)
    lines = [Line2D([], [], label=label, **STYLES[region]) for region, label in REGIONS.items()]
    figure.legend(handles=lines, loc="outside lower right", ncols=3, fontsize=8, frameon=False, handlelength=2.6)
    return figure


def _wrapped(label: str) -> str:
    """A label in lines that are no longer than a row is high."""
    unbroken = label.replace(" = ", "\u00a0=\u00a0")
    return "\n".join(textwrap.fill(line, LINE_LENGTH, break_long_words=False) for line in unbroken.splitlines())


def _draw_distances(panel: Axes, cell: Cell, scales: Scales) -> None:
    curves = over_distances(cell)
    curves = curves[curves["pictures"] >= FEWEST_PICTURES]
    for region in REGIONS:
        curve = curves[curves["region"] == region]
        panel.plot(curve["distance"], curve["error"], **STYLES[region])
        quartiles = curve["lower_quartile"].clip(lower=1e-12), curve["upper_quartile"]
        panel.fill_between(curve["distance"], *quartiles, color=STYLES[region]["color"], alpha=0.18, linewidth=0)
    panel.set(yscale="log", ylim=scales.errors, xlim=(0, None))
    label_logarithms(panel.yaxis, *scales.errors)
    panel.tick_params(labelsize=7)
    panel.set_ylabel("mean squared error", fontsize=7.5)
    frame(panel)


def tables(cells: Sequence[Cell]) -> dict[str, pd.DataFrame]:
    """The numbers behind the figures: over all positions, over those of one thing, and over distances."""
    bars, positions, curves = [], [], []
    for cell in cells:
        named = {"name": cell.name, **cell.settings}
        bars += [{**named, **_bar(cell, region)} for region in REGIONS]
        positions += [
            {**named, "region": name.split()[0], "over": thing, "x": x, "y": y, "error": errors[i, j]}
            for name, errors in over_positions(cell).items()
            for thing in (MAPS[name][0],)
            for i, x in enumerate(POSITIONS)
            for j, y in enumerate(POSITIONS)
        ]
        curves.append(over_distances(cell).assign(**named)[[*named, *over_distances(cell)]])
    return {
        "reconstruction_errors": pd.DataFrame(bars),
        "reconstruction_errors_positions": pd.DataFrame(positions),
        "reconstruction_errors_distances": pd.concat(curves, ignore_index=True),
    }


def _bar(cell: Cell, region: str) -> dict[str, Any]:
    """One region's error over all positions; and how far it is from what was published, in the mean and at most."""
    errors = cell.errors[region]
    mean, low, high = map(float, seed_interval(_means(errors)))
    row: dict[str, Any] = {
        "region": region,
        "error": mean,
        "ci_low": low,
        "ci_high": high,
        "seeds": len(errors),
        "states": cell.states,
    }
    if cell.published:
        published = cell.published[region]
        theirs = float(published.mean())
        row |= {"published": theirs, "difference": mean - theirs}
        row["largest_difference_at_a_position"] = float(np.abs(errors - published).max())
    return row


def write_errors(options: Options) -> list[Path]:
    """Draw reconstruction errors, and write the figures and the numbers behind them.

    Returns:
        The figures, and then the tables.

    Raises:
        UserError: there is no such sweep, cell, checkpoint or published number, no network that decodes, or the
            folder cannot be written.
    """
    subjects = subjects_of(options.path, options.cells, options.original, all_seeds=True)
    folder = folder_of(options.path, options.out)
    subjects = suitable(subjects, lambda subject: subject.config.traits.draws, "a supervised encoder decodes nothing")
    subjects = suitable(
        subjects,
        lambda subject: subject.config.is_of_one_circle,
        "pictures of anything but one circle in front of a Gaussian have no such regions",
    )
    cells = measure(subjects)
    if options.original:
        cells = with_published(cells, options.original)
    scales = Scales.of(cells)
    figures = {"reconstruction_errors": draw_bars(cells)}
    for name, rows in figures_of_rows("reconstruction_errors_positions", cells).items():
        figures[name] = draw_positions(rows, scales)
    return write(folder, figures, tables(cells))


def main(args: list[str] | None = None) -> None:
    """Draw where reconstructions fail: inside the circle, at its edge and in the background. Prints the files that it
    writes."""
    run_command(Options, write_errors, main.__doc__, args)


if __name__ == "__main__":
    main()
