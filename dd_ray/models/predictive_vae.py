"""β-VAE with a penalty on latents that do not move at constant velocity."""

from dd_ray.models.beta_vae import BetaVAE


class PredictiveVAE(BetaVAE):
    """The β-VAE on every frame, with λ · ½ Σ_{t≥2} ‖μ_t − μ̂_t‖² in its objective.

    μ̂_t = μ_{t−1} + α (μ_{t−1} − μ_{t−2}), α fixed or learned.
    """
