"""SAP: is each factor predicted linearly by one latent and no other?"""

import numpy as np

from dd_ray.metrics.arrays import (
    Array,
    Mask,
    correlations,
    gap_of_two_largest,
    mean_of_factors,
    points,
    without_constants,
)


def sap(latents: Array, factors: Array, mask: Mask | None = None) -> float:
    """Separated attribute predictability (Kumar et al. 2018, sec. 3), for continuous factors.

        SAP = mean_f [S_{i*f} − max_{i ≠ i*} S_if],   S_if = corr(z_i, f)²,   i* = argmax_i S_if

    S_if is the R² of the line through latent and factor.

    Args:
        latents: [N, L].
        factors: [N, F]. One that does not vary is left out.
        mask: [L], which latents to look at; none of them scores 0.

    Returns:
        In [0, 1]. It sees lines alone: cubes score 0.86, |f − ½| scores 0. Like `mig` it is 0 for copies
        and for rotations by 45°, does not punish a latent that mixes factors, and is blind to size.

    Cost: 1 ms for 4 latents and 10,000 points. Its error is of the order of 1/√N at any N, so it is silent
    about few points; `bootstrap_interval` tells it.
    """
    latents, factors = points(latents, factors, mask)
    return mean_of_factors(gap_of_two_largest(np.square(correlations(latents, without_constants(factors)))))
