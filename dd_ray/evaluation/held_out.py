"""Evaluates a model on held-out data: losses, metrics and pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import Batch, Stream, generator
from dd_ray.evaluation.decomposition import as_told, kl_terms
from dd_ray.metrics import HeldOut, gaussian_total_correlation
from dd_ray.models import FactorPrediction, ImagePrediction, Model, device_of
from dd_ray.models.prediction import predict_linearly
from dd_ray.objectives import Posterior, Weights, kl_divergence, objective, reconstruction_floor

CHUNK = 64
"""Videos that are processed at a time, which bounds the memory of an evaluation."""
PICTURED = 6
"""Number of videos (or still images) in the picture of an evaluation."""
ERRORS = ("reconstruction_error", "factor_error")
"""Errors that are compared between held-out and training data."""
TRAVERSED = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
"""The values of a latent in a traversal, in standard deviations of the prior."""


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on the held-out set."""

    held_out: HeldOut
    """Latents, factors and means, from which the metrics are computed."""
    picture: NDArray[np.uint8] | None
    """[H, W], or [H, W, 3] in colour: rows of held-out frames, each above a row of their reconstructions; None without
    a decoder."""
    traversal: NDArray[np.uint8] | None
    """[L·H, 7·W(, 3)] decoded images: in each row one latent goes from −3 to 3, and the others are 0, their mean under
    the prior; None without a prior."""

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Scalars by name: those of `dd_ray.metrics.REPORTED`, and scalars per latent, factor and loss term."""
        return self.held_out.metrics()

    @property
    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        """The pictures that exist, by what they show."""
        shown = {
            "originals above reconstructions": self.picture,
            f"latents from {TRAVERSED[0]:g} to {TRAVERSED[-1]:g}, a row for each": self.traversal,
        }
        return {name: picture for name, picture in shown.items() if picture is not None}


def evaluate(
    model: Model, config: TrialConfig, test_set: Batch, iteration: int = 0, seen_set: Batch | None = None
) -> Evaluation:
    """Evaluate a model on a held-out batch, with the objective's weights at an iteration.

    Reconstructions and latents are those of the posterior means; only the loss terms use samples, with the same noise
    at every evaluation and in every trial.

    Args:
        model: the network, on the device of the batches.
        config: config of the network.
        test_set: the held-out data.
        iteration: iteration whose weights of the objective are used.
        seen_set: training data to compare with, if there is a split; its error is reported under a name that ends in
            `_seen`.
    """
    return begin_evaluation(model, config, test_set, iteration, seen_set)()


@torch.inference_mode()
def begin_evaluation(
    model: Model, config: TrialConfig, test_set: Batch, iteration: int = 0, seen_set: Batch | None = None
) -> Callable[[], Evaluation]:
    """Start `evaluate` on the device, without waiting for it.

    Returns:
        A function that waits for the device and returns the evaluation. The model may change before it is called.
    """
    weights = Weights.at(config, iteration)
    chunks = [_evaluate_chunk(model, config, *chunk, weights) for chunk in _chunks(model, config, test_set)]
    seen = [_evaluate_chunk(model, config, *chunk) for chunk in _chunks(model, config, seen_set)] if seen_set else []
    gathered = {name: torch.cat([c.arrays[name] for c in chunks]) for name in chunks[0].arrays}
    has_prior = model.traits.has_latents and config.stochastic
    posterior = Posterior(*(gathered[f"posterior/{name}"] for name in Posterior._fields)) if has_prior else None
    terms = {} if posterior is None else kl_terms(posterior)
    traversal = _traversal(model) if has_prior else None
    learned = model.learned_values()

    def fetch() -> Evaluation:
        of_seen = {f"{name}_seen": value for name, value in _means(seen).items() if name in ERRORS}
        held_out = HeldOut(
            **{name: _numpy(gathered.get(name)) for name in ("latents", "predicted", "factors", "encoded")},
            factor_names=test_set.factor_names,
            means=_means(chunks)
            | _errors_of_lost(gathered)
            | of_seen
            | ({} if posterior is None else _of_posterior(posterior, terms))
            | {name: float(value) for name, value in learned.items()},
        )
        return Evaluation(held_out, _numpy(chunks[0].picture), _numpy(traversal))

    return fetch


def _of_posterior(posterior: Posterior, terms: dict[str, Tensor]) -> dict[str, float]:
    mu, variance = posterior.mu.cpu().numpy(), posterior.logvar.exp().cpu().numpy()
    told = as_told({name: float(term) for name, term in terms.items()}, len(mu))
    return told | {"gaussian_total_correlation": gaussian_total_correlation(mu, variance)}


@dataclass(frozen=True)
class _Chunk:
    """Results for some videos, on the device, which may still be computing them."""

    size: int
    means: dict[str, Tensor]
    arrays: dict[str, Tensor]
    picture: Tensor | None


def _means(chunks: Sequence[_Chunk]) -> dict[str, float]:
    if not chunks:
        return {}
    sizes = [chunk.size for chunk in chunks]
    values_mc = torch.stack([torch.stack([c.means[name] for c in chunks]) for name in chunks[0].means]).cpu().double()
    means = np.average(values_mc.numpy(), axis=1, weights=sizes)
    return dict(zip(chunks[0].means, means.tolist(), strict=True))


def _chunks(model: Model, config: TrialConfig, test_set: Batch) -> Iterator[tuple[Batch, Tensor | None]]:
    shape = model.noise_shape(*test_set.images.shape[:2]) if config.stochastic else None
    noise = None
    if shape is not None:
        normal = generator(0, Stream.TEST_NOISE, 0).standard_normal(shape, dtype="float32")
        noise = torch.from_numpy(normal).to(test_set.images.device)
    parts = test_set.split(CHUNK)
    yield from zip(parts, noise.split(CHUNK) if noise is not None else [None] * len(parts), strict=True)


def _evaluate_chunk(
    model: Model, config: TrialConfig, batch: Batch, noise: Tensor | None, weights: Weights | None = None
) -> _Chunk:
    outputs = model(batch, noise)
    terms = objective(config, outputs, weights)
    means = {"loss": terms.loss} | {f"loss/{name}": term for name, term in terms.parts.items()}
    if isinstance(outputs, FactorPrediction):
        arrays = {"latents": outputs.predicted, "factors": outputs.target}
        means["factor_error"] = means.pop("loss/factor_error")
        return _Chunk(len(batch.images), means, arrays, None)
    if isinstance(outputs, ImagePrediction):
        means["reconstruction_error"] = means.pop("loss/reconstruction_error")
        lost = _lost_frames(batch, outputs.target, outputs.reconstruction)
        return _Chunk(len(batch.images), means, lost, _picture(outputs.target, outputs.reconstruction))
    of_means = model.reconstruct(outputs.mu, outputs.logvar)
    means["reconstruction_error"] = (of_means - outputs.target).square().mean()
    if config.likelihood == "bernoulli":
        means["loss/reconstruction_floor"] = reconstruction_floor(outputs.target)
    kl_l = kl_divergence(outputs.mu, outputs.logvar)[:, outputs.kl_frames].mean(dim=(0, 1))
    if config.stochastic:
        means |= {"kl": kl_l.sum()} | {f"kl/latent_{i}": kl for i, kl in enumerate(kl_l)}
    arrays = {
        "latents": outputs.mu,
        # Constant velocity, whatever the model's own α is, so that the ratio means the same for all models.
        "predicted": predict_linearly(outputs.mu, torch.ones((), device=outputs.mu.device)),
        "factors": batch.factors[:, outputs.frames],
        **({} if outputs.encoded is None else {"encoded": outputs.encoded}),
        **{
            f"posterior/{name}": getattr(outputs, name)[:, outputs.kl_frames].flatten(0, 1)
            for name in Posterior._fields
        },
        **_lost_frames(batch, outputs.target, of_means),
    }
    return _Chunk(len(batch.images), means, arrays, _picture(outputs.target, of_means))


def _lost_frames(batch: Batch, target: Tensor, drawn: Tensor) -> dict[str, Tensor]:
    """Return the error per pixel of each drawn frame, [B, T''], and masks of those frames that are lost."""
    if not batch.lost:
        return {}
    lost = {f"lost/{name}": frames[:, -target.shape[1] :] for name, frames in batch.lost.items()}
    return {"frame_errors": (drawn - target).square().mean(dim=(2, 3, 4)), **lost}


def _errors_of_lost(gathered: dict[str, Tensor]) -> dict[str, float]:
    """Return the mean error per pixel of lost frames, by the reason of the loss; NaN if there are none."""
    which = {name.removeprefix("lost/"): frames.cpu() for name, frames in gathered.items() if name.startswith("lost/")}
    errors = {name: gathered["frame_errors"].cpu().double()[frames] for name, frames in which.items()}
    return {f"reconstruction_error_{name}": float(of_lost.mean()) for name, of_lost in errors.items()}


def _numpy(tensor: Tensor | None) -> NDArray[Any] | None:
    return None if tensor is None else tensor.cpu().numpy()


def _picture(target: Tensor, reconstruction: Tensor) -> Tensor:
    """Arrange originals and reconstructions: [2·P·H, T·W(, 3)] for videos, [2·H, P·W(, 3)] for still images."""
    pairs_pstchw = torch.stack([target[:PICTURED], reconstruction[:PICTURED]], dim=1)
    if pairs_pstchw.shape[2] == 1:
        pairs_pstchw = pairs_pstchw.transpose(0, 2)
    rows_pshtwc = pairs_pstchw.permute(0, 1, 4, 2, 5, 3)
    return shown(rows_pshtwc.flatten(3, 4).flatten(0, 2))


def _traversal(model: Model) -> Tensor:
    """Arrange the decoded traversal of all latents as [L·H, 7·W(, 3)]."""
    frames_lschw = decoded_traversal(model, torch.zeros(model.num_latents), torch.tensor(TRAVERSED))
    return shown(frames_lschw.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1))


def decoded_traversal(model: Model, base: Tensor, values: Tensor) -> Tensor:
    """Decode latents that equal a base [L] except for one, which takes S values in turn: [L, S, C, H, W]."""
    num_latents = model.num_latents
    moved_lsl = base.repeat(num_latents, len(values), 1)
    moved_lsl[torch.arange(num_latents), :, torch.arange(num_latents)] = values
    return model.decode(moved_lsl.to(device_of(model)))


def shown(pictures: Tensor) -> Tensor:
    """Convert pictures [..., H, W, C] in [0, 1] for files: uint8 [..., H, W], or [..., H, W, 3] in colour."""
    scaled = (pictures * 255).round().clamp(0, 255).to(torch.uint8)
    return scaled[..., 0] if scaled.shape[-1] == 1 else scaled
