"""What a network's latents show: `python analysis/traversals.py results/inertia_grid_quick --cells best:linear_r2`.

For each network, NAME being its label:

- `traversal_NAME.png`, `.gif`: a row of pictures for each latent, decoded from the posterior mean of a held-out picture
  (the one whose factors are nearest to 0.5, which stands above) with that latent going from −3 to 3; beside it the
  latent's variance, its KL, and the factor that it follows. The latents are ordered by their KL.
- `video_NAME.png`, `.gif`: held-out videos, their reconstructions, and the differences. Networks of still pictures are
  shown videos frame by frame.
- `dream_NAME.png`, `.gif`: what the network shows if it sees only the first frames of a video, at each `--gamma`. While
  it sees them, z_i = (1 − γ) e_i + γ ẑ_i; after them, z_i = ẑ_i = z_{i−1} + α (z_{i−1} − z_{i−2}), so that γ decides
  only what the dream begins with. See `dd_ray.probes.answers.dream`.

And for all of them, seeds each by itself:

- `lag.png`: how far the circle in the reconstructions is behind the circle in the originals, along its motion, against
  γ: the median over those frames of 128 held-out videos that show a circle, with a 95% interval over videos; and the
  share of these frames. Nothing is said of the lag of fewer than 10% of the frames.
- `traversal_latents.csv`, `lag.csv` and `lag_by_frame.csv`: the numbers.

Everything is decoded from posterior means, without sampling.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure
from tqdm import tqdm

from dd_ray import probes
from dd_ray.command_line import optional
from dd_ray.data import Batch, make_dataset, render_stills
from dd_ray.errors import UserError
from dd_ray.evaluation import encode_stills
from dd_ray.figures.common import folder_of, plain, run_command, setting, symbol, write
from dd_ray.figures.lag import draw_lag
from dd_ray.figures.sheets import GAP, SIDE, Animation, Grid, Picture, Sheet, picture_sheet, write_gif
from dd_ray.probes.lag import NO_LAG, Lag, circle_lags, median_lag, motion_per_frame
from dd_ray.probes.networks import Network, NetworkOptions, subjects_of, suitable, trials_option

LOW, HIGH, STEPS = -3.0, 3.0, 7
ANIMATED_STEPS = 19
LAG_VIDEOS = 128
VIDEOS_IN_STRIP = 2
MOST_PICTURED = 8
"""Networks whose pictures are drawn where no cells are named."""
PICTURES_IN_ROW = 5
"""Of an animation."""
FRAME_AND_PAUSE = 250, 750
"""Milliseconds of a frame in an animation of videos, and for how much longer the last one stays."""
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
    """γ of the dreams, each a row."""
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
        """Raise `UserError` where nothing is asked for."""
        if not self.gamma:
            raise UserError("--gamma without a value leaves no dream to draw; give one or more in [0, 1].")
        if not self.videos or min(self.videos) < 0:
            raise UserError(f"--videos {' '.join(map(str, self.videos))} names no videos; give numbers from 0 on.")

    def videos_for(self, subject: Network) -> Batch:
        """The held-out videos to show."""
        batch = probes.held_out_videos(subject.config, max(self.videos) + 1)
        which = list(self.videos)
        return Batch(batch.images[which], batch.factors[which], batch.factor_names)

    def base_for(self, subject: Network) -> probes.HeldOutPicture:
        """The held-out picture that traversals begin with."""
        if self.base is None:
            return probes.middle_picture(subject.config)
        return probes.held_out_picture(subject.config, self.base)


def file_name(what: str, subject: Network) -> str:
    """`what` and the network's label, without what file names had better not have."""
    return f"{what}_" + re.sub(r"[^\w.=,+-]+", "_", subject.name)


def title_of(subject: Network) -> str:
    """A network in words: what it is, its objective, β and γ, and what tells it from the others."""
    config = subject.config
    if subject.state == "original":
        return f"original study's {config.traits.title}, {setting(subject.settings) or subject.name}"
    values: dict[str, Any] = {} if config.objective == "beta" else {"objective": config.objective}
    if "beta_norm" not in subject.settings and config.objective != "capacity":
        values["beta"] = config.beta_value
    if config.takes("gamma"):
        values["gamma"] = config.gamma
    note = "" if subject.state == "finished" else f", {subject.state.replace('_', ' ')} at {subject.iteration}"
    return f"{config.traits.title}, {setting(values | dict(subject.settings))}{note}"


