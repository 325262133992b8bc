"""The scores of an evaluation, computed from a network's outputs on held-out videos.

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
    """The outputs of a network on held-out videos, as arrays."""

    latents: NDArray[np.float32] | None
    """[B, T, L], the posterior means, or predicted factors; None if the network encodes nothing."""
    predicted: NDArray[np.float32] | None
    """[B, T, L], the latents as predicted by constant velocity; None if there is no posterior."""
    factors: NDArray[np.float32] | None
    """[B, T, F], the factors of the same frames, with F = 0 if the data have none; None if there are no latents."""
    factor_names: tuple[str, ...]
    means: dict[str, float]
    """Means over videos by name: losses, errors, KL; and learned values other than weights, such as γ."""
    encoded: NDArray[np.float32] | None = None
    """[B, T, L], the encoder's own means if the latents are filtered from them; else None."""

    def metrics(self) -> dict[str, float]:
        """Return scores over all frames of all videos, and the means; only the means without finite latents.

        The code of a frame is compared with that frame's factors.

        Raises:
            ValueError: latents and factors are not of the same frames.
        """
        return {**self._scores(), **self.means}

    def _scores(self) -> dict[str, float]:
        if self.latents is None or self.factors is None:
            return {}
        if self.latents.ndim != 3 or self.latents.shape[:2] != self.factors.shape[:2]:
            shapes = f"latents {self.latents.shape} and factors {self.factors.shape}"
            raise ValueError(f"{shapes} are not [B, T, L] and [B, T, F] of the same frames.")
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
        """Score how the encoder's own means move. Only these compare across γ, since a filter straightens any path."""
        if self.encoded is None or not np.isfinite(self.encoded).all():
            return {}
        encoded = in_two_halves(self.encoded)
        return {
            "prediction_ratio_encoder": prediction_ratio(encoded, constant_velocity(encoded)),
            "straightness_encoder": straightness(encoded),
        }


def in_two_halves(videos: NDArray[Any]) -> NDArray[Any]:
    """Return an even number of videos [B, ...], so that no video is in both halves of a regression."""
    return videos[: len(videos) // 2 * 2]


def _mig(latents: NDArray[Any], factors: NDArray[Any]) -> float:
    # The number of points follows from the config, so the plan of a sweep warns of it once.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewPointsWarning)
        return mig(latents, factors)
