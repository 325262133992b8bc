"""β, γ and λ, searched: `dd-ray inertia_search --help`."""

from dd_ray.sweep import LogUniform, Preset, Search, Study, Uniform

STUDY = Study(
    name="inertia_search",
    question="Which β, inertia γ and prediction penalty λ disentangle best, and at what cost in reconstruction?",
    axes=("beta", "beta_norm", "gamma", "lam"),
    fixed={"model": "inertia_vae"},
    search=Search(
        space={"beta": LogUniform(0.003, 2.0), "gamma": Uniform(0.0, 1.0), "lam": LogUniform(0.01, 10_000.0)},
        objectives=("reconstruction_error", "mcc"),
    ),
    presets={
        "quick": Preset(
            about="a taste of the search, minutes on a laptop",
            axes={"batch_size": (16,), "learning_rate": (1e-3,), "num_test": (64,)},
            iterations=300,
            grace_share=2 / 3,
            reduction_factor=1.5,
            suggestions=16,
        ),
        "full": Preset(
            about="a search with seeds, for a cluster",
            axes={},
            iterations=50_000,
            seeds=3,
            suggestions=200,
        ),
    },
    figures=("search_results",),
)
