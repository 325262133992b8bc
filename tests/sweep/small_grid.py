"""A grid of small trials, for tests of what runs a sweep: `python tests/sweep/small_grid.py --help`."""

from dd_ray.cli import main
from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="small_grid",
    question="Does a sweep of small trials run?",
    axes=("beta", "beta_norm", "gamma", "lam"),
    fixed={"model": "inertia_vae"},
    presets={
        "quick": Preset(
            about="small",
            axes={
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
            about="many",
            axes={"beta": (0.01, 0.03, 0.1, 0.3, 1.0), "gamma": (0.0, 0.25, 0.5, 0.75, 1.0), "lam": (0.0, 1.0, 100.0)},
            iterations=50_000,
            seeds=10,
        ),
    },
)

if __name__ == "__main__":
    main(STUDY)
