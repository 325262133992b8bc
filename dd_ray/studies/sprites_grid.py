"""β on sprites: `dd-ray sprites_grid --help`.

The sprites are the stand-in for dSprites. `--dataset dsprites --dsprites-file FILE --name dsprites` takes the public
file's own.
"""

from dd_ray.sweep import Preset, Study

STUDY = Study(
    name="sprites_grid",
    question="How disentangled are shape, scale, orientation and place of a sprite, as β grows?",
    axes=("beta", "beta_norm"),
    fixed={
        "model": "beta_vae",
        "dataset": "still_sprites",
        "grid": "original",
        "background": "black",
        "likelihood": "bernoulli",
    },
    presets={
        "quick": Preset(
            about="a taste of the axis, minutes on a laptop",
            axes={
                "beta": (0.3, 1.0, 4.0),
                "num_latents": (6,),
                "learning_rate": (1e-3,),
            },
            iterations=1_500,
            seeds=2,
            grace_share=2 / 3,
            reduction_factor=1.5,
        ),
        "full": Preset(
            about="a fine axis with seeds, for a cluster",
            axes={"beta": (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 16.0), "num_latents": (10,)},
            iterations=500_000,
            seeds=5,
        ),
    },
)
