"""Pictures of networks' latents: `python analysis/traversals.py results/inertia_grid_quick --cells best:linear_r2`.

For each network, where NAME is its label:

- `traversal_NAME.png`, `.gif`: a row of pictures for each latent, decoded from the posterior mean of a held-out picture
  (the one whose factors are nearest to 0.5, which stands above) with that latent going from −3 to 3; beside it the
  latent's variance, its KL, and the factor that it follows. The latents are ordered by their KL.
- `video_NAME.png`, `.gif`: held-out videos, their reconstructions, and the differences. Networks of still pictures are
  shown videos frame by frame.
- `dream_NAME.png`, `.gif`: what the network shows if it sees only the first frames of a video, at each `--gamma`. While
  it sees them, z_i = (1 − γ) e_i + γ ẑ_i; after them, z_i = ẑ_i = z_{i−1} + α (z_{i−1} − z_{i−2}), so that γ decides
  only what the dream begins with. See `dd_ray.probes.answers.dream`.

And for all networks, each seed by itself:

- `lag.png`: how far the circle in the reconstructions is behind the circle in the originals, along its motion, against
  γ: the median over those frames of 128 held-out videos that show a circle, with a 95% interval over videos; and the
  share of these frames. Nothing is said of the lag of fewer than 10% of the frames.
- `traversal_latents.csv`, `lag.csv` and `lag_by_frame.csv`: the numbers. The first has the setting `correlation` as
  `correlation_setting`, beside the correlation of each latent.

Everything is decoded from posterior means, without sampling.
"""

import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from dd_ray import probes
from dd_ray.command_line import counted
from dd_ray.data import make_dataset
from dd_ray.figures.common import folder_of, run_command, write
from dd_ray.figures.lag import draw_lag
from dd_ray.figures.network_animations import animate_dream, animate_traversal, animate_video
from dd_ray.figures.network_pictures import (
    MOST_PICTURED,
    Dreams,
    Options,
    by_kl,
    draw_dream,
    draw_traversal,
    draw_video,
)
from dd_ray.figures.networks import subjects_of, suitable
from dd_ray.figures.sheets import Animation, write_gif
from dd_ray.probes.lag import NO_LAG, Lag, circle_lags, median_lag, motion_per_frame
from dd_ray.probes.networks import Network
from dd_ray.probes.side_by_side import side_by_side

LAG_VIDEOS = 128


def file_name(what: str, subject: Network) -> str:
    """Name a file after `what` it shows and the network's label, with `_` for awkward characters."""
    return f"{what}_" + re.sub(r"[^\w.=,+-]+", "_", subject.name)