def by_kl(latents: pd.DataFrame) -> pd.DataFrame:
    """The latents of a table in the order in which they are shown: those that say most first."""
    return latents.sort_values(["kl", "variance"], ascending=False, kind="stable")


def difference(originals: Picture, reconstructions: Picture) -> Picture:
    """Reconstruction less original about a middle grey, cut off at ±½ of white."""
    return (reconstructions.astype(int) - originals + 127).clip(0, 255).astype(np.uint8)


# Figures


def draw_traversal(subject: Network, latents: pd.DataFrame, base: probes.HeldOutPicture) -> Figure:
    """Pictures of each latent from −3 to 3, and what the latent does on held-out data."""
    at = encode_stills(subject.model, subject.config, base.factors[None])[0]
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
    original = render_stills(subject.config, base.factors[None])[0]
    sheet.show(left, 0.65, original)
    sheet.show(left + SIDE + GAP, 0.65, decoded)
    where = ", ".join(
        f"{symbol(name)} {value:.2f}" for name, value in zip(subject.config.factor_names, base.factors, strict=True)
    )
    frame = f"frame {base.frame} of held-out video {base.video}"
    frame = f"held-out picture {base.video}" if subject.config.frames == 1 else frame
    sheet.write(left + 2 * (SIDE + GAP) + 0.05, 0.65 + SIDE / 2, f"{frame}, and its reconstruction\n{where}")
    values = [f"{value:g}".replace("-", "−") for value in np.linspace(LOW, HIGH, STEPS)]
    rows = [(_latent(row), pictures[row["latent"]]) for row in _rows(latents)]
    sheet.show_grid(left, top, Grid(rows, values, {}))
    for x, name in zip(_COLUMNS, ("variance\nof mean", "mean posterior\nvariance", "KL (nats)"), strict=True):
        sheet.write(table + x, top - 0.15, name, ha="right", fontsize=7.5)
    sheet.write(table + 2.45, top - 0.15, "follows (correlation)", fontsize=7.5)
    for i, row in enumerate(_rows(latents)):
        y, look = top + i * (SIDE + GAP) + SIDE / 2, {"color": "black" if row["active"] else "0.5"}
        for x, name in zip(_COLUMNS, ("variance", "posterior_variance", "kl"), strict=True):
            sheet.write(table + x, y, _number(row[name]), ha="right", **look)
        sheet.write(table + 2.45, y, _follows(row), **look)
    return sheet.figure


_COLUMNS = (0.6, 1.55, 2.2)
"""Inches from the beginning of the table to the right of its numbers."""


def draw_video(subject: Network, options: Options) -> Figure:
    """Frames of held-out videos, their reconstructions and the differences, with the lag of each frame."""
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
            notes[len(rows) - 1] = [
                "no circle" if math.isnan(lag) else _signed(lag, "{:.1f} px") for lag in lags[video]
            ]
    first = batch.images.shape[1] - originals.shape[1]
    columns = [f"frame {first + i}" for i in range(originals.shape[1])]
    about = DIFFERENCE
    if lags is not None:
        about += ";\nbelow it, how far the reconstructed circle is behind, in pixels of the 32×32 picture"
    return _strip(f"Held-out videos, {title_of(subject)}", about, Grid(rows, columns, notes))


def draw_dream(subject: Network, dreams: "Dreams") -> Figure:
    """A held-out video and what is dreamt of it, each frame below that which it stands for."""
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
    """What a network dreams of held-out videos."""

    originals: Picture
    """[B, T, H, W]."""
    by_gamma: Mapping[float, Picture]
    """Each [B, T', H, W], picture i being that of frame i + `delay`."""
    seen: int
    delay: int
    alpha: float

    @classmethod
    def of(cls, subject: Network, options: Options) -> "Dreams":
        """Let a network dream.

        Raises:
            UserError: it is shown more frames than there are, or γ is out of range.
        """
        batch = options.videos_for(subject)
        delay = subject.config.latent_delay
        length = options.dreamt or batch.images.shape[1] - delay
        if options.seen > batch.images.shape[1]:
            raise UserError(f"--seen {options.seen} is more than the {batch.images.shape[1]} frames of a video.")
        context = batch.images[:, : options.seen]
        by_gamma = {gamma: probes.dream(subject.model, context, gamma, length) for gamma in options.gamma}
        originals = (batch.images[:, :, 0] * 255).round().to("cpu").numpy().astype(np.uint8)
        return cls(originals, by_gamma, options.seen, delay, float(subject.model.alpha))

    @property
    def length(self) -> int:
        """How many frames there are to show, from frame 0 on."""
        return max(dreamt.shape[1] for dreamt in self.by_gamma.values()) + self.delay

    def frames(self, pictures: Picture, first: int) -> list[Picture | None]:
        """Pictures of one video by frame, None where there is none; the first is that of a frame `first`."""
        return [
            pictures[i - first] if 0 <= i - first < len(pictures) else None  # the longest is as long as a dream
            for i in range(self.length)
        ]


