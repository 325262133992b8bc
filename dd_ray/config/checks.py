"""Checks of a config. Each raises a `UserError` that names the wrong value and says what would be right."""

import math
import re
from collections.abc import Callable
from dataclasses import fields
from types import NoneType
from typing import TYPE_CHECKING, get_args

from dd_ray.command_line import plain_value
from dd_ray.config.datasets import DATASETS, video_datasets
from dd_ray.config.effects import has_effect, refusal
from dd_ray.config.field import FINITE, option_of, type_of
from dd_ray.config.names import BETAS, NUM_HELD_OUT
from dd_ray.config.networks import NETWORKS
from dd_ray.config.objectives import OBJECTIVES
from dd_ray.config.trial_fields import choices_of
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig

WEIGHTS_TAKEN = re.compile(r"(?P<key>[0-9a-f]{16})@(?P<iteration>[0-9]{1,18}):(?P<digest>[0-9a-f]{16})")
"""Form of `warm_start_weights`: a trial's key, the iteration of its state, and a hash of that."""

_OF_JSON = (float, int, str, bool, NoneType)


def _check_types(config: "TrialConfig") -> None:
    for field in fields(config):
        value, kind = getattr(config, field.name), type_of(field)
        if type(value) not in _OF_JSON:  # such as NumPy's numbers, of a row of a table
            value = plain_value(value)
            object.__setattr__(config, field.name, value)
        if names := choices_of(field):
            if not isinstance(value, str) or value not in names:
                raise UserError(f"{field.name} = {value!r} is not one of {', '.join(names)}.")
            continue
        types = get_args(kind) or (kind,)
        # An integer may stand for a float, in Python and in JSON; a bool may stand for neither.
        if isinstance(value, bool) and bool not in types:
            raise UserError(f"{field.name} = {value!r} must be a number.")
        if isinstance(value, int) and float in types:
            object.__setattr__(config, field.name, _as_float(value))
        elif not isinstance(value, types):
            raise UserError(f"{field.name} = {value!r} must be of type {' or '.join(t.__name__ for t in types)}.")


def _as_float(value: int) -> float:
    """Return an integer as a float; infinity, which no range has, where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _check_ranges(config: "TrialConfig") -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        # No record holds NaN or infinity.
        for within in (*option_of(field).within, *([FINITE] if isinstance(value, float) else [])):
            if value is not None and value not in within:
                raise UserError(f"{field.name} = {value} is out of range; {within.says}.")


def _check_network_fits(config: "TrialConfig") -> None:
    size, sizes = config.image_size, NETWORKS[config.network].image_sizes
    if size in sizes:
        return
    fitting = [name for name, network in NETWORKS.items() if size in network.image_sizes]
    or_other = f", or network = {' or '.join(fitting)}" if fitting else ""
    raise UserError(
        f"network = {config.network} does not take image_size = {size}; "
        f"give image_size = {' or '.join(map(str, sizes))}{or_other}."
    )


def _check_effects(config: "TrialConfig") -> None:
    """Refuse values that have no effect. β = 0 is accepted, since it says that there is no KL term."""
    for field in fields(config):
        value = getattr(config, field.name)
        says_nothing = value == field.default or (field.name in BETAS and value == 0)
        if not says_nothing and (wrong := refusal(field.name, vars(config), field.default)):
            raise UserError(wrong)


def _check_warm_start(config: "TrialConfig") -> None:
    place, weights = config.warm_start, config.warm_start_weights
    if place is not None and weights is None:
        raise UserError(f"warm_start = {place} is for sweeps, which find out which weights these are; leave it out.")
    if weights is not None and (place is None or not WEIGHTS_TAKEN.fullmatch(weights)):
        raise UserError(f"warm_start_weights = {weights} is filled in where warm_start is given; leave it out.")


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


def _check_learned_gamma(config: "TrialConfig") -> None:
    if config.learn_gamma != "none" and not 0 < config.gamma < 1:
        raise UserError(
            f"learn_gamma = {config.learn_gamma} cannot start at gamma = {config.gamma}, which a sigmoid never leaves; "
            "give a gamma between 0 and 1, such as 0.5."
        )


def _check_warm_up(config: "TrialConfig") -> None:
    falls = config.learning_rate_schedule != "constant"
    if falls and config.warm_up_iterations >= config.learning_rate_iterations:
        raise UserError(
            f"warm_up_iterations = {config.warm_up_iterations} leaves no iteration of learning_rate_iterations = "
            f"{config.learning_rate_iterations} for the learning rate to fall in; give fewer."
        )


def _check_objective(config: "TrialConfig") -> None:
    if config.objective != "beta" and config.compat == "original":
        raise UserError(
            f"objective = {config.objective} with compat = original cannot be, since its faults are of objective = "
            "beta; give that, or compat = none."
        )
    OBJECTIVES[config.objective].check(config)


def _check_grid(config: "TrialConfig") -> None:
    if config.grid == "continuous":
        return
    if config.num_test > NUM_HELD_OUT:
        raise UserError(
            f"num_test = {config.num_test} is more than the {NUM_HELD_OUT} that grid = original holds out; "
            f"give at most {NUM_HELD_OUT}."
        )
    if not DATASETS[config.dataset].finite:
        what = config.dataset.replace("_", " ")
        raise UserError(f"grid = original has no {what}, which no published set has; give grid = continuous.")


def _check_model_takes_its_data(config: "TrialConfig") -> None:
    if not config.of_videos:
        if config.traits.needs_videos:
            this = "the still pictures of data_file" if config.contents else config.dataset
            raise UserError(f"{config.model} needs videos; use dataset = {' or '.join(video_datasets())}, not {this}.")
        return
    length = f"T = {config.frames} of the videos in data_file" if config.contents else f"num_frames = {config.frames}"
    if config.frames < 3:
        raise UserError(f"{length} is too few; a linear prediction needs at least 3 frames.")
    if config.lam > 0 and config.num_latents_in_time < 3:
        raise UserError(
            f"{length} leaves no predicted latent for lam = {config.lam}; give 4 frames or more, or lam = 0."
        )


def _check_dataset(config: "TrialConfig") -> None:
    DATASETS[config.dataset].check(config)


def _check_split(config: "TrialConfig") -> None:
    if config.split == "combinations" and (config.grid != "continuous" or not DATASETS[config.dataset].drawn):
        raise UserError(
            "split = combinations needs factors that are drawn anew; give grid = continuous, or split = levels."
        )
    if config.split == "combinations" and config.correlation:
        raise UserError(
            f"split = combinations needs all combinations of factors, and correlation = "
            f"{config.correlation} makes some rare; give correlation = 0."
        )
    if config.split == "samples" and config.grid == "continuous" and DATASETS[config.dataset].drawn:
        or_grid = ", or grid = original" if DATASETS[config.dataset].finite else ""
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
    _check_learned_gamma,
    _check_warm_up,
    _check_grid,
    _check_objective,
    _check_model_takes_its_data,
    _check_dataset,
    _check_split,
    _check_warm_start,
)
"""All checks, in the order in which a config passes them."""
