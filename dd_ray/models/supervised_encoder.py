"""A control of the encoder: can it represent the factors at all, if it is trained on the true ones?"""

from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models.base import Model
from dd_ray.models.networks import make_features
from dd_ray.models.outputs import FactorPrediction


class SupervisedEncoder(Model):
    """The encoder of the config's network, and a linear layer to the factors."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.features = make_features(config)
        self.factors = nn.Linear(self.features.size, len(config.factor_names))

    def code(self, images: Tensor) -> Tensor:
        """Predict factors [B, T, F] from images [B, T, C, H, W]."""
        return self.factors(self.features(images.flatten(0, 1))).unflatten(0, images.shape[:2])

    def forward(self, batch: Batch, noise: Tensor | None = None) -> FactorPrediction:
        """Predict factors [B, T, F] from the images of a batch, and return them beside the true ones."""
        return FactorPrediction(predicted=self.code(batch.images), target=batch.factors)
