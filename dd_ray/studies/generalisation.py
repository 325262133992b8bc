"""Held-out positions: `dd-ray generalisation --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="generalisation",
    question="Can a decoder that is told the factors draw positions that it has never seen?",
    axes=("split", "train_share"),
    fixed={"model": "supervised_decoder", "dataset": "still_circles", "grid": "original"},
    presets={
        "quick": Preset(
            about="a taste of the curves, minutes on a laptop",
            axes={
                "split": ("levels", "samples"),
                "train_share": (0.2, 0.6, 1.0),
                "learning_rate": (1e-3,),
                "num_test": (2_000,),
            },
            iterations=3_000,
            scheduler="none",
        ),
        "full": Preset(
            about="all shares with seeds",
            axes={
                "split": ("levels", "samples"),
                "train_share": tuple(i / 10 for i in range(1, 11)),
                "num_test": (10_000,),
            },
            iterations=200_000,
            seeds=5,
            scheduler="none",
        ),
        # Five shares of the positions on each axis, 200,000 iterations of 64 on its 262,144 images
        # (github.com/zahariaa/disentangled-dynamics, src/supervised_encoderdecoder).
        "paper": Preset(
            about="the original's shares, iterations and batch size",
            axes={
                "split": ("levels", "samples"),
                "train_share": (0.2, 0.4, 0.6, 0.8, 1.0),
                "num_test": (10_000,),
            },
            iterations=200_000,
            scheduler="none",
        ),
    },
    figures=("generalisation",),
)
