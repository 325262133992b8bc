"""What a reader needs to know of a metric to draw it and to rank by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dd_ray.config import TrialConfig


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and compared."""

    label: str
    """Its name on an axis, with its unit."""
    short: str
    """Its name above a column."""
    better: Literal["min", "max"] | None
    """Which values are better; None where a trial cannot be ranked by it."""
    of: Callable[["TrialConfig"], bool] = lambda config: False
    """Whether a trial of a config reports it at every evaluation."""
    count: bool = False
    """Whether it counts something. A few whole numbers, often all the same, have no intervals to compare by."""
