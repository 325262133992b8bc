"""Every axis that can be swept moves the loss: the test that the original study lacked.

For each variant and each field of the config one of two things must hold: changing the field changes the
loss within a few iterations, or the config refuses it since it has no effect. A field without a verdict
below fails.
"""

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

import pytest

from dd_ray.config import MODELS, TrialConfig
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate
from dd_ray.models import build_model
from dd_ray.training import Stack
from tests.small import TINY, VAES, small

CHANGES: dict[str, dict[str, Any]] = {
    "network": {"network": "mlp", "width_factor": 0.05},
    "width_factor": {"width_factor": 0.5},
    "image_size": {"image_size": 64, "network": "mlp", "width_factor": 0.05},
    "num_latents": {"num_latents": 5},
    "beta": {"beta": 0.6},
    "beta_norm": {"beta_norm": 0.01},
    "gamma": {"gamma": 0.6},
    "lam": {"lam": 2000.0},
    "alpha": {"alpha": 0.5},
    "learn_alpha": {"learn_alpha": True},
    "stochastic": {"stochastic": False},
    "likelihood": {"likelihood": "bernoulli"},
    "delay": {"delay": 0},
    "decode": {"decode": "extrapolated"},
    "learn_gamma": {"learn_gamma": "per_latent"},
    "posterior": {"posterior": "filtered"},
    "compat": {"compat": "original"},
    "objective": {"objective": "slowness"},
    "capacity_max": {"capacity_max": 3.0, "objective": "capacity"},
    "capacity_weight": {"capacity_weight": 1000.0, "objective": "capacity"},
    "capacity_iterations": {"capacity_iterations": 5, "objective": "capacity"},
    "capacity_schedule": {"capacity_schedule": "cosine", "objective": "capacity"},
    "tc_sampling": {"tc_sampling": "stratified", "objective": "tcvae"},
    "tc_num_data": {"tc_num_data": 100, "objective": "tcvae"},
    "slowness_weight": {"slowness_weight": 1.0, "objective": "slowness"},
    "slowness_rate": {"slowness_rate": 1.0, "objective": "slowness"},
    "velocity_scale": {"velocity_scale": 0.3, "objective": "velocity"},
    "velocity_alpha": {"velocity_alpha": 0.5, "objective": "velocity"},
    "beta_schedule": {"beta_schedule": "linear"},
    "gamma_schedule": {"gamma_schedule": "linear"},
    "lam_schedule": {"lam_schedule": "linear"},
    "schedule_iterations": {"schedule_iterations": 5, "beta_schedule": "linear"},
    "schedule_cycles": {"schedule_cycles": 2, "beta_schedule": "cyclic", "schedule_iterations": 5},
    "dataset": {"dataset": "still_circles"},
    "grid": {"grid": "original"},
    "motion": {"motion": "bounce"},
    "background": {"background": "black"},
    "num_circles": {"num_circles": 2},
    "moves": {"dataset": "moving_sprites", "moves": "scale"},
    "num_frames": {"num_frames": 6},
    "circle_radius": {"circle_radius": 4.0},
    "contrast": {"contrast": 0.5},
    "correlation": {"correlation": 0.5},
    "occluder": {"occluder": 12.0},
    "pixel_noise": {"pixel_noise": 0.1},
    "drop_rate": {"drop_rate": 0.5},
    "dropped": {"dropped": "frozen", "drop_rate": 0.5},
    "target": {"target": "clean", "pixel_noise": 0.1},
    "split": {"split": "levels", "train_share": 0.5},
    "train_share": {"split": "levels", "train_share": 0.5},
    "dataset_seed": {"dataset_seed": 1},
    "batch_size": {"batch_size": 5},
    "learning_rate": {"learning_rate": 2e-3},
    "learning_rate_schedule": {"learning_rate_schedule": "linear"},
    "learning_rate_iterations": {"learning_rate_iterations": 5, "learning_rate_schedule": "linear"},
    "warm_up_iterations": {"warm_up_iterations": 5},
    "optimizer": {"optimizer": "adam"},
    "momentum": {"momentum": 0.9, "optimizer": "sgd", "learning_rate": 1e-5},
    "weight_decay": {"weight_decay": 1.0, "optimizer": "adamw"},
    "clip_gradient": {"clip_gradient": 1e-6},
    "seed": {"seed": 1},
}
"""For each field a change to a small config, of which it is a part."""
NOT_AXES_OF_TRAINING = {
    *("model", "num_test", "dsprites_file", "dsprites_md5", "data_file", "data_factors", "data_contents"),
    *("warm_start", "warm_start_weights"),
}
"""Of these, other tests say what they do: below, of files in `tests/data/test_dsprites.py` and `test_arrays.py`, and of
other weights in `tests/trial/test_warm_start.py`."""
_NOT_SUPERVISED = {
    *("num_latents", "beta", "beta_norm", "gamma", "lam", "alpha", "learn_alpha", "stochastic"),
    *("likelihood", "delay", "decode", "learn_gamma", "posterior", "compat", "objective"),
    *("capacity_max", "capacity_weight", "capacity_iterations", "capacity_schedule", "tc_sampling", "tc_num_data"),
    *("slowness_weight", "slowness_rate", "velocity_scale", "velocity_alpha"),
    *("beta_schedule", "gamma_schedule", "lam_schedule"),
    *("schedule_iterations", "schedule_cycles", "target"),
}
REFUSED = {
    "supervised_encoder": _NOT_SUPERVISED,
    "supervised_decoder": _NOT_SUPERVISED,
    "beta_vae": {
        *("gamma", "lam", "alpha", "learn_alpha", "delay", "decode", "compat", "gamma_schedule", "lam_schedule"),
        *("learn_gamma", "posterior"),
    },
    "predictive_vae": {"gamma", "delay", "decode", "learn_gamma", "posterior", "dataset", "gamma_schedule"},
    "inertia_vae": {"dataset"},
    "ada_gvae": {
        *("gamma", "lam", "alpha", "learn_alpha", "delay", "decode", "compat", "gamma_schedule", "lam_schedule"),
        *("learn_gamma", "posterior", "dataset"),
    },
}
"""What has no effect on a variant, or no data for it."""
ON_ITS_OWN_NETWORK = ("network", "width_factor", "image_size", "momentum")
"""Fields that are tried on the network that a variant has by default: those that say which one it has, and one whose
effect on a tiny network is lost in rounding."""
EFFECTIVE = [(model, name) for model in MODELS for name in CHANGES if name not in REFUSED[model]]


