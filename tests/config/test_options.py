"""The command line is the config: every field an option, every option one value or several."""

import re
from dataclasses import fields

import pytest
import tyro
from docstring_parser import parse_from_object

from dd_ray.config import TrialConfig
from dd_ray.config.options import (
    axes_of,
    field_named,
    given_options,
    option_name,
    options_class,
    product,
    shown,
    told_in_options,
)
from dd_ray.config.trial_fields import TrialFields
from dd_ray.errors import UserError

DEFAULTS = {"model": ("inertia_vae",), "beta": (0.1, 0.2), "gamma": (0.0, 0.5)}
DEFAULTS_IN_BETA_NORM = {"model": ("inertia_vae",), "beta_norm": (0.001, 5.0)}


def _axes(*args, defaults=DEFAULTS):
    return axes_of(tyro.cli(options_class(defaults), args=list(args)), defaults, given_options(args))


def _help(capsys) -> str:
    with pytest.raises(SystemExit) as exit_:
        _axes("--help")
    assert exit_.value.code == 0
    # Without the frame that tyro draws, and without its line breaks.
    return re.sub(r"[\s│╭╮╰╯─]+", " ", re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out))


def test_help_says_of_every_field_what_its_docstring_says(capsys):
    shown = _help(capsys)
    docs = {p.arg_name: p.description for p in parse_from_object(TrialFields).params}
    for field in fields(TrialConfig):
        assert f" --{option_name(field.name)} " in shown
        assert " ".join(docs[field.name].split()) in shown, field.name


def test_help_says_what_values_an_option_takes(capsys):
    shown = _help(capsys)
    assert "--gamma X [...]" in shown
    assert "--num-latents N [...]" in shown
    assert "--likelihood {gaussian,bernoulli} [...]" in shown
    assert "--learn-alpha {True,False} [...]" in shown


def test_without_arguments_the_axes_are_the_defaults_first():
    axes = _axes()
    assert list(axes)[:3] == ["model", "beta", "gamma"]
    assert {name: axes[name] for name in DEFAULTS} == DEFAULTS
    assert axes["num_latents"] == (4,)
    assert "beta_norm" not in axes


def test_the_axes_are_those_of_a_valid_grid():
    configs = product(_axes())
    assert [(c.beta, c.gamma) for c in configs] == [(0.1, 0.0), (0.1, 0.5), (0.2, 0.0), (0.2, 0.5)]
    assert {c.model for c in configs} == {"inertia_vae"}


@pytest.mark.parametrize(
    ("args", "name", "values"),
    [
        ("--gamma 0 0.25 1", "gamma", (0.0, 0.25, 1.0)),
        ("--lambda 1 10", "lam", (1.0, 10.0)),
        ("--num-latents 2 3", "num_latents", (2, 3)),
        ("--num_latents 2", "num_latents", (2,)),
        ("--learn-alpha True False", "learn_alpha", (True, False)),
        ("--likelihood bernoulli", "likelihood", ("bernoulli",)),
        ("--beta 1e-3", "beta", (0.001,)),
        ("--model predictive_vae beta_vae", "model", ("predictive_vae", "beta_vae")),
    ],
)
def test_an_option_takes_one_value_or_several(args, name, values):
    axes = _axes(*args.split())
    assert axes[name] == values
    assert [type(v) for v in axes[name]] == [type(v) for v in values]


def test_the_order_of_the_arguments_does_not_matter():
    assert _axes("--gamma", "1", "--beta", "3") == _axes("--beta", "3", "--gamma", "1")


def test_beta_norm_replaces_a_default_beta():
    axes = _axes("--beta-norm", "0.5")
    assert axes["beta_norm"] == (0.5,)
    assert "beta" not in axes


def test_beta_replaces_a_default_beta_norm():
    axes = _axes("--beta", "0.5", defaults=DEFAULTS_IN_BETA_NORM)
    assert axes["beta"] == (0.5,)
    assert "beta_norm" not in axes


