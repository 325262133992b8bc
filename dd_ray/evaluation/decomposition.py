"""The three terms of the KL of held-out data (Chen et al. 2018, eq. 2), for networks of any objective."""

import math

import torch
from torch import Tensor

from dd_ray.objectives import Posterior, decompose_kl

DRAWS = 256
"""Number of frames whose latents are drawn; the terms are means over them."""
CHUNK = 64
"""Draws that are processed at a time, which bounds the memory."""
ROOM = 1.0
"""The total correlation is reported if the mutual information is this many nats below its largest value, log N."""


def kl_terms(of_all: Posterior) -> dict[str, Tensor]:
    """Compute mutual information, total correlation and dimension-wise KL of N held-out frames, in nats per frame.

    The N frames are taken as all of the data, so that q(z) is the mixture of their posteriors. Only the mean over draws
    is an estimate, from 256 frames evenly spread over the N. This limits what the terms say of unlimited data: the
    mutual information is at most log N (8.5 nats for 512 videos of 10 frames, 6.2 for 512 still images), and close to
    that the total correlation is too high, since the mixture has holes between its posteriors: for four independent
    normal latents of 5,120 frames it is 0.1, 1.2, 3.4 and 5.5 nats if posteriors have a deviation of 0.3, 0.1, 0.05 and
    0.03, where the truth is 0. `as_told` leaves it out there.

    Args:
        of_all: the posteriors of all frames, [N, L], with a draw from each.

    Returns:
        The three terms by name, scalars. They add up to these draws' estimate of the KL.
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
    """Return the terms of N frames, with NaN for the total correlation if the mutual information is near log N.

    Within `ROOM` of log N the posteriors hardly overlap, so that the total correlation describes the sample and not the
    data. `dd_ray.metrics.gaussian_total_correlation` is valid there.
    """
    if terms["mutual_information"] > math.log(num_frames) - ROOM:
        return terms | {"total_correlation": math.nan}
    return terms
