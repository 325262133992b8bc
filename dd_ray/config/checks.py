"""What a config may not be. Each check raises a `UserError` that names the value, and what would be right."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, get_args

from dd_ray.config.datasets import DATASET_INFO, MOVING
from dd_ray.config.effects import has_effect, refusal
from dd_ray.config.names import (
    IMAGE_SIZES,
    MOST_CIRCLES,
    NUM_HELD_OUT,
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


def _check_effects(config: "TrialConfig") -> None:
    """Refuse what has no effect. β = 0 says just that, and is welcome."""
    for field in fields(config):
        value = getattr(config, field.name)
        says_nothing = value == field.default or (field.name in ("beta", "beta_norm") and value == 0)
        if not says_nothing and (wrong := refusal(field.name, vars(config), field.default)):
            raise UserError(wrong)


def _check_beta(config: "TrialConfig") -> None:
    if not has_effect("beta", vars(config)):
        return
    if config.beta is not None and config.beta_norm is not None:
        raise UserError(
            f"both beta = {config.beta} and beta_norm = {config.beta_norm} are given; give one: "
            f"β is {math.prod(config.image_shape)} / {config.num_latents} times the normalised one."
        )
    if config.beta is None and config.beta_norm is None:
        raise UserError(f"{config.model} needs beta or beta_norm, and neither is given.")


def _check_objective(config: "TrialConfig") -> None:
    if config.objective == "beta":
        return
    if config.compat == "original":
        raise UserError(f"objective = {config.objective} with compat = original: its faults are of objective = beta.")
    if config.objective == "tcvae":
        _check_tcvae(config)
    penalised = config.num_latents_in_time - config.traits.warm_up
    if config.objective == "slowness" and penalised < 2:
        raise UserError(
            f"objective = slowness needs two latents in time, and {config.model} has {penalised} here; "
            f"use dataset = {' or '.join(MOVING)}, with more num_frames."
        )


def _check_tcvae(config: "TrialConfig") -> None:
    if config.batch_size < 2:
        raise UserError(f"batch_size = {config.batch_size} is too few for objective = tcvae; give at least 2.")
    if config.num_data < config.batch_size:
        raise UserError(
            f"tc_num_data = {config.tc_num_data} is less than batch_size = {config.batch_size}; give at least that."
        )


def _check_grid(config: "TrialConfig") -> None:
    if config.grid == "continuous":
        return
    if config.num_test > NUM_HELD_OUT:
        raise UserError(
            f"num_test = {config.num_test} is more than the {NUM_HELD_OUT} that grid = original holds out; "
            f"give at most {NUM_HELD_OUT}."
        )
    if not DATASET_INFO[config.dataset].finite:
        what = config.dataset.replace("_", " ")
        raise UserError(f"grid = original has no {what}, which no published set has; leave it out.")


def _check_model_takes_its_data(config: "TrialConfig") -> None:
    if not config.of_videos:
        if config.traits.needs_videos:
            this = "the still pictures of data_file" if config.contents else config.dataset
            raise UserError(f"{config.model} needs videos; use dataset = {' or '.join(MOVING)}, not {this}.")
        return
    length = f"T = {config.frames} of the videos in data_file" if config.contents else f"num_frames = {config.frames}"
    if config.frames < 3:
        raise UserError(f"{length} is too few; a linear prediction needs at least 3.")
    if config.lam > 0 and config.num_latents_in_time < 3:
        raise UserError(f"{length} leaves no predicted latent for lam = {config.lam}; give 4 or more.")


def _check_dataset(config: "TrialConfig") -> None:
    DATASET_INFO[config.dataset].check(config)


def _check_split(config: "TrialConfig") -> None:
    if config.split == "samples" and config.grid == "continuous" and DATASET_INFO[config.dataset].drawn:
        or_grid = ", or grid = original" if DATASET_INFO[config.dataset].finite else ""
        raise UserError(
            "split = samples needs a finite set of them; use split = levels, which for continuous factors are equal "
            f"intervals{or_grid}."
        )


CHECKS: tuple[Callable[["TrialConfig"], None], ...] = (
    _check_types,
    _check_ranges,
    _check_network_fits,
    _check_effects,
    _check_beta,
    _check_grid,
    _check_objective,
    _check_model_takes_its_data,
    _check_dataset,
    _check_split,
)
"""All, in the order in which a config is checked."""
