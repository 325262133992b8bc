"""What a command line makes of a study."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import dd_ray
from dd_ray.cli import describe, parse
from dd_ray.command_line import duration
from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate
from dd_ray.metrics import FURTHER, REPORTED, reported_by
from dd_ray.models import build_model
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.studies import study_named
from dd_ray.sweep.data import scored_on
from dd_ray.sweep.manifest import check_agrees, make_manifest
from tests.own_files import BARE, COLOUR, GREY
from tests.sweep.studies import ROOT, STUDY_FILES, TINY, load_study


@pytest.fixture(autouse=True)
def away_from_the_sweeps_of_this_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is compared with the sweep of its name in `results`, which a checkout that has been used may have."""
    monkeypatch.chdir(tmp_path)


def test_trials_are_the_product_of_the_axes_and_seeds():
    plan = parse(TINY, ["--seeds", "3"])
    assert len(plan.trials) == 2 * 2 * 3
    assert len({trial.key for trial in plan.trials}) == 12
    assert plan.swept == ("beta", "gamma", "seed")


def test_an_axis_is_replaced_by_what_the_command_line_says():
    plan = parse(TINY, ["--gamma", "0", "0.25", "0.9", "--beta", "0.5"])
    assert [(c.config.beta, c.config.gamma) for c in plan.trials] == [(0.5, 0.0), (0.5, 0.25), (0.5, 0.9)]


def test_any_config_field_can_be_swept():
    plan = parse(TINY, ["--num-latents", "2", "4", "--motion", "axis", "--gamma", "0", "--beta", "1"])
    assert [c.config.num_latents for c in plan.trials] == [2, 4]
    assert {c.config.motion for c in plan.trials} == {"axis"}


def test_beta_norm_replaces_the_default_beta():
    plan = parse(TINY, ["--beta-norm", "0.001"])
    assert {c.config.beta_value for c in plan.trials} == {0.256}


def test_seeds_can_be_named():
    assert [c.config.seed for c in parse(TINY, ["--seed", "4", "7", "--gamma", "0", "--beta", "1"]).trials] == [4, 7]
    assert [c.config.seed for c in parse(TINY, ["--seed", "4", "--gamma", "0", "--beta", "1"]).trials] == [4]


def test_a_preset_sets_the_defaults():
    plan = parse(TINY, ["--preset", "paper"])
    assert (plan.options.iterations, plan.options.scheduler, plan.options.name) == (9, "none", "tiny_paper")
    assert parse(TINY, ["--preset=paper", "--iterations", "5"]).options.iterations == 5


def test_labels_name_the_axes_of_the_study_even_where_they_do_not_vary():
    label = parse(TINY, ["--gamma", "0.5", "--beta", "1"]).trials[0].label
    assert label == "beta=1,gamma=0.5,seed=0"


def test_labels_name_the_study_s_axes_and_what_differs_but_nothing_that_all_trials_share():
    asked = ["--gamma", "0.5", "--beta", "1", "--motion", "axis", "--learning-rate"]
    assert parse(TINY, [*asked, "0.01"]).trials[0].label == "beta=1,gamma=0.5,seed=0"
    label = parse(TINY, [*asked, "0.01", "0.02"]).trials[0].label
    assert label == "beta=1,gamma=0.5,learning_rate=0.01,seed=0"


