"""The studies in `sweeps/` are what they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import dd_ray
from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.figures import check_figures
from dd_ray.sweep import Search, Study
from tests.sweep.studies import STUDY_FILES, TINY, load_study

STUDIES = {path.stem: load_study(path) for path in STUDY_FILES}
BETA_NORMS = np.geomspace(0.001, 5, 6).round(4)


@pytest.mark.parametrize(
    ("name", "preset"), [(name, preset) for name, study in STUDIES.items() for preset in study.presets]
)
def test_every_preset_is_a_valid_sweep(name, preset):
    plan = parse(STUDIES[name], ["--preset", preset, "--seeds", "1"])  # others differ from it in their seed alone
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


def _with(**changes: Any) -> Study:
    """A study that has other values."""
    return replace(TINY, **changes)


def _preset(**changes: Any) -> Study:
    """A study whose preset has other values."""
    return _with(presets={"quick": replace(TINY.presets["quick"], **changes)})


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (_with(presets={}), "study tiny has no presets; give it one"),
        (_with(axes=("gama",)), "study tiny: axes names 'gama', which does not exist; did you mean gamma"),
        (_with(axes="gamma"), "study tiny: axes = 'gamma' is no tuple; write"),
        (_with(axes={"gamma"}), r"study tiny: axes = \{'gamma'\} is a set; give a tuple"),
        (_with(fixed={"beta": {0.1}}), "study tiny: fixed gives beta several values"),
        (
            _with(fixed={"modle": "beta_vae"}),
            "study tiny: fixed names 'modle', which does not exist; did you mean model",
        ),
        (_with(fixed={"beta": (0.1, 1.0)}), "study tiny: fixed gives beta several values"),
        (
            _with(tells=("linear_r",)),
            "study tiny: tells names 'linear_r', which does not exist; did you mean linear_r2",
        ),
        (_with(outcomes=("mccc",)), "study tiny: outcomes names 'mccc', which does not exist; did you mean mcc"),
        (_preset(scheduler="ashaa"), "preset quick: scheduler names 'ashaa', which does not exist; did you mean asha"),
        (
            _preset(final_metrics=("migg",)),
            "preset quick: final_metrics names 'migg', which does not exist; did you mean",
        ),
        (_preset(final_metrics="mig"), r"preset quick: final_metrics = 'mig' is no tuple; write \('mig',\)"),
        (_preset(seeds=0), "preset quick: seeds = 0; give a whole number of at least 1"),
        (_preset(iterations=3e2), r"preset quick: iterations = 300\.0; give a whole number of at least 1"),
        (_preset(grace_share=2.0), r"preset quick: grace_share = 2\.0; give a number in \[0, 1\]"),
        (_preset(axes={"gama": (0.5,)}), "preset quick: axes names 'gama', which does not exist; did you mean gamma"),
        (_preset(axes={"gamma": 0.5}), r"preset quick: gamma = 0\.5 is no tuple; write \(0\.5,\)"),
        (_preset(axes={"gamma": frozenset({0.5})}), r"preset quick: gamma = .* is a frozenset; give a tuple"),
        (_preset(axes={"gamma": iter((0.5,))}), "preset quick: gamma = .* is a tuple_iterator; give a tuple"),
        (_preset(axes={"gamma": ()}), r"preset quick: gamma = \(\) has no value; give one, or leave gamma out"),
        (_preset(axes=("gamma",)), r"preset quick: axes = \('gamma',\) is of the wrong type; give a dictionary"),
        (_preset(about=3), "preset quick: about = 3 is of the wrong type; give text"),
        (_preset(grace_share="1"), "preset quick: grace_share = '1' is of the wrong type; give a number"),
        (_preset(reduction_factor=None), "preset quick: reduction_factor = None is of the wrong type; give a number"),
        (_with(name=3), "a study's name = 3 is of the wrong type; give text"),
        (_with(question=None), "study tiny: question = None is of the wrong type; give text"),
        (_with(metric=3), "study tiny: metric = 3 is of the wrong type; give text"),
        (_with(presets=[1]), r"study tiny: presets = \[1\] is of the wrong type; give a dictionary"),
        (_with(presets={"quick": 1}), r"study tiny, preset quick = 1 is of the wrong type; give a Preset\(...\)"),
        (_with(presets={1: TINY.presets["quick"]}), "the name of a preset = 1 is of the wrong type; give text"),
        (_with(earlier=1), "study tiny: earlier = 1 is of the wrong type; give a dictionary"),
        (_with(fixed=("beta",)), r"study tiny: fixed = \('beta',\) is of the wrong type; give a dictionary"),
        (_with(extensions="mine.py"), r"study tiny: extensions = 'mine.py' is no tuple; write \('mine.py',\)"),
        (_with(search=3), r"study tiny: search = 3 is of the wrong type; give a Search\(...\), or None"),
        (_with(search=Search(space={}, objectives="mcc")), r"search, objectives = 'mcc' is no tuple; write \('mcc',\)"),
        (_with(search=Search(space={"beta": (0, 1)}, objectives=("mcc",))), r"search, beta = \(0, 1\) is of the wrong"),
        (_preset(axes={"seed": (3, 4)}), "preset quick: axes has seed; give the number of them, seeds=2"),
    ],
)
def test_what_is_wrong_with_a_study_of_ones_own_is_one_sentence(study: Study, message: str) -> None:
    for plan_it in (lambda: dd_ray.plan(study), lambda: parse(study, [])):
        with pytest.raises(UserError, match=message):
            plan_it()
