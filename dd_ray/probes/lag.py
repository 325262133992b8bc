"""Measures how far reconstructed circles lag behind the original ones, and finds circles in pictures.

Shapes: B videos, T frames, H×W pixels; N discs or places.
"""

import math
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.data import FACTORS, Batch
from dd_ray.data.rendering import CANVAS, CIRCLE_MARGIN, CIRCLE_RANGE, IMAGE, RADIUS, draw_backgrounds
from dd_ray.errors import UserError
from dd_ray.evaluation.held_out import CHUNK
from dd_ray.metrics import bootstrap_interval
from dd_ray.models import Model
from dd_ray.probes.answers import Pictures, reconstruct

FAINTEST = 0.25
"""A reconstruction shows a circle if the fitted one has at least this share of the original's contrast."""
LEAST_EXPLAINED = 0.4
"""It must also explain at least this share of what the background leaves. Without a circle, a wrong background reaches
up to 0.37; a sharp circle reaches 0.95."""
LEAST_SHOWN = 0.1
"""If a smaller share of frames shows a circle, no lag is reported."""
NO_LAG = (
    "the lag is that of one circle in front of a Gaussian, of the usual radius and contrast and without an occluder, "
    "and these pictures show something else."
)
_BLUR = 1.0  # px, standard deviation: reconstructed circles have soft edges
_GRID = 0.5  # px between the places that are tried for a circle


class Lag(NamedTuple):
    """The lag of the reconstructed circle, in pixels of the 32×32 picture."""

    median: float
    """Median over all frames whose reconstruction shows a circle; NaN if none does. The median is robust to the few
    reconstructions in a hundred whose circle is somewhere else altogether."""
    low: float
    """Ends of the median's 95% interval over videos (bootstrap)."""
    high: float
    shown: float
    """Share of the frames whose reconstruction shows a circle. Below `LEAST_SHOWN`, circles are found by accident."""

    @classmethod
    def of(cls, lags: NDArray[np.float64]) -> "Lag":
        """Summarise the result of `circle_lags` for at least two videos."""
        interval = bootstrap_interval(median_lag, lags)
        median, low, high = (float(end) for end in (interval.estimate, interval.low, interval.high))
        return cls(median, low, high, shown=float(np.isfinite(lags).mean()))


def median_lag(lags: NDArray[np.floating]) -> float:
    """Return the median of the lags that are not NaN; NaN if all are."""
    return float(np.nanmedian(lags)) if np.isfinite(lags).any() else math.nan


def motion_per_frame(batch: Batch) -> float:
    """Return the mean motion of the circle from frame to frame, in pixels of the 32×32 picture."""
    places = place_of(batch.factors[..., :2].cpu().numpy())
    return float(np.linalg.norm(np.diff(places, axis=1), axis=-1).mean())


def circle_lags(model: Model, batch: Batch) -> NDArray[np.float64]:
    """Measure how far the circle in each reconstructed frame is behind the original one, along its motion.

        lag_t = (p_t − p̂_t) · v_t / ‖v_t‖,   v_t = p_t − p_{t−1}

    p_t is the circle's place in frame t, from the factors, and p̂_t its place in the reconstruction, from
    `find_circles`. In a video's first frame v_0 = v_1.

    Args:
        model: a network with a decoder, on the device of the batch.
        batch: B videos as for `reconstruct`.

    Returns:
        [B, T'] lags in pixels of a 32×32 picture, for any size of images, of the frames of `reconstruct`; negative if
        the circle is ahead, NaN if the reconstruction shows no circle, or the circle does not move.

    Raises:
        UserError: see `reconstruct`; or the batch is of still pictures, or not of one circle in front of a Gaussian.
    """
    if batch.factor_names != FACTORS:
        raise UserError(NO_LAG)
    if batch.images.shape[1] < 2:
        raise UserError("a lag is measured along a motion, and there is none in still pictures; give videos.")
    _, reconstructions = reconstruct(model, batch)
    factors = batch.factors.cpu().numpy().astype(np.float64)
    places = place_of(factors[..., :2])
    steps = np.diff(places, axis=1)
    steps = np.concatenate([steps[:, :1], steps], axis=1)
    lengths = np.linalg.norm(steps, axis=-1, keepdims=True)
    along = np.divide(steps, lengths, out=np.full_like(steps, np.nan), where=lengths > 1e-6)
    shown = reconstructions.shape[1]
    found = find_circles(reconstructions, factors[:, 0, 2:])
    return ((places[:, -shown:] - found) * along[:, -shown:]).sum(axis=-1)


