"""The control: can the encoder represent the factors at all, when it is told what they are?"""

from torch import Tensor, nn

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models.networks import make_features
from dd_ray.models.outputs import FactorPrediction


class SupervisedEncoder(nn.Module):
    """The encoder of the config's network and one linear layer to the factors."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__()
        self.image_size = config.image_size
        self.features = make_features(config)
        self.factors = nn.Linear(self.features.size, len(config.factor_names))

    def noise_shape(self, batch_size: int, num_frames: int) -> None:
        """No noise."""
        return

    def scheduled_at(self, iteration: int) -> dict[str, float]:
        """Nothing here is scheduled."""
        return {}

    def forward(self, batch: Batch, noise: Tensor | None = None) -> FactorPrediction:
        """Images [B, T, C, H, W] to factors [B, T, F]."""
        predicted = self.factors(self.features(batch.images.flatten(0, 1)))
        return FactorPrediction(predicted=predicted.view(batch.factors.shape), target=batch.factors)
