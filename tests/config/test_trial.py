"""A config is checked once: what is wrong is named, and what is the same has the same key."""

import json
import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from itertools import permutations
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch

from dd_ray.config import MODELS, TrialConfig, data_config, fields_with
from dd_ray.config.field import type_of
from dd_ray.config.trial_fields import choices_of
from dd_ray.data import make_dataset
from dd_ray.errors import UserError

BETA_VAE: dict[str, Any] = {"model": "beta_vae", "beta": 0.1, "dataset": "still_circles"}
INERTIA_VAE: dict[str, Any] = {"model": "inertia_vae", "beta": 0.1}
CAPACITY: dict[str, Any] = {"model": "inertia_vae", "objective": "capacity"}
SUPERVISED: dict[str, Any] = {"model": "supervised_encoder", "dataset": "still_circles"}
BLACK_GRID: dict[str, Any] = {"grid": "original", "background": "black"}
DSPRITES: dict[str, Any] = BETA_VAE | BLACK_GRID | {"dataset": "dsprites", "dsprites_file": "/data/d.npz"}
ARRAYS: dict[str, Any] = {
    **{"dataset": "arrays", "data_file": "/data/v.npz"},
    **{"data_contents": f"sha256:{'0' * 32} 1000x6x32x32x3", "data_factors": "x"},
}
VIDEOS_OF_4: dict[str, Any] = ARRAYS | {"data_contents": f"sha256:{'0' * 32} 60x4x32x32x3"}

SPRITE = "sprite_shape sprite_scale sprite_orientation sprite_x sprite_y"

