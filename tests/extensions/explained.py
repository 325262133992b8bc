"""A metric of one's own: the share of the latents' variance that lies along their first principal axis."""

import numpy as np

from dd_ray.metrics import Metric, ScoreSpec


def first_axis(code, mask):
    """λ_1 / Σ λ_i of the covariance of the latents [N, L] that the mask [L] leaves; 1 where there is but one."""
    latents = code.latents if mask is None else code.latents[:, mask]
    variances = np.linalg.svd(latents - latents.mean(axis=0), compute_uv=False) ** 2
    return {"first_axis": float(variances[0] / variances.sum())}


FIRST_AXIS = ScoreSpec(
    name="first_axis",
    compute=first_axis,
    columns={"first_axis": Metric("Variance along the first axis (share)", "1st axis", None)},
    cost=0.01,
)
