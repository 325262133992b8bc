"""The three terms of the KL of held-out data (Chen et al. 2018, eq. 2), whatever was trained for."""

import numpy as np
import torch
from numpy.typing import NDArray

from dd_ray.objectives import Posterior, decompose_kl

DRAWS = 256
"""Of how many frames a latent is drawn; the terms are means over them."""
CHUNK = 64
"""Draws at a time; bounds the memory."""


def kl_terms(
    mu: NDArray[np.float32], logvar: NDArray[np.float32], latents: NDArray[np.float32], device: torch.device
) -> dict[str, float]:
    """Mutual information, total correlation and dimension-wise KL of N held-out frames, in nats per frame.

    The N frames are taken for all of the data, so that q(z) is their mixture and nothing is estimated but the mean
    over draws, of 256 frames from the first to the last. What that says of data without end is limited: the mutual
    information is at most log N (8.5 nats for 512 videos of 10 frames, 6.2 for 512 still images), and where it comes
    near that, total correlation is overestimated, since the mixture has holes between its frames.

    Args:
        mu: [N, L] posterior means.
        logvar: [N, L] logarithm of the posterior variances.
        latents: [N, L] draws from the posteriors.
        device: where to compute.

    Returns:
        The three terms by name. They add up to the KL as these draws estimate it.
    """
    of_all = Posterior(*(torch.from_numpy(array).to(device) for array in (mu, logvar, latents)))
    uniform = torch.full((1, len(mu)), -float(np.log(len(mu))), device=device)
    draws = min(DRAWS, len(mu))
    chosen = torch.arange(draws, device=device) * (len(mu) - 1) // max(draws - 1, 1)
    terms = [
        decompose_kl(Posterior(*(tensor[part] for tensor in of_all)), of_all.mu, of_all.logvar, uniform)
        for part in chosen.split(CHUNK)
    ]
    return {name: float(torch.cat([getattr(t, name) for t in terms]).mean()) for name in terms[0]._fields}