def place_of(circle_positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return centres (x, y) of circles in pixels of a picture of 32×32, where 0 is the middle of the first pixel.

    The middle of pixel k is at 2k + ½ of the canvas that it is reduced from (`dd_ray.data.rendering`).
    """
    return (CIRCLE_RANGE * np.asarray(circle_positions, np.float64) + CIRCLE_MARGIN - 0.5) / (CANVAS / IMAGE)


def find_circles(videos: Pictures, backgrounds: NDArray[np.floating]) -> NDArray[np.float64]:
    """Find the circle in each frame, sharp or blurred; NaN if there is none.

    By least squares, a frame x is fitted by

        x = c₀ + (c₁ + c₂ i + c₃ j + c₄ (i² + j²)) b  +  a · d_p · (1 − b)

    where b is the background that the video should have, (i, j) the pixel, whose terms allow for a background that is a
    little off in place, width and brightness, and d_p a disc of the circle's size at place p, blurred by 1 px. A
    network that is uncertain of the circle's place shows a mean over places, which is of this form with a smaller a and
    a wider disc. The place of the smallest error is sought on a grid of half pixels, and refined by a parabola. There
    is no circle if a is below `FAINTEST`, or if its term explains less than `LEAST_EXPLAINED` of what the background's
    terms leave. Errors in pixels, root mean square (and largest): 0.03 (0.09) for sharp circles, 0.03 (0.14) for ones
    blurred by 1 px, 0.03 (0.16) in front of a background that is about 2.5 px off, 0.07 (0.4) for ones blurred by 2 px;
    their mean is 0.

    Args:
        videos: [B, T, H, W] of 32×32 pixels, or of 64×64, which are halved first.
        backgrounds: [B, 2], background_x and background_y of each video, in [0, 1].

    Returns:
        [B, T, 2], (x, y) in the pixels of `place_of`.
    """
    found = [
        _found(_halved(videos[i : i + CHUNK]), np.asarray(backgrounds[i : i + CHUNK], np.float64))
        for i in range(0, len(videos), CHUNK)
    ]
    return np.concatenate(found)


def _halved(videos: Pictures) -> NDArray[Any]:
    """Halve pictures of 64×64 by averages of 2×2 pixels, which keep the reduction's middles; keep others."""
    if videos.shape[-1] == IMAGE:
        return videos
    return videos.reshape(*videos.shape[:2], IMAGE, 2, IMAGE, 2).mean(axis=(3, 5), dtype=np.float32)


def _found(videos: NDArray[Any], backgrounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find circles as `find_circles`, for as many videos as fit into memory."""
    discs, _, places = _discs()
    behind = _behind(backgrounds.tobytes())
    frames_btp = videos.reshape(*videos.shape[:2], -1).astype(np.float32) / 255
    rest_btp = frames_btp - (frames_btp @ behind.basis_bpk) @ behind.basis_bpk.swapaxes(1, 2)
    # For the part of each disc [N] that the background cannot explain: its product with the frames.
    products_btn = _with_discs(rest_btp * behind.contrast_bp[:, None], discs)
    squares_btn = np.broadcast_to(behind.squares_bn[:, None], products_btn.shape)
    gains_btn = np.square(products_btn.clip(0)) / squares_btn
    best_bt1 = gains_btn.argmax(axis=-1)[..., None]
    at_best, square, gain = (
        np.take_along_axis(of, best_bt1, -1)[..., 0] for of in (products_btn, squares_btn, gains_btn)
    )
    shares_bt = gain / np.square(rest_btp).sum(axis=-1).clip(1e-6)
    shown_bt = (at_best / square >= FAINTEST) & (shares_bt >= LEAST_EXPLAINED)
    found = _refined(gains_btn.reshape(-1, len(places), len(places)), best_bt1.ravel(), places)
    return np.where(shown_bt[..., None], found.reshape(*shown_bt.shape, 2), np.nan)


class _Behind(NamedTuple):
    """The backgrounds of videos, as far as the fit of a disc needs them."""

    basis_bpk: NDArray[Any]
    """Orthonormal basis of the background's terms."""
    contrast_bp: NDArray[Any]
    """How far the background is below white."""
    squares_bn: NDArray[Any]
    """Square of the part of each disc that the background's terms cannot explain."""


@lru_cache(maxsize=8)
def _behind(backgrounds: bytes) -> _Behind:
    """Prepare backgrounds [B, 2], given as bytes of float64.

    They are kept, as all networks of a sweep are asked about the same videos.
    """
    discs, squares, _ = _discs()
    places = torch.from_numpy(np.frombuffer(backgrounds).reshape(-1, 2).copy())
    images_bp = draw_backgrounds(places).images.flatten(1).numpy().astype(np.float32) / 255
    basis_bpk, _ = np.linalg.qr(_background_terms(images_bp))
    contrast_bp = 1 - images_bp
    explained_bn = np.square(_with_discs(basis_bpk.swapaxes(1, 2) * contrast_bp[:, None], discs)).sum(axis=1)
    return _Behind(basis_bpk, contrast_bp, np.square(contrast_bp) @ squares.T - explained_bn)


def _with_discs(pictures: NDArray[Any], discs: NDArray[Any]) -> NDArray[Any]:
    """Multiply pictures [B, T, H·W] with discs [N, H·W] to [B, T, N], as a single product of matrices for speed."""
    return (pictures.reshape(-1, pictures.shape[-1]) @ discs.T).reshape(*pictures.shape[:2], -1)


def _background_terms(images_bp: NDArray[Any]) -> NDArray[Any]:
    """Return the terms [B, H·W, 5]: a constant, the background, and its changes if it moves or widens a little."""
    j, i = (axis.ravel() for axis in np.indices((IMAGE, IMAGE), np.float32) / IMAGE - np.float32(0.5))
    terms = [np.ones_like(images_bp), images_bp, i * images_bp, j * images_bp, (i**2 + j**2) * images_bp]
    return np.stack(terms, axis=-1)


def _refined(gains: NDArray[np.floating], best: NDArray[np.intp], places: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the maximum [N, 2] of parabolas through the best place of each [N, y, x] and its neighbours in x and y."""
    row, column = np.clip(np.divmod(best, len(places)), 1, len(places) - 2)
    which = np.arange(len(best))
    middle = gains[which, row, column]
    x = _peak(gains[which, row, column - 1], middle, gains[which, row, column + 1])
    y = _peak(gains[which, row - 1, column], middle, gains[which, row + 1, column])
    return np.stack([places[column] + x * _GRID, places[row] + y * _GRID], axis=-1)


def _peak(before: NDArray[Any], at: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    """Return the maximum of the parabola through three neighbours, in steps from the middle one."""
    bend = 2 * at - before - after
    return np.divide(after - before, 2 * bend, out=np.zeros_like(at), where=bend > 0).clip(-1, 1)


@cache
def _discs() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return blurred discs [N², H·W] at all places of a square grid, y slowest, their squares, and the N places."""
    low, high = place_of(np.array([0.0, 1.0]))
    # Two steps further on each side, so that a circle at the border of its range is not at the border of the grid.
    places = np.arange(low - 2 * _GRID, high + 2.5 * _GRID, _GRID)
    squares = np.square(np.arange(IMAGE) - places[:, None])
    distances = np.sqrt(squares[:, None, :, None] + squares[None, :, None, :])
    # The blur of an edge by a Gaussian is the normal distribution function, which a logistic one approximates.
    discs = 1 / (1 + np.exp((distances - RADIUS * IMAGE / CANVAS) * (1.702 / _BLUR)))
    discs = discs.reshape(len(places) ** 2, -1).astype(np.float32)
    return discs, np.square(discs), places