# Animations


def animate_traversal(subject: Network, latents: pd.DataFrame, base: probes.HeldOutPicture) -> Animation:
    """All latents from −3 to 3 and back, each in its picture."""
    at = encode_stills(subject.model, subject.config, base.factors[None])[0]
    pictures = probes.traversal(subject.model, subject.config, ANIMATED_STEPS, LOW, HIGH, base=at)
    values = np.linspace(LOW, HIGH, ANIMATED_STEPS)
    there = [*range(ANIMATED_STEPS)]
    captioned = [(f"{_latent(row, plain=True)}\n{_follows(row)}", pictures[row["latent"]]) for row in _rows(latents)]
    in_rows = [captioned[i : i + PICTURES_IN_ROW] for i in range(0, len(captioned), PICTURES_IN_ROW)]
    sheets = [
        picture_sheet(
            f"{plain(title_of(subject))}\neach latent alone at {_signed(values[step], '{:.2f}')}",
            [[(caption, steps[step]) for caption, steps in row] for row in in_rows],
        )
        for step in there + there[-2:0:-1]
    ]
    return Animation(sheets, 90)


def animate_video(subject: Network, options: Options) -> Animation:
    """Held-out videos beside each other, above their reconstructions and the differences."""
    batch = options.videos_for(subject)
    originals, reconstructions = probes.reconstruct(subject.model, batch)
    differences = difference(originals, reconstructions)
    first = batch.images.shape[1] - originals.shape[1]
    rows = (("held-out video", originals), ("reconstruction", reconstructions), ("difference ±½", differences))
    sheets = [
        picture_sheet(
            f"{plain(title_of(subject))}\nframe {first + t}",
            [[("" if i else name, video[t]) for i, video in enumerate(pictures)] for name, pictures in rows],
        )
        for t in range(originals.shape[1])
    ]
    return Animation(sheets, *FRAME_AND_PAUSE)


def animate_dream(subject: Network, dreams: Dreams) -> Animation:
    """Held-out videos below each other, beside what is dreamt of them at each γ."""
    sheets = []
    for t in range(dreams.length):
        rows = []
        for video, original in enumerate(dreams.originals):
            row = [("" if video else "held-out video", dreams.frames(original, 0)[t])]
            for gamma, dreamt in dreams.by_gamma.items():
                caption = "" if video else f"dream, γ = {gamma:g}"
                row.append((caption, dreams.frames(dreamt[video], dreams.delay)[t]))
            rows.append(row)
        seen = "seen" if t < dreams.seen else "not seen"
        sheets.append(picture_sheet(f"{plain(title_of(subject))}\nframe {t}, {seen}", rows))
    return Animation(sheets, *FRAME_AND_PAUSE)


# The lag


