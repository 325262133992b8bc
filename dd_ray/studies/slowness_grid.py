"""A slowness prior on moving circles: `dd-ray slowness_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="slowness_grid",
    question="Does a prior of slow latents disentangle motion better than inertia or linear prediction?",
    axes=("slowness_weight", "slowness_rate", "beta", "beta_norm"),
    fixed={"model": "beta_vae", "objective": "slowness"},
    presets={
        "quick": Preset(
            about="a taste of the grid, minutes on a laptop",
            axes={
                "slowness_weight": (0.01, 0.1, 1.0),
                "slowness_rate": (1.0, 6.0),
                "beta": (0.1,),
                "batch_size": (16,),
                "learning_rate": (1e-3,),
                "num_test": (64,),
            },
            iterations=300,
            scheduler="none",
        ),
        "full": Preset(
            about="a fine grid with seeds, for a cluster",
            axes={
                "slowness_weight": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
                "slowness_rate": (1.0, 3.0, 6.0, 12.0),
                "beta": (0.01, 0.1, 1.0),
            },
            iterations=50_000,
            seeds=3,
        ),
        # The defaults of github.com/bethgelab/slow_disentanglement, main.py, which are those that Klindt et al. 2021
        # report. What differs: its Adam, where ours is RMSprop; its pairs of frames, where ours are videos of ten; its
        # network, whose fifth layer is a convolution of 256 channels after four of 32, 32, 64 and 64, of which conv64
        # is the nearest here; and its terms, as `dd_ray/objectives/slowness.py` says.
        "paper": Preset(
            about="the settings of Klindt et al. 2021, as near as they come",
            axes={
                "slowness_weight": (10.0,),
                "slowness_rate": (6.0,),
                "beta": (1.0,),
                "num_latents": (10,),
                "likelihood": ("bernoulli",),
                "network": ("conv64",),
                "image_size": (64,),
            },
            iterations=300_000,
            seeds=10,
            scheduler="none",
        ),
    },
)