DIFFERENT: dict[str, dict[str, Any]] = {
    "model": {"model": "predictive_vae"},
    "network": {"network": "mlp"},
    "width_factor": {"width_factor": 0.5},
    "image_size": {"image_size": 64, "network": "mlp"},
    "num_latents": {"num_latents": 5},
    "beta": {"beta": 0.2},
    "beta_norm": {"beta": None, "beta_norm": 0.2},
    "gamma": {"gamma": 0.5},
    "lam": {"lam": 1.0},
    "alpha": {"alpha": 0.5},
    "learn_alpha": {"learn_alpha": True},
    "stochastic": {"stochastic": False, "beta": None},
    "likelihood": {"likelihood": "bernoulli"},
    "delay": {"delay": 0},
    "decode": {"decode": "extrapolated"},
    "learn_gamma": {"learn_gamma": "shared", "gamma": 0.5},
    "posterior": {"posterior": "filtered", "gamma": 0.5},
    "compat": {"compat": "original"},
    "objective": {"objective": "tcvae"},
    "capacity_max": {"capacity_max": 10.0, "objective": "capacity", "beta": None},
    "capacity_weight": {"capacity_weight": 10.0, "objective": "capacity", "beta": None},
    "capacity_iterations": {"capacity_iterations": 10, "objective": "capacity", "beta": None},
    "capacity_schedule": {"capacity_schedule": "cyclic", "objective": "capacity", "beta": None},
    "tc_sampling": {"tc_sampling": "stratified", "objective": "tcvae"},
    "tc_num_data": {"tc_num_data": 1000, "objective": "tcvae"},
    "slowness_weight": {"slowness_weight": 1.0, "objective": "slowness"},
    "slowness_rate": {"slowness_rate": 1.0, "objective": "slowness"},
    "velocity_scale": {"velocity_scale": 0.3, "objective": "velocity"},
    "velocity_alpha": {"velocity_alpha": 0.5, "objective": "velocity"},
    "beta_schedule": {"beta_schedule": "cosine"},
    "gamma_schedule": {"gamma_schedule": "cosine"},
    "lam_schedule": {"lam_schedule": "cosine"},
    "schedule_iterations": {"schedule_iterations": 10, "beta_schedule": "linear"},
    "schedule_cycles": {"schedule_cycles": 2, "beta_schedule": "cyclic"},
    "dataset": BETA_VAE,
    "grid": {"grid": "original"},
    "background": {"background": "black"},
    "num_circles": {"num_circles": 2},
    "moves": {"dataset": "moving_sprites", "moves": "scale"},
    "dsprites_md5": DSPRITES | {"dsprites_md5": "0" * 32},
    "data_factors": ARRAYS | {"data_factors": "angle:period=360"},
    "data_contents": ARRAYS,
    "motion": {"motion": "bounce"},
    "num_frames": {"num_frames": 9},
    "circle_radius": {"circle_radius": 4.0},
    "contrast": {"contrast": 0.5},
    "correlation": {"correlation": 0.5},
    "occluder": {"occluder": 12.0},
    "pixel_noise": {"pixel_noise": 0.1},
    "drop_rate": {"drop_rate": 0.5},
    "dropped": {"dropped": "frozen", "drop_rate": 0.5},
    "target": {"target": "clean", "pixel_noise": 0.1},
    "dataset_seed": {"dataset_seed": 1},
    "split": {"split": "levels"},
    "train_share": {"split": "levels", "train_share": 0.5},
    "num_test": {"num_test": 100},
    "batch_size": {"batch_size": 32},
    "learning_rate": {"learning_rate": 1e-3},
    "learning_rate_schedule": {"learning_rate_schedule": "cosine"},
    "learning_rate_iterations": {"learning_rate_schedule": "linear", "learning_rate_iterations": 50},
    "warm_up_iterations": {"warm_up_iterations": 10},
    "optimizer": {"optimizer": "adam"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "weight_decay": {"optimizer": "adamw", "weight_decay": 0.1},
    "clip_gradient": {"clip_gradient": 1.0},
    "warm_start_weights": {"warm_start": "/data/a:0123", "warm_start_weights": "0123456789abcdef@6:0123456789abcdef"},
    "seed": {"seed": 1},
}
"""A valid change of an inertia_vae for each field that can differ."""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (INERTIA_VAE | {"gamma": 1.5}, r"gamma = 1\.5 .*\[0, 1\]"),
        (INERTIA_VAE | {"warm_start": "a:0123"}, "warm_start = a:0123 is for sweeps, which find out which weights"),
        (INERTIA_VAE | {"warm_start_weights": "0" * 16 + "@6:" + "0" * 16}, "is filled in where warm_start is given"),
        (INERTIA_VAE | {"warm_start": "a:0123", "warm_start_weights": "0123@6"}, "0123@6 is filled in"),
        (
            INERTIA_VAE | {"warm_start": "a:0", "warm_start_weights": f"{'0' * 16}@{'9' * 5000}:{'0' * 16}"},
            "is filled in",
        ),
        (INERTIA_VAE | {"gamma": -0.1}, r"gamma = -0\.1 .*\[0, 1\]"),
        (INERTIA_VAE | {"gamma": math.nan}, r"gamma = nan"),
        (INERTIA_VAE | {"beta": -1}, r"beta = -1\.0 .*at least 0"),
        (INERTIA_VAE | {"beta": math.inf}, r"beta = inf .*finite"),
        (INERTIA_VAE | {"beta": math.nan}, r"beta = nan .*finite"),
        (INERTIA_VAE | {"beta": None, "beta_norm": -0.5}, r"beta_norm = -0\.5 .*at least 0"),
        (INERTIA_VAE | {"lam": -2.0}, r"lam = -2\.0 .*at least 0"),
        (INERTIA_VAE | {"lam": math.inf}, r"lam = inf"),
        (INERTIA_VAE | {"alpha": math.inf}, r"alpha = inf .*finite"),
        (INERTIA_VAE | {"alpha": -math.inf}, r"alpha = -inf .*finite"),
        (INERTIA_VAE | {"optimizer": "sgd", "momentum": 1.0}, r"momentum = 1\.0 .*\[0, 0\.999999\]"),
        (INERTIA_VAE | {"learning_rate_iterations": 50}, "no effect with learning_rate_schedule = constant"),
        (INERTIA_VAE | {"alpha": math.nan}, r"alpha = nan"),
        (INERTIA_VAE | {"learning_rate": 0.0}, r"learning_rate = 0\.0 .*positive"),
        (INERTIA_VAE | {"learning_rate": math.nan}, r"learning_rate = nan"),
        (INERTIA_VAE | {"learning_rate": math.inf}, r"learning_rate = inf"),
        (INERTIA_VAE | {"delay": 2}, r"delay = 2 .*0 or 1"),
        (INERTIA_VAE | {"delay": -1}, r"delay = -1 .*0 or 1"),
        (INERTIA_VAE | {"split": "levels", "train_share": 0.0}, r"train_share = 0\.0 .*\(0, 1\]"),
        (INERTIA_VAE | {"split": "levels", "train_share": 1.1}, r"train_share = 1\.1 .*\(0, 1\]"),
        (
            INERTIA_VAE | {"train_share": 0.5},
            r"train_share = 0\.5 has no effect with split = none; give 1\.0, or use split = samples or levels or comb",
        ),
        (INERTIA_VAE | {"split": "samples"}, "split = samples needs a finite set .*, or grid = original"),
        (INERTIA_VAE | {"width_factor": 0.0}, r"width_factor = 0\.0 .*\(0, 8\]"),
        (INERTIA_VAE | {"width_factor": 9}, r"width_factor = 9\.0 .*\(0, 8\]"),
        (INERTIA_VAE | {"width_factor": math.nan}, r"width_factor = nan"),
        (
            INERTIA_VAE | {"image_size": 64},
            r"conv32 does not take image_size = 64; .* 32, or network = conv64 or mlp\.",
        ),
        (
            INERTIA_VAE | {"network": "conv64"},
            r"conv64 does not take image_size = 32; .* 64, or network = conv32 or mlp",
        ),
        (INERTIA_VAE | {"network": "mlp", "image_size": 48}, r"image_size = 48; give image_size = 32 or 64\."),
        (INERTIA_VAE | {"num_latents": 0}, r"num_latents = 0 .*at least 1"),
        (INERTIA_VAE | {"circle_radius": 17.0}, r"circle_radius = 17\.0 .*\[1, 16\]"),
        (INERTIA_VAE | {"contrast": 0.0}, r"contrast = 0\.0 .*\(0, 1\]"),
        (INERTIA_VAE | {"grid": "original", "contrast": 0.5}, "grid = original is .* contrast = 1 "),
        (INERTIA_VAE | {"dataset": "moving_sprites", "circle_radius": 5.0}, "circle_radius = 5.0 has no effect on"),
        (INERTIA_VAE | {"correlation": 1.1}, r"correlation = 1\.1 .*\[-1, 1\]"),
        (INERTIA_VAE | {"correlation": 0.5, "background": "black"}, "correlation = 0.5 has no effect .* = gaussian"),
        (INERTIA_VAE | {"grid": "original", "correlation": 0.5}, "grid = original .* and correlation = 0"),
        (INERTIA_VAE | {"occluder": 64.0}, r"occluder = 64\.0 .*\[0, 63\]"),
        (INERTIA_VAE | {"grid": "original", "occluder": 8.0}, "grid = original is .* occluder = 0"),
        (INERTIA_VAE | {"split": "combinations", "grid": "original"}, "split = combinations .* give grid = continuous"),
        (INERTIA_VAE | {"split": "combinations", "correlation": 0.5}, "split = combinations .* give correlation = 0"),
        (INERTIA_VAE | {"pixel_noise": -0.1}, r"pixel_noise = -0\.1 .*\[0, 1\]"),
        (
            INERTIA_VAE | {"target": "clean"},
            r"target = clean has no effect with occluder and pixel_noise and drop_rate = 0\.0; .* a positive number\.",
        ),
        (INERTIA_VAE | {"drop_rate": 1.5}, r"drop_rate = 1\.5 .*\[0, 1\]"),
        (
            INERTIA_VAE | {"dropped": "frozen"},
            r"dropped = frozen has no effect with drop_rate = 0\.0; give black, or use drop",
        ),
        (BETA_VAE | {"pixel_noise": 0.1}, r"pixel_noise = 0\.1 has no effect on still_circles"),
        (INERTIA_VAE | {"batch_size": 0}, r"batch_size = 0 .*at least 1"),
        (INERTIA_VAE | {"num_test": 1}, r"num_test = 1 .*at least 2"),
        (INERTIA_VAE | {"seed": -1}, r"seed = -1 .*at least 0"),
        (INERTIA_VAE | {"seed": 2**64}, r"seed = 18446744073709551616 .*below 2\*\*64"),
        (INERTIA_VAE | {"dataset_seed": -1}, r"dataset_seed = -1 .*at least 0"),
        (INERTIA_VAE | {"dataset_seed": 2**64}, r"dataset_seed = 18446744073709551616"),
        (INERTIA_VAE | {"num_frames": 2}, r"num_frames = 2 is too few"),
        (INERTIA_VAE | {"num_frames": 3, "lam": 1.0}, r"num_frames = 3 leaves no predicted latent for lam = 1\.0"),
        (INERTIA_VAE | {"beta_norm": 0.5}, r"both beta = 0\.1 and beta_norm = 0\.5"),
        (INERTIA_VAE | {"num_circles": 0}, r"num_circles = 0 .*1 to 4"),
        (INERTIA_VAE | {"num_circles": 5}, r"num_circles = 5 .*1 to 4"),
        (INERTIA_VAE | {"moves": "scale"}, "moves = scale has no effect on moving_circles"),
        (INERTIA_VAE | {"dataset": "moving_sprites", "num_circles": 2}, "num_circles = 2 has no effect"),
        (
            INERTIA_VAE | {"dataset": "moving_sprites", "moves": "scale", "motion": "axis"},
            "motion = axis has no effect with moves",
        ),
        (INERTIA_VAE | {"dataset": "moving_sprites", "grid": "original"}, "grid = original has no moving sprites"),
        (INERTIA_VAE | {"dataset": "still_sprites"}, "needs videos.*moving_sprites, not still_sprites"),
        (INERTIA_VAE | {"num_circles": 2, "grid": "original"}, "grid = original is .*num_circles = 1"),
        (INERTIA_VAE | {"background": "black", "grid": "original"}, "grid = original is .*background = gaussian"),
        (BETA_VAE | {"dataset": "still_sprites", "grid": "original"}, "on black; give background = black"),
        (INERTIA_VAE | {"dsprites_file": "d.npz"}, r"dsprites_file = d\.npz has no effect on moving_circles"),
        (DSPRITES | {"background": "gaussian"}, "dsprites are a finite set of pictures on black"),
        (DSPRITES | {"grid": "continuous"}, "dsprites are a finite set of pictures on black"),
        (DSPRITES | {"dsprites_file": None}, "dsprites needs dsprites_file.*still_sprites needs no file"),
        (DSPRITES | {"dsprites_file": "s3://key:secret@bucket/d.npz"}, "holds a key, which would be stored"),
        (DSPRITES | {"dsprites_file": "s3://b/d.npz?access_key=A&secret_key=B"}, "holds a key, which would be stored"),
        (DSPRITES | {"dsprites_file": "https://b/d.npz?X-Amz-Signature=A"}, "holds a key, which would be stored"),
        (DSPRITES | {"dsprites_file": "http://[b/d.npz"}, r"dsprites_file = http://\[b/d\.npz is no URL \(Invalid"),
        (DSPRITES | {"dsprites_file": "http://b:port/d.npz"}, r"d\.npz is no URL \(Port could not"),
        (DSPRITES | {"dsprites_file": "s3://me:mine@[b/d.npz"}, "= what begins with s3:// is no URL"),
        (
            DSPRITES | {"dsprites_file": "~nobody-of-this-name/d.npz"},
            "names a user that does not exist",
        ),
        (INERTIA_VAE | {"split": "levels", "background": "black"}, "split = levels .* give background = gaussian"),
        (
            INERTIA_VAE | {"split": "samples", "dataset": "moving_sprites"},
            r"needs a finite set of them; use split = levels, which for continuous factors are equal intervals\.",
        ),
        (DSPRITES | {"dsprites_md5": "abc"}, "dsprites_md5 = abc is no MD5"),
        ({"model": "inertia_vae"}, "inertia_vae needs beta or beta_norm"),
        ({"model": "beta_vae", "dataset": "still_circles"}, "beta_vae needs beta or beta_norm"),
        ({"beta": 0.1}, "model is not given"),
        (INERTIA_VAE | {"temperature": 3}, "'temperature' is not a config field; the fields are alpha, "),
        (INERTIA_VAE | {"stochastic": False}, r"beta = 0\.1 has no effect with stochastic = False"),
        (INERTIA_VAE | {"dataset": "still_circles"}, "inertia_vae needs videos.* not still_circles"),
        (INERTIA_VAE | {"model": "predictive_vae", "dataset": "still_circles"}, "predictive_vae needs videos"),
        (BETA_VAE | {"motion": "bounce"}, "motion = bounce has no effect on still_circles"),
        (BETA_VAE | {"num_frames": 5}, "num_frames = 5 has no effect on still_circles"),
        (INERTIA_VAE | {"grid": "original", "motion": "axis"}, "grid = original .*motion = linear"),
        (INERTIA_VAE | {"grid": "original", "num_frames": 9}, "grid = original .*num_frames = 10"),
        (
            INERTIA_VAE | {"compat": "original", "lam": 1.0},
            r"lam = 1\.0 has no effect with compat = original and model",
        ),
        (INERTIA_VAE | {"objective": "capacity"}, r"beta = 0\.1 has no effect with objective = capacity; leave it out"),
        (
            INERTIA_VAE | {"capacity_max": 5},
            r"capacity_max = 5\.0 has no effect with objective = beta; give 20.0, or use objective = capacity",
        ),
        (
            INERTIA_VAE | {"objective": "tcvae", "slowness_rate": 2.0},
            r"slowness_rate = 2\.0 has no effect with .*tcvae",
        ),
        (SUPERVISED | {"tc_sampling": "stratified"}, "tc_sampling = stratified has no effect on supervised_encoder"),
        (SUPERVISED | {"objective": "tcvae"}, "objective = tcvae has no effect on supervised_encoder"),
        (CAPACITY | {"capacity_max": -1}, r"capacity_max = -1\.0 .*at least 0"),
        (CAPACITY | {"capacity_iterations": 0}, r"capacity_iterations = 0 .*at least 1"),
        (CAPACITY | {"capacity_weight": math.nan}, "capacity_weight = nan .*at least 0"),
        (CAPACITY | {"beta_schedule": "linear"}, "beta_schedule = linear has no effect with objective = capacity"),
        (CAPACITY | {"stochastic": False}, "objective = capacity has no effect with stochastic = False"),
        (CAPACITY | {"compat": "original"}, "objective = capacity with compat = original .*; give .* or compat = none"),
        (INERTIA_VAE | {"objective": "slowness", "slowness_rate": 0.0}, r"slowness_rate = 0\.0 .*positive"),
        (
            INERTIA_VAE | {"objective": "slowness", "num_frames": 3},
            r"needs two latents in time, and inertia_vae has 1 here; give num_frames = 4 or more\.",
        ),
        (
            BETA_VAE | {"objective": "slowness"},
            "needs two latents in time, and still pictures have one; use dataset = moving_circles or moving_sprites",
        ),
        (
            INERTIA_VAE | {"objective": "velocity", "dataset": "still_circles"},
            "needs three latents in time, and still pictures have one; use dataset = moving_circles",
        ),
        (
            INERTIA_VAE | VIDEOS_OF_4 | {"objective": "velocity"},
            "and inertia_vae has 2 here; give a data_file of videos of 5 frames or more",
        ),
        (
            INERTIA_VAE | {"objective": "velocity", "num_frames": 4},
            "objective = velocity needs three latents in time.* has 2 here; give num_frames = 5 or more",
        ),
        (INERTIA_VAE | {"objective": "velocity", "velocity_scale": 0.0}, r"velocity_scale = 0\.0 .*positive"),
        (INERTIA_VAE | {"velocity_scale": 1.0}, "velocity_scale = 1.0 has no effect with objective = beta"),
        (BETA_VAE | {"objective": "tcvae", "batch_size": 1}, "batch_size = 1 is too few for objective = tcvae"),
        (BETA_VAE | {"objective": "tcvae", "tc_num_data": 63}, "tc_num_data = 63 is less than batch_size = 64"),
        (
            BETA_VAE | VIDEOS_OF_4 | {"objective": "tcvae"},
            "batch_size = 64 is more than the 54 samples of dataset = arrays .*; give at most that, or tc_num_data",
        ),
        (INERTIA_VAE | {"schedule_iterations": 0}, "schedule_iterations = 0 .*at least 1"),
        (INERTIA_VAE | {"schedule_cycles": 0}, "schedule_cycles = 0 .*at least 1"),
        (BETA_VAE | {"gamma_schedule": "linear"}, "gamma_schedule = linear has no effect on beta_vae"),
        (
            INERTIA_VAE | {"schedule_iterations": 5},
            r"schedule_iterations = 5 has no effect with beta_schedule and gamma_schedule and lam_schedule = constant; "
            r"give 10000, or use beta_schedule or .* = linear or cyclic or cosine\.",
        ),
        (INERTIA_VAE | {"schedule_cycles": 2}, "schedule_cycles = 2 has no effect with beta_schedule and"),
        (
            INERTIA_VAE | {"beta_schedule": "linear", "schedule_cycles": 2},
            "schedule_cycles = 2 has no effect with beta_",
        ),
        (CAPACITY | {"schedule_iterations": 5}, "schedule_iterations = 5 has no effect with"),
        (
            CAPACITY | {"capacity_schedule": "constant", "capacity_iterations": 5},
            "capacity_iterations = 5 has no effect with capacity_schedule = constant",
        ),
        (
            INERTIA_VAE | {"model": "predictive_vae", "compat": "original", "alpha": 0.5},
            r"alpha = 0\.5 has no effect with compat = original and model = predictive_vae; .* or model = inertia_vae",
        ),
        (
            INERTIA_VAE | {"compat": "original", "gamma_schedule": "linear"},
            "gamma_schedule = linear has no effect with compat = original",
        ),
        (
            INERTIA_VAE | {"compat": "original", "posterior": "filtered"},
            "posterior = filtered has no effect with compat = original",
        ),
        (
            INERTIA_VAE | {"stochastic": False, "beta": None, "posterior": "filtered"},
            "posterior = filtered has no effect with stochastic = False",
        ),
        (INERTIA_VAE | {"learn_gamma": "shared"}, r"learn_gamma = shared cannot start at gamma = 0\.0, .*such as 0\.5"),
        (INERTIA_VAE | {"learn_gamma": "per_latent", "gamma": 1.0}, r"cannot start at gamma = 1\.0"),
        (
            INERTIA_VAE | {"learn_gamma": "shared", "gamma": 0.5, "gamma_schedule": "linear"},
            "learn_gamma = shared has no effect with gamma_schedule = linear",
        ),
        (
            INERTIA_VAE | {"learn_gamma": "shared", "gamma": 0.5, "compat": "original"},
            "learn_gamma = shared has no effect with compat = original",
        ),
        (SUPERVISED | {"beta": 0.1}, r"beta = 0\.1 has no effect on supervised_encoder"),
        (SUPERVISED | {"beta_norm": 0.1}, r"beta_norm = 0\.1 has no effect on supervised_encoder"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(values, message):
    with pytest.raises(UserError, match=message) as caught:
        TrialConfig.from_dict(values)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(("given", "meant"), [("lambda", "lam"), ("num_latent", "num_latents")])
def test_a_misspelled_field_is_answered_with_the_one_that_is_most_like_it(given, meant):
    with pytest.raises(UserError, match=rf"^'{given}' is not a config field; did you mean {meant}\?$"):
        TrialConfig.from_dict(INERTIA_VAE | {given: 3})


@pytest.mark.parametrize(("objective", "fewest"), [("slowness", 4), ("velocity", 5)])
def test_a_prior_over_time_takes_the_fewest_frames_that_it_can(objective, fewest):
    values = INERTIA_VAE | {"objective": objective}
    assert TrialConfig.from_dict(values | {"num_frames": fewest}).num_frames == fewest
    with pytest.raises(UserError, match=f"objective = {objective} needs"):
        TrialConfig.from_dict(values | {"num_frames": fewest - 1})


def _of_another_type(field):
    """Values that are not of a field's type. An integer is a fine float; a truth value is no number."""
    accepted = choices_of(field) or get_args(type_of(field)) or (type_of(field),)
    values = ["x", b"1", [1], {}, (), 1.5, 3, True, None]
    return [v for v in values if type(v) not in accepted and not (type(v) is int and float in accepted)]


def _said_of(values):
    """What is said of a config; nothing where it is taken."""
    try:
        TrialConfig.from_dict(values)
    except UserError as error:
        return str(error)
    return ""


def test_a_value_of_another_type_is_named():
    wrong = [(field.name, value) for field in fields(TrialConfig) for value in _of_another_type(field)]
    said = {(name, repr(value)): _said_of(INERTIA_VAE | {name: value}) for name, value in wrong}
    assert len(said) == len(wrong) > 300
    unnamed = {case: s for case, s in said.items() if not re.match(f"{case[0]} = .* (is not one of|must be) ", s)}
    assert unnamed == {}


WHOLE, FRACTIONS = {"num_latents": 5, "seed": 3}, {"beta": 1.0, "gamma": 0.5}


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [(np.int64, WHOLE), (np.uint64, WHOLE), (np.float32, FRACTIONS), (np.float64, FRACTIONS), (np.array, WHOLE)],
)
def test_numbers_of_numpy_are_those_of_python(kind, numbers):
    expected = TrialConfig(**INERTIA_VAE | numbers)
    config = TrialConfig(**INERTIA_VAE | {name: kind(value) for name, value in numbers.items()})
    assert config == expected
    assert config.key == expected.key
    assert {type(value) for value in config.to_dict().values()} <= {int, float, str, bool, type(None)}


def test_a_row_of_a_table_is_a_config():
    config = TrialConfig(**INERTIA_VAE, gamma=0.5)
    table = pd.DataFrame([config.to_dict(), config.to_dict() | {"seed": 1}])
    assert TrialConfig(**table.iloc[0]) == config


_NOT_SUPERVISED = ("num_latents", "gamma", "lam", "alpha", "learn_alpha", "stochastic", "likelihood")
REFUSED_BY = {
    "supervised_encoder": _NOT_SUPERVISED,
    "supervised_decoder": _NOT_SUPERVISED,
    "beta_vae": ("gamma", "lam", "alpha", "learn_alpha", "delay", "decode", "learn_gamma", "posterior", "compat"),
    "predictive_vae": ("gamma", "delay", "decode", "learn_gamma", "posterior"),
    "ada_gvae": ("gamma", "lam", "alpha", "learn_alpha", "delay", "decode", "learn_gamma", "posterior", "compat"),
}


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in REFUSED_BY for name in REFUSED_BY[model]])
def test_an_option_without_effect_on_a_model_is_refused(model, name):
    plain = {"model": model, "beta": 0.1} if MODELS[model].has_latents else {"model": model}
    TrialConfig.from_dict(plain)
    value = DIFFERENT[name][name]
    with pytest.raises(UserError, match=f"{name} = {value} has no effect on {model}"):
        TrialConfig.from_dict(plain | {name: value})