def test_both_betas_are_refused():
    with pytest.raises(UserError, match=r"both beta = 3\.0 and beta_norm = 0\.5"):
        product(_axes("--beta", "3", "--beta-norm", "0.5"))


def test_both_betas_are_refused_also_where_one_is_its_default():
    with pytest.raises(UserError, match="both beta"):
        product(_axes("--beta", "0.1", "0.2", "--beta-norm", "0.5"))
    with pytest.raises(UserError, match="both beta"):
        product(_axes("--beta=0.1", "--beta_norm=0.5"))


def test_an_option_without_values_is_left_out():
    assert product(_axes("--model", "supervised_encoder", "--beta", "--gamma"))[0].beta is None


def test_a_model_is_needed():
    with pytest.raises(UserError, match="model is not given"):
        product(_axes("--model"))


@pytest.mark.parametrize(
    ("args", "trials"),
    [
        ("--objective beta capacity", [("beta", 0.1, 20), ("beta", 0.2, 20), ("capacity", None, 20)]),
        ("--objective beta capacity --beta 0", [("beta", 0, 20), ("capacity", None, 20)]),
        ("--objective beta capacity --beta 1 --capacity-max 5", [("beta", 1, 20), ("capacity", None, 5)]),
        ("--objective capacity --beta 0 --capacity-max 5 6", [("capacity", 0, 5), ("capacity", 0, 6)]),
    ],
)
def test_what_has_an_effect_in_some_trials_has_its_default_in_the_others(args, trials):
    configs = product(_axes("--gamma", "0", *args.split()))
    assert sorted((c.objective, c.beta, c.capacity_max) for c in configs) == trials


def test_what_has_an_effect_beside_the_default_of_another_keeps_its_value():
    args = (
        "--model beta_vae --beta 1 --gamma --dataset moving_circles moving_sprites --moves scale --motion linear bounce"
    )
    configs = product(_axes(*args.split()))
    assert [(c.dataset, c.moves, c.motion) for c in configs] == [
        ("moving_circles", "position", "linear"),
        ("moving_circles", "position", "bounce"),
        ("moving_sprites", "scale", "linear"),
    ]
    axes = DEFAULTS | {"beta": (1.0,), "gamma": (0.0,)}
    assert len(product(axes | {"occluder": (0, 8), "target": ("seen", "clean")})) == 3
    cycles = {"capacity_schedule": ("linear", "cyclic"), "schedule_cycles": (2, 3)}
    assert len(product({"model": ("inertia_vae",), "objective": ("capacity",), **cycles})) == 3


def test_what_loses_its_effect_with_another_field_that_has_none_has_its_default_too():
    configs = product(_axes("--stochastic", "True", "False", "--objective", "capacity", "tcvae", "--capacity-max", "5"))
    plain = [c for c in configs if not c.stochastic]
    assert [(c.objective, c.capacity_max, c.beta, c.gamma) for c in plain] == [
        ("beta", 20, None, 0),
        ("beta", 20, None, 0.5),
    ]
    assert len(configs) == 2 + 2 + 4  # β of tcvae alone


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("--objective capacity --beta 0.1", r"beta = 0\.1 has no effect with objective = capacity"),
        ("--objective beta tcvae --capacity-max 5", r"capacity_max = 5\.0 has no effect with objective = beta"),
        ("--model beta_vae predictive_vae --lambda 1 --gamma 0.5", r"gamma = 0\.5 has no effect on beta_vae"),
    ],
)
def test_what_is_given_and_has_an_effect_in_no_trial_is_refused(args, words):
    with pytest.raises(UserError, match=words):
        product(_axes(*args.split()))


