"""DCI: disentanglement, completeness and informativeness, from what regressors look at."""

from dataclasses import dataclass

import numpy as np
import scipy

from dd_ray.metrics.arrays import Array, Mask, mean_of_factors, points, varies
from dd_ray.metrics.boosting import fit_boosted_trees


@dataclass(frozen=True)
class DCI:
    """The three scores, and what they were computed from."""

    disentanglement: float
    """Does each latent matter for one factor only? In [0, 1]; latents weigh by their total importance."""
    completeness: float
    """Does each factor need one latent only? In [0, 1]; factors weigh by their total importance."""
    informativeness: float
    """Mean R² of the factors on points not fitted; at most 1."""
    importances: Array
    """[L, F] share of a latent in predicting a factor, of the latents that were looked at."""
    r2: Array
    """[F] R² of each factor on points not fitted."""


def dci(latents: Array, factors: Array, mask: Mask | None = None) -> DCI:
    """DCI (Eastwood and Williams 2018, sec. 2), with gradient boosted trees as regressors.

        D = Σ_i ρ_i (1 − H_F(P_i·)),   P_if = R_if / Σ_f R_if,   ρ_i = Σ_f R_if / Σ_if R_if
        C = Σ_f ρ_f (1 − H_L(P_·f)),   P_if = R_if / Σ_i R_if,   ρ_f = Σ_i R_if / Σ_if R_if

    where R_if is the importance of latent i in predicting factor f, and H_n the entropy to base n.
    I = mean_f R²_f, which the paper gives as an error. The trees are scikit-learn's with its defaults,
    fitted on the first half of the points and scored on the second.

    Args:
        latents: [N, L]; rows that belong together must be neighbours.
        factors: [N, F]. One that does not vary is left out, and has importances and R² of NaN.
        mask: [L], which latents to look at; none of them scores 0.

    Returns:
        D, C and I. The importances of a factor sum to 1 even if the latents tell nothing of it, and are
        then spread at random, so factors that are missing lower D (to 0.41 for two of four) and C: read them beside
        R². C depends on how many latents there are. Trees see a rotation of 45° as half of each (D 0.5),
        and I falls short of 1 for mixtures of many factors; `nonlinear_r2` says what the code holds. Blind
        to size. The numbers move by about 0.02 with the version of scikit-learn.

    Cost: 0.45 s a factor for 4 latents and 10,000 points on one core, growing with L·N log N.

    Warns:
        FewPointsWarning: N < 5,000, where trees fit noise.
    """
    latents, factors = points(latents, factors, mask, enough_for="DCI")
    told = varies(factors)
    importances, r2 = np.full((latents.shape[1], len(told)), np.nan), np.full(len(told), np.nan)
    if told.any():
        importances[:, told], r2[told] = fit_boosted_trees(latents, factors[:, told])
    return DCI(
        disentanglement=mean_concentration(importances[:, told]) if told.any() else float("nan"),
        completeness=mean_concentration(importances[:, told].T) if told.any() else float("nan"),
        informativeness=mean_of_factors(r2),
        importances=importances,
        r2=r2,
    )


def mean_concentration(weights: Array) -> float:
    """Σ_i ρ_i (1 − H_n(P_i)) over the rows of nonnegative weights [m, n]: 1 if each row has one entry."""
    totals = weights.sum(axis=1)
    used = totals > 0
    if not used.any():
        return 0.0
    shares = weights[used] / totals[used, None]
    entropies = scipy.special.entr(shares).sum(axis=1) / np.log(max(weights.shape[1], 2))
    # An even row's entropy may exceed 1 by rounding.
    return float(np.average(np.maximum(1 - entropies, 0), weights=totals[used]))
