"""What one asks a trained network for, as arrays: traversals, reconstructions, its latents, dreams, and its lag.

Nothing is drawn here. Pictures are uint8, 255 being white, as they come from the posterior means, without sampling.

Shapes: B videos, T frames, L latents, F factors, S steps of a traversal, C×H×W pixels.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.cells import encode_stills
from dd_ray.config import CIRCLES, MOVING, TrialConfig
from dd_ray.data import FACTORS, Batch, make_dataset
from dd_ray.data.rendering import CANVAS, CIRCLE_MARGIN, CIRCLE_RANGE, IMAGE, RADIUS, draw_backgrounds
from dd_ray.errors import UserError
from dd_ray.evaluation.heldout import CHUNK, decoded_traversal
from dd_ray.metrics import active_mask, bootstrap_interval
from dd_ray.metrics.arrays import correlations
from dd_ray.models import FactorPrediction, ImagePrediction, Model, SupervisedDecoder, VideoVAE
from dd_ray.models.inertia_vae import InertiaVAE
from dd_ray.models.prediction import inertia_matrix
from dd_ray.objectives import kl_divergence

Pictures = NDArray[np.uint8]

FAINTEST = 0.25
"""A reconstruction shows a circle if the one fitted to it has at least this share of the original's contrast."""
LEAST_EXPLAINED = 0.4
"""And if that circle explains at least this share of what the background does not. With a background that is quite
another than it should be, and no circle, a network reaches up to 0.37; a sharp circle gives 0.95."""
LEAST_SHOWN = 0.1
"""Share of frames that show a circle, below which nothing is said of their lag."""
DREAM_GAMMAS, DREAM_SEEN = (0.0, 0.5, 0.9), 3
"""γ of dreams, and frames that a network sees before, where no others are asked for."""
NO_LAG = "the lag is that of one circle in front of a Gaussian, and these pictures show something else."
_BLUR = 1.0  # px, standard deviation: reconstructed circles have soft edges
_GRID = 0.5  # px between the places that are tried for a circle


class HeldOutPicture(NamedTuple):
    """A picture of the held-out set."""

    video: int
    """Which video (or still image) of the set it is from."""
    frame: int
    """Which frame of the video it is."""
    factors: NDArray[np.float32]
    """[F] what it shows."""


def held_out_videos(config: TrialConfig, num_videos: int) -> Batch:
    """The first held-out videos of a config's dataset; for one of still pictures, those of moving ones of its kind.

    Raises:
        UserError: the dataset holds out no so many.
    """
    values: dict[str, Any] = config.data
    if config.dataset not in MOVING:
        kind = "moving_circles" if config.dataset in CIRCLES else "moving_sprites"
        values = {name: values[name] for name in ("background", "num_circles", "image_size", "network")} | {
            "dataset": kind
        }
    test_set = make_dataset(TrialConfig(model="beta_vae", beta=0.0, num_test=max(num_videos, 2), **values)).test_set()
    return Batch(test_set.images[:num_videos], test_set.factors[:num_videos], test_set.factor_names)


def middle_picture(config: TrialConfig) -> HeldOutPicture:
    """The held-out picture whose factors are nearest to 0.5, by their squared distance."""
    factors_btf = make_dataset(config).test_factors()
    distances = np.square(factors_btf - 0.5).sum(axis=-1)
    video, frame = np.unravel_index(distances.argmin(), distances.shape)
    return HeldOutPicture(int(video), int(frame), factors_btf[video, frame])


def held_out_picture(config: TrialConfig, video: int, frame: int = 0) -> HeldOutPicture:
    """A picture of the held-out set by its number.

    Raises:
        UserError: the set has no such picture.
    """
    factors_btf = make_dataset(config).test_factors()
    if not (0 <= video < len(factors_btf) and 0 <= frame < factors_btf.shape[1]):
        sizes = f"{len(factors_btf)} videos of {factors_btf.shape[1]} frames"
        raise UserError(f"there is no frame {frame} of held-out video {video}; the held-out set has {sizes}.")
    return HeldOutPicture(video, frame, factors_btf[video, frame])


