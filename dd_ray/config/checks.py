"""What a config may not be. Each check raises a `UserError` that names the value, and what would be right."""

import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

from dd_ray.config.names import (
    CIRCLES,
    IMAGE_SIZES,
    MOST_CIRCLES,
    MOVING,
    NUM_HELD_OUT,
    SUPERVISED,
    VIDEO_MODELS,
    WIDEST,
)
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig


def _check_types(config: "TrialConfig") -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        choices = get_args(field.type)
        if choices and all(isinstance(choice, str) for choice in choices):
            if value not in choices:
                raise UserError(f"{field.name} = {value!r} is not one of {', '.join(choices)}.")
            continue
        types = choices or (field.type,)
        # An integer is a fine float, in Python and in JSON; a truth value is neither.
        if isinstance(value, bool) and bool not in types:
            raise UserError(f"{field.name} = {value!r} must be a number.")
        if isinstance(value, int) and float in types:
            object.__setattr__(config, field.name, float(value))
        elif not isinstance(value, types):
            names = " or ".join(t.__name__ for t in types)
            raise UserError(f"{field.name} = {value!r} must be of type {names}.")


def _check_ranges(config: "TrialConfig") -> None:
    lowest = {
        "num_latents": 1,
        "batch_size": 1,
        "num_test": 2,
        "seed": 0,
        "dataset_seed": 0,
        "beta": 0,
        "beta_norm": 0,
        "lam": 0,
        "capacity_max": 0,
        "capacity_weight": 0,
        "capacity_iterations": 1,
        "slowness_weight": 0,
        "schedule_iterations": 1,
        "schedule_cycles": 1,
        "tc_num_data": 1,
    }
    for name, bound in lowest.items():
        value = getattr(config, name)
        if value is not None and not (value >= bound and math.isfinite(value)):
            raise UserError(f"{name} = {value} is out of range; give a finite number of at least {bound}.")
    for name in ("seed", "dataset_seed"):
        if getattr(config, name) >= 2**64:
            raise UserError(f"{name} = {getattr(config, name)} is out of range; give an integer below 2**64.")
    if not 0 <= config.gamma <= 1:
        raise UserError(f"gamma = {config.gamma} is out of range; γ is a share, give a number in [0, 1].")
    if not math.isfinite(config.alpha):
        raise UserError(f"alpha = {config.alpha} is out of range; give a finite number.")
    for name in ("learning_rate", "slowness_rate"):
        if not 0 < getattr(config, name) < math.inf:
            raise UserError(f"{name} = {getattr(config, name)} is out of range; give a positive number.")
    if not 1 <= config.num_circles <= MOST_CIRCLES:
        raise UserError(f"num_circles = {config.num_circles} is out of range; give 1 to {MOST_CIRCLES}.")
    if not 0 < config.width_factor <= WIDEST:
        raise UserError(f"width_factor = {config.width_factor} is out of range; give a number in (0, {WIDEST}].")
    if not 0 < config.train_share <= 1:
        raise UserError(f"train_share = {config.train_share} is out of range; it is a share, give a number in (0, 1].")
    if config.delay not in (0, 1):
        raise UserError(f"delay = {config.delay} is out of range; give 0 or 1.")


def _check_network_fits(config: "TrialConfig") -> None:
    size, sizes = config.image_size, IMAGE_SIZES[config.network]
    if size in sizes:
        return
    fitting = [network for network, theirs in IMAGE_SIZES.items() if size in theirs]
    or_other = f", or network = {' or '.join(fitting)}" if fitting else ""
    raise UserError(
        f"network = {config.network} does not take image_size = {size}; "
        f"give image_size = {' or '.join(map(str, sizes))}{or_other}."
    )


def _check_beta(config: "TrialConfig") -> None:
    given = [name for name in ("beta", "beta_norm") if getattr(config, name) is not None]
    if what := _without_beta(config):
        if config.beta_schedule != "constant":
            raise UserError(f"beta_schedule = {config.beta_schedule} has no effect on {what}; leave it out.")
        if any(getattr(config, name) > 0 for name in given):
            value = getattr(config, given[0])
            raise UserError(f"{given[0]} = {value} has no effect on {what}; leave it out, or give 0.")
    elif len(given) == 2:
        raise UserError(
            f"both beta = {config.beta} and beta_norm = {config.beta_norm} are given; give one, "
            f"beta_norm = beta · {config.num_latents} / {math.prod(config.image_shape)}."
        )
    elif not given:
        raise UserError(f"{config.model} needs beta or beta_norm, and neither is given.")


