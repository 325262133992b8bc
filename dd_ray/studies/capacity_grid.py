"""Controlled capacity on sprites: `dd-ray capacity_grid --help`."""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="capacity_grid",
    question="What does a VAE encode, and how disentangled, when its KL is held at a capacity that grows in training?",
    axes=("capacity_max", "capacity_weight"),
    fixed={
        "model": "beta_vae",
        "objective": "capacity",
        "dataset": "still_sprites",
        "grid": "original",
        "background": "black",
        "likelihood": "bernoulli",
    },
    presets={
        "quick": Preset(
            about="a taste of the axis, minutes on a laptop",
            axes={
                "capacity_max": (2.0, 5.0, 10.0),
                "capacity_weight": (15.0,),
                "capacity_iterations": (1_000,),
                "batch_size": (32,),
                "learning_rate": (1e-3,),
            },
            iterations=1_500,
            seeds=2,
            scheduler="none",
        ),
        "full": Preset(
            about="capacities and weights with seeds, for a cluster",
            axes={
                "capacity_max": (2.5, 5.0, 10.0, 15.0, 20.0, 25.0),
                "capacity_weight": (1.0, 10.0, 100.0, 1000.0),
            },
            iterations=300_000,
            seeds=5,
        ),
        # The defaults of github.com/miyosuda/disentangled_vae, main.py, but for its 2,000 epochs and its Adam.
        "replication": Preset(
            about="the public replication's settings",
            axes={
                "capacity_max": (20.0,),
                "capacity_weight": (100.0,),
                "capacity_iterations": (100_000,),
                "num_latents": (10,),
                "network": ("conv64",),
                "image_size": (64,),
                "learning_rate": (5e-4,),
            },
            iterations=300_000,
            scheduler="none",
        ),
        # Burgess et al. 2018, app. A: γ = 1000, C from 0 to 25 nats over 100,000 iterations, with Adam.
        "paper": Preset(
            about="the settings of Burgess et al. 2018",
            axes={
                "capacity_max": (25.0,),
                "capacity_weight": (1000.0,),
                "capacity_iterations": (100_000,),
                "num_latents": (10,),
                "network": ("conv64",),
                "image_size": (64,),
                "learning_rate": (5e-4,),
            },
            iterations=300_000,
            scheduler="none",
        ),
    },
)
