"""Block separation: do the circle and the background have different latents?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dd_ray.metrics.arrays import Array, Mask, mean_of_factors, points, varies
from dd_ray.metrics.boosting import fit_boosted_trees
from dd_ray.metrics.dci import mean_concentration
from dd_ray.metrics.regression import linear_r2


@dataclass(frozen=True)
class BlockSeparation:
    """Scores of how well latents separate groups of factors, and the group of each latent."""

    disentanglement: float
    """Does each latent matter for one group only? In [0, 1]."""
    r2_own: float
    """Linear R² of the factors from the latents of their own group, mean over groups. In [0, 1]."""
    r2_other: float
    """Linear R² of the factors from all other latents, mean over groups. In [0, 1]."""
    groups_of_latents: NDArray[np.str_]
    """[L] the group that each latent in the mask was assigned to."""

    @property
    def r2_gap(self) -> float:
        """The R² that only the latents of the own group give: r2_own − r2_other. In [−1, 1]."""
        return self.r2_own - self.r2_other


def block_separation(
    latents: Array, factors: Array, groups: Sequence[str], mask: Mask | None = None
) -> BlockSeparation:
    """Score how well latents separate groups of factors; blind to how the axes lie within a group.

    For latents affine in the factors, linear motion and its prediction error select no axes; what they can
    select is the plane of the moving circle and that of the resting background. This asks for the planes.
    It is DCI's disentanglement (Eastwood and Williams 2018, sec. 2) with groups g in place of factors:

        W_ig = mean_{f ∈ g} max(R²_f, 0) R_if,   D = Σ_i ρ_i (1 − H_G(W_i· / Σ_g W_ig)),
        ρ_i = Σ_g W_ig / Σ_ig W_ig

    where R_if and R²_f are the importances and the score of boosted trees, as in `dci`. They are weighed by
    R² so that a group that is not encoded, whose importances are noise, does not count against the other.
    Each latent is then given to the group of its largest W_ig, and

        r2_own = mean_g R²(factors of g | latents of g),   r2_other = mean_g R²(factors of g | all others)

    with the R² of `linear_r2`, a mean over the factors of g, cut below at 0.

    Args:
        latents: [N, L]; rows that belong together, such as frames of a video, must be neighbours.
        factors: [N, F]. One that does not vary is left out; where fewer than two groups are left, all scores are NaN.
        groups: the group of each factor, such as ("circle", "circle", "background", "background").
        mask: [L], which latents to look at; none of them scores 0.

    Returns:
        D and r2_own are 1 and r2_other 0 if the latents of a group are an affine code of it alone. A
        rotation within a group changes nothing; one of 45° across two groups gives D 0 and r2_gap 0.
        A code of one group alone has D 1, and r2_own ½. It tells nothing of the axes within a group, and
        is blind to size.

    Raises:
        ValueError: there is not one group a factor, or only one group.

    Cost: that of `dci`, which is that of its trees.

    Warns:
        FewPointsWarning: N < 5,000, where trees fit noise.
    """
    latents, factors = points(latents, factors, mask, enough_for="Block separation")
    of_factors = np.asarray(groups)
    names = np.unique(of_factors)
    if of_factors.shape != (factors.shape[1],) or len(names) < 2:
        raise ValueError(f"groups {groups} do not give each of {factors.shape[1]} factors one of several groups.")
    told = varies(factors)
    factors, of_factors = factors[:, told], of_factors[told]
    names = np.unique(of_factors)
    if len(names) < 2:
        return BlockSeparation(*(float("nan"),) * 3, groups_of_latents=np.full(latents.shape[1], ""))
    importances, r2 = fit_boosted_trees(latents, factors)
    explained = importances * np.clip(np.nan_to_num(r2), 0, None)
    weights = np.stack([explained[:, of_factors == name].mean(axis=1) for name in names], axis=1)
    of_latents = names[weights.argmax(axis=1)]
    own, other = (
        np.mean([_r2(latents[:, (of_latents == name) == is_own], factors[:, of_factors == name]) for name in names])
        for is_own in (True, False)
    )
    return BlockSeparation(mean_concentration(weights), float(own), float(other), of_latents)


def _r2(latents: Array, factors: Array) -> float:
    return max(mean_of_factors(linear_r2(latents, factors)), 0.0)
