"""The declarations of the model variants. A new one is an entry here, and its code in `dd_ray/models/`."""

from dd_ray.config.specs import ModelSpec, Registry

VAE = ("num_latents", "stochastic", "likelihood", "objective", "schedule_iterations", "schedule_cycles", "target")
"""Fields that a model with latents reads; the objective reads β. `target` says which frames it reconstructs."""
PREDICTION = ("lam", "lam_schedule", "alpha", "learn_alpha")
"""Fields that a model reads which predicts its latents in time."""

SUPERVISED_ENCODER = ModelSpec(
    name="supervised_encoder",
    title="supervised encoder",
    build="dd_ray.models.supervised_encoder:SupervisedEncoder",
    draws=False,
)
SUPERVISED_DECODER = ModelSpec(
    name="supervised_decoder",
    title="supervised decoder",
    build="dd_ray.models.supervised_decoder:SupervisedDecoder",
    encodes=False,
)
BETA_VAE = ModelSpec(name="beta_vae", title="β-VAE", build="dd_ray.models.beta_vae:BetaVAE", reads=VAE)
PREDICTIVE_VAE = ModelSpec(
    name="predictive_vae",
    title="predictive VAE",
    build="dd_ray.models.predictive_vae:PredictiveVAE",
    reads=(*VAE, *PREDICTION, "compat"),
    needs_videos=True,
    idle_in_original=("alpha", "learn_alpha"),  # its penalty predicts nothing
)
INERTIA_VAE = ModelSpec(
    name="inertia_vae",
    title="inertia VAE",
    build="dd_ray.models.inertia_vae:InertiaVAE",
    reads=(*VAE, *PREDICTION, "gamma", "gamma_schedule", "learn_gamma", "delay", "decode", "posterior", "compat"),
    needs_videos=True,
    warm_up=1,
    mixes_frames=True,
    # It had no λ, its γ is 0.75 throughout, and its variances are the encoder's.
    idle_in_original=("lam", "lam_schedule", "gamma_schedule", "learn_gamma", "posterior"),
)
ADA_GVAE = ModelSpec(
    name="ada_gvae",
    title="Ada-GVAE",
    build="dd_ray.models.ada_gvae:AdaGVAE",
    reads=VAE,
    needs_videos=True,
    mixes_frames=True,
)

MODELS = Registry("model", [SUPERVISED_ENCODER, SUPERVISED_DECODER, BETA_VAE, PREDICTIVE_VAE, INERTIA_VAE, ADA_GVAE])
