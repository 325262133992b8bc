"""A trial of a sweep before it is trained."""

from dataclasses import dataclass

from dd_ray.config import TrialConfig


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a sweep."""

    config: TrialConfig
    label: str
    """Label that distinguishes it from the others: `beta=0.1,gamma=0.5,seed=0`."""

    @property
    def key(self) -> str:
        """Key of its config."""
        return self.config.key
