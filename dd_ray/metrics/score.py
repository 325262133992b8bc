"""The declaration of a score that is computed once, and the code of a network that it is computed from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dd_ray.config.specs import Spec
from dd_ray.metrics.arrays import Array, Mask
from dd_ray.metrics.interventions import Encode
from dd_ray.metrics.metric import Metric

ACTIVE = "_active"
"""Suffix of the columns whose scores are of active units alone."""
ACTIVE_STILLS = "active_units_stills"
"""Column beside the further scores of a trained network: the number of its active units. It is no score of its own, and
is not kept of an untrained network."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of a network, from which these scores are computed."""

    latents: Array
    """[N, L] of still pictures; finite."""
    factors: Array
    """[N, F] of the same pictures: independent, and uniform in [0, 1]."""
    factor_names: Sequence[str]
    """Names of the F factors: THING_COORDINATE, as in circle_x."""
    encode: Encode | None
    """Encodes the pictures of any factors; None if pictures of other factors do not exist."""


Compute = Callable[[Code, Mask | None], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class ScoreSpec(Spec):
    """The declaration of a score that is computed once, with the columns of the table that it fills."""

    compute: Compute | str
    """Computes its columns from a code, and the mask [L] of the latents to look at."""
    columns: dict[str, Metric]
    cost: float
    """Seconds on one core, for four latents, without encoding the pictures that all scores share."""
    masked: bool = True
    """True if it is also computed from the active units alone."""
    applies: Callable[[Sequence[str]], bool] = lambda names: True
    """Returns whether it is meaningful for factors with these names."""
    asks: bool = False
    """True if it needs pictures of factors that it chooses itself."""

    def __post_init__(self) -> None:
        # A sweep records columns as lists: label, short name, which values are better, whether it counts, its ends.
        columns = {
            name: metric if isinstance(metric, Metric) else Metric(*metric[:4], *map(tuple, metric[4:]))
            for name, metric in self.columns.items()
        }
        object.__setattr__(self, "columns", columns)

    @property
    def all_columns(self) -> dict[str, Metric]:
        """Its columns for all latents, and those for the active ones."""
        of_active = {
            column + ACTIVE: replace(metric, label=f"{metric.label}, active units", short=f"{metric.short}, active")
            for column, metric in self.columns.items()
        }
        return self.columns | (of_active if self.masked else {})
