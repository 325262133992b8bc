"""The base class of models: what training, evaluation and probes call, with defaults for models that lack a part.

Shapes: B videos (a still image is a video of one frame), T frames, n latents in time, L latents, C×H×W pixels.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.models.outputs import Outputs


class Model(nn.Module, ABC):
    """A model of a config. A subclass has `forward`, and what goes with its traits:

        encodes alone   code
        draws alone     redraw
        has latents     code, decode, num_latents, alpha

    Attributes:
        traits: the declaration of the model, which says what it can do.
        image_channels: C.
        image_size: H and W.
        num_frames: T of the videos that it takes; None takes any.
        num_latents: L, of a model with latents.
        alpha: α of the linear prediction of these latents, a scalar buffer or parameter.
    """

    num_frames: int | None = None
    num_latents: int
    alpha: Tensor

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.traits = config.traits
        self.image_channels, self.image_size, _ = config.image_shape

    @abstractmethod
    def forward(self, batch: Batch, noise: Tensor | None = None) -> Outputs:
        """Return its outputs for a batch, one of `dd_ray.models.outputs`, from which its objective is computed.

        Args:
            batch: B videos of T frames.
            noise: standard normal, of `noise_shape`; with None, means are used instead of samples.
        """

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...] | None:
        """Return the shape of the normal noise that `forward` takes for B videos of T frames; None if it takes none."""
        return None

    def scheduled_at(self, iteration: int) -> dict[str, float]:
        """Return the values that schedules of the config give to buffers at an iteration, by buffer."""
        return {}

    def learned_values(self) -> dict[str, Tensor]:
        """Return copies of learned scalars that are reported by themselves, such as γ, by names of metrics."""
        return {}

    def code(self, images: Tensor) -> Tensor:
        """Encode pictures [B, T, C, H, W], each by itself, into codes [B, T, L].

        Raises:
            UserError: the model has no encoder.
        """
        raise UserError(f"{self.traits.one} has no encoder, and so no latents; choose other cells.")

    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents [B, T, L], each frame by itself, into pictures [B, T, C, H, W] in [0, 1].

        Raises:
            UserError: the model has no decoder of latents.
        """
        raise UserError(f"{self.traits.one} has no decoder of latents; choose other cells.")

    def decoder_input(self, mu: Tensor) -> Tensor:
        """Return the decoder's input [B, n, L] for latents [B, n, L]; here these, elsewhere also of earlier ones."""
        return mu

    def reconstruct(self, mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the `reconstruction` of a posterior [B, n, L]; here its means are decoded, without noise."""
        return self.decode(self.decoder_input(mu))

    def redraw(self, batch: Batch) -> Tensor:
        """Draw the pictures of a batch anew, each by itself, without sampling: [B, T, C, H, W] in [0, 1].

        Raises:
            UserError: the model does not draw.
        """
        return self.decode(self.code(batch.images))


def device_of(model: Model) -> torch.device:
    """Return the device that the weights of a model are on."""
    return next(model.parameters()).device