@pytest.mark.parametrize(
    ("command", "labels"),
    [
        (
            "objective_grid --objective beta capacity --beta 0.1 0.5 --seeds 1",
            "objective=beta,beta=0.1,seed=0 objective=beta,beta=0.5,seed=0 objective=capacity,seed=0",
        ),
        (
            "slowness_grid --objective beta slowness --slowness-weight 1 2 --slowness-rate 3",
            "beta=0.1,objective=beta,seed=0 slowness_weight=1,slowness_rate=3,beta=0.1,objective=slowness,seed=0 "
            "slowness_weight=2,slowness_rate=3,beta=0.1,objective=slowness,seed=0",
        ),
        (
            "objective_grid --stochastic True False --beta 1 --objective beta --seeds 1",
            "objective=beta,beta=1,stochastic=True,seed=0 stochastic=False,seed=0",
        ),
        (
            "inertia_grid --model beta_vae inertia_vae --beta 0.1 --gamma 0.5 0.9 --lambda 0 --seeds 1",
            "model=beta_vae,beta=0.1,seed=0 model=inertia_vae,beta=0.1,gamma=0.5,lambda=0,seed=0 "
            "model=inertia_vae,beta=0.1,gamma=0.9,lambda=0,seed=0",
        ),
        (
            "generalisation --model supervised_decoder beta_vae --beta 0.1 0.2 --split levels --train-share 0.5",
            "split=levels,train_share=0.5,model=supervised_decoder,seed=0 "
            "split=levels,train_share=0.5,model=beta_vae,beta=0.1,seed=0 "
            "split=levels,train_share=0.5,model=beta_vae,beta=0.2,seed=0",
        ),
    ],
)
def test_a_trial_is_named_by_the_axes_that_have_an_effect_in_it(command, labels):
    study, *args = command.split()
    plan = parse(load_study(ROOT / "sweeps" / f"{study}.py"), [*args, "--scheduler", "none"])
    assert sorted(trial.label for trial in plan.trials) == sorted(labels.split())
    assert len({trial.key for trial in plan.trials}) == len(plan.trials)


def test_it_is_said_where_there_are_fewer_trials_than_the_axes_make():
    count, *_ = parse(TINY, ["--model", "predictive_vae", "inertia_vae", "--beta", "1"]).contents()
    assert count == "3 trials of 2 gamma × 2 model, since where an axis has no effect its trials are one"
    assert parse(TINY, []).contents()[0] == "4 trials = 2 beta × 2 gamma"


def test_a_suggestion_has_the_default_of_what_has_no_effect_in_it():
    study = load_study(ROOT / "sweeps" / "inertia_search.py")
    plan = parse(study, ["--objective", "beta", "capacity", "--capacity-max", "5"])
    point = {"beta": 0.1, "gamma": 0.5, "lam": 1.0, "objective": "beta"}
    (plain,), (capacity,) = (plan.trials_of(point | {"objective": objective}) for objective in ("beta", "capacity"))
    assert (plain.config.beta, plain.config.capacity_max) == (0.1, 20)
    assert (capacity.config.beta, capacity.config.capacity_max) == (None, 5)
    assert capacity.label == "gamma=0.5,lambda=1,objective=capacity,seed=0"


def test_a_seed_option_without_values_is_left_out():
    assert {c.config.seed for c in parse(TINY, ["--seed"]).trials} == {0}


def test_options_of_the_preset_without_a_value_are_told_with_their_default():
    told = [
        f"{name} is given no value, so it is {usual}, its default" for name, usual in (("gamma", 0), ("batch-size", 64))
    ]
    assert parse(TINY, ["--gamma", "--batch-size"]).contents()[2:] == told
    assert dd_ray.plan(TINY, gamma=[], batch_size=None).without_values() == told
    assert dd_ray.plan("inertia_search", gamma=[]).contents()[-1] == told[0]
    for args in ([], ["--beta-norm", "1"], ["--model", "beta_vae"], ["--model", "beta_vae", "--gamma"], ["--alpha"]):
        assert parse(TINY, args).without_values() == []


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, torch.tensor])
def test_a_number_of_few_bits_is_the_one_that_is_shown(kind, tmp_path):
    written = dd_ray.plan(TINY, gamma=[0.1, 1 / 8], beta=0.3, storage=tmp_path)
    assert dd_ray.plan(TINY, gamma=[kind(0.1), kind(1 / 8)], beta=kind(0.3), storage=tmp_path).keys == written.keys
    preset = replace(TINY.presets["quick"], axes={"beta": (kind(0.3),), "gamma": [kind(0.1), kind(1 / 8)]})
    assert dd_ray.plan(replace(TINY, presets={"quick": preset}), storage=tmp_path).axes == written.axes
    assert TrialConfig(model="beta_vae", beta=kind(0.3)).key == TrialConfig(model="beta_vae", beta=0.3).key


