"""Regressors of boosted trees, with the latents that they use and how well they predict.

scikit-learn is imported where it is used, here and in the other files: it takes half a second and imports pandas, which
code that only reads the names of metrics does not need.

Shapes: N points, L latents, F factors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dd_ray.metrics.arrays import Array, held_out_r2, standardised


def fit_boosted_trees(latents: Array, factors: Array) -> tuple[Array, Array]:
    """Fit a `GradientBoostingRegressor` (100 trees of depth 3) for each factor on the first half of the points.

    Returns:
        Importances [L, F], the share of each latent in the reduction of the squared error, which sums to 1
        for a factor (or is 0, if nothing was reduced); and R² [F] on the second half.
    """
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415

    regressors, r2 = fit_each_factor(lambda: GradientBoostingRegressor(random_state=0), latents, factors)
    importances = np.stack([regressor.feature_importances_ for regressor in regressors], axis=1)
    return importances[: latents.shape[1]], r2


def fit_each_factor(make_regressor: Callable[[], Any], latents: Array, factors: Array) -> tuple[list[Any], Array]:
    """Fit a regressor of scikit-learn for each factor on the first half; return them and their R² [F] on the second."""
    half = len(latents) // 2
    # Standardised, as trees work in float32 and take steps below 1e-7 for none. scikit-learn wants a column.
    inputs = standardised(latents) if latents.shape[1] else np.zeros((len(latents), 1))
    regressors = [make_regressor().fit(inputs[:half], factor[:half]) for factor in factors.T]
    predicted = np.stack([regressor.predict(inputs[half:]) for regressor in regressors], axis=1)
    return regressors, held_out_r2(predicted, factors)
