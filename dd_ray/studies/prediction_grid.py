"""β × λ: `dd-ray prediction_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="prediction_grid",
    question="Does a penalty λ on the error of predicting latents linearly disentangle better than β alone?",
    axes=("beta", "beta_norm", "lam"),
    fixed={"model": "predictive_vae"},
    presets={
        "quick": Preset(
            about="a taste of the grid, minutes on a laptop",
            axes={
                "beta": (0.01, 0.1, 1.0),
                "lam": (0.0, 1.0, 10.0, 100.0),
                "batch_size": (16,),
                "learning_rate": (1e-3,),
                "num_test": (64,),
            },
            iterations=300,
            grace_share=2 / 3,
            reduction_factor=1.5,
        ),
        "full": Preset(
            about="a fine grid with seeds, for a cluster",
            axes={
                "beta": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0),
                "lam": (0.0, 0.01, 1.0, 100.0, 10_000.0),
            },
            iterations=50_000,
            seeds=3,
        ),
        # Six β_norm logarithmic from 0.001 to 5 and six λ, 50,000 iterations on its 200,000 videos
        # (github.com/zahariaa/disentangled-dynamics, src/dynamic_simple, where λ is called gamma).
        "paper": Preset(
            about="the original's grid, iterations and batch size",
            axes={
                "beta_norm": (0.001, 0.0055, 0.0302, 0.1657, 0.9103, 5.0),
                "lam": (0.0, 1e-4, 1e-2, 1.0, 100.0, 10_000.0),
                "grid": ("original",),
            },
            iterations=50_000,
            scheduler="none",
        ),
    },
)
