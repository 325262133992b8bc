"""The scores of an evaluation, from what a network makes of held-out videos.

Shapes: B videos (a still image is a video of one frame), T frames, L latents, F factors.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.metrics.activity import active_units
from dd_ray.metrics.arrays import FewPointsWarning, mean_of_factors
from dd_ray.metrics.mcc import mean_correlation_coefficient
from dd_ray.metrics.mig import mig
from dd_ray.metrics.motion import constant_velocity, prediction_ratio, straightness
from dd_ray.metrics.regression import linear_r2
from dd_ray.metrics.sap import sap


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a network makes of held-out videos, as arrays."""

    latents: NDArray[np.float32] | None
    """[B, T, L], the posterior means, or predicted factors; None where a network encodes nothing."""
    predicted: NDArray[np.float32] | None
    """[B, T, L], the latents as constant velocity predicts them; None where there is no posterior."""
    factors: NDArray[np.float32] | None
    """[B, T, F], of the same frames, F = 0 where the data have none; None where there are no latents."""
    factor_names: tuple[str, ...]
    means: dict[str, float]
    """What is averaged over videos, by name: losses, errors, KL; and what a network has learned beside its weights."""
    encoded: NDArray[np.float32] | None = None
    """[B, T, L], the encoder's own means, where the latents are what a filter makes of them; else None."""

    def metrics(self) -> dict[str, float]:
        """Scores over all frames of all videos, and the means; only the latter where there are no finite latents.

        The code of a frame is compared with that frame's factors.
        """
        return {**self._scores(), **self.means}

    def _scores(self) -> dict[str, float]:
        if self.latents is None or self.factors is None:
            return {}
        latents_btl, factors_btf = in_two_halves(self.latents), in_two_halves(self.factors)
        latents = latents_btl.reshape(-1, latents_btl.shape[-1])
        factors = factors_btf.reshape(len(latents), -1) if self.factor_names else np.empty((len(latents), 0))
        if not np.isfinite(latents).all():
            return {}
        return self._of_factors(latents, factors) | self._of_latents(latents_btl)

    def _of_factors(self, latents: NDArray[Any], factors: NDArray[Any]) -> dict[str, float]:
        if not self.factor_names:
            return {}
        r2 = linear_r2(latents, factors)
        return {
            "linear_r2": mean_of_factors(r2),
            **{f"linear_r2/{name}": float(value) for name, value in zip(self.factor_names, r2, strict=True)},
            "mcc": mean_correlation_coefficient(latents, factors),
            "mig": _mig(latents, factors),
            "sap": sap(latents, factors),
        }

    def _of_latents(self, latents_btl: NDArray[Any]) -> dict[str, float]:
        if self.predicted is None:
            return {}
        scores: dict[str, float] = {"active_units": active_units(latents_btl.reshape(-1, latents_btl.shape[-1]))}
        if latents_btl.shape[1] >= 3:
            scores["prediction_ratio"] = prediction_ratio(latents_btl, in_two_halves(self.predicted))
            scores["straightness"] = straightness(latents_btl)
            scores |= self._scores_of_the_encoder()
        return scores

    def _scores_of_the_encoder(self) -> dict[str, float]:
        """How the encoder's own means move, which alone compares across γ: a filter straightens any path."""
        if self.encoded is None or not np.isfinite(self.encoded).all():
            return {}
        encoded = in_two_halves(self.encoded)
        return {
            "prediction_ratio_encoder": prediction_ratio(encoded, constant_velocity(encoded)),
            "straightness_encoder": straightness(encoded),
        }


def in_two_halves(videos: NDArray[Any]) -> NDArray[Any]:
    """An even number of videos [B, ...], so that none is in both halves of a regression."""
    return videos[: len(videos) // 2 * 2]


def _mig(latents: NDArray[Any], factors: NDArray[Any]) -> float:
    # How few points there are is a matter of the config, and is said once, where a sweep says what it will do.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewPointsWarning)
        return mig(latents, factors)