@pytest.mark.parametrize("values", [SUPERVISED, INERTIA_VAE | {"stochastic": False, "beta": None}])
def test_a_beta_of_zero_is_allowed_where_no_kl_is_paid_and_changes_nothing(values):
    configs = [TrialConfig.from_dict(values | beta) for beta in ({}, {"beta": 0.0}, {"beta_norm": 0.0})]
    assert {config.key for config in configs} == {configs[0].key}
    assert [config.beta_value for config in configs] == [0, 0, 0]


def test_every_model_has_a_valid_config():
    assert set(MODELS) == {*REFUSED_BY, "inertia_vae"}


@pytest.mark.parametrize("sign", [1, -1])
def test_an_integer_that_is_too_large_for_a_float_is_out_of_range(sign):
    with pytest.raises(UserError, match=r"^beta = -?inf is out of range; give a finite number of at least 0"):
        TrialConfig(model="beta_vae", beta=sign * 10**400)


def test_an_integer_is_a_fine_float():
    config = TrialConfig(model="inertia_vae", beta=1, lam=3)
    assert config == TrialConfig(model="inertia_vae", beta=1.0, lam=3.0)
    assert isinstance(config.beta, float)


def test_a_config_is_frozen_and_its_fields_have_names():
    config = TrialConfig.from_dict(INERTIA_VAE)
    with pytest.raises(FrozenInstanceError):
        config.gamma = 0.5
    with pytest.raises(TypeError):
        TrialConfig("inertia_vae")
    assert config.gamma == 0
    assert hash(config) == hash(TrialConfig.from_dict(INERTIA_VAE))


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("gamma", 0, 1),
        ("circle_radius", 1, 16),
        ("correlation", -1, 1),
        ("occluder", 0, 63),
        ("pixel_noise", 0, 1),
        ("drop_rate", 0, 1),
        ("num_circles", 1, 4),
        ("num_frames", 3, 10_000),
        ("num_latents", 1, 10_000),
    ],
)
def test_a_range_holds_both_its_ends_and_nothing_beyond(name, least, most):
    for value in (least, most):
        assert getattr(TrialConfig.from_dict(INERTIA_VAE | {name: value}), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(UserError, match=f"{name} = {value}"):
            TrialConfig.from_dict(INERTIA_VAE | {name: value})


@pytest.mark.parametrize(("name", "most"), [("contrast", 1), ("width_factor", 8)])
def test_a_factor_is_above_0_and_at_most_its_largest(name, most):
    assert getattr(TrialConfig.from_dict(INERTIA_VAE | {name: most}), name) == most
    for value in (0.0, most + 0.5):
        with pytest.raises(UserError, match=f"{name} = {value} is out of range"):
            TrialConfig.from_dict(INERTIA_VAE | {name: value})


@pytest.mark.parametrize("name", ["model", "network", "dataset", "objective", "optimizer"])
def test_a_name_of_nothing_is_told_with_those_there_are(name):
    there_is = getattr(TrialConfig.from_dict(INERTIA_VAE), name)
    with pytest.raises(UserError, match=f"{name} = 'nothing' is not one of .*{there_is}"):
        TrialConfig.from_dict(INERTIA_VAE | {name: "nothing"})


def test_beta_norm_is_beta_latents_over_pixels():
    assert TrialConfig(model="inertia_vae", beta_norm=0.001, num_latents=4).beta_value == pytest.approx(0.256)
    assert TrialConfig(model="inertia_vae", beta=0.256, num_latents=8).beta_norm_value == pytest.approx(0.002)
    large = TrialConfig(model="inertia_vae", beta_norm=0.001, network="conv64", image_size=64)
    assert large.beta_value == pytest.approx(4 * 0.256)


def test_a_still_image_is_a_video_of_one_frame():
    assert TrialConfig.from_dict(BETA_VAE).frames == 1
    assert TrialConfig.from_dict(INERTIA_VAE | {"num_frames": 7}).frames == 7


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_config_comes_back_from_json(name):
    config = TrialConfig.from_dict(INERTIA_VAE | DIFFERENT[name])
    values = json.loads(json.dumps(config.to_dict(), allow_nan=False))
    assert TrialConfig.from_dict(values) == config
    assert set(values) == {field.name for field in fields(TrialConfig)}


def test_every_field_is_tried_in_the_key():
    assert set(DIFFERENT) == {field.name for field in fields(TrialConfig)} - {*fields_with(in_key=False)}


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_different_field_is_a_different_key(name):
    plain = TrialConfig.from_dict(INERTIA_VAE)
    changed = TrialConfig.from_dict(INERTIA_VAE | DIFFERENT[name])
    assert getattr(changed, name) != getattr(plain, name)
    assert changed.key != plain.key


def test_a_checksum_may_be_in_upper_case():
    upper, lower = (TrialConfig.from_dict(DSPRITES | {"dsprites_md5": d * 16}) for d in ("AB", "ab"))
    assert upper == lower and upper.key == lower.key


def test_where_a_file_lies_is_no_part_of_the_key(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    here, there = (TrialConfig.from_dict(DSPRITES | {"beta": 1, "dsprites_file": f}) for f in ("d.npz", "s3://b/d.npz"))
    assert here.key == there.key
    # A worker has another folder.
    assert here.dsprites_file == str(tmp_path / "d.npz")
    assert there.dsprites_file == "s3://b/d.npz"


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, "circle_x circle_y background_x background_y"),
        ({"background": "black"}, "circle_x circle_y"),
        ({"num_circles": 2, "background": "black"}, "circle1_x circle1_y circle2_x circle2_y"),
        ({"dataset": "moving_sprites", "background": "black"}, SPRITE),
        ({"dataset": "moving_sprites"}, f"{SPRITE} background_x background_y"),
    ],
)
def test_the_data_says_which_factors_it_has(values, names):
    assert TrialConfig.from_dict(INERTIA_VAE | values).factor_names == tuple(names.split())