@torch.inference_mode()
def traversal(
    model: Model,
    config: TrialConfig,
    steps: int = 7,
    low: float = -3.0,
    high: float = 3.0,
    *,
    base: NDArray[np.floating] | None = None,
) -> Pictures:
    """Pictures decoded from latents that equal a base but for one, which goes from `low` to `high`.

    A video model decodes a latent at rest, for which filtered and extrapolated decoding are the same.

    Args:
        model: a network with a decoder, on any device.
        config: its config, which names the held-out set.
        steps: S, evenly spaced, both ends included.
        low: where each latent begins; the prior's standard deviation is 1.
        high: where it ends.
        base: [L] the other latents; the posterior mean of `middle_picture` where it is not given.

    Returns:
        [L, S, H, W].

    Raises:
        UserError: the network has no decoder, or the base not as many latents as the network.
    """
    decoding = _with_decoder(model, "a traversal")
    if base is None:
        base = encode_stills(model, config, middle_picture(config).factors[None])[0]
    num_latents = decoding.num_latents
    if np.shape(base) != (num_latents,):
        raise UserError(f"a base of shape {np.shape(base)} does not fit a network of {num_latents} latents.")
    values = torch.linspace(float(low), float(high), steps)
    return _pictures(decoded_traversal(decoding, torch.tensor(base, dtype=torch.float32), values))


@torch.inference_mode()
def reconstruct(model: Model, batch: Batch) -> tuple[Pictures, Pictures]:
    """Frames as they are, and as a network reconstructs them.

    The T' frames are those that the network decodes: all T of a `beta_vae` or `predictive_vae`, and the last
    T − 1 − delay of an `inertia_vae`. They are the last of the batch in either case, so that frame t of the
    result is frame T − T' + t of the batch.

    Args:
        model: a network with a decoder, on the device of the batch.
        batch: B videos of as many frames as the network was trained on, where it is an `inertia_vae`.

    Returns:
        Originals and reconstructions, each [B, T', H, W].

    Raises:
        UserError: the network has no decoder, or was trained on videos of another length.
    """
    decoding = model if isinstance(model, SupervisedDecoder) else _with_decoder(model, "a reconstruction")
    _check_length(decoding, batch)
    outputs = [decoding(chunk) for chunk in _chunks(batch)]
    return tuple(  # type: ignore[return-value]
        np.concatenate([_pictures(getattr(output, name)) for output in outputs])
        for name in ("target", "reconstruction")
    )


@torch.inference_mode()
def latent_table(model: Model, config: TrialConfig, test_set: Batch) -> pd.DataFrame:
    """What each latent does on a held-out set.

    The latents are the posterior means of all encoded frames of all videos, after the filter in an `inertia_vae`; those
    of a supervised encoder are the factors that it predicts. The KL is over the frames that the objective counts.

    Returns:
        A row for each latent: `latent`, its index; `variance` of its mean; `posterior_variance` and `kl` (nats), means
        over the frames, NaN for a network without a posterior; `follows`, the factor with which it has the largest
        absolute Pearson correlation, and that `correlation`; `active`, whether its variance exceeds 0.01. A latent that
        is not active still correlates with something: that says nothing of it.

    Raises:
        UserError: the network was trained on videos of another length.
    """
    _check_length(model, test_set)
    parts = [_latents(model, config, chunk) for chunk in _chunks(test_set)]
    mu, factors, kl, variance = (np.concatenate([part[i] for part in parts]) for i in range(4))
    strength = correlations(mu, factors)
    followed = np.abs(strength).argmax(axis=1)
    return pd.DataFrame(
        {
            "latent": np.arange(mu.shape[1]),
            "variance": mu.var(axis=0, dtype=np.float64),
            "posterior_variance": variance.mean(axis=0, dtype=np.float64),
            "kl": kl.mean(axis=0, dtype=np.float64),
            "follows": [test_set.factor_names[i] for i in followed],
            "correlation": strength[np.arange(len(followed)), followed],
            "active": active_mask(mu),
        }
    )


