"""The FactorVAE score: can the fixed factor be told from the latent that varies least?"""

import numpy as np

from dd_ray.metrics.arrays import ENOUGH_POINTS, Mask, varies
from dd_ray.metrics.interventions import NUM_TEST, NUM_TRAIN, Encode, check_number, draw_batches, encode_all


def factor_vae_score(encode: Encode, num_factors: int, mask: Mask | None = None, *, seed: int = 0) -> float:
    """FactorVAE score (Kim and Mnih 2018, sec. 4), for continuous factors uniform in [0, 1].

    A vote fixes one factor k at a random value in a batch of 64 samples whose other factors are random, and
    notes the latent of least relative variance,

        d* = argmin_d Var_batch[z_d] / Var_data[z_d].

    The majority vote predicts k from d*: the factor that was fixed most often where that latent stood still.
    Its table is made from 800 votes; the score is the share of 800 further ones that it gets right.

    Args:
        encode: factors [N, F] to latents [N, L].
        num_factors: F.
        mask: [L], which latents to look at. Those that do not vary at all are never looked at; if none is
            left the score is 0.
        seed: of the factors drawn; the same seed asks every network about the same pictures.

    Returns:
        In [0, 1]; chance is 1/F, its standard error √(p(1 − p)/800). It asks only for the stillest latent,
        so noise beside the code, copies, and mixtures in the other latents cost nothing, and it reaches 1
        for codes whose MIG is far from it. A pair rotated by 45° is guessed. Blind to size.

    Raises:
        ValueError: there is no factor, or `encode` does not return finite [N, L].

    Cost: 107,400 samples rendered and encoded, which is nearly all of it: 5 s for circles on one core.
    """
    check_number(num_factors)
    rng = np.random.default_rng(seed)
    data = encode_all(encode, rng.random((ENOUGH_POINTS, num_factors)), mask)
    moving = varies(data)
    if not moving.any():
        return 0.0
    fixed, factors = draw_batches(rng, NUM_TRAIN + NUM_TEST, num_factors)
    votes = np.arange(len(fixed))
    factors[votes, :, fixed] = factors[votes, :1, fixed]
    # Divided before they are squared, as squares of tiny latents would vanish.
    relative = encode_all(encode, factors, mask)[..., moving] / data[:, moving].std(axis=0)
    stillest = relative.var(axis=1).argmin(axis=1)
    counts = np.zeros((relative.shape[-1], num_factors), int)
    np.add.at(counts, (stillest[:NUM_TRAIN], fixed[:NUM_TRAIN]), 1)
    predicted = counts.argmax(axis=1)[stillest[NUM_TRAIN:]]
    return float(np.mean(predicted == fixed[NUM_TRAIN:]))