@pytest.mark.parametrize("name", DIFFERENT)
def test_all_configs_of_the_same_data_have_one_data_config(name):
    plain, changed = TrialConfig.from_dict(INERTIA_VAE), TrialConfig.from_dict(INERTIA_VAE | DIFFERENT[name])
    alone = data_config(changed.data)
    assert alone.data == _held_out(changed) and alone.factor_names == changed.factor_names
    assert (alone == data_config(plain.data)) == (_held_out(changed) == _held_out(plain))


@pytest.mark.parametrize("name", sorted({*DIFFERENT} - {"dsprites_md5", "data_factors", "data_contents"}))  # no file
def test_configs_of_one_data_config_hold_out_the_same_data(name):
    # Trials of a process that have the same one are evaluated on what the first of them has made.
    changed = TrialConfig.from_dict(INERTIA_VAE | DIFFERENT[name] | {"num_test": 8})
    alone = replace(data_config(changed.data), num_test=8)
    ours, theirs = (make_dataset(config).test_set() for config in (changed, alone))
    for tensors in zip((*ours.tensors, ours.target), (*theirs.tensors, theirs.target), strict=True):
        assert torch.equal(*tensors)


def _held_out(config):
    """What decides its held-out samples: all of its data but the seed of the training stream."""
    return config.data | {"dataset_seed": 0}


