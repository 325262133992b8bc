"""β × γ × λ: `dd-ray inertia_grid --help`."""

from dd_ray.sweep import Preset, Study

ARMS = ("beta_vae", "inertia_vae")
"""The arms. β alone is a β-VAE, which decodes each frame from its own latents; with γ = 0 the next frame is
predicted."""

STUDY = Study(
    name="inertia_grid",
    question="Does representational inertia (γ) or a linear prediction penalty (λ) disentangle better than β alone?",
    axes=("beta", "beta_norm", "gamma", "lam"),
    fixed={},
    figures=("grid_maps", "effects", "reconstructions"),
    presets={
        "quick": Preset(
            about="a first answer before a black background, minutes on a laptop",
            axes={
                "model": ARMS,
                "beta": (1.0,),
                "gamma": (0.0, 0.8),
                "lam": (0.0, 30.0),
                "decode": ("extrapolated",),
                "background": ("black",),
                "width_factor": (0.5,),
                "batch_size": (4,),
                "learning_rate": (2e-3,),
            },
            iterations=600,
            seeds=3,
            scheduler="none",
            final_metrics=("linear_r2", "mcc"),
        ),
        "full": Preset(
            about="a fine grid with seeds, for a cluster",
            axes={
                "model": ARMS,
                "decode": ("filtered", "extrapolated"),
                "beta": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0),
                "gamma": (0.0, 0.25, 0.5, 0.75, 0.9, 1.0),
                "lam": (0.0, 1.0, 100.0, 10_000.0),
            },
            iterations=50_000,
            seeds=3,
            # Arms that predict the next frame have larger errors than those that only encode this one.
            scheduler="none",
        ),
        # Six β_norm logarithmic from 0.001 to 5 and six γ from 0 to 1, 50,000 iterations on its 200,000
        # videos (github.com/zahariaa/disentangled-dynamics, src/inertia_bVAE and src/inertia_AE).
        "paper": Preset(
            about="the original's grid, iterations and batch size",
            axes={
                "model": ("inertia_vae",),
                "beta_norm": (0.001, 0.0055, 0.0302, 0.1657, 0.9103, 5.0),
                "gamma": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
                "grid": ("original",),
            },
            iterations=50_000,
            scheduler="none",
        ),
    },
    # The presets before they had a β-VAE arm. The first was too short for a circle to appear.
    earlier={
        "quick": Preset(
            about="a taste of the grid, minutes on a laptop",
            axes={
                "model": ("inertia_vae",),
                "beta": (0.01, 0.1, 1.0),
                "gamma": (0.0, 0.5, 0.9),
                "lam": (0.0, 100.0),
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
                "model": ("inertia_vae",),
                "beta": (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0),
                "gamma": (0.0, 0.25, 0.5, 0.75, 0.9, 1.0),
                "lam": (0.0, 1.0, 100.0, 10_000.0),
            },
            iterations=50_000,
            seeds=3,
        ),
    },
)
