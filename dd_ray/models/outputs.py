"""What a model makes of a batch.

Shapes: B videos (a still image is a video of one frame), T frames, L latents, F factors, C×H×W pixels.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """What a VAE makes of a batch: its posterior, and the frames it decodes beside those it should have."""

    mu: Tensor
    """[B, T', L] posterior means of the T' frames that were encoded, `frames` of the batch."""
    logvar: Tensor
    """[B, T', L] logarithm of the posterior variances."""
    latents: Tensor
    """[B, T', L] drawn from the posteriors; the means where nothing is drawn."""
    mu_predicted: Tensor
    """[B, T', L] linear predictions of `mu` from its past; frames 0 and 1 have no past to predict from."""
    frames: slice
    """Which frames of the batch `mu` encodes."""
    kl_frames: slice
    """Which of the T' latents the KL is summed over."""
    reconstruction: Tensor
    """[B, T'', C, H, W] decoded frames in [0, 1]."""
    target: Tensor
    """[B, T'', C, H, W] the frames that `reconstruction` should equal, of `Batch.target`."""
    encoded: Tensor | None = None
    """[B, T', L] the encoder's means, where latents are made of those of several frames; None where they are `mu`."""


@dataclass(frozen=True, kw_only=True)
class FactorPrediction:
    """What a supervised encoder makes of a batch."""

    predicted: Tensor
    """[B, T, F] predicted factors."""
    target: Tensor
    """[B, T, F] true factors."""


@dataclass(frozen=True, kw_only=True)
class ImagePrediction:
    """What a supervised decoder makes of the factors of a batch."""

    reconstruction: Tensor
    """[B, T, C, H, W] drawn frames in [0, 1]."""
    target: Tensor
    """[B, T, C, H, W] the frames that `reconstruction` should equal."""


Outputs = Reconstruction | FactorPrediction | ImagePrediction