@pytest.mark.parametrize("study", [TINY, "inertia_search"])
def test_a_sweep_that_has_numbers_with_the_digits_of_float32_goes_on_with_them(study, tmp_path):
    asked = {"alpha": [0.25, np.float32(0.1)], "storage": tmp_path, "name": "before"}
    before = dd_ray.plan(study, **{**asked, "alpha": [0.25, 0.10000000149011612]})
    sweep = SweepFolder.at(before.location)
    sweep.write_manifest(make_manifest(before, {}))
    again = dd_ray.plan(study, **asked)
    check_agrees(again, sweep)
    assert (again.keys, again.axes) == (before.keys, before.axes)
    sweep.files.write("sweep.json", b"{")
    assert dd_ray.plan(study, **asked).axes["alpha"] == (0.25, 0.1)


def test_evaluations_start_untrained_and_end_at_the_end():
    assert parse(TINY, ["--iterations", "100", "--evaluations", "4"]).evaluate_at == (0, 25, 50, 75, 100)
    assert parse(TINY, ["--iterations", "2", "--evaluations", "4"]).evaluate_at == (0, 1, 2)


def test_long_trials_are_evaluated_at_most_20_times_and_short_ones_at_least_once():
    assert len(parse(TINY, ["--iterations", "100000"]).evaluate_at) == 21
    assert parse(TINY, ["--iterations", "3", "--num-test", "512"]).evaluate_at == (0, 3)


def test_evaluations_cost_little_by_default():
    plan = parse(TINY, ["--iterations", "1000", "--batch-size", "16", "--num-test", "128"])
    trained_on, evaluated_on = 1000 * 16, 128 * len(plan.evaluate_at)
    assert evaluated_on / trained_on < 0.1  # evaluating on a video takes half of training on it


def test_grace_period_is_a_share_of_the_iterations():
    assert parse(TINY, ["--iterations", "900"]).grace_period == 100
    assert parse(TINY, ["--iterations", "900", "--grace-period", "7"]).grace_period == 7


def test_named_seeds_replace_those_of_a_preset():
    study = replace(TINY, presets={"quick": replace(TINY.presets["quick"], seeds=3)})
    one = ["--gamma", "0", "--beta", "1"]
    assert [c.config.seed for c in parse(study, one).trials] == [0, 1, 2]
    assert [c.config.seed for c in parse(study, [*one, "--seed", "4"]).trials] == [4]
    assert [c.config.seed for c in parse(study, [*one, "--seed", "4", "7"]).trials] == [4, 7]
    assert [c.config.seed for c in parse(study, [*one, "--seeds", "2"]).trials] == [0, 1]


@pytest.mark.parametrize(
    ("options", "ended"),
    [("", False), ("--trial-time-budget 90s", False), ("--trial-time-budget 1m", True), ("--scheduler none", False)],
)
def test_a_trial_out_of_its_time_has_ended_unless_it_is_given_more(options, ended):
    outcome = Outcome(state="out_of_time", iteration=3, seconds=60.5)
    assert parse(TINY, options.split()).has_ended(outcome) == ended


def test_asha_compares_first_at_an_evaluation_within_the_run():
    plan = parse(TINY, ["--iterations", "100", "--evaluations", "4", "--grace-period", "30"])
    assert plan.first_comparison == 50
    assert parse(TINY, ["--iterations", "100", "--evaluations", "1"]).first_comparison is None


