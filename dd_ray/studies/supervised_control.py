"""The encoder, told the factors: `dd-ray supervised_control --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="supervised_control",
    question="Can the encoder represent the factors at all, when it is told what they are?",
    axes=("learning_rate",),
    fixed={"model": "supervised_encoder", "dataset": "still_circles"},
    presets={
        "quick": Preset(
            about="minutes on a laptop",
            axes={"learning_rate": (1e-4, 1e-3)},
            iterations=2_000,
            seeds=2,
            scheduler="none",
        ),
        "full": Preset(
            about="learning rates with seeds",
            axes={"learning_rate": (3e-5, 1e-4, 3e-4, 1e-3)},
            iterations=50_000,
            seeds=5,
        ),
        # One network, 50,000 iterations, as the published checkpoint says.
        "paper": Preset(
            about="the original's one run, iterations and batch size",
            axes={"grid": ("original",)},
            iterations=50_000,
            scheduler="none",
        ),
    },
    metric="factor_error",
)
