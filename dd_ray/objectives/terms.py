"""Errors of a model's outputs: of images, of the latents' motion, and of factors.

Shapes: B videos, T frames, L latents, F factors, C×H×W pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dd_ray.config import Likelihood


def reconstruction_error(images: Tensor, reconstruction: Tensor, likelihood: Likelihood) -> Tensor:
    """Σ ‖x − x̂‖² over frames and pixels, or the cross-entropy −Σ x log x̂ + (1 − x) log(1 − x̂).

    Args:
        images: x, [B, T, C, H, W] in [0, 1].
        reconstruction: x̂, the same shape.
        likelihood: "gaussian" (variance ½, without its constant) or "bernoulli", which is never 0 for grey pixels; see
            `reconstruction_floor`.

    Returns:
        Scalar per video, averaged over B: a sum of squares, or nats.
    """
    if likelihood == "bernoulli":
        # PyTorch's function raises at NaN; a diverged network shall give NaN here, as everywhere.
        total = functional.binary_cross_entropy(reconstruction.nan_to_num(nan=0.5), images, reduction="sum")
        total = total + 0 * reconstruction.sum()
    else:
        total = functional.mse_loss(reconstruction, images, reduction="sum")
    return total / len(images)


def reconstruction_floor(images: Tensor) -> Tensor:
    """Return the least cross-entropy of images, Σ H(x) = −Σ x log x + (1 − x) log(1 − x), reached at x̂ = x.

    It is 0 for black and white pixels, and up to log 2 for a grey one, however well it is drawn (see Loaiza-Ganem and
    Cunningham 2019 on such likelihoods of grey pixels).

    Args:
        images: x, [B, T, C, H, W] in [0, 1].

    Returns:
        Scalar, nats per video, averaged over B.
    """
    return (torch.special.entr(images) + torch.special.entr(1 - images)).sum() / len(images)


def prediction_error(mu: Tensor, mu_predicted: Tensor) -> Tensor:
    """½ Σ_{t≥2} ‖μ_t − μ̂_t‖² of means [B, T, L] and their predictions; scalar, averaged over B."""
    return 0.5 * (mu[:, 2:] - mu_predicted[:, 2:]).square().sum() / len(mu)


def original_prediction_error(mu: Tensor) -> Tensor:
    """Return the published code's version of `prediction_error`: ½ (‖μ_0‖² + ‖μ_1‖²) of the first video only; scalar.

    Its predictions of the first two frames were 0, and it summed over the first two rows of the batch.
    """
    return 0.5 * mu[0, :2].square().sum()


def image_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error per pixel of images [B, T, C, H, W]; scalar."""
    return functional.mse_loss(predicted, target)


def factor_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of factors [B, T, F]; scalar."""
    return functional.mse_loss(predicted, target)