@pytest.mark.parametrize("preset", ["quick", pytest.param("full", marks=pytest.mark.slow)])
def test_what_trials_are_said_to_report_is_what_they_report(preset):
    for path in STUDY_FILES:
        config = replace(parse(load_study(path), ["--preset", preset]).examples[0], num_test=4)
        dataset = make_dataset(config)
        reported = evaluate(build_model(config), config, dataset.test_set(), seen_set=dataset.seen_set()).metrics
        assert {name for name in REPORTED if name in reported} == reported_by(config)


def test_a_plan_knows_what_any_of_its_trials_reports():
    plan = parse(
        TINY, ["--model", "supervised_encoder", "inertia_vae", "--metric", "mcc", "--final-metrics", "mig", "dci"]
    )
    assert {"factor_error", "reconstruction_error", "kl", "mig_stills", "dci_disentanglement"} <= {*plan.reported}
    assert not {"factor_vae", "reconstruction_error_dropped"} & {*plan.reported}


def _final_metrics(*arguments):
    return parse(TINY, [*arguments]).final_metrics


def test_scores_at_the_end_are_those_that_training_is_long_enough_for():
    assert _final_metrics() == ()
    some = _final_metrics("--iterations", "600", "--batch-size", "16", "--num-frames", "10")
    assert "mig" in some and "dci" not in some
    assert set(_final_metrics("--iterations", "50000", "--batch-size", "64")) == set(FURTHER)


def test_the_outcomes_of_a_study_are_scored_however_short_its_training():
    study = replace(TINY, outcomes=("dci_disentanglement", "linear_r2_stills", "kl"))
    assert parse(study, []).final_metrics == ("linear_r2", "dci")
    assert parse(study, ["--final-metrics", "none"]).final_metrics == ()


def test_scores_at_the_end_can_be_named():
    assert _final_metrics("--final-metrics", "dci", "sap") == ("sap", "dci")
    assert _final_metrics("--final-metrics", "none", "--iterations", "50000") == ()
    assert set(_final_metrics("--final-metrics", "all")) == set(FURTHER)
    with pytest.raises(SystemExit):
        _final_metrics("--final-metrics", "dcii")


def test_scores_at_the_end_mean_something_of_the_factors():
    sprites = ["--model", "beta_vae", "--gamma", "0", "--dataset", "still_sprites", "--background", "black"]
    sprites += ["--num-frames", "10"]
    assert not {"notebook", "block_separation"} & {*parse(TINY, [*sprites, "--final-metrics", "all"]).final_metrics}
    with pytest.raises(UserError, match=r"--final-metrics notebook means nothing of the factors sprite_shape, "):
        parse(TINY, [*sprites, "--final-metrics", "notebook"])


def test_scores_of_a_preset_that_mean_nothing_of_a_file_are_left_out() -> None:
    own = {"dataset": "arrays", "data_file": BARE["data_file"]}
    assert {*dd_ray.plan("inertia_grid").final_metrics} == {"linear_r2", "mcc"}
    assert dd_ray.plan("inertia_grid", **own).final_metrics == ()
    with pytest.raises(UserError, match="--final-metrics mcc is a score of factors, and data_file has none"):
        dd_ray.plan("inertia_grid", **own, final_metrics="mcc")


def test_a_slow_prior_is_asked_for_of_a_file_whose_things_have_no_other_places(capsys) -> None:
    slow = ["--model", "beta_vae", "--gamma", "0", "--lambda", "0", "--objective", "slowness", "--slowness-weight", "9"]
    plan = parse(study_named("inertia_grid"), ["--dataset", "arrays", "--data-file", COLOUR["data_file"], *slow])
    describe(plan)
    assert "slowness of weight" not in capsys.readouterr().out


def test_it_is_said_that_few_points_bias_mig():
    few, enough = (scored_on(parse(TINY, ["--num-test", n, "--num-frames", "10"])) for n in ("64", "556"))
    assert "576" in few[0] and enough == []


