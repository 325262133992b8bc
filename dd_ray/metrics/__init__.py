"""Scores of latents: arrays in, numbers out.

Scores of latents [N, L] against factors [N, F]:
    mig, mig_equal_width, sap, mean_correlation_coefficient   each factor by a latent of its own?
    modularity                                                each latent for one factor?
    dci (of which `DCI` holds the results)                    both, and how much is told
    linear_r2, nonlinear_r2                                   how much is told, however it is mixed
    linear_r2_of_few                                          the same, read with few labels
    block_separation (`BlockSeparation`)                      foreground and background in different latents?
Scores that ask an encoder for new samples:
    beta_vae_score, factor_vae_score
    notebook_sweeps, mean_squared_cross_correlation, mean_squared_sweep_correlation
Scores of the latents [B, T, L] of videos:
    prediction_ratio, straightness, curvature, constant_velocity
Scores of the posteriors N(μ, σ²) [N, L] of samples:
    gaussian_total_correlation
Scores of an evaluation, of latents, predictions and factors:
    HeldOut
How to read them:
    active_mask, active_units                                 which latents are used; the mask of the rest
    bootstrap_interval, seed_interval (`Interval`)            how far a number can be trusted
    FewPointsWarning                                          fewer points than a score needs
    share_lost_to_fitting                                     by how much R² of few videos is too low
    REPORTED, COMPARABLE, with_untrained (`Metric`)           what trials report
    described                                                 any column, also of a part of a metric
Scores that are computed once, by name:
    FURTHER, columns_of, further_scores (`Code`), is_computed_once
    applicable, applicable_to, why_not_applicable             which mean something of given factors
"""

from dd_ray.metrics.activity import active_mask, active_units
from dd_ray.metrics.arrays import ENOUGH_POINTS, FewPointsWarning
from dd_ray.metrics.beta_vae import beta_vae_score
from dd_ray.metrics.blocks import BlockSeparation, block_separation
from dd_ray.metrics.dci import DCI, dci
from dd_ray.metrics.factor_vae import factor_vae_score
from dd_ray.metrics.further import ASKED_SCORES, FURTHER
from dd_ray.metrics.held_out import HeldOut, in_two_halves
from dd_ray.metrics.intervals import Interval, bootstrap_interval, seed_interval
from dd_ray.metrics.mcc import mean_correlation_coefficient
from dd_ray.metrics.metric import Metric
from dd_ray.metrics.mig import mig, mig_equal_width
from dd_ray.metrics.modularity import modularity
from dd_ray.metrics.motion import constant_velocity, curvature, prediction_ratio, straightness
from dd_ray.metrics.notebook import (
    mean_squared_cross_correlation,
    mean_squared_sweep_correlation,
    notebook_sweeps,
)
from dd_ray.metrics.regression import linear_r2, linear_r2_of_few, nonlinear_r2, share_lost_to_fitting
from dd_ray.metrics.reported import COMPARABLE, REPORTED, described, reported_by, with_untrained
from dd_ray.metrics.sap import sap
from dd_ray.metrics.score import ACTIVE, ACTIVE_STILLS, Code, ScoreSpec
from dd_ray.metrics.scoring import (
    ScoreError,
    applicable,
    applicable_to,
    columns_of,
    further_scores,
    is_computed_once,
    why_not_applicable,
)
from dd_ray.metrics.total_correlation import gaussian_total_correlation

__all__ = [
    "ACTIVE",
    "ACTIVE_STILLS",
    "ASKED_SCORES",
    "COMPARABLE",
    "DCI",
    "ENOUGH_POINTS",
    "FURTHER",
    "REPORTED",
    "BlockSeparation",
    "Code",
    "FewPointsWarning",
    "HeldOut",
    "Interval",
    "Metric",
    "ScoreError",
    "ScoreSpec",
    "active_mask",
    "active_units",
    "applicable",
    "applicable_to",
    "beta_vae_score",
    "block_separation",
    "bootstrap_interval",
    "columns_of",
    "constant_velocity",
    "curvature",
    "dci",
    "described",
    "factor_vae_score",
    "further_scores",
    "gaussian_total_correlation",
    "in_two_halves",
    "is_computed_once",
    "linear_r2",
    "linear_r2_of_few",
    "mean_correlation_coefficient",
    "mean_squared_cross_correlation",
    "mean_squared_sweep_correlation",
    "mig",
    "mig_equal_width",
    "modularity",
    "nonlinear_r2",
    "notebook_sweeps",
    "prediction_ratio",
    "reported_by",
    "sap",
    "seed_interval",
    "share_lost_to_fitting",
    "straightness",
    "why_not_applicable",
    "with_untrained",
]