def _each_loss(config: TrialConfig) -> Iterator[float]:
    """The losses of the first three steps, each computed when it is asked for."""
    stack = Stack([config])
    for _ in range(3):
        stack.step()
        yield stack[config.key].terms.loss.item()


@cache
def _losses(config: TrialConfig) -> tuple[float, ...]:
    return tuple(_each_loss(config))


def moves_the_loss(changed: TrialConfig, plain: TrialConfig) -> bool:
    """Whether two trainings differ in one of their first losses."""
    return any(ours != theirs for ours, theirs in zip(_each_loss(changed), _losses(plain), strict=False))


def test_every_field_has_a_verdict():
    assert {field.name for field in fields(TrialConfig)} == set(CHANGES) | NOT_AXES_OF_TRAINING
    assert set(REFUSED) == set(MODELS)


@pytest.mark.parametrize(("model", "name"), EFFECTIVE)
def test_moving_an_axis_moves_the_loss(model, name):
    # A change that another field has to follow, such as the length of the original's videos, is compared
    # with a config that has all but the field itself.
    changed = small(model, **({} if name in ON_ITS_OWN_NETWORK else TINY) | CHANGES[name])
    plain = TrialConfig(**changed.to_dict() | _without(model, name, changed))
    assert moves_the_loss(changed, plain)


def _without(model: str, name: str, changed: TrialConfig) -> dict[str, Any]:
    if name == "split":
        return {"split": "none", "train_share": 1.0}
    if name in ("beta_norm", "stochastic"):
        return {"stochastic": True, "beta": small(model).beta, "beta_norm": None}
    return {name: getattr(small(model), name)}


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in REFUSED for name in sorted(REFUSED[model])])
def test_what_moves_nothing_is_refused(model, name):
    with pytest.raises(UserError, match=rf"{name} = .* has no effect on|needs videos"):
        small(model, **{name: CHANGES[name][name]})


@pytest.mark.parametrize(("model", "name"), [(m, name) for m, name in EFFECTIVE if len(CHANGES[name]) > 1])
def test_without_what_it_needs_a_change_is_refused_or_moves_the_loss_by_itself(model, name):
    try:
        changed = small(model, **{name: CHANGES[name][name]})
    except UserError:
        return
    assert name == "split" or moves_the_loss(changed, small(model))  # a split of all levels holds out nothing


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("schedule_iterations", {"objective": "capacity"}),
        ("schedule_cycles", {"beta_schedule": "linear"}),
        ("schedule_cycles", {"objective": "capacity"}),
        ("capacity_iterations", {"objective": "capacity", "capacity_schedule": "constant"}),
    ],
)
def test_what_only_another_schedule_reads_is_refused(name, others):
    with pytest.raises(UserError, match=f"{name} = .* has no effect with .*schedule = "):
        small("inertia_vae", **others | {name: CHANGES[name][name]})


def test_the_learning_rate_decides_every_loss_but_the_first():
    slow, fast = (_losses(small("inertia_vae", learning_rate=rate)) for rate in (1e-3, 2e-3))
    assert slow[0] == fast[0]
    assert all(a != b for a, b in zip(slow[1:], fast[1:], strict=True))


@pytest.mark.parametrize("model", VAES)
def test_beta_and_the_equal_beta_norm_are_the_same_training(model):
    config = small(model)
    assert _losses(config) == _losses(small(model, beta_norm=config.beta_norm_value))


def test_every_variant_has_a_loss_of_its_own():
    losses = {model: _losses(small(model)) for model in MODELS}
    assert len(set(losses.values())) == len(MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_the_number_of_held_out_samples_decides_the_evaluation_alone(model):
    few, more = small(model), small(model, num_test=12)
    assert _losses(few) == _losses(more)
    network = build_model(few)
    losses = [evaluate(network, c, Stack([c]).dataset.test_set()).metrics["loss"] for c in (few, more)]
    assert losses[0] != losses[1]
