"""Helpers of all figures: letters of marks, colours of settings, axes, writing files, and commands."""

import io
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from tqdm import tqdm

from dd_ray.command_line import Format, as_command, optional, parse_options
from dd_ray.config.extensions import taken_from
from dd_ray.config.symbols import written
from dd_ray.config.urls import own_path
from dd_ray.errors import UserError, printable
from dd_ray.results.paths import SweepPaths
from dd_ray.results.table import as_csv, open_all
from dd_ray.storage.exports import export

MARKS = {
    "failed": ("F", "failed"),
    "diverged": ("D", "diverged"),
    "undefined": ("–", "no value of this metric"),
    "unfinished": ("U", "unfinished"),
    "stopped_early": ("S", "stopped early"),
    "out_of_time": ("T", "out of its time"),
    "at_plateau": ("P", "ended at a plateau"),
    "absent": ("·", "not part of the sweep"),
    "complete": ("", "complete"),
}
"""Letter and meaning of each mark of `dd_ray.results.averages`, the worst first."""
BETTER = {"min": "lower is better", "max": "higher is better", None: ""}
"""Words for the better side of a metric."""
DPI = 150
MOST_PIXELS = 1600
"""The most pixels of a figure along either side, so that it can be looked at as a whole."""
LARGEST = MOST_PIXELS / DPI
"""The same in inches; what needs more goes on in another figure."""
VERMILION, BLUE = "#D55E00", "#0072B2"
"""Two colours that the colour-blind can tell apart (Wong 2011, Nature Methods 8, p. 441)."""
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
"""Styles that tell lines apart where colours do not."""
FEWEST_SEEDS_WITH_BARS = 3
"""The fewest seeds whose intervals are drawn: that of two seeds is 13 times as long as their distance, and would hide
everything."""
_PALEST = 0.88
"""The part of viridis that is used on white; the rest is too pale to be seen there."""

Colour = tuple[float, float, float, float]
CellRow = Mapping[Hashable, Any]
"""A cell: a row of `dd_ray.results.summary.Summary.cells`, or of what else has a row for each cell."""
_Options = TypeVar("_Options")
_Row = TypeVar("_Row")
_Part = TypeVar("_Part")


def ordered_colours(number: int) -> list[Colour]:
    """Return colours for ordered values, dark to bright, which are distinct for the colour-blind and in grey."""
    return [mpl.colormaps["viridis"](place) for place in np.linspace(0, _PALEST, max(number, 2))[:number]]


def frame(panel: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Style axes with points or lines: a pale grid behind them at the ticks of `axis`, and no box."""
    panel.grid(axis=axis, color="0.92", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def label_logarithms(axis: Axis, low: float | None = None, high: float | None = None) -> None:
    """Put ticks on a logarithmic axis at powers of ten and, if few or without given ends, at 2 and 5 times them."""
    few = (high or 1.0) < 100 * (low or 1.0)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def figures_of_rows(
    name: str, rows: Sequence[_Row], height: Callable[[_Row], float], rest: float
) -> dict[str, Sequence[_Row]]:
    """Distribute rows over as many figures as they need: `NAME`, or `NAME_1` and so on if one is not enough.

    Args:
        name: of the files.
        rows: what the figures show, in order.
        height: returns the inches that a row takes.
        rest: inches that each figure takes besides.
    """
    parts: list[list[_Row]] = []
    left = 0.0
    for row in rows:
        if not parts or height(row) > left:
            parts.append([])
            left = LARGEST - rest
        parts[-1].append(row)
        left -= height(row)
    return numbered(name, parts)


def numbered(name: str, parts: Sequence[_Part]) -> dict[str, _Part]:
    """Name the parts of a figure: `NAME`, or `NAME_1` and so on if they are several."""
    return {name if len(parts) == 1 else f"{name}_{number}": part for number, part in enumerate(parts, 1)}


@dataclass(frozen=True, kw_only=True)
class FigureOptions(SweepPaths):
    """Options of the command line of every figure of sweeps."""

    out: Annotated[Path | None, optional("FOLDER")] = None
    """Folder to write to. Where it is not given, `figures` in the sweep's folder, or here if that is a URL or there are
    several sweeps."""


@dataclass(frozen=True, kw_only=True)
class DrawnOptions(FigureOptions):
    """Options of those that draw, and do not write numbers alone."""

    format: Format = "png"
    """Format of the figures: pdf and svg are for a paper, and hold text as text."""


def folder_of(path: str | Path | None, out: Path | None, more: Sequence[str] = ()) -> Path:
    """Return the folder for figures: the given one, or `figures` in the sweep's folder.

    It is `figures` here if the sweep is at a URL, or if it is shown with more, since their figure is not its own.

    Raises:
        UserError: neither is given.
    """
    if out is not None:
        return out
    if path is None:
        raise UserError("nowhere to write to; without a sweep, give --out FOLDER.")
    return (Path() if more or "://" in str(path) else own_path(path)) / "figures"


def name_in_title(*paths: str | Path) -> str:
    """Return the names of the sweeps at paths as Matplotlib writes them, in which a dollar sign begins no formula."""
    names = [sweep.name for sweep in open_all(*paths).values()]
    return written(printable(", ".join(names)))


def write(
    folder: Path, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame], *, progress: bool = False
) -> list[Path]:
    """Write figures as NAME.png, or in the format of the block (`written_as`), and tables as NAME.csv.

    Args:
        folder: where to write.
        figures: by name.
        tables: by name.
        progress: whether to show a bar, on a terminal.

    Returns:
        Their paths.

    Raises:
        UserError: the folder cannot be written.
    """
    drawn = tqdm(figures.items(), desc="figures", disable=None if progress else True, leave=False)
    ending = mpl.rcParams["savefig.format"]
    contents = {f"{name}.{ending}": _content(figure, ending) for name, figure in drawn}
    contents |= {f"{name}.csv": as_csv(table) for name, table in tables.items()}
    return export(folder, contents)


def written_as(format: str) -> AbstractContextManager[None]:
    """Let the figures that are written in the block have a format, with text that can be searched and edited.

    Raises:
        UserError: there is no such format.
    """
    if format not in get_args(Format):
        raise UserError(f"there is no format {format!r}; give {', '.join(get_args(Format))}.")
    return mpl.rc_context({"savefig.format": format, "pdf.fonttype": 42, "svg.fonttype": "none"})


def _content(figure: Figure, ending: str) -> bytes:
    content = io.BytesIO()
    # What is too large and cannot be divided, such as the frames of a long video, is drawn with fewer pixels.
    figure.savefig(content, format=ending, dpi=min(DPI, MOST_PIXELS / max(figure.get_size_inches())))
    return content.getvalue()


def run_command(
    options: type[_Options],
    write_files: Callable[[_Options], Sequence[Path]],
    about: str | None,
    args: list[str] | None,
) -> None:
    """Run a script: read its options, write its files and print their paths.

    Args:
        options: dataclass of the options.
        write_files: writes the script's files for some options.
        about: the description in `--help`.
        args: the words of the command line; None means those of the process.
    """
    with as_command():
        _, args = taken_from(sys.argv[1:] if args is None else args)
        asked = parse_options(options, args, about)
        with written_as(getattr(asked, "format", "png")):
            paths = write_files(asked)
        for path in paths:
            print(path)
