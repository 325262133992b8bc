"""What a reader needs to know of a metric to draw it and to rank by it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and compared."""

    label: str
    """Its name on an axis, with its unit."""
    short: str
    """Its name above a column."""
    better: Literal["min", "max"] | None
    """Which values are better; None where a trial cannot be ranked by it."""
