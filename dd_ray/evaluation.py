"""Held-out data through a model: into losses, metrics and pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import Batch, Regions, Stream, circle_regions, generator, render_circles
from dd_ray.metrics import active_units, linear_r2, mean_correlation_coefficient, prediction_ratio
from dd_ray.models import FactorPrediction, Model, VideoVAE
from dd_ray.models.prediction import predict_linearly
from dd_ray.objectives import kl_divergence, objective

CHUNK = 64
"""Videos at a time; bounds the memory of an evaluation."""
PICTURED = 6
"""Videos (or still images) in the picture of an evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """What a model does on the held-out set."""

    metrics: dict[str, float]
    """Scalars by name; those of `dd_ray.metrics.REPORTED`, and per latent, factor and loss term."""
    picture: NDArray[np.uint8] | None
    """[H, W] held-out frames, each row of originals above its reconstructions; None without a decoder."""


@torch.inference_mode()
def evaluate(model: Model, config: TrialConfig, test_set: Batch) -> Evaluation:
    """Evaluate a model on a held-out batch.

    Reconstructions and latents are those of the posterior means; only the loss terms sample, with noise
    that is the same at every evaluation and in every trial.
    """
    chunks = [_evaluate_chunk(model, config, chunk, noise) for chunk, noise in _chunks(model, config, test_set)]
    sizes = [chunk.size for chunk in chunks]
    metrics = {name: float(np.average([c.means[name] for c in chunks], weights=sizes)) for name in chunks[0].means}
    gathered = {name: np.concatenate([c.arrays[name] for c in chunks]) for name in chunks[0].arrays}
    return Evaluation({**_scores(gathered, test_set.factor_names), **metrics}, chunks[0].picture)


@torch.inference_mode()
def region_errors(model: VideoVAE, factors: NDArray[np.floating]) -> dict[str, NDArray[np.float32]]:
    """Reconstruction error of still images inside the circle, at its edge and in the background.

    Images are decoded from the posterior means, without sampling.

    Args:
        model: encodes and decodes single images; a video model is asked about its networks alone.
        factors: float32 or float64 [N, 4] in [0, 1], in the order of `FACTORS`.

    Returns:
        Mean squared difference over the pixels of each of `dd_ray.data.Regions`, by its name, each [N].

    Raises:
        UserError: the factors are not as above.
    """
    device = next(model.parameters()).device
    size = CHUNK * 10
    chunks = [_region_errors(model, factors[i : i + size], device) for i in range(0, len(factors), size)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in Regions._fields}


def _region_errors(model: VideoVAE, factors: NDArray[np.floating], device: torch.device) -> dict[str, Any]:
    images = torch.from_numpy(render_circles(factors)).to(device)[:, None, None] / 255
    mu, _ = model.encode(images)
    squares = (model.decode(mu) - images).square()[:, 0, 0].cpu().numpy()
    regions = circle_regions(factors[:, :2])
    return {name: (squares * mask).sum(axis=(1, 2)) / mask.sum(axis=(1, 2)) for name, mask in regions._asdict().items()}


@dataclass(frozen=True)
class _Chunk:
    size: int
    means: dict[str, float]
    arrays: dict[str, NDArray[Any]]
    picture: NDArray[np.uint8] | None


def _chunks(model: Model, config: TrialConfig, test_set: Batch) -> Iterator[tuple[Batch, Tensor | None]]:
    shape = model.noise_shape(*test_set.images.shape[:2]) if config.stochastic else None
    noise = None
    if shape is not None:
        normal = generator(0, Stream.TEST_NOISE, 0).standard_normal(shape, dtype="float32")
        noise = torch.from_numpy(normal).to(test_set.images.device)
    for start in range(0, len(test_set.images), CHUNK):
        part = slice(start, start + CHUNK)
        chunk = Batch(test_set.images[part], test_set.factors[part], test_set.factor_names)
        yield chunk, None if noise is None else noise[part]


def _evaluate_chunk(model: Model, config: TrialConfig, batch: Batch, noise: Tensor | None) -> _Chunk:
    outputs = model(batch, noise)
    terms = objective(config, outputs)
    means = {"loss": float(terms.loss)} | {f"loss/{name}": float(term) for name, term in terms.parts.items()}
    if isinstance(outputs, FactorPrediction):
        arrays = {"latents": outputs.predicted, "factors": outputs.target}
        means["factor_error"] = means.pop("loss/factor_error")
        return _Chunk(len(batch.images), means, _numpy(arrays), None)
    assert isinstance(model, VideoVAE)
    of_means = model.reconstruct(outputs.mu, outputs.logvar)
    means["reconstruction_error"] = float((of_means - outputs.target).square().mean())
    kl_l = kl_divergence(outputs.mu, outputs.logvar)[:, outputs.kl_frames].mean(dim=(0, 1))
    if config.stochastic:
        means |= {"kl": float(kl_l.sum())} | {f"kl/latent_{i}": float(kl) for i, kl in enumerate(kl_l)}
    arrays = {
        "latents": outputs.mu,
        # Constant velocity whatever the model's own α, so that the ratio means the same for all.
        "predicted": predict_linearly(outputs.mu, torch.ones((), device=outputs.mu.device)),
        "factors": batch.factors[:, outputs.frames],
    }
    return _Chunk(len(batch.images), means, _numpy(arrays), _picture(outputs.target, of_means))


def _scores(arrays: dict[str, NDArray[Any]], factor_names: tuple[str, ...]) -> dict[str, float]:
    """Scores over all frames of all videos; the code of a frame is compared with that frame's factors."""
    even = len(arrays["latents"]) // 2 * 2  # no video in both halves of a regression
    latents_btl, factors_btf = arrays["latents"][:even], arrays["factors"][:even]
    latents = latents_btl.reshape(-1, latents_btl.shape[-1])
    factors = factors_btf.reshape(-1, factors_btf.shape[-1])
    if not np.isfinite(latents).all():
        return {}
    r2 = linear_r2(latents, factors)
    scores = {
        "linear_r2": float(np.mean(r2)),
        **{f"linear_r2/{name}": float(value) for name, value in zip(factor_names, r2, strict=True)},
        "mcc": mean_correlation_coefficient(latents, factors),
    }
    if "predicted" in arrays:
        scores["active_units"] = active_units(latents)
        if latents_btl.shape[1] >= 3:
            scores["prediction_ratio"] = prediction_ratio(latents_btl, arrays["predicted"][:even])
    return scores


def _numpy(tensors: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _picture(target: Tensor, reconstruction: Tensor) -> NDArray[np.uint8]:
    """[2·P·H, T·W] for videos, frame beside frame; [2·H, P·W] for still images."""
    pairs_pstchw = torch.stack([target[:PICTURED], reconstruction[:PICTURED]], dim=1)
    if pairs_pstchw.shape[2] == 1:
        pairs_pstchw = pairs_pstchw.transpose(0, 2)
    pairs_psthw = pairs_pstchw[:, :, :, 0]
    rows = pairs_psthw.permute(0, 1, 3, 2, 4).flatten(3, 4).flatten(0, 2)
    return (rows * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
