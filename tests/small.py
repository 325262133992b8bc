"""Configs that train in milliseconds, for every model variant."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from dd_ray.config import MODELS, TrialConfig, fields_with, resolve, video_datasets
from dd_ray.config.effects import takes as takes_field
from dd_ray.errors import UserError
from dd_ray.models import VideoVAE
from tests.own_files import BARE, COLOUR, GREY

VAES = [name for name, spec in MODELS.items() if issubclass(resolve(spec.build), VideoVAE)]
TINY: dict[str, Any] = {"network": "mlp", "width_factor": 0.05}
"""A network that is trained in a fraction of the time of a convolutional one."""
NETWORKS: list[dict[str, Any]] = [
    {"network": "conv64", "image_size": 64, "width_factor": 0.25},
    TINY,
    {"image_size": 64, **TINY},
]
OBJECTIVES: list[dict[str, Any]] = [
    {"objective": "capacity", "capacity_max": 1.0, "capacity_iterations": 4},
    {"objective": "tcvae"},
    {"objective": "tcvae", "tc_sampling": "stratified"},
    {"objective": "slowness", "slowness_weight": 0.1},
    {"objective": "velocity"},
]
OPTIONS: list[dict[str, Any]] = [
    {"likelihood": "bernoulli"},
    {"stochastic": False},
    {"learn_alpha": True},
    {"compat": "original"},
    {"decode": "extrapolated"},
    {"delay": 0},
    {"posterior": "filtered"},
    {"learn_gamma": "shared"},
    {"learn_gamma": "per_latent", "posterior": "filtered", "learn_alpha": True},
    {"split": "levels", "train_share": 0.5},
    {"width_factor": 0.5},
    *NETWORKS,
    *OBJECTIVES,
    {"beta_schedule": "linear", "schedule_iterations": 8},
    {"lam_schedule": "cosine", "schedule_iterations": 8},
    {"gamma_schedule": "cyclic", "schedule_iterations": 8, "schedule_cycles": 2},
    {"gamma_schedule": "linear", "schedule_iterations": 8, "learn_alpha": True},
]
"""Options that change what a model computes; each is tried on every variant that takes it."""
DATA: list[dict[str, Any]] = [
    {"dataset": "still_sprites", "grid": "original", "background": "black"},
    {"dataset": "moving_sprites", "background": "black"},
    {"dataset": "moving_sprites", "moves": "orientation"},
    {"num_circles": 2},
    {"split": "combinations", "train_share": 0.5},
    {"circle_radius": 7.0, "contrast": 0.6, "correlation": 0.8},
    {"pixel_noise": 0.2, "drop_rate": 0.5, "dropped": "frozen"},
    {"occluder": 24.0, "pixel_noise": 0.1, "drop_rate": 0.5, "target": "clean"},
]
"""Data other than one circle; each is tried on every variant that takes it. dSprites' own file has tests of its own."""

OWN: list[dict[str, Any]] = [GREY, COLOUR, BARE]
"""Files of one's own, which fit networks of their size alone; each is tried on every variant that takes it."""


def small(model: str, **changes: Any) -> TrialConfig:
    """A small config of a variant, in which every term that the variant has takes part."""
    values: dict[str, Any] = {"num_frames": 5, "batch_size": 4, "num_test": 8, "learning_rate": 1e-3, "seed": 2}
    if takes_field(model, "beta"):
        values["beta"] = 0.5
    if takes_field(model, "lam"):
        values["lam"] = 1000.0
    if takes_field(model, "gamma"):
        values["gamma"] = 0.5
    if "beta_norm" in changes or changes.get("stochastic") is False or changes.get("objective") == "capacity":
        values["beta"] = None
    if changes.get("compat") == "original" and model == "inertia_vae":
        values["lam"] = 0.0
    if changes.get("dataset", "moving_circles") not in video_datasets() or changes.get("grid") == "original":
        del values["num_frames"]
    return TrialConfig(**{"model": model, **values, **changes})


def takes(model: str, option: dict[str, Any]) -> bool:
    """Whether a variant takes an option."""
    try:
        small(model, **option)
    except UserError:
        return False
    return True


@cache
def _plain(model: str) -> dict[str, Any]:
    """Fields of the small config of a variant that its key is made of."""
    others = {*fields_with(in_key=False)}
    return {key: value for key, value in small(model).to_dict().items() if key not in others}


def name_of(config: TrialConfig) -> str:
    """What is special about a small config, as a name for a test."""
    plain = _plain(config.model)
    changed = [f"{key}={value}" for key, value in config.to_dict().items() if key in plain and value != plain[key]]
    return " ".join([config.model, *changed])


CONFIGS = [
    small(model, **option)
    for model in MODELS
    for option in [{}, *OPTIONS, *DATA, *OWN]
    if not option or takes(model, option)
]
"""A small config of every variant, and of every variant with each of the options and of the data that it takes."""
WITH_CODE = [config for config in CONFIGS if config.traits.encodes]
"""Those that make a code of pictures."""


def _tried_always() -> Iterator[TrialConfig]:
    """Every variant, and every option and kind of data on two variants that take it, one of them that with inertia.

    What a variant makes of an option is mostly what the others make of it; `tests/training/test_combinations.py` has
    every two of variant, objective, network and data meet.
    """
    yield from (small(model) for model in MODELS)
    for position, option in enumerate([*OPTIONS, *DATA, *OWN]):
        able = sorted((model for model in MODELS if takes(model, option)), key=lambda model: model != "inertia_vae")
        yield small(able[0], **option)
        if others := able[1:]:
            yield small(others[position % len(others)], **option)


ALWAYS = frozenset(_tried_always())


def shows_its_network(config: TrialConfig) -> bool:
    """Whether a small config has no option but its network, of the default one too."""
    fields = ("network", "image_size", "width_factor")
    return config == replace(small(config.model), **{name: getattr(config, name) for name in fields})


def quick(config: TrialConfig) -> TrialConfig:
    """A small config with a tiny network, unless the network is what it shows; `-m slow` tries the others as they are.

    What is made of an option does not depend on the network; objectives and data meet every network in
    `tests/training/test_combinations.py`.
    """
    return config if config not in ALWAYS or shows_its_network(config) else replace(config, **TINY)


def each(configs: Iterable[TrialConfig], always: Collection[TrialConfig] = ALWAYS) -> list[Any]:
    """Parameters of a test of many configs, of which `-m slow` tries those that are not tried always."""
    return [
        pytest.param(config, id=name_of(config), marks=() if config in always else pytest.mark.slow)
        for config in configs
    ]
