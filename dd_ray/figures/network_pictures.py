"""Draws a network's pictures: traversals of its latents, videos that it reconstructs, and its dreams."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure

from dd_ray import probes
from dd_ray.command_line import optional
from dd_ray.config.symbols import setting, symbol
from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.evaluation import encode_pictures
from dd_ray.figures.networks import NetworkOptions, trials_option
from dd_ray.figures.sheets import GAP, SIDE, Grid, Picture, Sheet
from dd_ray.probes.lag import circle_lags
from dd_ray.probes.networks import Network

LOW, HIGH, STEPS = -3.0, 3.0, 7
VIDEOS_IN_STRIP = 2
MOST_PICTURED = 8
"""The most networks whose pictures are drawn if no trials are named."""
DIFFERENCE = (
    "difference: dark where the reconstruction is too dark, white where it is too bright; full scale ±½ of white"
)


@dataclass(frozen=True, kw_only=True)
class Options(NetworkOptions):
    """Options of the command line."""

    cells: Annotated[
        tuple[str, ...], trials_option(f"the first seed of all cells, and pictures of {MOST_PICTURED} of them")
    ] = ()
    gamma: Annotated[tuple[float, ...], tyro.conf.arg(metavar="X [X ...]")] = probes.DREAM_GAMMAS
    """Values of γ to dream with, a row for each."""
    seen: int = probes.DREAM_SEEN
    """Frames that a network sees before it dreams."""
    videos: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]")] = (0, 1, 2, 3)
    """Numbers of the held-out videos to show; figures show the first two, and the dream of the first."""
    base: Annotated[int | None, optional("N")] = None
    """Number of a held-out video (or still picture) whose first frame is the base of the traversals; the picture whose
    factors are nearest to 0.5 where it is not given."""
    dreamt: Annotated[int | None, optional("N")] = None
    """Frames of a dream, the seen ones included; as many as the video has where it is not given."""

    def check(self) -> None:
        """Raise a `UserError` if nothing is asked for."""
        if not self.gamma:
            raise UserError("--gamma without a value leaves no dream to draw; give one or more in [0, 1].")
        if not self.videos or min(self.videos) < 0:
            raise UserError(f"--videos {' '.join(map(str, self.videos))} names no videos; give numbers from 0 on.")

    def videos_for(self, subject: Network) -> Batch:
        """Return the held-out videos to show."""
        batch = probes.held_out_videos(subject.config, max(self.videos) + 1)
        if max(self.videos) >= len(batch.images):
            raise UserError(
                f"--videos {' '.join(map(str, self.videos))} names a video that there is not; the data hold out "
                f"{len(batch.images)}, numbered from 0 on."
            )
        which = list(self.videos)
        return batch.map(lambda tensor: tensor[which])

    def base_for(self, subject: Network) -> probes.HeldOutPicture:
        """Return the held-out picture that is the base of traversals."""
        if self.base is None:
            return probes.middle_picture(subject.config)
        return probes.held_out_picture(subject.config, self.base)


def title_of(subject: Network) -> str:
    """Describe a network in words: its model, objective, β and γ, and the settings that distinguish it from others."""
    config = subject.config
    if subject.state == "original":
        return f"original study's {config.traits.title}, {setting(subject.settings) or subject.name}"
    values: dict[str, Any] = {} if config.objective == "beta" else {"objective": config.objective}
    if "beta_norm" not in subject.settings and config.objective != "capacity":
        values["beta"] = config.beta_value
    if config.takes("gamma"):
        values["gamma"] = config.gamma
        values |= {} if config.learn_gamma == "none" else {"learn_gamma": config.learn_gamma}
    note = "" if subject.state == "finished" else f", {subject.state.replace('_', ' ')} at {subject.iteration}"
    swept = {name: value for name, value in subject.settings.items() if name != "model"}  # the title has it in words
    return f"{config.traits.title}, {setting(values | swept)}{note}"


def by_kl(latents: pd.DataFrame) -> pd.DataFrame:
    """Sort the latents of a table as they are shown, by descending KL."""
    return latents.sort_values(["kl", "variance"], ascending=False, kind="stable")


def difference(originals: Picture, reconstructions: Picture) -> Picture:
    """Return reconstruction less original, about a middle grey and cut off at ±½ of white."""
    return (reconstructions.astype(int) - originals + 127).clip(0, 255).astype(np.uint8)


def draw_traversal(subject: Network, latents: pd.DataFrame, base: probes.HeldOutPicture) -> Figure:
    """Draw pictures of each latent from −3 to 3, and its numbers on held-out data."""
    at = encode_pictures(subject.model, base.picture[None])[0]
    pictures = probes.traversal(subject.model, subject.config, STEPS, LOW, HIGH, base=at)
    # At its own value, any latent shows the base itself.
    decoded = probes.traversal(subject.model, subject.config, 1, at[0], at[0], base=at)[0, 0]
    left, top = 0.75, 1.85
    table = left + STEPS * (SIDE + GAP) + 0.1
    sheet = Sheet(
        table + 3.75,
        top + len(latents) * (SIDE + GAP) + 0.1,
        f"Latents from −3 to 3, {title_of(subject)}",
        "each alone, the others at the posterior mean of the picture below; ordered by their KL",
    )
    sheet.show(left, 0.65, base.shown)
    sheet.show(left + SIDE + GAP, 0.65, decoded)
    where = ", ".join(
        f"{symbol(name)} {value:.2f}" for name, value in zip(subject.config.factor_names, base.factors, strict=True)
    )
    frame = f"frame {base.frame} of held-out video {base.video}"
    frame = f"held-out picture {base.video}" if subject.config.frames == 1 else frame
    sheet.write(left + 2 * (SIDE + GAP) + 0.05, 0.65 + SIDE / 2, f"{frame}, and its reconstruction\n{where}")
    values = [f"{value:g}".replace("-", "−") for value in np.linspace(LOW, HIGH, STEPS)]
    rows = [(latent_name(row), pictures[row["latent"]]) for row in rows_of(latents)]
    sheet.show_grid(left, top, Grid(rows, values, {}))
    for x, name in zip(_COLUMNS, ("variance\nof mean", "mean posterior\nvariance", "KL (nats)"), strict=True):
        sheet.write(table + x, top - 0.15, name, ha="right", fontsize=7.5)
    sheet.write(table + 2.45, top - 0.15, "follows (correlation)", fontsize=7.5)
    for i, row in enumerate(rows_of(latents)):
        y, look = top + i * (SIDE + GAP) + SIDE / 2, {"color": "black" if row["active"] else "0.5"}
        for x, name in zip(_COLUMNS, ("variance", "posterior_variance", "kl"), strict=True):
            sheet.write(table + x, y, _number(row[name]), ha="right", **look)
        sheet.write(table + 2.45, y, follows(row), **look)
    return sheet.figure


_COLUMNS = (0.6, 1.55, 2.2)
"""Inches from the beginning of the table to the right ends of its numbers."""


def draw_video(subject: Network, options: Options) -> Figure:
    """Draw frames of held-out videos, their reconstructions and the differences, with the lag of each frame."""
    batch = options.videos_for(subject)
    originals, reconstructions = probes.reconstruct(subject.model, batch)
    lags = circle_lags(subject.model, batch) if subject.config.is_of_one_circle else None
    rows: list[tuple[str, Picture | Sequence[Picture | None]]] = []
    notes = {}
    for video, number in enumerate(options.videos[:VIDEOS_IN_STRIP]):
        rows += [
            (f"video {number}", originals[video]),
            ("reconstruction", reconstructions[video]),
            ("difference", difference(originals[video], reconstructions[video])),
        ]
        if lags is not None:
            notes[len(rows) - 1] = ["no circle" if math.isnan(lag) else signed(lag, "{:.1f} px") for lag in lags[video]]
    first = batch.images.shape[1] - originals.shape[1]
    columns = [f"frame {first + i}" for i in range(originals.shape[1])]
    about = DIFFERENCE
    if lags is not None:
        about += ";\nbelow it, how far the reconstructed circle is behind, in pixels of the 32×32 picture"
    return _strip(f"Held-out videos, {title_of(subject)}", about, Grid(rows, columns, notes))


def draw_dream(subject: Network, dreams: "Dreams") -> Figure:
    """Draw a held-out video and the dreams of it, each frame below the one that it stands for."""
    rows: list[tuple[str, Picture | Sequence[Picture | None]]] = [("video", dreams.frames(dreams.originals[0], 0))]
    for gamma, dreamt in dreams.by_gamma.items():
        rows.append((f"γ = {gamma:g}", dreams.frames(dreamt[0], dreams.delay)))
    columns = [f"frame {i}" + ("\nseen" if i < dreams.seen else "") for i in range(dreams.length)]
    about = f"{dreams.seen} frames are seen, and then none: the latents go on in a straight line (α = {dreams.alpha:g})"
    if dreams.delay:
        about += ";\nlatent i is decoded to frame i + 1"
    return _strip(f"Dreams of a held-out video, {title_of(subject)}", about, Grid(rows, columns, {}))


def _strip(title: str, about: str, grid: Grid) -> Figure:
    left, top = 1.1, 1.0
    height = top + len(grid.rows) * (SIDE + GAP) + 0.3 * len(grid.notes) + 0.05
    width = left + len(grid.columns) * (SIDE + GAP) + 0.1
    sheet = Sheet(max(width, 6.6), height, title, about)
    sheet.show_grid(left, top, grid)
    return sheet.figure


@dataclass(frozen=True)
class Dreams:
    """A network's dreams of held-out videos."""

    originals: Picture
    """The original videos, [B, T, H, W]."""
    by_gamma: Mapping[float, Picture]
    """The dreams by γ, [B, T', H, W] each; picture i stands for frame i + `delay`."""
    seen: int
    delay: int
    alpha: float

    @classmethod
    def of(cls, subject: Network, options: Options) -> "Dreams":
        """Compute a network's dreams.

        Raises:
            UserError: more frames shall be seen than there are, or γ is out of range.
        """
        batch = options.videos_for(subject)
        delay = subject.config.latent_delay
        length = options.dreamt or batch.images.shape[1] - delay
        if options.seen > batch.images.shape[1]:
            raise UserError(f"--seen {options.seen} is more than the {batch.images.shape[1]} frames of a video.")
        context = batch.images[:, : options.seen]
        by_gamma = {gamma: probes.dream(subject.model, context, gamma, length) for gamma in options.gamma}
        return cls(probes.pictures_of(batch.images), by_gamma, options.seen, delay, float(subject.model.alpha))

    @property
    def length(self) -> int:
        """Number of frames to show, from frame 0 on."""
        return max(dreamt.shape[1] for dreamt in self.by_gamma.values()) + self.delay

    def frames(self, pictures: Picture, first: int) -> list[Picture | None]:
        """Return pictures of one video by frame, None for missing ones; the first picture is that of frame `first`."""
        return [
            pictures[i - first] if 0 <= i - first < len(pictures) else None  # the longest is as long as a dream
            for i in range(self.length)
        ]


def rows_of(latents: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table of latents as dictionaries by the columns' names."""
    return [{str(name): value for name, value in row.items()} for row in latents.to_dict("records")]


def latent_name(row: Mapping[str, Any], plain: bool = False) -> str:
    """Name a latent, in brackets if it is not active; `plain` for output that cannot typeset formulas."""
    name = f"z{row['latent']}" if plain else f"z$_{{{row['latent']}}}$"
    return name if row["active"] else f"({name})"


def follows(row: Mapping[str, Any]) -> str:
    """Name the factor that a latent follows, with their correlation."""
    if not row["active"]:
        return "not active"
    if row["follows"] is None:
        return "no factors"
    return f"{symbol(row['follows'])} ({signed(row['correlation'], '{:.2f}')})"


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    # Posterior variances go down to 1e-6 of the prior's.
    return f"{value:.1e}" if 0 < value < 5e-4 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def signed(value: float, form: str) -> str:
    """Write a number with a minus sign, and without one where it is rounded to zero."""
    text = form.format(abs(value))
    return text if value >= 0 or not re.search("[1-9]", text) else f"−{text}"