def test_networks_that_differ_in_all_but_their_data_are_shown_the_same_held_out_data():
    other = {"model": "predictive_vae", "beta": 2.0, "lam": 3.0, "num_latents": 6, "batch_size": 8, "seed": 5}
    ours, theirs = (TrialConfig.from_dict(INERTIA_VAE | changes) for changes in ({"gamma": 0.5}, other))
    assert data_config(ours.data) == data_config(theirs.data)


def test_all_these_keys_differ():
    keys = {TrialConfig.from_dict(INERTIA_VAE | change).key for change in DIFFERENT.values()}
    assert len(keys) == len(DIFFERENT)


@pytest.mark.parametrize("num_latents", [1, 3, 4, 10])
@pytest.mark.parametrize("beta_norm", [0.0, 0.001, 0.0055, 0.0302, 0.1657, 0.9103, 5.0])
def test_beta_and_the_equal_beta_norm_have_one_key(beta_norm, num_latents):
    given = TrialConfig(model="inertia_vae", beta_norm=beta_norm, num_latents=num_latents)
    same = replace(given, beta=given.beta_value, beta_norm=None)
    assert given.key == same.key


@pytest.mark.parametrize("beta", [0.003, 0.1, 0.7])
def test_rounding_between_beta_and_beta_norm_does_not_change_the_key(beta):
    given = TrialConfig(model="inertia_vae", beta=beta, num_latents=3)
    same = replace(given, beta=None, beta_norm=given.beta_norm_value)
    assert same.beta_value != given.beta_value
    assert same.key == given.key


