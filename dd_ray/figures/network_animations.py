"""Makes a network's animations: traversals of its latents, videos that it reconstructs, and its dreams."""

import numpy as np
import pandas as pd

from dd_ray import probes
from dd_ray.config.symbols import plain
from dd_ray.evaluation import encode_pictures
from dd_ray.figures.network_pictures import (
    HIGH,
    LOW,
    Dreams,
    Options,
    difference,
    follows,
    latent_name,
    rows_of,
    signed,
    title_of,
)
from dd_ray.figures.sheets import Animation, picture_sheet
from dd_ray.probes.networks import Network

ANIMATED_STEPS = 19
PICTURES_IN_ROW = 5
"""Number of pictures in a row of an animation."""
FRAME_AND_PAUSE = 250, 750
"""Milliseconds of a frame in an animation of videos, and for how much longer the last frame stays."""


def animate_traversal(subject: Network, latents: pd.DataFrame, base: probes.HeldOutPicture) -> Animation:
    """Animate all latents from −3 to 3 and back, each in its own picture."""
    at = encode_pictures(subject.model, base.picture[None])[0]
    pictures = probes.traversal(subject.model, subject.config, ANIMATED_STEPS, LOW, HIGH, base=at)
    values = np.linspace(LOW, HIGH, ANIMATED_STEPS)
    there = [*range(ANIMATED_STEPS)]
    captioned = [
        (f"{latent_name(row, plain=True)}\n{follows(row)}", pictures[row["latent"]]) for row in rows_of(latents)
    ]
    in_rows = [captioned[i : i + PICTURES_IN_ROW] for i in range(0, len(captioned), PICTURES_IN_ROW)]
    sheets = [
        picture_sheet(
            f"{plain(title_of(subject))}\neach latent alone at {signed(values[step], '{:.2f}')}",
            [[(caption, steps[step]) for caption, steps in row] for row in in_rows],
        )
        for step in there + there[-2:0:-1]
    ]
    return Animation(sheets, 90)


def animate_video(subject: Network, options: Options) -> Animation:
    """Animate held-out videos, side by side, above their reconstructions and the differences."""
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
    """Animate held-out videos, one below the other, beside the dreams of them at each γ."""
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
