"""Draws each cell's network for a report: reconstructions of held-out videos, and traversals, as PNG.

A cell's pictures are a few sprites, so that a page of hundreds of cells stays small: the frames of its
reconstructions, a row for each video, its traversals, a row for each latent, and, of a video model, its dreams of the
first video, a row for each γ. The originals are the same for most cells and are kept once.

Shapes: B videos, T' frames, L latents, S steps, H×W pixels.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dd_ray import probes, results
from dd_ray.config import TrialConfig, data_config
from dd_ray.config.code import CodeMissingError
from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.evaluation import encode_pictures
from dd_ray.figures.sheets import GREYS
from dd_ray.probes.lag import LEAST_SHOWN, Lag, circle_lags, motion_per_frame
from dd_ray.probes.networks import Network, usable_network
from dd_ray.probes.side_by_side import side_by_side
from dd_ray.results.joining import SWEEP
from dd_ray.storage.sweep_folder import SweepFolder

STEPS, LOW, HIGH = 7, -3.0, 3.0
"""Of a traversal: pictures, and the ends in standard deviations of the prior."""
NUM_ENCODED = 64
"""Videos that say which factor a latent follows."""
NUM_LAGGING = 16
"""Videos over which the lag of the circle is measured."""
_NO_WEIGHTS = "the weights of this trial are missing, damaged or not finite."


class Pictures:
    """The pictures of the cells of a sweep, or of several, made one cell at a time."""

    def __init__(self, table: pd.DataFrame, num_videos: int, path: str | Path, *more: str | Path) -> None:
        """Make none yet, of sweeps whose table has been loaded."""
        self.originals: list[dict[str, Any]] = []
        """Sprites of held-out videos, which cells refer to by their place."""
        self._sweeps = results.open_all(path, *more)
        self._num_videos = num_videos
        trials = results.final(table)
        named = trials[[name for name in ("key", "label", "state", "iteration", SWEEP) if name in trials]]
        self._rows = {row["key"]: row for row in named.to_dict("records")}
        self._places: dict[bytes, int] = {}

    def of_cells(self, cells: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Return for each cell of a report the pictures of its first seed that has a network.

        A dictionary with `seed`, `iteration`, `reconstruction`, `original`, `traversal`, `latents`, `dream` (None of a
        model of still pictures) and `lag` (and of other videos than one circle's), or with a `note` that says why there
        are none.
        """
        for pictured in side_by_side(lambda cell: self._of_trials(cell["trials"]), cells):
            # Here, so that originals have the order of the cells.
            if "note" not in pictured:
                pictured["original"] = self._place_of(pictured["original"])
            if pictured.get("dream"):
                pictured["dream"]["original"] = self._place_of(pictured["dream"]["original"])
            yield pictured

    def _of_trials(self, trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        reason = ""
        for trial in trials:
            try:
                subject = self._network(trial["key"])
                return {"seed": trial["seed"], "iteration": subject.iteration, **self._of_network(subject)}
            except UserError as error:
                reason = reason or str(error)
        return {"note": reason}

    def _network(self, key: str) -> Network:
        row = self._rows[key]
        if pd.isna(row["iteration"]):
            raise UserError("this trial was never evaluated, so it has no trained network.")
        try:
            network = usable_network(self._sweep_of(row).trial(key), row, {})
        except CodeMissingError:
            raise
        except UserError as error:
            # Not its own message, which names places on this machine.
            raise UserError(_NO_WEIGHTS) from error
        if network is None:
            raise UserError(_NO_WEIGHTS)
        return network

    def _sweep_of(self, row: Mapping[Any, Any]) -> SweepFolder:
        return self._sweeps[row[SWEEP]] if SWEEP in row else next(iter(self._sweeps.values()))

    def _of_network(self, subject: Network) -> dict[str, Any]:
        videos = _videos(subject.config, self._num_videos)
        originals, reconstructions = probes.reconstruct(subject.model, videos)
        base = encode_pictures(subject.model, _middle_picture(data_config(subject.config.data))[None])[0]
        moved = probes.traversal(subject.model, subject.config, STEPS, LOW, HIGH, base=base)
        latents = probes.latent_table(subject.model, subject.config, _videos(subject.config, NUM_ENCODED))
        return {
            "reconstruction": sprite(reconstructions),
            "original": originals,
            "traversal": sprite(moved),
            "latents": [_latent(row) for row in latents.to_dict("records")],
            "dream": self._dream(subject, videos) if subject.config.frames > 1 else None,
            "lag": _lag(subject) if subject.config.frames > 1 and subject.config.is_of_one_circle else None,
        }

    def _dream(self, subject: Network, videos: Batch) -> dict[str, Any]:
        """Draw what a network dreams of the first video after seeing only its beginning, a row for each γ."""
        delay = subject.config.latent_delay
        num_frames = videos.images.shape[1]
        seen = min(probes.DREAM_SEEN, num_frames - delay)
        context = videos.images[:1, :seen]
        dreamt = [probes.dream(subject.model, context, gamma, num_frames - delay) for gamma in probes.DREAM_GAMMAS]
        frames = probes.pictures_of(videos.images[:1])
        about = {"original": frames, "gammas": probes.DREAM_GAMMAS, "seen": seen, "delay": delay}
        return {"sprite": sprite(np.concatenate(dreamt)), **about}

    def _place_of(self, originals: NDArray[np.uint8]) -> int:
        content = originals.tobytes()
        if content not in self._places:
            self._places[content] = len(self.originals)
            self.originals.append(sprite(originals))
        return self._places[content]


def sprite(pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Return pictures [rows, columns, H, W(, 3)] as one PNG, in base64, with its numbers of rows and columns."""
    rows, columns, height, width, *colours = pictures.shape
    sheet = pictures.swapaxes(1, 2).reshape(rows * height, columns * width, *colours)
    file = io.BytesIO()
    (_with_few_colours if colours else _with_few_greys)(sheet).save(file, "PNG", optimize=True)
    return {"png": base64.b64encode(file.getvalue()).decode(), "rows": rows, "columns": columns}


def _with_few_greys(sheet: NDArray[np.uint8]) -> Image.Image:
    levels = np.rint(sheet * ((GREYS - 1) / 255)).astype(np.uint8)
    image = Image.fromarray(levels).convert("P")
    ramp = np.rint(np.arange(GREYS) * (255 / (GREYS - 1))).astype(int)
    image.putpalette(np.repeat(ramp, 3).tolist())
    return image


def _with_few_colours(sheet: NDArray[np.uint8]) -> Image.Image:
    """Return the sheet in the 256 colours that suit it best: a byte a pixel in place of three."""
    return Image.fromarray(sheet).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _lag(subject: Network) -> dict[str, Any]:
    """Return the lag of the circle, without a number where too few frames show one."""
    videos = _videos(subject.config, NUM_LAGGING)
    lag = Lag.of(circle_lags(subject.model, videos))
    known = lag.shown >= LEAST_SHOWN
    pixels = [round(end, 2) for end in (lag.median, lag.low, lag.high)] if known else None
    return {"pixels": pixels, "shown": round(lag.shown, 2), "motion": round(motion_per_frame(videos), 2)}


def _videos(config: TrialConfig, num_videos: int) -> Batch:
    # What the held-out set depends on: of a sweep's many configs, all or nearly all agree in it.
    return _held_out(data_config(config.data), num_videos)


@cache
def _held_out(config: TrialConfig, num_videos: int) -> Batch:
    return probes.held_out_videos(config, num_videos)


@cache
def _middle_picture(config: TrialConfig) -> NDArray[np.uint8]:
    return probes.middle_picture(config).picture


def _latent(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "active": bool(row["active"]),
        "follows": row["follows"],
        "correlation": None if row["follows"] is None else round(float(row["correlation"]), 2),
        "variance": float(f"{row['variance']:.3g}"),
    }
