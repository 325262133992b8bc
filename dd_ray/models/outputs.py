"""The outputs of models for a batch.

Shapes: B videos (a still image is a video of one frame), T frames, L latents, F factors, C×H×W pixels.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """The outputs of a VAE: its posterior, and the decoded frames beside their targets."""

    mu: Tensor
    """[B, T', L] posterior means of the T' frames that were encoded, which are `frames` of the batch."""
    logvar: Tensor
    """[B, T', L] logarithm of the posterior variances."""
    latents: Tensor
    """[B, T', L] samples of the posteriors; the means if nothing is sampled."""
    mu_predicted: Tensor
    """[B, T', L] linear predictions of `mu` from its past; frames 0 and 1 have too little past for a prediction."""
    frames: slice
    """The frames of the batch that `mu` encodes."""
    kl_frames: slice
    """The part of the T' latents over which the KL is summed."""
    reconstruction: Tensor
    """[B, T'', C, H, W] decoded frames in [0, 1]."""
    target: Tensor
    """[B, T'', C, H, W] the frames of `Batch.target` that `reconstruction` should equal."""
    encoded: Tensor | None = None
    """[B, T', L] the encoder's means, if latents are made of those of several frames; None if they are `mu`."""


@dataclass(frozen=True, kw_only=True)
class FactorPrediction:
    """The outputs of a supervised encoder."""

    predicted: Tensor
    """[B, T, F] predicted factors."""
    target: Tensor
    """[B, T, F] true factors."""


@dataclass(frozen=True, kw_only=True)
class ImagePrediction:
    """The outputs of a supervised decoder."""

    reconstruction: Tensor
    """[B, T, C, H, W] drawn frames in [0, 1]."""
    target: Tensor
    """[B, T, C, H, W] the frames that `reconstruction` should equal."""


Outputs = Reconstruction | FactorPrediction | ImagePrediction
