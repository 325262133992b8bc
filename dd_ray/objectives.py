"""The loss terms, and the objective they add up to.

    Σ_frames ‖x − x̂‖²  +  β Σ_frames KL(q(z|x) ‖ N(0, I))  +  λ · ½ Σ_{t≥2} ‖μ_t − μ̂_t‖²

averaged over the videos of the batch and minimised (Higgins et al. 2017, eq. 4, with a weight on the linear
prediction error of the means). Both sums run over the frames that the model decodes.

Shapes: B videos, T frames, L latents, F factors, C×H×W pixels. All losses are in nats or squared
intensities *per video*.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from torch import Tensor
from torch.nn import functional

from dd_ray.config import VIDEO_MODELS, Likelihood, TrialConfig
from dd_ray.models import FactorPrediction, Outputs, Reconstruction


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What the terms are multiplied by: numbers, or scalar tensors where many trials are computed as one."""

    beta: float | Tensor
    """Of the KL."""
    lam: float | Tensor
    """λ, of the prediction error."""

    @classmethod
    def of(cls, config: TrialConfig) -> Self:
        """The weights of a trial."""
        return cls(beta=config.beta_value, lam=config.lam)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The objective of a batch and what it is made of, unweighted, all scalars averaged over videos."""

    loss: Tensor
    """What is minimised."""
    parts: dict[str, Tensor]
    """Each term before its weight, by name."""

    def map(self, function: Callable[[Tensor], Tensor]) -> "Terms":
        """The terms with a function applied to each."""
        return Terms(loss=function(self.loss), parts={name: function(part) for name, part in self.parts.items()})


def reconstruction_error(images: Tensor, reconstruction: Tensor, likelihood: Likelihood) -> Tensor:
    """Σ ‖x − x̂‖² over frames and pixels, or the cross-entropy −Σ x log x̂ + (1 − x) log(1 − x̂).

    Args:
        images: x, [B, T, C, H, W] in [0, 1].
        reconstruction: x̂, the same shape.
        likelihood: "gaussian" (variance ½, without its constant) or "bernoulli".

    Returns:
        Scalar, averaged over B.
    """
    if likelihood == "bernoulli":
        # PyTorch's refuses NaN with an error; a diverged network is to give NaN here, as everywhere.
        total = functional.binary_cross_entropy(reconstruction.nan_to_num(nan=0.5), images, reduction="sum")
        total = total + 0 * reconstruction.sum()
    else:
        total = functional.mse_loss(reconstruction, images, reduction="sum")
    return total / len(images)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = −½ (1 + log σ² − μ² − σ²), in nats, elementwise (Kingma and Welling 2014, B)."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())


def prediction_error(mu: Tensor, mu_predicted: Tensor) -> Tensor:
    """½ Σ_{t≥2} ‖μ_t − μ̂_t‖² of means [B, T, L] and their predictions; scalar, averaged over B."""
    return 0.5 * (mu[:, 2:] - mu_predicted[:, 2:]).square().sum() / len(mu)


def original_prediction_error(mu: Tensor) -> Tensor:
    """What the published code had for `prediction_error`: ½ (‖μ_0‖² + ‖μ_1‖²) of the first video only.

    Its predictions of the first two frames were 0, and it summed over the first two rows of the batch.
    """
    return 0.5 * mu[0, :2].square().sum()


def factor_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of factors [B, T, F]; scalar."""
    return functional.mse_loss(predicted, target)


def objective(config: TrialConfig, outputs: Outputs, weights: Weights | None = None) -> Terms:
    """The objective of one trial on one batch, with the weights of its config unless others are given.

    What the config says beside the weights, and nothing in the data, decides which terms there are.
    """
    if isinstance(outputs, FactorPrediction):
        error = factor_error(outputs.predicted, outputs.target)
        return Terms(loss=error, parts={"factor_error": error})
    return _vae_objective(config, outputs, weights or Weights.of(config))


def _vae_objective(config: TrialConfig, outputs: Reconstruction, weights: Weights) -> Terms:
    faulty = config.compat == "original" and config.model == "predictive_vae"
    reconstruction = reconstruction_error(outputs.target, outputs.reconstruction, config.likelihood)
    parts = {"reconstruction": reconstruction}
    loss = reconstruction
    if config.stochastic:
        kl_btl = kl_divergence(outputs.mu[:, outputs.kl_frames], outputs.logvar[:, outputs.kl_frames])
        # The published code averaged over frames what it should have summed.
        count = kl_btl.shape[0] * (kl_btl.shape[1] if faulty else 1)
        parts["kl"] = kl_btl.sum() / count
        loss = loss + weights.beta * parts["kl"]
    if config.model in VIDEO_MODELS:
        parts["prediction"] = (
            original_prediction_error(outputs.mu) if faulty else prediction_error(outputs.mu, outputs.mu_predicted)
        )
        loss = loss + weights.lam * parts["prediction"]
    return Terms(loss=loss, parts=parts)
