"""Where reconstructions fail: `python analysis/reconstruction_errors.py results/beta_grid_quick`.

Mean squared errors inside the circle, at its edge and in the background (`dd_ray.data.Regions`), decoded from the
posterior means of still pictures at 8 positions on each of the four axes, 4,096 in all; a supervised decoder draws them
from their factors. Video models are asked about their encoder and decoder: in a video at rest their filter changes
nothing (`dd_ray.evaluation.encode_stills`).

- `reconstruction_errors.png`: each region's error over all positions, a bar for each cell, seeds averaged; each region
  on a scale of its own, since the background's is a fraction of the circle's. With
  `--original FOLDER` also of the original study's networks, from its checkpoints in `FOLDER/checkpoints`, beside the
  numbers that it published itself, `FOLDER/region_errors.npz`; the table has the differences.
- `reconstruction_errors_positions.png`: a row for each cell: each region's error over the positions of the circle and,
  of the background, over those of the Gaussian, averaged over the other two axes, x to the right and y down as in the
  pictures; and the errors against the distance of the circle's centre and the Gaussian's, in pixels of 32×32,
  mean and range from the lower to the upper quartile. All rows are on the same scales, which are logarithmic.

Networks of other pictures than one circle in front of a Gaussian are left out, since they have no such regions, and so
are supervised encoders, which decode nothing.

Seeds that got less far than others of their cell are left out of its mean, and the cell's name says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd

from dd_ray.figures.common import (
    figures_of_rows,
    folder_of,
    run_command,
    write,
)
from dd_ray.figures.error_cells import (
    MAPS,
    POSITIONS,
    REGIONS,
    CellErrors,
    Published,
    means_of_seeds,
    measure,
    over_positions,
)
from dd_ray.figures.error_panels import (
    BARS_REST,
    POSITIONS_REST,
    ROW_HEIGHT,
    ErrorScales,
    draw_bars,
    draw_positions,
    height_of_bars,
    limits_of_bars,
)
from dd_ray.figures.networks import NetworkOptions, subjects_of, suitable, trials_option
from dd_ray.metrics import seed_interval


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Options of the command line."""

    cells: Annotated[tuple[str, ...], trials_option("all")] = ()


def tables(cells: Sequence[CellErrors]) -> dict[str, pd.DataFrame]:
    """Return the numbers behind the figures: over all positions, over those of one thing, and over distances."""
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
        curves.append(cell.distances.assign(**named)[[*named, *cell.distances]])
    return {
        "reconstruction_errors": pd.DataFrame(bars),
        "reconstruction_errors_positions": pd.DataFrame(positions),
        "reconstruction_errors_distances": pd.concat(curves, ignore_index=True),
    }


def _bar(cell: CellErrors, region: str) -> dict[str, Any]:
    """Return one region's error over all positions, and its mean and largest distance from the published errors."""
    errors = cell.errors[region]
    mean, low, high = map(float, seed_interval(means_of_seeds(errors)))
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
        UserError: there is no such sweep, trial, checkpoint or published number, no network that decodes, or the
            folder cannot be written.
    """
    subjects = subjects_of(options.path, options.cells, options.original, all_seeds=True)
    folder = folder_of(options.path, options.out)
    subjects = suitable(subjects, lambda subject: subject.config.traits.draws, "a supervised encoder decodes nothing")
    subjects = suitable(
        subjects,
        lambda subject: subject.config.is_of_one_circle,
        "pictures of anything but one circle in front of a Gaussian have no such regions, nor have those of another "
        "radius or contrast, or with an occluder",
    )
    published = Published.read(options.original) if options.original else None
    cells = measure(subjects)
    if published:
        cells = [published.beside(cell) for cell in cells]
    scales = ErrorScales.of(cells)
    limits = limits_of_bars(cells)
    bars = figures_of_rows("reconstruction_errors", cells, height_of_bars, BARS_REST)
    positions = figures_of_rows("reconstruction_errors_positions", cells, lambda _: ROW_HEIGHT, POSITIONS_REST)
    figures = {name: draw_bars(rows, limits) for name, rows in bars.items()}
    figures |= {name: draw_positions(rows, scales) for name, rows in positions.items()}
    return write(folder, figures, tables(cells), progress=True)


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw where the reconstructions of a sweep's networks fail into a folder; see `write_errors`."""
    return write_errors(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw where reconstructions fail: inside the circle, at its edge and in the background. Prints the files that it
    writes."""
    run_command(Options, write_errors, main.__doc__, args)
