"""Computes what trained networks show, as arrays: traversals, reconstructions, latents and dreams.

No figure is drawn here. Pictures are uint8, with 255 as white, decoded from posterior means without sampling: [..., H,
W], or [..., H, W, 3] in colour.

Shapes: B videos, T frames, L latents, F factors, S steps of a traversal, C×H×W pixels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import DATASETS, NUM_HELD_OUT, TrialConfig, data_config
from dd_ray.data import Batch, Dataset, make_dataset, render_stills, still_images
from dd_ray.errors import UserError
from dd_ray.evaluation import encode_pictures
from dd_ray.evaluation.held_out import CHUNK, decoded_traversal, shown
from dd_ray.metrics import active_mask
from dd_ray.metrics.arrays import correlations
from dd_ray.models import FactorPrediction, Model, device_of
from dd_ray.models.prediction import inertia_matrix
from dd_ray.objectives import kl_divergence

Pictures = NDArray[np.uint8]

DREAM_GAMMAS, DREAM_SEEN = (0.0, 0.5, 0.9), 3
"""Default values of γ in dreams, and the default number of frames that a network sees before."""


class HeldOutPicture(NamedTuple):
    """A picture of the held-out set."""

    video: int
    """Index of its video (or still image) in the set."""
    frame: int
    """Index of the frame in the video."""
    factors: NDArray[np.float32]
    """[F] the factors that it shows."""
    picture: NDArray[Any]
    """[H, W], or [H, W, C] if it comes from a file: uint8, or floats in [0, 1]."""

    @property
    def shown(self) -> Pictures:
        """The picture as uint8: [H, W], or [H, W, 3] in colour."""
        picture: Pictures = pictures_of(still_images(self.picture[None]))[0, 0]
        return picture


def held_out_videos(config: TrialConfig, num_videos: int) -> Batch:
    """Return the first held-out videos of a config's dataset; for still pictures, those of the moving kind.

    For a file, all are returned if it holds out fewer, and still pictures are videos of one frame.

    Raises:
        UserError: the dataset holds out fewer, or has still pictures without a moving kind; or none are asked for.
    """
    if num_videos < 1:
        raise UserError(f"num_videos = {num_videos} is out of range; give 1 to {NUM_HELD_OUT}.")
    if num_videos > NUM_HELD_OUT:
        raise UserError(f"video {num_videos - 1} is none that is held out; give 0 to {NUM_HELD_OUT - 1}.")
    data = config.data if config.of_videos or config.contents else _data_of_videos(config)
    test_set = make_dataset(replace(data_config(data), num_test=max(num_videos, 2))).test_set()
    return test_set.map(lambda tensor: tensor[:num_videos])


def _data_of_videos(config: TrialConfig) -> dict[str, Any]:
    """Return the config fields of the moving kind of still pictures; fields of both kinds keep their values."""
    stills = DATASETS[config.dataset]
    if stills.videos is None:
        raise UserError(f"{config.dataset} has still pictures and no videos to show; choose cells of another dataset.")
    shared = {*stills.reads} & {*DATASETS[stills.videos].reads}
    return {"dataset": stills.videos} | {name: getattr(config, name) for name in ("image_size", "network", *shared)}


def middle_picture(config: TrialConfig) -> HeldOutPicture:
    """Return the held-out picture whose factors are nearest to 0.5 in squared distance; without factors, the first."""
    dataset = make_dataset(config)
    distances = np.square(dataset.test_factors() - 0.5).sum(axis=-1)
    video, frame = np.unravel_index(distances.argmin(), distances.shape)
    return _held_out_picture(config, dataset, int(video), int(frame))


def held_out_picture(config: TrialConfig, video: int, frame: int = 0) -> HeldOutPicture:
    """Return a picture of the held-out set by its number.

    Raises:
        UserError: the set has no such picture.
    """
    dataset = make_dataset(config)
    factors_btf = dataset.test_factors()
    if not (0 <= video < len(factors_btf) and 0 <= frame < factors_btf.shape[1]):
        sizes = f"{len(factors_btf)} videos of {factors_btf.shape[1]} frames"
        raise UserError(f"there is no frame {frame} of held-out video {video}; the held-out set has {sizes}.")
    return _held_out_picture(config, dataset, video, frame)


def _held_out_picture(config: TrialConfig, dataset: Dataset, video: int, frame: int) -> HeldOutPicture:
    factors = dataset.test_factors()[video, frame]
    of_file = dataset.test_picture(video, frame)
    picture = render_stills(config, factors[None])[0] if of_file is None else of_file
    return HeldOutPicture(video, frame, factors, picture)


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
    """Decode pictures of latents that equal a base except for one, which goes from `low` to `high`.

    In a video model the latents are at rest, so that filtered and extrapolated decoding are the same.

    Args:
        model: a network with a decoder, on any device.
        config: its config, which names the held-out set.
        steps: S, evenly spaced, both ends included.
        low: first value of each latent; the prior's standard deviation is 1.
        high: last value of each latent.
        base: [L] the other latents; by default the posterior mean of `middle_picture`.

    Returns:
        [L, S, H, W].

    Raises:
        UserError: the network has no decoder, or another number of latents than the base, or `steps` is less than 1.
    """
    if steps < 1:
        raise UserError(f"steps = {steps} leaves nothing to draw; give 1 or more.")
    _check_has_latents(model, "a traversal")
    if base is None:
        base = encode_pictures(model, middle_picture(config).picture[None])[0]
    num_latents = model.num_latents
    if np.shape(base) != (num_latents,):
        raise UserError(f"a base of shape {np.shape(base)} does not fit a network of {num_latents} latents.")
    values = torch.linspace(float(low), float(high), steps)
    return pictures_of(decoded_traversal(model, torch.tensor(base, dtype=torch.float32), values))


@torch.inference_mode()
def reconstruct(model: Model, batch: Batch) -> tuple[Pictures, Pictures]:
    """Return frames, and their reconstructions by a network.

    The T' frames are those that the network draws: the last T − 1 − delay in an `inertia_vae`, and all T in others. In
    both cases frame t of the result is frame T − T' + t of the batch.

    Args:
        model: a network with a decoder, on the device of the batch.
        batch: B videos, of the network's `num_frames` if it has a fixed number.

    Returns:
        Originals and reconstructions, each [B, T', H, W].

    Raises:
        UserError: the network has no decoder, or was trained on videos of another length.
    """
    _check_draws(model, "a reconstruction")
    _check_length(model, batch)
    outputs = [model(chunk) for chunk in batch.split(CHUNK)]
    return tuple(  # type: ignore[return-value]
        np.concatenate([pictures_of(getattr(output, name)) for output in outputs])
        for name in ("target", "reconstruction")
    )


@torch.inference_mode()
def latent_table(model: Model, config: TrialConfig, test_set: Batch) -> pd.DataFrame:
    """Describe each latent on a held-out set.

    The latents are the posterior means of all encoded frames of all videos, after the filter in an `inertia_vae`; those
    of a supervised encoder are the factors that it predicts. The KL is over the frames that the objective counts.

    Returns:
        A row for each latent: `latent`, its index; `variance` of its mean; `posterior_variance` and `kl` (nats), means
            over the frames, NaN for a network without a posterior; `follows`, the factor with which it has the largest
            absolute Pearson correlation, and that `correlation` (None and NaN if the data have no factors); `active`,
            whether its variance exceeds 0.01. A latent that is not active also correlates with some factor, which means
            nothing.

    Raises:
        UserError: the network has no encoder, or was trained on videos of another length.
    """
    if not model.traits.encodes:
        raise UserError(f"{model.traits.one} has no encoder, and so no latents; choose other cells.")
    _check_length(model, test_set)
    parts = [_latents(model, config, chunk) for chunk in test_set.split(CHUNK)]
    mu, factors, kl, variance = (np.concatenate([part[i] for part in parts]) for i in range(4))
    follows, correlation = _followed(correlations(mu, factors), test_set.factor_names)
    return pd.DataFrame(
        {
            "latent": np.arange(mu.shape[1]),
            "variance": mu.var(axis=0, dtype=np.float64),
            "posterior_variance": variance.mean(axis=0, dtype=np.float64),
            "kl": kl.mean(axis=0, dtype=np.float64),
            "follows": follows,
            "correlation": correlation,
            "active": active_mask(mu),
        }
    )


def _followed(
    strength: NDArray[np.floating], names: Sequence[str]
) -> tuple[Sequence[str | None], NDArray[np.floating]]:
    """Return the factor with the largest of correlations [L, F] for each latent, and that correlation [L]."""
    if not names:
        return [None] * len(strength), np.full(len(strength), np.nan)
    followed = np.abs(strength).argmax(axis=1)
    return [names[i] for i in followed], strength[np.arange(len(followed)), followed]


@torch.inference_mode()
def dream(model: Model, frames: Tensor, gamma: float, num_frames: int) -> Pictures:
    """Decode what a network predicts if it sees only the first frames of videos, at any γ.

    With e_i the encoder's mean of frame i, n frames seen, and α that of the network:

        z_0 = e_0,  ẑ_1 = z_0,  ẑ_{i+1} = z_i + α (z_i − z_{i−1})
        z_i = (1 − γ) e_i + γ ẑ_i    for i < n, with the given γ and not the network's own
        z_i = ẑ_i                    for i ≥ n, since no e_i is seen: γ has no effect any more

    So γ decides how the dream begins: at 0 with the last two seen frames as they are, at 1 with the first frame alone,
    which then stays. If one frame is seen there is no velocity, and the picture stays at any γ. Picture i is decoded
    from z_i, or from z_i + α (z_i − z_{i−1}) with `decode = "extrapolated"`, and stands for frame i + delay of the
    video in an `inertia_vae`, else for frame i. The filter is applied to networks other than `inertia_vae` as well.

    Args:
        model: a network with a decoder, on the device of the frames.
        frames: float32 [B, n, C, H, W] in [0, 1], the seen frames.
        gamma: γ in [0, 1].
        num_frames: T, including the seen frames.

    Returns:
        [B, T, H, W].

    Raises:
        UserError: the network has no decoder, γ is out of range, or fewer frames are asked for than are seen.
    """
    _check_has_latents(model, "a dream")
    if not 0 <= gamma <= 1:
        raise UserError(f"gamma = {gamma} is out of range; γ is a share, give a number in [0, 1].")
    seen = frames.shape[1]
    if not 1 <= seen <= num_frames:
        raise UserError(f"a dream of {num_frames} frames cannot begin with {seen}; show it 1 to {num_frames}.")
    encoded = model.code(frames)
    alpha = model.alpha.double()
    matrix = inertia_matrix(torch.tensor(gamma, dtype=torch.float64, device=alpha.device), alpha, seen)
    latents = list((matrix.to(encoded.dtype) @ encoded).unbind(1))
    while len(latents) < num_frames:
        last, past = latents[-1], latents[-2] if len(latents) > 1 else latents[-1]
        latents.append(last + model.alpha * (last - past))
    return _decoded(model, model.decoder_input(torch.stack(latents, dim=1)))


def _latents(model: Model, config: TrialConfig, batch: Batch) -> list[NDArray[Any]]:
    """Return latents and factors of every frame, [N, ·], and KL and posterior variance of those that the KL counts."""
    outputs = model(batch)
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


def _check_has_latents(model: Model, what: str) -> None:
    _check_draws(model, what)
    if not model.traits.encodes:
        raise UserError(f"{what} needs latents, which {model.traits.one} does not have; choose other cells.")


def _check_draws(model: Model, what: str) -> None:
    if not model.traits.draws:
        raise UserError(f"{what} needs a decoder, which {model.traits.one} does not have; choose other cells.")


def _check_length(model: Model, batch: Batch) -> None:
    num_frames = batch.images.shape[1]
    if model.num_frames not in (None, num_frames):
        raise UserError(
            f"videos of {num_frames} frames do not fit {model.traits.one} of {model.num_frames}; "
            "give it as many as it was trained on."
        )


def _decoded(model: Model, latents_btl: Tensor) -> Pictures:
    return np.concatenate([pictures_of(model.decode(part.to(device_of(model)))) for part in latents_btl.split(CHUNK)])


def pictures_of(images_btchw: Tensor) -> Pictures:
    """Convert images [B, T, C, H, W] in [0, 1] to pictures."""
    return shown(images_btchw.movedim(2, -1)).cpu().numpy()
