"""The metrics that every trial reports, with what a reader needs to draw and to rank them."""

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


REPORTED: dict[str, Metric] = {
    "reconstruction_error": Metric("Reconstruction error (per pixel)", "error per pixel", "min"),
    "factor_error": Metric("Factor error (mean squared)", "factor error", "min"),
    "kl": Metric("KL (nats per frame)", "KL (nats)", None),
    "active_units": Metric("Active units", "units", None),
    "prediction_ratio": Metric("Prediction ratio", "ratio", None),
    "linear_r2": Metric("Linear R² (mean of factors)", "R²", "max"),
    "mcc": Metric("MCC", "MCC", "max"),
    "loss": Metric("Objective (per video)", "objective", None),
}
"""Means over the held-out set. Those that are better one way rank trials. The objective contains β and λ, the
KL is what β weighs, the prediction ratio is what λ and γ weigh, and more active units than factors are no
gain, so they do not."""

COMPARABLE = tuple(name for name in REPORTED if name != "loss")
"""Those that mean the same in every cell of a grid, and so stand side by side."""