def _without_beta(config: "TrialConfig") -> str | None:
    """What β has no effect on, where it has none."""
    if config.model in SUPERVISED:
        return config.model
    if not config.stochastic:
        return "a model with stochastic = False"
    return "objective = capacity" if config.objective == "capacity" else None


_OPTIONS_OF_OBJECTIVES = {
    "capacity_max": "capacity",
    "capacity_weight": "capacity",
    "capacity_iterations": "capacity",
    "capacity_schedule": "capacity",
    "tc_sampling": "tcvae",
    "tc_num_data": "tcvae",
    "slowness_weight": "slowness",
    "slowness_rate": "slowness",
}


def _check_objective(config: "TrialConfig") -> None:
    defaults = {field.name: field.default for field in fields(config)}
    for name, objective in _OPTIONS_OF_OBJECTIVES.items():
        value = getattr(config, name)
        if value != defaults[name] and config.objective != objective:
            raise UserError(
                f"{name} = {value} has no effect on objective = {config.objective}; "
                f"leave it out, or use objective = {objective}."
            )
    if config.objective == "beta":
        return
    if not config.stochastic:
        raise UserError(f"objective = {config.objective} has no effect on a model with stochastic = False; give beta.")
    if config.compat == "original":
        raise UserError(f"objective = {config.objective} with compat = original: its faults are of objective = beta.")
    if config.objective == "tcvae":
        _check_tcvae(config)
    first = 1 + config.delay if config.model == "inertia_vae" else 0
    if config.objective == "slowness" and config.frames - first < 2:
        raise UserError(
            f"objective = slowness needs two latents in time, and {config.model} has {config.frames - first} here; "
            f"use dataset = {' or '.join(MOVING)}, with more num_frames."
        )


def _check_tcvae(config: "TrialConfig") -> None:
    if config.batch_size < 2:
        raise UserError(f"batch_size = {config.batch_size} is too few for objective = tcvae; give at least 2.")
    if config.num_data < config.batch_size:
        raise UserError(
            f"tc_num_data = {config.tc_num_data} is less than batch_size = {config.batch_size}; give at least that."
        )


_OPTIONS_OF_MODELS = {
    "num_latents": ("beta_vae", *VIDEO_MODELS),
    "gamma": ("inertia_vae",),
    "delay": ("inertia_vae",),
    "decode": ("inertia_vae",),
    "lam": VIDEO_MODELS,
    "alpha": VIDEO_MODELS,
    "learn_alpha": VIDEO_MODELS,
    "compat": VIDEO_MODELS,
    "stochastic": ("beta_vae", *VIDEO_MODELS),
    "likelihood": ("beta_vae", *VIDEO_MODELS),
    **dict.fromkeys(("objective", *_OPTIONS_OF_OBJECTIVES), ("beta_vae", *VIDEO_MODELS)),
    "gamma_schedule": ("inertia_vae",),
    "lam_schedule": VIDEO_MODELS,
    "schedule_iterations": ("beta_vae", *VIDEO_MODELS),
    "schedule_cycles": ("beta_vae", *VIDEO_MODELS),
}


def _check_model_takes_its_options(config: "TrialConfig") -> None:
    defaults = {field.name: field.default for field in fields(config)}
    for name, models in _OPTIONS_OF_MODELS.items():
        value = getattr(config, name)
        if value != defaults[name] and config.model not in models:
            instead = f"give {defaults[name]}, or use {' or '.join(models)}"
            raise UserError(f"{name} = {value} has no effect on {config.model}; {instead}.")
    if config.compat == "original" and config.gamma_schedule != "constant":
        raise UserError(
            f"gamma_schedule = {config.gamma_schedule} with compat = original, whose γ is 0.75; leave it out."
        )
    if config.compat == "original" and config.model == "inertia_vae" and config.lam > 0:
        raise UserError(f"lam = {config.lam} with compat = original: the original inertia model had no λ; give 0.")
    if config.compat == "original" and config.model == "predictive_vae" and (config.learn_alpha or config.alpha != 1):
        raise UserError("alpha and learn_alpha have no effect with compat = original, whose penalty predicts nothing.")


