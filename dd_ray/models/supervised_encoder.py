"""The control: can the encoder represent the factors at all, when it is told what they are?"""

from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models.base import Model
from dd_ray.models.networks import make_features
from dd_ray.models.outputs import FactorPrediction


class SupervisedEncoder(Model):
    """The encoder of the config's network and one linear layer to the factors."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.features = make_features(config)
        self.factors = nn.Linear(self.features.size, len(config.factor_names))

    def code(self, images: Tensor) -> Tensor:
        """Images [B, T, C, H, W] to factors [B, T, F]."""
        return self.factors(self.features(images.flatten(0, 1))).unflatten(0, images.shape[:2])

    def forward(self, batch: Batch, noise: Tensor | None = None) -> FactorPrediction:
        """Factors [B, T, F] that the images show, beside those that they should."""
        return FactorPrediction(predicted=self.code(batch.images), target=batch.factors)
