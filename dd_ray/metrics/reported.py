"""The metrics that trials report, with what a reader needs to draw and to rank them."""

from dd_ray.metrics.further import FURTHER
from dd_ray.metrics.metric import Metric

_AT_EACH_EVALUATION: dict[str, Metric] = {
    "reconstruction_error": Metric("Reconstruction error (per pixel)", "error per pixel", "min"),
    "reconstruction_error_seen": Metric("Reconstruction error of seen data (per pixel)", "error, seen", "min"),
    "factor_error": Metric("Factor error (mean squared)", "factor error", "min"),
    "factor_error_seen": Metric("Factor error of seen data (mean squared)", "factor error, seen", "min"),
    "kl": Metric("KL (nats per frame)", "KL (nats)", None),
    "mutual_information": Metric("Index-code mutual information (nats per frame)", "MI (nats)", None),
    "total_correlation": Metric("Total correlation (nats per frame)", "TC (nats)", None),
    "gaussian_total_correlation": Metric("Gaussian total correlation (nats per frame)", "Gaussian TC", None),
    "dimension_wise_kl": Metric("Dimension-wise KL (nats per frame)", "dim. KL (nats)", None),
    "active_units": Metric("Active units", "units", None),
    "prediction_ratio": Metric("Prediction ratio", "ratio", None),
    "straightness": Metric("Straightness (mean cosine of successive steps)", "straight", None),
    "prediction_ratio_encoder": Metric("Prediction ratio, before the filter", "ratio, enc.", None),
    "straightness_encoder": Metric("Straightness, before the filter", "straight, enc.", None),
    "linear_r2": Metric("Linear R² (mean of factors)", "R²", "max"),
    "mcc": Metric("MCC", "MCC", "max"),
    "mig": Metric("MIG", "MIG", "max"),
    "sap": Metric("SAP", "SAP", "max"),
    "loss": Metric("Objective (per video)", "objective", None),
}

COMPARABLE = tuple(name for name in _AT_EACH_EVALUATION if name != "loss")
"""Those of every evaluation that mean the same in every cell of a grid, and so stand side by side."""

_OF_FURTHER = {column: metric for score in FURTHER.values() for column, metric in score.all_columns.items()}

REPORTED: dict[str, Metric] = _AT_EACH_EVALUATION | _OF_FURTHER
"""Means over the held-out set, at every evaluation; and the columns of `FURTHER` scores, at the last one.

Those that are better one way rank trials. The objective contains β and λ, the KL and its terms are what β weighs,
the prediction ratio is what λ and γ weigh, as they straighten paths, and more active units than factors are no
gain, so they do not."""

WITH_UNTRAINED = tuple(
    name
    for name, metric in REPORTED.items()
    if metric.better == "max" or name in {*_OF_FURTHER, "straightness", "straightness_encoder"}
)
"""Scores that an untrained network has as well, and not near 0: they have to be compared with it."""
