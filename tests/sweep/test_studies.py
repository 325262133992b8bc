"""The studies in `sweeps/` are what they say."""

import numpy as np
import pytest

from dd_ray.cli import parse
from dd_ray.figures import check_figures
from tests.sweep.studies import STUDY_FILES, load_study

STUDIES = {path.stem: load_study(path) for path in STUDY_FILES}
BETA_NORMS = np.geomspace(0.001, 5, 6).round(4)


@pytest.mark.parametrize(
    ("name", "preset"), [(name, preset) for name, study in STUDIES.items() for preset in study.presets]
)
def test_every_preset_is_a_valid_sweep(name, preset):
    plan = parse(STUDIES[name], ["--preset", preset])
    assert plan.num_trials > 0 and plan.examples
    assert len({trial.key for trial in plan.trials}) == len({trial.label for trial in plan.trials}) == len(plan.trials)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_named_as_its_file_and_its_figures_exist(name):
    assert STUDIES[name].name == name
    check_figures(STUDIES[name].figures)


@pytest.mark.parametrize("name", STUDIES)
def test_quick_is_the_default_and_paper_lets_all_finish(name):
    study = STUDIES[name]
    assert study.default_preset == "quick"
    schedulers = {preset: values.scheduler for preset, values in study.presets.items()}
    assert schedulers.get("paper", "none") == "none"
    # Trials that learn from less of the data are no rivals of those that learn from more, nor are those that predict
    # the next frame rivals of those that only encode this one.
    lets_finish = name in ("generalisation", "answer", "inertia_grid")
    assert schedulers.get("full", "asha") == ("none" if lets_finish else "asha")


@pytest.mark.parametrize(
    ("name", "trials", "iterations"),
    [
        ("inertia_grid", 36, 50_000),
        ("prediction_grid", 36, 50_000),
        ("beta_grid", 6, 500_000),
        ("supervised_control", 1, 50_000),
    ],
)
def test_the_paper_preset_is_the_originals_grid(name, trials, iterations):
    plan = parse(STUDIES[name], ["--preset", "paper"])
    assert (len(plan.trials), plan.options.iterations) == (trials, iterations)
    configs = [trial.config for trial in plan.trials]
    assert {(c.batch_size, c.num_latents, c.learning_rate, c.grid) for c in configs} == {(64, 4, 1e-4, "original")}
    if name != "supervised_control":
        assert sorted({c.beta_norm for c in configs}) == BETA_NORMS.tolist()


def test_original_gammas_and_lambdas():
    inertia = parse(STUDIES["inertia_grid"], ["--preset", "paper"]).trials
    prediction = parse(STUDIES["prediction_grid"], ["--preset", "paper"]).trials
    assert {c.config.gamma for c in inertia} == {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}
    assert {c.config.lam for c in prediction} == {0.0, 1e-4, 1e-2, 1.0, 100.0, 10_000.0}


def test_the_original_s_shares_of_positions():
    trials = parse(STUDIES["generalisation"], ["--preset", "paper"]).trials
    assert {trial.config.train_share for trial in trials} == {0.2, 0.4, 0.6, 0.8, 1.0}
    assert {(c.config.batch_size, c.config.learning_rate, c.config.grid) for c in trials} == {(64, 1e-4, "original")}


@pytest.mark.parametrize("name", ["inertia_grid", "prediction_grid"])
def test_the_original_with_its_faults_can_be_rerun(name):
    plan = parse(STUDIES[name], ["--preset", "paper", "--compat", "original"])
    assert {trial.config.compat for trial in plan.trials} == {"original"}