_OPTIONS_OF_DATASETS = {
    "motion": MOVING,
    "num_frames": MOVING,
    "num_circles": CIRCLES,
    "moves": ("moving_sprites",),
    "dsprites_file": ("dsprites",),
    "dsprites_md5": ("dsprites",),
}


def _check_dataset_takes_its_options(config: "TrialConfig") -> None:
    defaults = {field.name: field.default for field in fields(config)}
    for name, datasets in _OPTIONS_OF_DATASETS.items():
        if getattr(config, name) != defaults[name] and config.dataset not in datasets:
            raise UserError(f"{name} = {getattr(config, name)} has no effect on {config.dataset}; leave it out.")
    if config.moves != "position" and config.motion != "linear":
        raise UserError(f"motion = {config.motion} is of positions; with moves = {config.moves} leave it out.")
    if config.grid == "original":
        _check_grid(config)


def _check_grid(config: "TrialConfig") -> None:
    if config.num_test > NUM_HELD_OUT:
        raise UserError(
            f"num_test = {config.num_test} is more than the {NUM_HELD_OUT} that grid = original holds out; "
            f"give at most {NUM_HELD_OUT}."
        )
    if config.dataset == "moving_sprites":
        raise UserError("grid = original has no moving sprites, which no published set has; leave it out.")
    if config.dataset == "still_sprites" and config.background != "black":
        raise UserError("grid = original is the layout of dSprites, which are on black; give background = black.")
    if config.dataset in CIRCLES and not config.is_of_one_circle:
        raise UserError("grid = original is the original's circles: num_circles = 1 and background = gaussian.")
    if config.motion != "linear" or config.num_frames != 10:
        raise UserError("grid = original is the original's videos: motion = linear and num_frames = 10.")


def _check_model_takes_its_data(config: "TrialConfig") -> None:
    if config.dataset not in MOVING:
        if config.model in VIDEO_MODELS:
            raise UserError(f"{config.model} needs videos; use dataset = {' or '.join(MOVING)}, not {config.dataset}.")
        return
    if config.num_frames < 3:
        raise UserError(f"num_frames = {config.num_frames} is too few; a linear prediction needs at least 3.")
    if config.model == "inertia_vae" and config.lam > 0 and config.num_frames - config.delay < 3:
        raise UserError(
            f"num_frames = {config.num_frames} leaves no predicted latent for lam = {config.lam}; give 4 or more."
        )


def _check_dsprites(config: "TrialConfig") -> None:
    if config.dataset != "dsprites":
        return
    if config.grid != "original" or config.background != "black":
        raise UserError("dsprites are a finite set of pictures on black; give grid = original, background = black.")
    if not config.dsprites_file:
        raise UserError(
            "dsprites needs dsprites_file, the path or URL of dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz "
            "(github.com/google-deepmind/dsprites-dataset); still_sprites needs no file."
        )
    if not re.fullmatch("[0-9a-f]{32}", config.dsprites_md5):
        raise UserError(f"dsprites_md5 = {config.dsprites_md5} is no MD5; give 32 hexadecimal digits.")
    if "://" not in config.dsprites_file:
        # Workers are started elsewhere.
        object.__setattr__(config, "dsprites_file", str(Path(config.dsprites_file).expanduser().absolute()))
    elif urlsplit(config.dsprites_file).username is not None:
        raise UserError("dsprites_file holds a key, which would be stored; give keys in the environment.")


def _check_split(config: "TrialConfig") -> None:
    if config.split == "none" and config.train_share != 1:
        raise UserError(
            f"train_share = {config.train_share} has no effect without a split; give 1, or split = samples or levels."
        )
    if config.split == "samples" and config.grid == "continuous":
        raise UserError(
            "split = samples needs a finite set of them; use grid = original, or split = levels, which for continuous "
            "factors are equal intervals."
        )
    if config.split == "levels" and config.grid == "continuous" and config.dataset not in CIRCLES:
        raise UserError("split = levels of sprites is of dSprites' levels; use still_sprites and grid = original.")


CHECKS: tuple[Callable[["TrialConfig"], None], ...] = (
    _check_types,
    _check_ranges,
    _check_network_fits,
    _check_beta,
    _check_model_takes_its_options,
    _check_dataset_takes_its_options,
    _check_objective,
    _check_model_takes_its_data,
    _check_dsprites,
    _check_split,
)
"""All, in the order in which a config is checked."""