@torch.inference_mode()
def dream(model: Model, frames: Tensor, gamma: float, num_frames: int) -> Pictures:
    """What a network shows when it sees only the first frames of videos and then nothing, at any γ.

    With e_i the encoder's mean of frame i, n frames seen, and α that of the network:

        z_0 = e_0,  ẑ_1 = z_0,  ẑ_{i+1} = z_i + α (z_i − z_{i−1})
        z_i = (1 − γ) e_i + γ ẑ_i    for i < n, where γ is the one given and not the network's own
        z_i = ẑ_i                    for i ≥ n, as no e_i is seen: γ has no part in it any more

    So γ decides what the dream begins with: at 0 the last two frames as they are, at 1 the first one alone, which
    stays. With one frame seen there is no velocity, and the picture stays at any γ. Picture i is decoded from z_i, or
    from z_i + α (z_i − z_{i−1}) with `decode = "extrapolated"`, and stands for frame i + delay of the video in an
    `inertia_vae`, for frame i otherwise. A network other than `inertia_vae` is given this filter.

    Args:
        model: a network with a decoder, on the device of the frames.
        frames: float32 [B, n, C, H, W] in [0, 1], what is seen.
        gamma: γ in [0, 1].
        num_frames: T, the seen ones included.

    Returns:
        [B, T, H, W].

    Raises:
        UserError: the network has no decoder, γ is out of range, or fewer frames are asked for than are seen.
    """
    decoding = _with_decoder(model, "a dream")
    if not 0 <= gamma <= 1:
        raise UserError(f"gamma = {gamma} is out of range; γ is a share, give a number in [0, 1].")
    seen = frames.shape[1]
    if not 1 <= seen <= num_frames:
        raise UserError(f"a dream of {num_frames} frames cannot begin with {seen}; show it 1 to {num_frames}.")
    encoded, _ = decoding.encode(frames)
    alpha = decoding.alpha.double()
    matrix = inertia_matrix(torch.tensor(gamma, dtype=torch.float64, device=alpha.device), alpha, seen)
    latents = list((matrix.to(encoded.dtype) @ encoded).unbind(1))
    while len(latents) < num_frames:
        last, past = latents[-1], latents[-2] if len(latents) > 1 else latents[-1]
        latents.append(last + decoding.alpha * (last - past))
    z_btl = torch.stack(latents, dim=1)
    if isinstance(decoding, InertiaVAE) and decoding.extrapolate:
        z_btl = decoding.extrapolated(z_btl)
    return _decoded(decoding, z_btl)


class Lag(NamedTuple):
    """How far the reconstructed circle is behind, in pixels of the 32×32 picture."""

    median: float
    """Over all frames whose reconstruction shows a circle; NaN if none does. The median, since a few reconstructions
    in a hundred have their circle somewhere else altogether."""
    low: float
    """Ends of its 95% interval over videos (bootstrap)."""
    high: float
    shown: float
    """Share of the frames whose reconstruction shows a circle. Below `LEAST_SHOWN`, their lag is that of accidents."""

    @classmethod
    def of(cls, lags: NDArray[np.float64]) -> "Lag":
        """Of what `circle_lags` gives, for two videos or more."""
        interval = bootstrap_interval(median_lag, lags)
        median, low, high = (float(end) for end in (interval.estimate, interval.low, interval.high))
        return cls(median, low, high, shown=float(np.isfinite(lags).mean()))


def median_lag(lags: NDArray[np.floating]) -> float:
    """The median of those that are known; NaN if none is."""
    return float(np.nanmedian(lags)) if np.isfinite(lags).any() else math.nan


def motion_per_frame(batch: Batch) -> float:
    """How far the circle of videos moves from a frame to the next in the mean, in pixels of the 32×32 picture."""
    places = place_of(batch.factors[..., :2].cpu().numpy())
    return float(np.linalg.norm(np.diff(places, axis=1), axis=-1).mean())


