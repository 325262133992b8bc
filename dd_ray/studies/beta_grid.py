"""β on still images: `dd-ray beta_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="beta_grid",
    question="How much of the image does a β-VAE encode, and how disentangled, as β grows?",
    axes=("beta", "beta_norm"),
    fixed={"model": "beta_vae", "dataset": "still_circles"},
    presets={
        "quick": Preset(
            about="a taste of the axis, minutes on a laptop",
            axes={
                "beta": (0.01, 0.03, 0.1, 0.3, 1.0, 2.0),
                "learning_rate": (1e-3,),
            },
            iterations=1_500,
            seeds=2,
            grace_share=2 / 3,
            reduction_factor=1.5,
        ),
        "full": Preset(
            about="a fine axis with seeds, for a cluster",
            axes={"beta": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0)},
            iterations=500_000,
            seeds=5,
        ),
        # Six β_norm logarithmic from 0.001 to 5, 500,000 iterations on its 262,144 images
        # (github.com/zahariaa/disentangled-dynamics, src/bVAE).
        "paper": Preset(
            about="the original's grid, iterations and batch size",
            axes={"beta_norm": (0.001, 0.0055, 0.0302, 0.1657, 0.9103, 5.0), "grid": ("original",)},
            iterations=500_000,
            scheduler="none",
        ),
    },
)
