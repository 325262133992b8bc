"""Draws figures: each has a module, which a script of `analysis/` runs, and which the end of a sweep calls.

grid_maps              metrics over the axes of a grid
effects                what each axis changes, and two of them together: a table
tradeoff               what disentanglement costs
search_results         what a search found
generalisation         errors of held-out and of seen data
entanglement           which latent follows which factor
learning_curves        how metrics come to be
contrasts              what fresh seeds say of the chosen cells of a sweep
reconstructions        what networks make of a held-out video
traversals             what networks show: traversals, videos, dreams, and their lag
reconstruction_errors  where reconstructions fail

looks      what colours, shapes, sizes and lines mean where cells are points
common     words of marks, colours that tell settings apart, axes, writing, and a command's `main`
colour_scale, number_text, colour_bar         a metric's values as colours and text, and the bar that explains them
cell_marks, maps, axis_curves, map_legend     marks of cells, panels of cells over two axes or one, and a legend of the
                                              marks, for `grid_maps`
sheets     pictures beside each other, and animations
networks   the networks that a figure is asked for
lag        the lag of networks
network_pictures, network_animations         a network's pictures and animations, for `traversals`
error_cells, error_panels                    errors of regions and their panels, for `reconstruction_errors`
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from dd_ray.config.urls import own_path
from dd_ray.errors import UserError
from dd_ray.storage.exports import make_folder
from dd_ray.sweep.study import DrawFigure

FIGURES = (
    "grid_maps",
    "effects",
    "tradeoff",
    "search_results",
    "generalisation",
    "entanglement",
    "learning_curves",
    "contrasts",
    "reconstructions",
    "traversals",
    "reconstruction_errors",
)
"""The figures that a study can name, each a module with a function `draw_sweep`."""


def check_figures(figures: Iterable[str | DrawFigure]) -> None:
    """Make sure, without importing it, that each figure of a study exists.

    Raises:
        UserError: it is neither the name of a figure nor a function.
    """
    for figure in figures:
        if not callable(figure) and figure not in FIGURES:
            raise UserError(f"there is no figure {figure!r}; a study can name {', '.join(FIGURES)}.")


def draw_figure(
    figure: str | DrawFigure, location: str | Path, folder: str | Path, format: str = "png"
) -> Sequence[Path]:
    """Draw a figure of a sweep into a folder, and return the files that were written.

    A figure is imported when it is drawn: Matplotlib and PyTorch take seconds, and most figures need no network.

    Args:
        figure: a name of `FIGURES`, or a function that is called with location and folder.
        location: folder or URL of the sweep.
        folder: where to write; it is made if it is not there.
        format: png, pdf or svg; a function has a format of its own.

    Raises:
        UserError: there is no such figure or format, nothing to draw, the folder cannot be written, or a function
            returns something else than files.
    """
    check_figures([figure])
    location, folder = str(location), own_path(folder)
    if callable(figure):
        make_folder(folder, "the folder of figures")
        return _files_of(figure(location, folder))
    with import_module(f"{__name__}.common").written_as(format):
        return import_module(f"{__name__}.{figure}").draw_sweep(location, folder)


def _files_of(returned: Any) -> list[Path]:
    """Return the files that a user's own function says it has written: a path, or several."""
    try:
        return [Path(each) for each in ([returned] if isinstance(returned, str | Path) else returned)]
    except TypeError as error:
        raise UserError(f"it returns {returned!r}; let it return the files that it wrote, a list of paths.") from error
