"""The family of VAEs on still images: `dd-ray objective_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="objective_grid",
    question="Is it the KL that disentangles, or the total correlation in it?",
    axes=("objective", "beta", "beta_norm"),
    fixed={"model": "beta_vae", "dataset": "still_circles"},
    presets={
        "quick": Preset(
            about="both objectives, minutes on a laptop",
            axes={
                "objective": ("beta", "tcvae"),
                "beta": (0.03, 0.3, 2.0),
                "batch_size": (32,),
                "learning_rate": (1e-3,),
            },
            iterations=1_500,
            seeds=2,
            scheduler="none",
        ),
        "full": Preset(
            about="a fine axis with seeds, for a cluster",
            axes={
                "objective": ("beta", "tcvae"),
                "beta": (0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0),
            },
            iterations=500_000,
            seeds=5,
        ),
        # Kingma and Welling 2014: with β = 1 the objective is the evidence bound.
        "vae": Preset(
            about="the plain VAE",
            axes={"beta": (1.0,)},
            iterations=500_000,
            seeds=5,
            scheduler="none",
        ),
        "autoencoder": Preset(
            about="the plain autoencoder: no sampling, no KL",
            axes={"stochastic": (False,)},
            iterations=500_000,
            seeds=5,
            scheduler="none",
        ),
    },
)
