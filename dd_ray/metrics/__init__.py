"""Scores of latents: arrays in, numbers out."""

from dd_ray.metrics.factors import linear_r2, mean_correlation_coefficient
from dd_ray.metrics.latents import active_units, prediction_ratio
from dd_ray.metrics.reported import COMPARABLE, REPORTED, Metric

__all__ = [
    "COMPARABLE",
    "REPORTED",
    "Metric",
    "active_units",
    "linear_r2",
    "mean_correlation_coefficient",
    "prediction_ratio",
]