def test_it_is_said_that_few_videos_lower_r2():
    # Sixty-four videos are as few whatever their frames.
    for frames in ("10", "100"):
        lines = scored_on(parse(TINY, ["--num-test", "64", "--num-frames", frames, "--num-latents", "4"]))
        assert "linear R² of 64 held-out videos is too low by up to 0.23 × (1 − R²); use more (--num-test)" in lines
    stills = scored_on(parse(TINY, "--dataset still_circles --model beta_vae --beta 1 --gamma --num-test 64".split()))
    assert any(line.startswith("linear R² of 64 held-out still pictures is too low") for line in stills)


@pytest.mark.parametrize(("num_test", "by"), [("4", "--num-test"), ("512", "a larger --data-file")])
def test_where_a_file_has_no_more_to_test_on_no_option_is_named_that_brings_more(num_test, by):
    own = ["--model", "beta_vae", "--gamma", "0", "--dataset", "arrays", "--data-file", GREY["data_file"]]
    lines = scored_on(parse(TINY, [*own, "--num-test", num_test]))
    said = [line for line in lines if "MIG of" in line or "linear R² of" in line]
    assert len(said) == 2 and all(f"({by})" in line for line in said)


@pytest.mark.parametrize(
    ("option", "beside", "needed"),
    [
        ("--sample-seed 3", "--seeds 2", "--sample N"),
        ("--grace-period 2", "--scheduler none", "a --scheduler that stops trials, or --stop-at-plateau N"),
        ("--reduction-factor 2.0", "--scheduler median", "--scheduler asha or hyperband"),
    ],
)
def test_an_option_without_effect_beside_the_others_is_refused(option, beside, needed):
    with pytest.raises(UserError, match=rf"^{option} has no effect without {needed}; give both\.$"):
        parse(TINY, [*option.split(), *beside.split()])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--final-metrics none mig", "--final-metrics none mig asks for none and for others"),
        ("--final-metrics mig mig", "--final-metrics mig mig names a value twice"),
        ("--exclude gamma=0 gamma=0", "--exclude gamma=0 gamma=0 names a value twice"),
    ],
)
def test_values_of_one_option_that_contradict_or_repeat_each_other_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        parse(TINY, options.split())


@pytest.mark.parametrize(
    ("words", "twice"),
    [
        ("--beta 1 --beta 2", "--beta"),
        ("--lambda=1 --gamma 0.5 --lambda 2", "--lambda"),
        ("--num-latents 3 --num_latents 5", "--num-latents"),
        ("--final-metrics mig --final-metrics sap", "--final-metrics"),
        ("--iterations 5 --iterations 6", None),
        ("--beta 1 2", None),
    ],
)
def test_it_is_said_that_only_the_last_values_of_an_option_count(words, twice, capsys):
    parse(TINY, words.split())
    said = capsys.readouterr().err
    assert said.startswith(f"{twice} is given twice, and the last counts") if twice else not said
    assert said.count("\n") == bool(twice)


def test_what_a_preset_sets_may_be_without_effect():
    study = study_named("beta_grid")
    assert study.presets["quick"].reduction_factor == 1.5
    assert parse(study, ["--scheduler", "none"]).options.reduction_factor == 1.5


def test_it_is_said_that_a_half_is_never_trained_on():
    given = ["--num-test", "556", "--num-frames", "10", "--background", "black", "--split", "combinations"]
    half, most = (scored_on(parse(TINY, [*given, "--train-share", share])) for share in ("0.5", "0.75"))
    assert half[0].startswith("a half, or a category, of circle_x is in no combination that is trained on")
    assert most == []


def test_work_is_estimated_in_proportion_to_frames():
    short, long = (parse(TINY, ["--iterations", n]).core_seconds() for n in ("100", "10000"))
    assert 20 < long / short < 500  # 100, but for the noise of the measured rate


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "1 second"), (5, "5 seconds"), (119, "119 seconds"), (600, "10.0 minutes"), (90_000, "25.0 hours")],
)
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text