def measure_lag(subjects: Sequence[Network]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the lag of each network, and of each frame."""
    networks, frames = [], []
    asked = tqdm(side_by_side(_lags, subjects), "lags", len(subjects), disable=None)
    for subject, (lags, first, motion) in zip(subjects, asked, strict=True):
        lag = Lag.of(lags)
        named = {"name": subject.name, "key": subject.key, "state": subject.state, "iteration": subject.iteration}
        named |= subject.settings
        networks.append(
            named
            | {"filtered_with_gamma": subject.config.gamma if subject.config.takes("gamma") else math.nan}
            | {"lag": lag.median, "low": lag.low, "high": lag.high}
            | {"mean_lag": float(np.nanmean(lags)) if np.isfinite(lags).any() else math.nan}
            | {"shows_a_circle": lag.shown, "motion_per_frame": motion}
        )
        frames += [
            named | {"frame": first + t, "lag": median_lag(at), "shows_a_circle": float(np.isfinite(at).mean())}
            for t, at in enumerate(lags.T)
        ]
    return pd.DataFrame(networks), pd.DataFrame(frames)


def _lags(subject: Network) -> tuple[NDArray[np.float64], int, float]:
    """Return the lags of a network, the first frame that has one, and how far its videos' circles move in a frame."""
    batch = probes.held_out_videos(subject.config, LAG_VIDEOS)
    lags = circle_lags(subject.model, batch)
    return lags, batch.images.shape[1] - lags.shape[1], motion_per_frame(batch)


def pictured(subjects: Sequence[Network], options: Options) -> Sequence[Network]:
    """Return the networks whose pictures are drawn, and print on stderr if these are not all."""
    if options.cells or len(subjects) <= MOST_PICTURED:
        return subjects
    print(f"pictures of {MOST_PICTURED} of {len(subjects)} networks; name others by --cells", file=sys.stderr)
    return subjects[:MOST_PICTURED]


def write_traversals(options: Options) -> list[Path]:
    """Draw what networks show, and write the figures, the animations and the numbers behind them.

    Returns:
        The figures, then the tables, then the animations.

    Raises:
        UserError: there is no such sweep, trial or checkpoint, none has a decoder, or the folder cannot be written.
    """
    options.check()
    subjects = suitable(
        subjects_of(options.path, options.cells, options.original, all_seeds=False),
        lambda subject: subject.config.traits.has_latents,
        "a supervised encoder has no decoder, and a supervised decoder no latents",
    )
    folder = folder_of(options.path, options.out)
    shown = pictured(subjects, options)
    # First of all, since they are refused where the data or the options do not allow them.
    bases = {subject.name: options.base_for(subject) for subject in shown}
    dreams = {subject.name: Dreams.of(subject, options) for subject in filter(_has_videos, shown)}
    asked = tqdm(side_by_side(_latents, subjects), "latents", len(subjects), disable=None)
    latents = {subject.name: table for subject, table in zip(subjects, asked, strict=True)}
    tables = {"traversal_latents": pd.concat(latents.values())}
    figures = {}
    if of_circles := _of_one_circle(subjects):
        tables["lag"], tables["lag_by_frame"] = measure_lag(of_circles)
        figures["lag"] = draw_lag(tables["lag"], of_circles)
    animations: dict[str, Animation] = {}
    for subject in tqdm(shown, desc="pictures", disable=None):
        table, base = by_kl(latents[subject.name]), bases[subject.name]
        traversal, video, dream = (file_name(what, subject) for what in ("traversal", "video", "dream"))
        figures[traversal] = draw_traversal(subject, table, base)
        figures[video] = draw_video(subject, options)
        animations[traversal] = animate_traversal(subject, table, base)
        animations[video] = animate_video(subject, options)
        if subject.name in dreams:
            figures[dream] = draw_dream(subject, dreams[subject.name])
            animations[dream] = animate_dream(subject, dreams[subject.name])
    written = write(folder, figures, tables, progress=True)
    moving = tqdm(animations.items(), desc="animations", disable=None, leave=False)
    return written + [write_gif(folder / f"{name}.gif", animation) for name, animation in moving]


def _has_videos(subject: Network) -> bool:
    """Return whether its data have videos to dream of: those of a file of still pictures have none."""
    return not (subject.config.contents and subject.config.frames == 1)


def _of_one_circle(subjects: Sequence[Network]) -> list[Network]:
    """Return the networks that have a lag, and print on stderr why others have none."""
    kept = [subject for subject in subjects if subject.config.is_of_one_circle]
    if others := len(subjects) - len(kept):
        print(f"without a lag, {counted(others, 'network')}: {NO_LAG}", file=sys.stderr)
    return kept


def _latents(subject: Network) -> pd.DataFrame:
    table = probes.latent_table(subject.model, subject.config, make_dataset(subject.config).test_set())
    settings = {f"{field}_setting" if field in table else field: value for field, value in subject.settings.items()}
    named = {"name": subject.name, "key": subject.key, **settings}
    return pd.DataFrame([named] * len(table)).join(table)


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Draw what the networks of a sweep show into a folder; see `write_traversals`."""
    return write_traversals(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Draw traversals, reconstructed videos, dreams and the lag of the circle. Prints the files that it writes."""
    run_command(Options, write_traversals, main.__doc__, args)
