"""What all models are: what training, evaluation and probes ask of one, with an answer for those that do not have it.

Shapes: B videos (a still image is a video of one frame), T frames, n latents in time, L latents, C×H×W pixels.
"""

from abc import ABC, abstractmethod

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
        traits: what can be asked of it.
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
        self.image_size = config.image_size

    @abstractmethod
    def forward(self, batch: Batch, noise: Tensor | None = None) -> Outputs:
        """What it makes of a batch: one of `dd_ray.models.outputs`, of which its objective is computed.

        Args:
            batch: B videos of T frames.
            noise: standard normal, of `noise_shape`; None samples nothing and takes the means.
        """

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...] | None:
        """Shape of the standard normal noise that `forward` takes for B videos of T frames; None if it takes none."""
        return None

    def scheduled_at(self, iteration: int) -> dict[str, float]:
        """Values that schedules of the config give to buffers at an iteration."""
        return {}

    def learned_values(self) -> dict[str, Tensor]:
        """Scalars that it has learned and that are read by themselves, by the names of their metrics."""
        return {}

    def code(self, images: Tensor) -> Tensor:
        """Codes [B, T, L] of pictures [B, T, C, H, W], of each by itself.

        Raises:
            UserError: it does not encode.
        """
        raise UserError(f"{self.traits.one} has no encoder, and so no latents; choose other cells.")

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures [B, T, C, H, W] in [0, 1] of latents [B, T, L], of each by itself.

        Raises:
            UserError: it has no decoder of latents.
        """
        raise UserError(f"{self.traits.one} has no decoder of latents; choose other cells.")

    def decoder_input(self, mu: Tensor) -> Tensor:
        """What is decoded in the place of latents [B, n, L], which may look at those before them: [B, n, L]."""
        return mu

    def reconstruct(self, mu: Tensor, logvar: Tensor, noise: Tensor | None = None) -> Tensor:
        """The `reconstruction` of its outputs from a posterior, [B, n, L]: here from its means, whatever the noise."""
        return self.decode(self.decoder_input(mu))

    def redraw(self, batch: Batch) -> Tensor:
        """Its drawings [B, T, C, H, W] of the pictures of a batch, of each by itself, without sampling.

        Raises:
            UserError: it does not draw.
        """
        return self.decode(self.code(batch.images))
