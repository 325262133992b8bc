"""A sweep as one HTML page to look through: `python -m dd_ray.report results/inertia_grid_quick`.

The page opens in any browser, from a file, without a network. It shows the grid as a map, with a choice of metric and
sliders for λ (or whatever the third axis is) and the iteration; for the cell that is chosen on it the curves of all
seeds, reconstructions of held-out videos, traversals of each latent from −3 to 3, and its config; all cells as parallel
coordinates; and as a table to sort and filter. A search is shown as a scatter plot of what it drew instead of a map.

Means, intervals and marks of cells are those of `grid_maps.py`, at every iteration; `dd_ray.results.summary` says how
they are made. Pictures are of the first seed of a cell that has a network.

With `--serve`, a server on this machine shows the page without pictures, and with the numbers of this moment. Of a
storage of several sweeps, the page lists them: how far each is, and where its page is. Several sweeps that are named
are one page, as one grid.
"""

import sys
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pandas as pd
import tyro
from tqdm import tqdm

from dd_ray import results
from dd_ray.command_line import as_command, optional, parse_options
from dd_ray.config.extensions import taken_from
from dd_ray.errors import UserError, as_bytes
from dd_ray.report.content import collect
from dd_ray.report.front import FRONT, front_page, is_storage
from dd_ray.report.live import PAGE
from dd_ray.report.page import render
from dd_ray.report.server import serve
from dd_ray.results.paths import SweepPaths
from dd_ray.storage.exports import export
from dd_ray.storage.files import open_files
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.sweep_folder import SweepFolder

OF_A_SWEEP = ("metrics", "x", "y", "columns", "videos")
"""Options that the page of a storage does not take."""
OF_WRITTEN_PAGES = (*OF_A_SWEEP, "out")
"""Options that a server does not take."""


@dataclass(frozen=True, kw_only=True)
class Options(SweepPaths):
    """Options of the command line. A path by itself may also be a storage of sweeps."""

    metrics: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    """Columns of the table to show. All that every trial reports where none is given."""
    x: Annotated[str | None, optional("FIELD")] = None
    """Config field along x, spelled as on the command line of a sweep; γ where it is swept."""
    y: Annotated[str | None, optional("FIELD")] = None
    """Config field along y; β where it is swept."""
    columns: Annotated[str | None, optional("FIELD")] = None
    """Config field of the slider; λ where it is swept."""
    extension: Annotated[tuple[str, ...], optional("FILE.py [FILE.py ...]")] = ()
    """Python files of your own that the sweep was run with; they are run, for pictures of its networks."""
    videos: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Held-out videos whose reconstructions are shown for each cell; 0 for a page without pictures."""
    note: Annotated[str | None, optional("TEXT")] = None
    """Add a note, with the date, to the sweep's notes.md, which the page shows."""
    serve: bool = False
    """Show it in a browser of this machine until Ctrl-C, with newer numbers as they come; write nothing."""
    port: Annotated[int | None, optional("N")] = None
    """serve: port of 127.0.0.1; 0 for any that is free. 6007, or any, where it is not given."""
    out: Annotated[Path | None, optional("FILE")] = None
    """File to write. Where it is not given, `report.html` in the sweep's folder, or here if that is a URL or there are
    several sweeps."""


def write_report(options: Options) -> Path:
    """Write the page of a sweep, or the one that lists the sweeps of a storage, and return where it is.

    Raises:
        UserError: there is no such sweep, metric or axis, nothing was evaluated, or the file cannot be written.
    """
    if options.videos < 0:
        raise UserError(f"--videos {options.videos} is negative; give how many to show, or 0 for no pictures.")
    if not options.more and is_storage(options.path):
        return _write_front(options)
    places = {"x": options.x, "y": options.y, "columns": options.columns}
    table = results.load(*options.paths)
    content = collect(*options.paths, metrics=options.metrics, places=places, table=table)
    page = _pictured(content, table, options) if options.videos else render(content, [], [])
    here = Path() if options.more else SweepFolder.open(options.path).files.local or Path()
    out = options.out or here / PAGE
    file = out.absolute()  # so that a folder, such as `.`, has a name to be refused by
    export(file.parent, {file.name: as_bytes(page)})
    return out


def keep_note(path: str, text: str) -> str:
    """Append a note to those of a sweep, and say where it is.

    Raises:
        UserError: there is no such sweep, the note is empty, or the sweep's folder cannot be written.
    """
    if not text.strip():
        raise UserError("--note is empty; give the text to keep.")
    sweep = SweepFolder.open(path)
    sweep.add_note(text)
    return f"Note kept:   {sweep_location(sweep.location, 'notes.md')}"


def _write_front(options: Options) -> Path:
    """Write the page that lists the sweeps of a storage; it links to pages that are beside their sweeps."""
    if of_sweeps := _given(options, OF_A_SWEEP):
        raise UserError(f"--{of_sweeps[0]} is for the page of a sweep, and {options.path} is a storage; leave it out.")
    page = front_page(options.path, lambda line: f"{quote(line.name)}/{PAGE}" if line.has_page else None)
    out = options.out or (open_files(options.path).local or Path()) / FRONT
    file = out.absolute()
    export(file.parent, {file.name: as_bytes(page)})
    return out


def _pictured(content: dict[str, Any], table: pd.DataFrame, options: Options) -> str:
    # Networks take PyTorch, which takes longer to begin than a page without pictures takes in all.
    from dd_ray.report.pictures import Pictures  # noqa: PLC0415

    pictures, cells = Pictures(table, options.videos, *options.paths), content["cells"]
    hidden = not sys.stderr.isatty()
    shown = tqdm(pictures.of_cells(cells), total=len(cells), desc="Pictures", unit=" cells", disable=hidden)
    return render(content, shown, pictures.originals)


def _check_serves(options: Options) -> None:
    """Make sure that nothing is asked of a server that it does not do, nor the other way round.

    Raises:
        UserError: something is.
    """
    if options.serve and options.more:
        raise UserError(f"--serve shows {options.path} alone; of several sweeps, write a page without --serve.")
    if options.serve and (of_pages := _given(options, OF_WRITTEN_PAGES)):
        raise UserError(f"--{of_pages[0]} is for a page that is written; leave it out, or --serve.")
    if options.port is not None and not options.serve:
        raise UserError(f"--port {options.port} is for --serve; give both, or neither.")


def _given(options: Options, names: Collection[str]) -> list[str]:
    """Return those of the named options that have other values than their defaults."""
    given = (each.name for each in fields(Options) if getattr(options, each.name) != each.default)
    return [name for name in given if name in names]


def main(args: list[str] | None = None) -> None:
    """Write a page that shows everything of a sweep. Prints the file."""
    with as_command():
        _, args = taken_from(sys.argv[1:] if args is None else args)
        options = parse_options(Options, args, main.__doc__)
        _check_serves(options)
        if options.note is not None:
            print(keep_note(options.path, options.note), flush=True)
        if options.serve:
            serve(options.path, options.port)
        else:
            print(write_report(options))
