"""A control of the decoder: given the true factors, can it draw them, also combinations that it has never seen?"""

from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models.base import Model
from dd_ray.models.networks import make_decoder
from dd_ray.models.outputs import ImagePrediction


class SupervisedDecoder(Model):
    """The decoder of the config's network alone, from factors in [0, 1] to images.

    It follows the original study (github.com/zahariaa/disentangled-dynamics, src/supervised_encoderdecoder).
    """

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.decoder = make_decoder(config, len(config.factor_names))

    def redraw(self, batch: Batch) -> Tensor:
        """Draw the factors [B, T, F] of a batch as images [B, T, C, H, W] in [0, 1]."""
        return self.decoder(batch.factors.flatten(0, 1)).unflatten(0, batch.factors.shape[:2])

    def forward(self, batch: Batch, noise: Tensor | None = None) -> ImagePrediction:
        """Draw the factors [B, T, F] of a batch, and return the images beside their targets."""
        return ImagePrediction(reconstruction=self.redraw(batch), target=batch.images)