def test_what_only_a_preset_says_has_its_default_where_it_has_no_effect():
    configs = product(_axes("--model", "beta_vae", "predictive_vae", "--lambda", "1", "--beta", "0.5"))
    assert [(c.model, c.gamma, c.lam) for c in configs] == [("beta_vae", 0, 0), ("predictive_vae", 0, 1)]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            "--beta 0.1 0.10000000000001",
            "--beta 0.1 0.10000000000001 are the same trial, as they agree to 12 digits; give one",
        ),
        (
            "--dataset dsprites --dsprites-file /a /b",
            "--dsprites-file /a /b are the same trial, as where it lies does not enter it; give one",
        ),
        ("--dataset dsprites --dsprites-file /a /./a", "two values of an option mean the same trial"),
    ],
)
def test_values_that_make_the_same_trial_are_named_with_their_option(args, words):
    sprites = ["--model", "beta_vae", "--grid", "original", "--background", "black", "--gamma", "--beta", "1"]
    with pytest.raises(UserError, match=words):
        product(_axes(*sprites, *args.split()) if "dsprites" in args else _axes(*args.split()))


@pytest.mark.parametrize("args", ["--beta 0.5 0.5", "--beta 1 1.0", "--model beta_vae beta_vae", "--seed 3 4 3"])
def test_a_value_given_twice_is_refused(args):
    with pytest.raises(UserError, match=rf"^{args.split()[0]} .* names a value twice\.$"):
        product(_axes(*args.split()))


@pytest.mark.parametrize("option", ["beta", "beta-norm", "gamma", "lambda", "alpha"])
def test_minus_0_is_0(option):
    signed, plain = (product(_axes(f"--{option}={zero}")) for zero in ("-0.0", "0.0"))
    assert [config.key for config in signed] == [config.key for config in plain]


def test_a_config_that_was_recorded_with_minus_0_keeps_its_key():
    assert TrialConfig(model="beta_vae", beta=-0.0).key == "7bde3ee248359121"


@pytest.mark.parametrize(
    "args",
    ["--temperature 3", "--lam 3", "--gamma x", "--model vae", "--num-latents 2.5", "--learn-alpha maybe", "3"],
)
def test_what_is_no_option_or_no_value_of_one_exits_with_code_2(args, capsys):
    with pytest.raises(SystemExit) as exit_:
        _axes(*args.split())
    assert exit_.value.code == 2
    assert args.split()[-1] in capsys.readouterr().err


def test_a_value_out_of_range_is_named():
    with pytest.raises(UserError, match=r"gamma = 2\.0 is out of range"):
        product(_axes("--gamma", "0", "2"))


def test_a_field_is_known_by_its_option_and_by_its_name():
    for field in fields(TrialConfig):
        for text in (field.name, option_name(field.name)):
            assert field_named(text) == field_named(text.replace("_", "-")) == field.name
            assert field_named(text.replace("-", "_")) == field.name
    assert field_named("lambda-schedule") == field_named("lambda_schedule") == "lam_schedule"
    assert field_named("speed") is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (1e-5, "1e-05"), (3, "3"), ("linear", "linear"), (1 / 3, "0.333333")]
)
def test_values_are_shown_with_as_many_digits_as_tell_them_apart(value, text):
    assert shown(value) == text


def test_drawn_values_are_shown_with_fewer_digits():
    assert (shown(1 / 3, digits=4), shown(12345, digits=4)) == ("0.3333", "12345")


def test_what_a_config_refuses_is_told_as_on_a_command_line():
    with pytest.raises(UserError) as refused, told_in_options():
        TrialConfig(model="beta_vae", beta=0.1, lam=5.0)
    assert str(refused.value).startswith("--lambda 5.0 has no effect on beta_vae; give 0.0")
    message = (
        "no effect with --beta-schedule and --gamma-schedule and --lambda-schedule constant; give 10000, or use --b"
    )
    with pytest.raises(UserError, match=message), told_in_options():
        TrialConfig(model="inertia_vae", beta=0.1, schedule_iterations=5)
    message = "^--network conv32 does not take --image-size 64; give --image-size 32"
    with pytest.raises(UserError, match=message), told_in_options():
        TrialConfig(model="inertia_vae", beta=0.1, image_size=64)
