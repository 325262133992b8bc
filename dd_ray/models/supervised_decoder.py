"""The control of the decoder: can it draw the factors, and those it has never seen, when it is told what they are?"""

from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models.base import Model
from dd_ray.models.networks import make_decoder
from dd_ray.models.outputs import ImagePrediction


class SupervisedDecoder(Model):
    """The decoder of the config's network, from the factors, each in [0, 1], to the image; no encoder.

    After the original study's (github.com/zahariaa/disentangled-dynamics, src/supervised_encoderdecoder).
    """

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.decoder = make_decoder(config, len(config.factor_names))

    def redraw(self, batch: Batch) -> Tensor:
        """Factors [B, T, F] of the batch to images [B, T, C, H, W] in [0, 1]."""
        return self.decoder(batch.factors.flatten(0, 1)).unflatten(0, batch.factors.shape[:2])

    def forward(self, batch: Batch, noise: Tensor | None = None) -> ImagePrediction:
        """Factors [B, T, F] of the batch to images, beside those that they should be."""
        return ImagePrediction(reconstruction=self.redraw(batch), target=batch.images)