def circle_lags(model: Model, batch: Batch) -> NDArray[np.float64]:
    """How far the circle in each reconstructed frame is behind the circle in the original, along its motion.

        lag_t = (p_t − p̂_t) · v_t / ‖v_t‖,   v_t = p_t − p_{t−1}

    p_t is where the circle is in frame t, by the factors, and p̂_t where `find_circles` finds it in its
    reconstruction. In a video's first frame v_0 = v_1.

    Args:
        model: a network with a decoder, on the device of the batch.
        batch: B videos as for `reconstruct`.

    Returns:
        [B, T'] pixels of a picture of 32×32, whatever the size of these, the frames being those of `reconstruct`;
        negative where the circle is ahead, NaN where the reconstruction shows no circle, or the circle does not move.

    Raises:
        UserError: see `reconstruct`; or the batch is of still pictures, or not of one circle before a Gaussian.
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
    """Centres of circles in pixels of a picture of 32×32, (x, y), 0 being the middle of the first pixel.

    The middle of pixel k is at 2k + ½ of the canvas that it is reduced from (`dd_ray.data.rendering`).
    """
    return (CIRCLE_RANGE * np.asarray(circle_positions, np.float64) + CIRCLE_MARGIN - 0.5) / (CANVAS / IMAGE)


def find_circles(videos: Pictures, backgrounds: NDArray[np.floating]) -> NDArray[np.float64]:
    """Where the circle is in each frame, whether sharp or blurred, or NaN where there is none.

    By least squares: a frame x is taken for

        x = c₀ + (c₁ + c₂ i + c₃ j + c₄ (i² + j²)) b  +  a · d_p · (1 − b)

    with b the background that the video should have, (i, j) the pixel, which lets the background be a little off its
    place, width and brightness, and d_p a disc of the circle's size at place p, blurred by 1 px. A network that does
    not know where the circle is shows the mean of what it may be, which is of this form with a smaller a and a wider
    disc. The place of the smallest error is sought on a grid of half pixels, and refined by a parabola. There is no
    circle where a is below `FAINTEST`, or its term explains less than `LEAST_EXPLAINED` of what those of the background
    leave. Errors in pixels, root mean square (and largest): 0.03 (0.09) for sharp circles, 0.03 (0.14) for ones blurred
    by 1 px, 0.03 (0.16) before a background that is about 2.5 px off, 0.07 (0.4) for ones blurred by 2 px; their mean
    is 0.

    Args:
        videos: [B, T, H, W] of 32×32 pixels, or of 64×64, which are halved first.
        backgrounds: [B, 2], background_x and background_y of each video, in [0, 1].

    Returns:
        [B, T, 2], (x, y) in pixels as `place_of` has them.
    """
    found = [
        _found(_halved(videos[i : i + CHUNK]), np.asarray(backgrounds[i : i + CHUNK], np.float64))
        for i in range(0, len(videos), CHUNK)
    ]
    return np.concatenate(found)


def _halved(videos: Pictures) -> NDArray[Any]:
    """Pictures of 64×64 as means of 2×2 pixels, whose middles are those of the reduction; others as they are."""
    if videos.shape[-1] == IMAGE:
        return videos
    return videos.reshape(*videos.shape[:2], IMAGE, 2, IMAGE, 2).mean(axis=(3, 5), dtype=np.float32)


def _found(videos: NDArray[Any], backgrounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """`find_circles` for as many videos as memory has room for."""
    discs, squares, places = _discs()
    images_bp = draw_backgrounds(torch.from_numpy(backgrounds)).images.flatten(1).numpy().astype(np.float32) / 255
    basis_bpk, _ = np.linalg.qr(_background_terms(images_bp))  # orthonormal
    frames_btp = videos.reshape(*videos.shape[:2], -1).astype(np.float32) / 255
    rest_btp = frames_btp - (frames_btp @ basis_bpk) @ basis_bpk.swapaxes(1, 2)
    contrast_bp = 1 - images_bp
    # Of each disc [N], what the background cannot explain: its product with the frames, and its square.
    products_btn = _with_discs(rest_btp * contrast_bp[:, None], discs)
    explained_bn = np.square(_with_discs(basis_bpk.swapaxes(1, 2) * contrast_bp[:, None], discs)).sum(axis=1)
    squares_bn = np.square(contrast_bp) @ squares.T - explained_bn
    gains_btn = np.square(products_btn.clip(0)) / squares_bn[:, None]
    best_bt = gains_btn.argmax(axis=-1)
    contrasts_bt = np.take_along_axis(products_btn / squares_bn[:, None], best_bt[..., None], axis=-1)[..., 0]
    shares_bt = gains_btn.max(axis=-1) / np.square(rest_btp).sum(axis=-1).clip(1e-6)
    shown_bt = (contrasts_bt >= FAINTEST) & (shares_bt >= LEAST_EXPLAINED)
    found = _refined(gains_btn.reshape(-1, len(places), len(places)), best_bt.ravel(), places)
    return np.where(shown_bt[..., None], found.reshape(*shown_bt.shape, 2), np.nan)


def _with_discs(pictures: NDArray[Any], discs: NDArray[Any]) -> NDArray[Any]:
    """[B, T, N] products of pictures [B, T, H·W] with discs [N, H·W], as one product of matrices, which is quicker."""
    return (pictures.reshape(-1, pictures.shape[-1]) @ discs.T).reshape(*pictures.shape[:2], -1)


def _background_terms(images_bp: NDArray[Any]) -> NDArray[Any]:
    """[B, H·W, 5] a constant, the background, and what it changes by when it moves or widens a little."""
    j, i = (axis.ravel() for axis in np.indices((IMAGE, IMAGE), np.float32) / IMAGE - np.float32(0.5))
    terms = [np.ones_like(images_bp), images_bp, i * images_bp, j * images_bp, (i**2 + j**2) * images_bp]
    return np.stack(terms, axis=-1)


def _refined(gains: NDArray[np.floating], best: NDArray[np.intp], places: NDArray[np.floating]) -> NDArray[np.floating]:
    """[N, 2] maximum of a parabola through the best place of each [N, y, x] and its neighbours, along x and y."""
    row, column = np.clip(np.divmod(best, len(places)), 1, len(places) - 2)
    which = np.arange(len(best))
    middle = gains[which, row, column]
    x = _peak(gains[which, row, column - 1], middle, gains[which, row, column + 1])
    y = _peak(gains[which, row - 1, column], middle, gains[which, row + 1, column])
    return np.stack([places[column] + x * _GRID, places[row] + y * _GRID], axis=-1)


def _peak(before: NDArray[Any], at: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    """Where the parabola through three neighbours has its maximum, in steps from the middle one."""
    bend = 2 * at - before - after
    return np.divide(after - before, 2 * bend, out=np.zeros_like(at), where=bend > 0).clip(-1, 1)


@cache
def _discs() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Blurred discs [N², H·W] at all places of a square grid, y slowest, their squares, and its N places an axis."""
    low, high = place_of(np.array([0.0, 1.0]))
    # Two steps further on each side, so that a circle at the border of its range is no border of the grid.
    places = np.arange(low - 2 * _GRID, high + 2.5 * _GRID, _GRID)
    squares = np.square(np.arange(IMAGE) - places[:, None])
    distances = np.sqrt(squares[:, None, :, None] + squares[None, :, None, :])
    # A Gaussian blur of an edge is its distribution function, and the logistic one at this slope is near it.
    discs = 1 / (1 + np.exp((distances - RADIUS * IMAGE / CANVAS) * (1.702 / _BLUR)))
    discs = discs.reshape(len(places) ** 2, -1).astype(np.float32)
    return discs, np.square(discs), places


