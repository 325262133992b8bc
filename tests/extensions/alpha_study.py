"""A study of one's own: `dd-ray alpha_grid --extension alpha_study.py`."""

from dd_ray.sweep import Preset, Study

ALPHA_GRID = Study(
    name="alpha_grid",
    question="Does inertia need constant velocity?",
    axes=("alpha", "gamma"),
    fixed={"model": "inertia_vae", "beta": 0.1},
    presets={
        "quick": Preset(
            about="minutes on a laptop",
            axes={"alpha": (0.0, 0.5, 1.0), "gamma": (0.5, 0.9), "batch_size": (16,)},
            iterations=300,
        )
    },
)
