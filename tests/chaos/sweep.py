"""The sweep that `tests.chaos` disturbs: an ordinary study of tiny trials, whose workers write down what they do."""

from dd_ray.cli import main
from dd_ray.sweep import Preset, Study
from dd_ray.tune.environment import prepare_environment
from dd_ray.tune.signals import expect_signals

STUDY = Study(
    name="chaos",
    question="Does a sweep come to the same, whatever happens to it?",
    axes=("beta", "gamma"),
    fixed={"model": "inertia_vae", "batch_size": 2, "num_test": 4, "num_frames": 4},
    presets={
        "quick": Preset(
            about="the only one", axes={"beta": (0.1, 1.0), "gamma": (0.0, 0.5)}, iterations=100, scheduler="none"
        )
    },
)


def run() -> None:
    """Run the study with trials that log."""
    expect_signals()
    prepare_environment()  # before Ray is imported
    from dd_ray.tune import rounds
    from tests.chaos.trial import LoggedTrial

    rounds.TrialTrainable = LoggedTrial
    main(STUDY)


if __name__ == "__main__":
    run()