@pytest.mark.parametrize("beta_norm", [0.0055, 0.0302, 0.1657, 0.9103])
def test_a_given_beta_norm_is_found_in_a_table_by_its_number(beta_norm):
    given = [TrialConfig(model="inertia_vae", beta_norm=beta_norm, num_latents=n) for n in (3, 5, 6, 7)]
    assert {config.beta_norm_value for config in given} == {beta_norm}


def test_the_key_does_not_depend_on_the_order_of_the_fields():
    values = {"model": "inertia_vae", "beta": 0.1, "gamma": 0.5, "seed": 3}
    assert len({TrialConfig.from_dict(dict(order)).key for order in permutations(values.items())}) == 1


def test_the_key_does_not_depend_on_defaults_being_given():
    config = TrialConfig.from_dict(INERTIA_VAE)
    assert TrialConfig.from_dict(config.to_dict()).key == config.key


def test_keys_have_not_changed():
    # A change here makes every recorded sweep start again.
    assert TrialConfig.from_dict(INERTIA_VAE).key == "fcac1075f399affc"
    rich = INERTIA_VAE | {"gamma": 0.25, "lam": 100, "learn_alpha": True, "motion": "axis", "seed": 7}
    assert TrialConfig.from_dict(rich).key == "08edc283ea02c5a4"


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"dataset": "still_circles", "grid": "original", "split": "samples", "train_share": 0.5}, "cc77e6578402afdd"),
        ({"num_circles": 2, "background": "black"}, "5f1a899d402e3ff5"),
        (BLACK_GRID | {"dataset": "still_sprites", "objective": "tcvae"}, "7714524c148757a8"),
        ({"dataset": "moving_sprites", "moves": "scale", "num_frames": 5}, "7d7f5be46de6e6ea"),
        (DSPRITES, "2a21f12024c8a1e5"),
    ],
)
def test_keys_of_the_datasets_have_not_changed(data, key):
    assert TrialConfig.from_dict({"model": "beta_vae", "beta": 0.1} | data).key == key
