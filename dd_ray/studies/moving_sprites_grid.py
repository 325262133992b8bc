"""β × γ on sprites that move, turn or grow: `dd-ray moving_sprites_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="moving_sprites_grid",
    question="Does inertia (γ) help with a factor that turns or grows as with one that moves?",
    axes=("moves", "beta", "beta_norm", "gamma", "lam"),
    fixed={"model": "inertia_vae", "dataset": "moving_sprites", "background": "black"},
    presets={
        "quick": Preset(
            about="a taste of the grid, minutes on a laptop",
            axes={
                "moves": ("position", "orientation", "scale"),
                "beta": (0.1,),
                "gamma": (0.0, 0.5),
                "num_latents": (6,),
                "batch_size": (16,),
                "learning_rate": (1e-3,),
                "num_test": (64,),
            },
            iterations=500,
            scheduler="none",
        ),
        "full": Preset(
            about="a fine grid with seeds, for a cluster",
            axes={
                "moves": ("position", "orientation", "scale"),
                "background": ("black", "gaussian"),
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
