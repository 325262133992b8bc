"""The three terms of the KL of held-out data (Chen et al. 2018, eq. 2), whatever was trained for."""

import math

import torch
from torch import Tensor

from dd_ray.objectives import Posterior, decompose_kl

DRAWS = 256
"""Of how many frames a latent is drawn; the terms are means over them."""
CHUNK = 64
"""Draws at a time; bounds the memory."""


def kl_terms(of_all: Posterior) -> dict[str, Tensor]:
    """Mutual information, total correlation and dimension-wise KL of N held-out frames, in nats per frame.

    The N frames are taken for all of the data, so that q(z) is their mixture and nothing is estimated but the mean
    over draws, of 256 frames from the first to the last. What that says of data without end is limited: the mutual
    information is at most log N (8.5 nats for 512 videos of 10 frames, 6.2 for 512 still images), and where it comes
    near that, total correlation is overestimated, since the mixture has holes between its frames.

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
