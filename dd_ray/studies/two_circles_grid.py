"""β × γ on two circles, one before the other: `dd-ray two_circles_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="two_circles_grid",
    question="Does inertia (γ) or a linear prediction penalty (λ) keep apart two circles that hide each other?",
    axes=("beta", "beta_norm", "gamma", "lam"),
    fixed={"model": "inertia_vae", "num_circles": 2},
    presets={
        "quick": Preset(
            about="a taste of the grid, minutes on a laptop",
            axes={
                "beta": (0.03, 0.3),
                "gamma": (0.0, 0.5, 0.9),
                "lam": (0.0,),
                "num_latents": (6,),
                "batch_size": (16,),
                "learning_rate": (1e-3,),
                "num_test": (64,),
            },
            iterations=500,
            grace_share=2 / 3,
            reduction_factor=1.5,
        ),
        "full": Preset(
            about="a fine grid with seeds, for a cluster",
            axes={
                "background": ("gaussian", "black"),
                "beta": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
                "gamma": (0.0, 0.25, 0.5, 0.75, 0.9),
                "lam": (0.0, 100.0),
                "num_latents": (10,),
            },
            iterations=50_000,
            seeds=3,
        ),
    },
)
