"""The description of a metric that is needed to draw it and to rank trials by it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dd_ray.config import TrialConfig


@dataclass(frozen=True)
class Metric:
    """The name of a metric in figures and tables, and how its values compare."""

    label: str
    """Its name on an axis, with its unit."""
    short: str
    """Its name above a column."""
    better: Literal["min", "max"] | None
    """The better side, smaller or larger values; None if trials cannot be ranked by it."""
    count: bool = False
    """True if it is a count. Counts are a few whole numbers, often all equal, for which no intervals are given."""
    within: tuple[float, float] = (-math.inf, math.inf)
    """The least and the largest value that it can have, past which no axis goes."""
    of: Callable[["TrialConfig"], bool] = lambda config: False
    """Returns whether trials of a config report it at every evaluation."""


FROM_0 = (0.0, math.inf)
UP_TO_1 = (-math.inf, 1.0)
FROM_0_TO_1 = (0.0, 1.0)
