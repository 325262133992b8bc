"""Scores of how latents of videos move: whether in straight lines, and at constant speed.

Shapes: B videos, T frames, L latents.
"""

import numpy as np

from dd_ray.metrics.arrays import Array, Mask, check_videos, masked


def prediction_ratio(mu: Array, mu_predicted: Array, mask: Mask | None = None) -> float:
    """Error of linear prediction in units of the motion; the penalty of this study, freed of its scale.

        Σ_{t≥2} ‖μ_t − μ̂_t‖² / Σ_{t≥2} ‖μ_t − μ_{t−1}‖²

    Args:
        mu: [B, T, L] latents of videos.
        mu_predicted: [B, T, L] their predictions; frames 0 and 1 are not looked at.
        mask: [L], which latents to look at.

    Returns:
        0 for latents in uniform motion; 1 if predicting that nothing moves is as good; free of the scale
        of the latents, unlike the penalty. It is 0 for every affine code of a linear motion, so it tells
        nothing of the axes; and latents that carry more motion weigh more. NaN if nothing moves, or T < 3.

    Raises:
        ValueError: these are not [B, T, L] both, or see `masked`.

    Cost: a pass over the latents.
    """
    check_videos("[B, T, L]", mu, mu_predicted)
    mu, mu_predicted = np.asarray(mu), np.asarray(mu_predicted)
    # A prediction may leave the range of its type before the latents do; its error is infinite then.
    mu, mu_predicted = (masked(latents, mask, finite=False) for latents in (mu[:, 1:], mu_predicted[:, 2:]))
    error = np.square(mu[:, 1:] - mu_predicted).sum()
    motion = np.square(np.diff(mu, axis=1)).sum()
    return float(error / motion) if motion > 0 else float("nan")


def constant_velocity(mu: Array) -> Array:
    """Predict latents [B, T, L] by constant velocity, 2 μ_{t−1} − μ_{t−2}; the first two frames stay as they are.

    The result has the type of `mu`. `prediction_ratio` compares latents with it, whatever a model's own α is.

    Raises:
        ValueError: `mu` is not [B, T, L].
    """
    check_videos("[B, T, L]", mu)
    mu = np.asarray(mu)
    predicted = mu.copy()
    predicted[:, 2:] = mu[:, 1:-1] + (mu[:, 1:-1] - mu[:, :-2])
    return predicted


def straightness(mu: Array, mask: Mask | None = None) -> float:
    """Mean cosine of successive steps of the latents (Hénaff et al. 2019, Methods: local curvature).

        mean_{b,t} v_t · v_{t+1} / (‖v_t‖ ‖v_{t+1}‖),   v_t = μ_{t+1} − μ_t

    Args:
        mu: [B, T, L] latents of videos.
        mask: [L], which latents to look at; latents of noise bend every path.

    Returns:
        In [−1, 1]: 1 on straight lines, 0 for a random walk, −½ for independent frames in many
        dimensions. Steps count alike whatever their length: it tells nothing of speed, which
        `prediction_ratio` does, nor of the factors, and is 1 for every affine code of a linear motion.
        Pairs with a step of length 0 are left out; NaN if none is left, or T < 3.

    Raises:
        ValueError: `mu` is not [B, T, L], or see `masked`.

    Cost: a pass over the latents.
    """
    return _mean_or_nan(_cosines(mu, mask))


def curvature(mu: Array, mask: Mask | None = None) -> float:
    """Mean angle between successive steps of the latents, in degrees (Hénaff et al. 2019, Methods).

        mean_{b,t} arccos(v_t · v_{t+1} / (‖v_t‖ ‖v_{t+1}‖)),   v_t = μ_{t+1} − μ_t

    The paper's straightening is the curvature of the pixels less this.

    Args:
        mu: [B, T, L] latents of videos, or [B, T, pixels] the videos.
        mask: [L], which latents to look at.

    Returns:
        In [0, 180]: 0 on straight lines, 90 for a random walk, 120 for independent frames in many
        dimensions. What is left out, and what it does not tell, is as for `straightness`.

    Raises:
        ValueError: as of `straightness`.

    Cost: a pass over the latents.
    """
    return float(np.degrees(_mean_or_nan(np.arccos(_cosines(mu, mask)))))


def _cosines(mu: Array, mask: Mask | None) -> Array:
    """Return cosines of the angles between successive steps, of all pairs in which both steps move."""
    check_videos("[B, T, L]", mu)
    steps = np.diff(masked(mu, mask), axis=1)
    largest = np.abs(steps).max(axis=-1, keepdims=True, initial=0)
    # In units of their largest entry, as squares of tiny or huge steps would leave the range of their type.
    steps = np.divide(steps, largest, out=np.zeros_like(steps), where=largest > 0)
    norms = np.linalg.norm(steps, axis=-1)
    products, norms = (steps[:, :-1] * steps[:, 1:]).sum(axis=-1), norms[:, :-1] * norms[:, 1:]
    return np.clip(products[norms > 0] / norms[norms > 0], -1, 1)


def _mean_or_nan(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
