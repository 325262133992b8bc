"""The objectives that training minimises. Each penalty of the latents is a file, see `dd_ray/config/objectives.py`.

objective (`Terms`)                              of a batch: reconstruction, penalty of the latents, prediction
Weights                                          what the terms are multiplied by in an iteration
reconstruction_error, factor_error               of images, of factors
reconstruction_floor                             the least that the cross-entropy of grey images can be
kl_divergence                                    of Gaussians from the prior (beta.py)
prediction_error, original_prediction_error      of the latents' motion
capacity_gap                                     capacity.py: Burgess et al. 2018
decompose_kl, log_weights_of                     tcvae.py: Chen et al. 2018
slowness_kl                                      slowness.py: Klindt et al. 2021
velocity_kl                                      velocity.py: a constant-velocity prior

All are pure functions of tensors, in nats or squared intensities *per video*, unless they say otherwise.
Shapes: B videos, T frames, n latents in time, L latents, F factors, C×H×W pixels.
"""

from dd_ray.objectives.beta import kl_divergence
from dd_ray.objectives.capacity import capacity_gap
from dd_ray.objectives.posterior import Posterior
from dd_ray.objectives.slowness import slowness_kl
from dd_ray.objectives.tcvae import decompose_kl, log_weights_of
from dd_ray.objectives.terms import (
    factor_error,
    original_prediction_error,
    prediction_error,
    reconstruction_error,
    reconstruction_floor,
)
from dd_ray.objectives.total import Terms, objective
from dd_ray.objectives.velocity import velocity_kl
from dd_ray.objectives.weights import Weights

__all__ = [
    "Posterior",
    "Terms",
    "Weights",
    "capacity_gap",
    "decompose_kl",
    "factor_error",
    "kl_divergence",
    "log_weights_of",
    "objective",
    "original_prediction_error",
    "prediction_error",
    "reconstruction_error",
    "reconstruction_floor",
    "slowness_kl",
    "velocity_kl",
]
