"""Reconstructions of a held-out video: `python analysis/reconstructions.py results/inertia_grid_quick`.

`reconstructions.png` has the frames of a held-out video, and below them their reconstructions by the first seed of each
cell, from posterior means without sampling. Networks that predict frames have none for the first frames. If there are
many cells, as many are shown as fit; `--cells` names others.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from matplotlib.figure import Figure

from dd_ray import probes
from dd_ray.config import TrialConfig, data_config
from dd_ray.config.symbols import setting
from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.figures.common import folder_of, run_command, write
from dd_ray.figures.networks import NetworkOptions, subjects_of, suitable, trials_option
from dd_ray.figures.sheets import GAP, SIDE, Grid, Picture, Sheet
from dd_ray.probes.networks import Network

MOST_SHOWN = 12
"""The most cells that are shown if none is named."""
LEFT, TOP = 2.6, 0.85


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Options of the command line."""

    cells: Annotated[tuple[str, ...], trials_option(f"the first seed of {MOST_SHOWN} cells")] = ()
    video: int = 0
    """Number of the held-out video."""


def write_reconstructions(options: Options) -> list[Path]:
    """Draw what networks show of a held-out video, and return the file.

    Raises:
        UserError: there is no such sweep, trial or video, or the folder cannot be written.
    """
    subjects = suitable(
        subjects_of(options.path, options.cells, options.original, all_seeds=False),
        lambda subject: subject.config.traits.has_latents,
        "only models with latents reconstruct",
    )
    if len(subjects) > MOST_SHOWN and not options.cells:
        print(f"reconstructions of {MOST_SHOWN} of {len(subjects)} cells; name others by --cells", file=sys.stderr)
        subjects = subjects[:MOST_SHOWN]
    folder = folder_of(options.path, options.out)
    return write(folder, {"reconstructions": draw(subjects, options.video)}, {})


def draw(subjects: Sequence[Network], video: int) -> Figure:
    """Draw a held-out video, and a row for each network. Networks of other data than the first's are shown their own.

    Raises:
        UserError: the data have no such held-out video.
    """
    rows: list[tuple[str, Picture | Sequence[Picture | None]]] = []
    shown: TrialConfig | None = None
    frames = 0
    for subject in subjects:
        if (of := data_config(subject.config.data)) != shown:
            batch = _video(subject, video)
            original = probes.pictures_of(batch.images)[0]
            rows.append(("original", original))
            shown, frames = of, max(frames, len(original))
        reconstructed = probes.reconstruct(subject.model, batch)[1][0]
        blank: list[Picture | None] = [None] * (len(original) - len(reconstructed))
        rows.append((_name(subject), [*blank, *reconstructed]))
    columns = [f"frame {i}" for i in range(frames)]
    sheet = Sheet(
        LEFT + frames * (SIDE + GAP) + 0.1,
        TOP + len(rows) * (SIDE + GAP) + 0.1,
        f"Held-out video {video}, and what networks make of it",
        "the first seed of each cell; from posterior means",
    )
    sheet.show_grid(LEFT, TOP, Grid(rows, columns, {}))
    return sheet.figure


def _video(subject: Network, number: int) -> Batch:
    batch = probes.held_out_videos(subject.config, max(number, 0) + 1)
    if number < 0 or number >= len(batch.images):
        raise UserError(f"--video {number} is none that is held out; give 0 to {len(batch.images) - 1}.")
    return batch.map(lambda tensor: tensor[number : number + 1])


def _name(subject: Network) -> str:
    """Return the settings, without the seed, that distinguish a network from the others, and its state."""
    told = {field: value for field, value in subject.settings.items() if field != "seed"}
    note = "" if subject.state in ("finished", "original") else f"\n{subject.state.replace('_', ' ')}"
    return (setting(told) or subject.config.traits.title).replace(", ", ",\n", 1) + note


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw what the networks of a sweep show of a held-out video into a folder; see `write_reconstructions`."""
    return write_reconstructions(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw what networks show of a held-out video. Prints the file that it writes."""
    run_command(Options, write_reconstructions, main.__doc__, args)
