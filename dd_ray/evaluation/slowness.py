"""Compares the penalty of a slowness prior for latents that follow what moves with their gain in reconstruction.

Shapes: B videos, T frames, M moving factors, L latents, C×H×W pixels.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy
import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from dd_ray.objectives import reconstruction_error, slowness_kl

NUM_VIDEOS = 128
"""Number of held-out videos whose steps are measured."""
PICTURED = 32
"""Number of frames on which the gain is measured, each against the mean of as many redrawn ones."""


@dataclass(frozen=True, kw_only=True)
class PriceOfMotion:
    """The price and the worth of following what moves, in nats per frame, as the objective counts them."""

    step: float
    """Mean size of the steps of the moving factors, in units of each one's standard deviation over all frames."""
    price: float
    """The penalty of latents that follow the moving factors, less that of latents at rest."""
    worth: float
    """By how much the reconstruction term is lower if the places of moving things are known, and not only what
    rests."""


def price_of_motion(config: TrialConfig) -> PriceOfMotion:
    """Compute price and worth of following what moves, for latents of variance 1 that each encode one moving factor.

        price = w · Σ_j (min_σ E_d KL(d, σ) − min_σ KL(0, σ)),   d the steps of factor j over its standard deviation

    with the KL of `slowness_kl` at equal σ in both frames, and w = `slowness_weight`. It leaves out the KL of the first
    frame, and the blur that a posterior of that σ causes. Latents of another size pay differently: smaller ones have
    smaller steps, and a wider σ relative to these.

    Args:
        config: config with objective = slowness.

    Cost: about 1 s of one core, mostly for 1,024 pictures; no network.
    """
    dataset = make_dataset(replace(config, num_test=NUM_VIDEOS))
    factors = torch.as_tensor(np.asarray(dataset.test_factors()))
    moving = (factors.amax(dim=1) > factors.amin(dim=1)).any(dim=0)
    paths = factors[..., moving].double()
    steps = paths.diff(dim=1).abs().flatten(0, 1) / paths.flatten(0, 1).std(dim=0, correction=0)  # [B·(T − 1), M]
    resting = _least_kl(torch.zeros(1, dtype=torch.float64), config.slowness_rate)
    asked = sum(_least_kl(of_factor, config.slowness_rate) - resting for of_factor in steps.T)
    chosen = factors[torch.arange(PICTURED), torch.arange(PICTURED) % config.frames]  # [P, F], of any time
    redrawn = chosen.repeat(PICTURED, 1, 1)
    redrawn[..., moving] = chosen[:, None, moving]  # [P, P, F]: what moves as in the first, what rests as in the second
    images = dataset.render(redrawn.flatten(0, 1)[:, None].numpy()).target.unflatten(0, (PICTURED, PICTURED))
    return PriceOfMotion(
        step=float(steps.mean()), price=config.slowness_weight * float(asked), worth=_worth(images, config)
    )


def _least_kl(steps: Tensor, rate: float) -> float:
    """Return the minimum over σ of the mean KL of steps [N]."""
    mu = torch.stack([torch.zeros_like(steps), steps], dim=1)[..., None]  # [N, 2, 1]

    def kl(log_sigma: float) -> float:
        return float(slowness_kl(mu, torch.full_like(mu, 2 * log_sigma), rate).mean())

    # If nothing moves, the best σ is √π / 2 rate, and it grows with the motion.
    least = math.log(math.sqrt(math.pi) / 2 / rate)
    return float(scipy.optimize.minimize_scalar(kl, bounds=(least - 1e-3, least + 5), method="bounded").fun)


def _worth(images: Tensor, config: TrialConfig) -> float:
    """Return the error of the mean picture over other places of what moves, less that of the picture itself, per frame.

    Args:
        images: [P, P, 1, C, H, W]; the first axis differs in what moves, the second in what rests.
        config: config that names the likelihood.
    """
    # The mean over other places only: with its own place it would be too similar to the picture.
    others = (images.sum(dim=0) - images) / (len(images) - 1)
    blind, seeing = (
        reconstruction_error(images.flatten(0, 1), drawn.flatten(0, 1), config.likelihood) for drawn in (others, images)
    )
    return float(blind - seeing)
