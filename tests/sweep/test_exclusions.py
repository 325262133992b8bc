"""Which combinations a grid leaves out."""

from dataclasses import replace

import pytest

from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.sweep.exclusions import combination_of
from tests.sweep.studies import TINY


def _cells(*args):
    plan = parse(TINY, ["--beta", "0.1", "1", "--gamma", "0", "0.5", "--lambda", "0", "3", *args])
    return [(trial.config.beta, trial.config.gamma, trial.config.lam) for trial in plan.trials]


def test_a_trial_is_left_out_that_has_one_of_the_values_of_every_field_named_together():
    whole, kept = _cells(), _cells("--exclude", "gamma=0.5 lambda=3")
    assert len(whole) == 8
    assert kept == [cell for cell in whole if cell[1:] != (0.5, 3.0)]


def test_several_combinations_and_several_values_of_a_field_can_be_left_out():
    kept = _cells("--exclude", "beta=0.1 gamma=0,0.5 lam=3", "beta=1 gamma=0.5")
    assert kept == [(0.1, 0.0, 0.0), (0.1, 0.5, 0.0), (1.0, 0.0, 0.0), (1.0, 0.0, 3.0)]


def test_what_has_no_effect_in_a_trial_counts_as_its_default():
    both = ["--model", "beta_vae", "inertia_vae", "--gamma", "0", "0.5", "--beta", "1"]
    plan = parse(TINY, [*both, "--exclude", "gamma=0.5"])
    assert [(trial.config.model, trial.config.gamma) for trial in plan.trials] == [("beta_vae", 0), ("inertia_vae", 0)]


@pytest.mark.parametrize(
    ("latents", "given", "excluded"),
    [
        (10, "--beta-norm 0.7 1.1", "beta=71.68"),
        (3, "--beta 1.1 2", "beta_norm=0.00322265625"),  # both of a number that floats miss by a last digit
        (10, "--beta 1 2", "beta=1 beta_norm=0.009765625"),
        (10, "--beta-norm 1 2", "beta_norm=1"),
    ],
)
def test_a_trial_is_left_out_by_either_form_of_beta(latents, given, excluded):
    plan = parse(TINY, [*given.split(), "--gamma", "0", f"--num-latents={latents}", "--exclude", excluded])
    (trial,) = plan.trials
    assert (trial.config.beta or trial.config.beta_norm) == float(given.split()[-1])


def test_a_value_that_is_not_given_can_be_left_out():
    assert combination_of("clip_gradient=None,0.5 gamma=0") == {"clip_gradient": (None, 0.5), "gamma": (0.0,)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gamma", "no combination"),
        ("gamma=", "no combination"),
        ("=3", "no combination"),
        ("", "no combination"),
        ("nesterov=3", "nesterov.* no option of a trial"),
        ("gamma=much", "'much' is no number"),
        ("gamma=None", "'None' is no number"),
        ("stochastic=true", "--exclude stochastic=true: 'true' is neither True nor False; give one"),
        ("gamma=0 gamma=0.5", "names gamma twice; .* join them with commas"),
        ("lambda=3 lam=0", "names lam twice"),
        ("model=inertia_vea", "there is no 'inertia_vea'; there are .*inertia_vae"),
        ("beta=0.1,1", "leaves no trial"),
    ],
)
def test_what_is_no_combination_or_leaves_nothing_is_refused(text, words):
    with pytest.raises(UserError, match=words):
        _cells("--exclude", text)


def test_it_is_said_what_is_left_out():
    plan = parse(TINY, ["--exclude", "gamma=0.5 beta=1"])
    assert plan.contents()[0] == "3 trials of 2 beta × 2 gamma, without gamma=0.5 beta=1"


def test_a_combination_that_no_trial_has_is_named():
    *_, last = parse(TINY, ["--exclude", "gamma=0.5 beta=1", "gamma=0.7 beta=1"]).contents()
    assert last == "--exclude 'gamma=0.7 beta=1' leaves out nothing, since no trial has these values"
    own = replace(TINY.presets["quick"], exclude=("gamma=0.7",))  # of the preset, which a user may narrow
    lines = parse(replace(TINY, presets={"quick": own}), []).contents()
    assert not any("leaves out nothing" in line for line in lines)
