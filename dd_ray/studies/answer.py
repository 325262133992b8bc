"""Inertia, prediction and their rivals, each at its best: `dd-ray answer --help`."""

from typing import Any

from dd_ray.sweep import Preset, Study

AXES = {
    "model": ("beta_vae", "inertia_vae", "ada_gvae"),
    "objective": ("beta", "velocity", "slowness"),
    "gamma": (0.0, 0.5, 0.8, 0.9),
    "lam": (0.0, 3.0, 30.0, 100.0),
    "beta": (0.1, 0.3, 1.0, 3.0),
    "background": ("black",),
    "width_factor": (0.5,),
    "batch_size": (4,),
    "learning_rate": (2e-3,),
    "slowness_weight": (0.1, 1.0),
    "slowness_rate": (1.0,),
}
# γ and λ each by itself, and the priors in time on a β-VAE.
EXCLUDE = (
    "gamma=0.5,0.8,0.9 lambda=3,30,100",
    "model=inertia_vae,ada_gvae objective=velocity,slowness",
)


def _condition(about: str, *, iterations: int = 1_200, **changes: tuple[Any, ...]) -> Preset:
    """Make a preset of all arms on other data, with all trials trained to their end."""
    return Preset(about=about, axes=AXES | changes, exclude=EXCLUDE, iterations=iterations, seeds=5, scheduler="none")


STUDY = Study(
    name="answer",
    question="Does inertia (γ) or a penalty on linear prediction (λ) disentangle better than the best β-VAE?",
    axes=("model", "objective", "beta", "beta_norm", "gamma", "lam"),
    outcomes=("linear_r2_stills", "mcc_stills"),
    fixed={"decode": "extrapolated", "num_latents": 4},
    presets={
        "quick": Preset(
            about="one value of each arm, a minute or two on two cores",
            axes=AXES | {"gamma": (0.0, 0.8), "lam": (0.0, 30.0), "beta": (1.0,), "slowness_weight": (0.1,)},
            exclude=EXCLUDE,
            iterations=600,
            seeds=3,
            scheduler="none",
        ),
        "full": _condition("a circle in linear motion before black, half an hour to an hour and a half of one core"),
        "axis": _condition("as full, along one axis at a time", motion=("axis",)),
        "noise": _condition("as full, in noise of the pixels", pixel_noise=(0.2,), target=("clean",)),
        "dropped": _condition(
            "as full, three frames in ten frozen", drop_rate=(0.3,), dropped=("frozen",), target=("clean",)
        ),
        "gaussian": _condition(
            "γ and λ before the Gaussian, for long enough that the circle is drawn, an hour or two of one core",
            background=("gaussian",),
            model=("beta_vae", "inertia_vae"),
            objective=("beta",),
            gamma=(0.0, 0.8),
            lam=(0.0, 30.0),
            beta=(0.03, 0.1, 0.3),
            iterations=15_000,
        ),
    },
)
