"""The three terms of the KL of held-out data (Chen et al. 2018, eq. 2), whatever was trained for."""

import math

import torch
from torch import Tensor

from dd_ray.objectives import Posterior, decompose_kl

DRAWS = 256
"""Of how many frames a latent is drawn; the terms are means over them."""
CHUNK = 64
"""Draws at a time; bounds the memory."""
ROOM = 1.0
"""Nats that the mutual information must lie below its largest value, log N, for the total correlation to be told."""


def kl_terms(of_all: Posterior) -> dict[str, Tensor]:
    """Mutual information, total correlation and dimension-wise KL of N held-out frames, in nats per frame.

    The N frames are taken for all of the data, so that q(z) is their mixture and nothing is estimated but the mean
    over draws, of 256 frames from the first to the last. What that says of data without end is limited: the mutual
    information is at most log N (8.5 nats for 512 videos of 10 frames, 6.2 for 512 still images), and where it comes
    near that, total correlation is overestimated, since the mixture has holes between its frames: of four independent
    normal latents of 5,120 frames, 0.1, 1.2, 3.4 and 5.5 nats where posteriors have a deviation of 0.3, 0.1, 0.05 and
    0.03, and the truth is 0. `as_told` leaves it out there.

    Args:
        of_all: [N, L] each, with a draw from each posterior.

    Returns:
        The three terms by name, scalars. They add up to the KL as these draws estimate it.
    """
    num_frames, device = len(of_all.mu), of_all.mu.device
    uniform = torch.full((1, num_frames), -math.log(num_frames), device=device)
    draws = min(DRAWS, num_frames)
    chosen = torch.arange(draws, device=device) * (num_frames - 1) // max(draws - 1, 1)
    terms = [
        decompose_kl(Posterior(*(tensor[part] for tensor in of_all)), of_all.mu, of_all.logvar, uniform)
        for part in chosen.split(CHUNK)
    ]
    return {name: torch.cat([getattr(t, name) for t in terms]).mean() for name in terms[0]._fields}


def as_told(terms: dict[str, float], num_frames: int) -> dict[str, float]:
    """The three terms of N frames, with NaN for the total correlation where the mutual information is near log N.

    Within `ROOM` of log N the posteriors hardly overlap, and the total correlation is of the sample, not of the data.
    `dd_ray.metrics.gaussian_total_correlation` has a value there.
    """
    if terms["mutual_information"] > math.log(num_frames) - ROOM:
        return terms | {"total_correlation": math.nan}
    return terms