def measure_lag(subjects: Sequence[Network]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lag of each network, and that of each frame."""
    cells, frames = [], []
    for subject in tqdm(subjects, desc="lags", disable=None):
        batch = probes.held_out_videos(subject.config, LAG_VIDEOS)
        lags = circle_lags(subject.model, batch)
        first = batch.images.shape[1] - lags.shape[1]
        lag = Lag.of(lags)
        named = {"name": subject.name, "key": subject.key, "state": subject.state, "iteration": subject.iteration}
        named |= subject.settings
        cells.append(
            named
            | {"filtered_with_gamma": subject.config.gamma if subject.config.takes("gamma") else math.nan}
            | {"lag": lag.median, "low": lag.low, "high": lag.high}
            | {"mean_lag": float(np.nanmean(lags)) if np.isfinite(lags).any() else math.nan}
            | {"shows_a_circle": lag.shown, "motion_per_frame": motion_per_frame(batch)}
        )
        frames += [
            named | {"frame": first + t, "lag": median_lag(at), "shows_a_circle": float(np.isfinite(at).mean())}
            for t, at in enumerate(lags.T)
        ]
    return pd.DataFrame(cells), pd.DataFrame(frames)


# In words


def _rows(latents: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in latents.to_dict("records")]


def _latent(row: Mapping[str, Any], plain: bool = False) -> str:
    name = f"z{row['latent']}" if plain else f"z$_{{{row['latent']}}}$"
    return name if row["active"] else f"({name})"


def _follows(row: Mapping[str, Any]) -> str:
    if not row["active"]:
        return "not active"
    return f"{symbol(row['follows'])} ({_signed(row['correlation'], '{:.2f}')})"


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    # Posterior variances go down to 1e-6 of the prior's.
    return f"{value:.1e}" if 0 < value < 5e-4 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _signed(value: float, form: str) -> str:
    """With a minus, and none before zero."""
    text = form.format(abs(value))
    return text if value >= 0 or not re.search("[1-9]", text) else f"−{text}"


def pictured(subjects: Sequence[Network], options: Options) -> Sequence[Network]:
    """Those networks of which pictures are drawn; says on stderr if they are not all."""
    if options.cells or len(subjects) <= MOST_PICTURED:
        return subjects
    print(f"pictures of {MOST_PICTURED} of {len(subjects)} networks; name others by --cells", file=sys.stderr)
    return subjects[:MOST_PICTURED]


def write_traversals(options: Options) -> list[Path]:
    """Draw what networks show, and write the figures, the animations and the numbers behind them.

    Returns:
        The figures, then the tables, then the animations.

    Raises:
        UserError: there is no such sweep, cell or checkpoint, none has a decoder, or the folder cannot be written.
    """
    options.check()
    subjects = suitable(
        subjects_of(options.path, options.cells, options.original, all_seeds=False),
        lambda subject: subject.config.traits.has_latents,
        "a supervised encoder has no decoder, and a supervised decoder no latents",
    )
    folder = folder_of(options.path, options.out)
    latents = {subject.name: _latents(subject) for subject in subjects}
    tables = {"traversal_latents": pd.concat(latents.values())}
    figures = {}
    if of_circles := _of_one_circle(subjects):
        tables["lag"], tables["lag_by_frame"] = measure_lag(of_circles)
        figures["lag"] = draw_lag(tables["lag"], of_circles)
    animations: dict[str, Animation] = {}
    for subject in tqdm(pictured(subjects, options), desc="pictures", disable=None):
        table, base = by_kl(latents[subject.name]), options.base_for(subject)
        dreams = Dreams.of(subject, options)
        traversal, video, dream = (file_name(what, subject) for what in ("traversal", "video", "dream"))
        figures[traversal] = draw_traversal(subject, table, base)
        figures[video] = draw_video(subject, options)
        figures[dream] = draw_dream(subject, dreams)
        animations[traversal] = animate_traversal(subject, table, base)
        animations[video] = animate_video(subject, options)
        animations[dream] = animate_dream(subject, dreams)
    written = write(folder, figures, tables)
    return written + [write_gif(folder / f"{name}.gif", animation) for name, animation in animations.items()]


def _of_one_circle(subjects: Sequence[Network]) -> list[Network]:
    """Those networks that have a lag; says on stderr why others have none."""
    kept = [subject for subject in subjects if subject.config.is_of_one_circle]
    if len(kept) < len(subjects):
        print(f"without a lag, {len(subjects) - len(kept)} networks: {NO_LAG}", file=sys.stderr)
    return kept


def _latents(subject: Network) -> pd.DataFrame:
    table = probes.latent_table(subject.model, subject.config, make_dataset(subject.config).test_set())
    named = {"name": subject.name, "key": subject.key, **subject.settings}
    return pd.DataFrame([named] * len(table)).join(table)


def main(args: list[str] | None = None) -> None:
    """Draw traversals, reconstructed videos, dreams and the lag of the circle. Prints the files that it writes."""
    run_command(Options, write_traversals, main.__doc__, args)


if __name__ == "__main__":
    main()