def _latents(model: Model, config: TrialConfig, batch: Batch) -> list[NDArray[Any]]:
    """Of every frame, [N, ·]: latents, factors; and of those that the KL counts, KL and posterior variance."""
    outputs = model(batch)
    if isinstance(outputs, ImagePrediction):
        raise UserError("a supervised decoder has no encoder, and so no latents; choose other cells.")
    if isinstance(outputs, FactorPrediction):
        unknown = torch.full_like(outputs.predicted, float("nan"))
        parts = [outputs.predicted, outputs.target, unknown, unknown]
    else:
        kl = kl_divergence(outputs.mu, outputs.logvar)[:, outputs.kl_frames]
        variance = outputs.logvar.exp()[:, outputs.kl_frames]
        if not config.stochastic:
            kl, variance = (torch.full_like(part, float("nan")) for part in (kl, variance))
        parts = [outputs.mu, batch.factors[:, outputs.frames], kl, variance]
    return [part.flatten(0, 1).cpu().numpy() for part in parts]


def _with_decoder(model: Model, what: str) -> VideoVAE:
    if isinstance(model, SupervisedDecoder):
        raise UserError(f"{what} needs latents, which a supervised decoder does not have; choose other cells.")
    if not isinstance(model, VideoVAE):
        raise UserError(f"{what} needs a decoder, which a supervised encoder does not have; choose other cells.")
    return model


def _check_length(model: Model, batch: Batch) -> None:
    if isinstance(model, InertiaVAE) and batch.images.shape[1] != model.num_latents_in_time + model.delay:
        raise UserError(
            f"videos of {batch.images.shape[1]} frames do not fit a filter of "
            f"{model.num_latents_in_time + model.delay}; give it as many as it was trained on."
        )


def _chunks(batch: Batch) -> list[Batch]:
    """The batch in parts, which bounds the memory."""
    images, factors = batch.images.split(CHUNK), batch.factors.split(CHUNK)
    return [Batch(*parts, batch.factor_names) for parts in zip(images, factors, strict=True)]


def _decoded(model: VideoVAE, latents_btl: Tensor) -> Pictures:
    device = next(model.parameters()).device
    return np.concatenate([_pictures(model.decode(part.to(device))) for part in latents_btl.split(CHUNK)])


def _pictures(images_btchw: Tensor) -> Pictures:
    """[B, T, H, W] of images in [0, 1]."""
    return (images_btchw[:, :, 0] * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
