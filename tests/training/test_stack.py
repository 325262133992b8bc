"""Which trials share a stack, and what a stack tells."""

from contextlib import contextmanager
from dataclasses import fields, replace

import pytest
import torch

from dd_ray.config import TrialConfig, fields_with
from dd_ray.errors import UserError
from dd_ray.training import Stack, Trial, group_into_stacks
from dd_ray.training.fused import Block
from tests.small import small

BASE = small("inertia_vae")
FREE = {
    **{"beta": 0.7, "gamma": 0.1, "lam": 1.0, "alpha": 0.9, "learning_rate": 1e-4, "seed": 3},
    **{"capacity_max": 1.0, "capacity_weight": 2.0, "capacity_iterations": 3, "capacity_schedule": "cosine"},
    **{"slowness_weight": 1.0, "slowness_rate": 2.0, "beta_schedule": "linear", "lam_schedule": "cyclic"},
    **{"schedule_iterations": 5, "schedule_cycles": 2, "velocity_scale": 0.3, "velocity_alpha": 0.5},
    **{"learning_rate_schedule": "cosine", "learning_rate_iterations": 7, "warm_up_iterations": 2},
    **{"momentum": 0.5, "weight_decay": 0.1},
}
CAPACITIES = [
    {"capacity_max": 1.0},
    {"capacity_weight": 2.0},
    {"capacity_iterations": 9},
    {"capacity_schedule": "cosine"},
]
SLOWNESSES = [{"slowness_weight": 1.0}, {"slowness_rate": 2.0}, {"beta_schedule": "linear"}, {"lam_schedule": "linear"}]
VELOCITIES = [{"velocity_scale": 0.3}, {"velocity_alpha": 0.5}, {"beta_schedule": "linear"}]
SHARED = {
    "num_latents": 3,
    "optimizer": "adam",
    "clip_gradient": 1.0,
    "objective": "tcvae",
    "gamma_schedule": "linear",
    "learn_alpha": True,
    "likelihood": "bernoulli",
    "delay": 0,
    "decode": "extrapolated",
    "motion": "axis",
    "num_frames": 6,
    "dataset_seed": 1,
    "num_test": 9,
    "batch_size": 3,
}


def test_an_empty_stack_has_no_trials_and_no_data():
    stack = Stack()
    assert len(stack) == 0
    stack.step()
    with pytest.raises(LookupError, match="empty stack"):
        _ = stack.dataset


@pytest.mark.parametrize("name", FREE)
def test_trials_may_differ_in_what_only_weighs_or_seeds(name):
    kind = name.partition("_")[0]
    beside = {
        "schedule": {"beta_schedule": "cyclic"},
        "learning": {"learning_rate_schedule": "linear"},
        "momentum": {"optimizer": "sgd"},
        "weight": {"optimizer": "adamw"},
    } | {kind: {"objective": kind} for kind in ("capacity", "slowness", "velocity")}
    base = small("inertia_vae", **beside.get(kind, {}))
    other = replace(base, **{name: FREE[name]})
    assert len(Stack([base, other])) == 2
    assert group_into_stacks([base, other]) == [[base, other]]


@pytest.mark.parametrize(
    ("objective", "changes"), [("capacity", CAPACITIES), ("slowness", SLOWNESSES), ("velocity", VELOCITIES)]
)
def test_what_differs_reaches_each_of_them(objective, changes):
    configs = [small("inertia_vae", objective=objective, learning_rate=1e-5, **change) for change in ({}, *changes)]
    together, alone = Stack(configs, method="grouped"), Stack(configs)
    for stack in (together, alone):
        stack.step(2)
    losses = [(together[c.key].terms.loss.item(), alone[c.key].terms.loss.item()) for c in configs]
    assert all(ours == pytest.approx(theirs, rel=1e-5) for ours, theirs in losses)
    assert len({round(ours, 3) for ours, _ in losses}) == len(configs)


def test_beta_may_be_given_in_either_form():
    assert len(Stack([BASE, replace(BASE, beta=None, beta_norm=0.5)])) == 2


@pytest.mark.parametrize("name", SHARED)
def test_trials_that_differ_in_anything_else_are_refused(name):
    other = replace(BASE, **{name: SHARED[name]})
    stack = Stack([BASE])
    with pytest.raises(ValueError, match=f"must agree in {name}"):
        stack.add(other)
    assert [trial.config for trial in stack] == [BASE]
    assert group_into_stacks([BASE, other]) == [[BASE], [other]]


def test_every_free_field_is_tried_above():
    first_weights = {"warm_start", "warm_start_weights"}  # which come as a state
    assert set(fields_with(free=True)) == set(FREE) | {"beta_norm"} | first_weights
    assert set(SHARED) < {field.name for field in fields(TrialConfig)} - set(fields_with(free=True))


def test_trials_of_different_models_are_refused():
    with pytest.raises(ValueError, match="must agree in model"):
        Stack([BASE, small("predictive_vae")])


def test_the_same_trial_twice_is_refused():
    with pytest.raises(ValueError, match="in the stack already"):
        Stack([BASE, BASE])


def test_an_emptied_stack_takes_other_trials_with_their_own_data():
    stack = Stack([BASE])
    stack.step()
    stack.remove(BASE.key)
    other = small("inertia_vae", num_frames=7)
    stack.add(other)
    stack.step()
    assert stack.dataset.batch(0).images.shape[1] == 7
    assert stack[other.key].iteration == 1


def test_a_refused_state_leaves_the_stack_as_it_was():
    stack = Stack()
    with pytest.raises(UserError):
        stack.add(BASE, Trial(replace(BASE, seed=1)).state())
    assert len(stack) == 0


def test_groups_keep_the_order_of_the_configs():
    others = [replace(BASE, num_frames=6, seed=seed) for seed in (1, 0)]
    mixed = [others[0], BASE, others[1], replace(BASE, seed=1)]
    assert group_into_stacks(mixed) == [others, [BASE, replace(BASE, seed=1)]]


def test_some_trials_can_be_stepped_without_the_others():
    second = replace(BASE, seed=1)
    stack = Stack([BASE, second])
    stack.step_trials([stack[second.key]])
    assert [trial.iteration for trial in stack] == [0, 1]


def test_a_stack_takes_no_steps_back():
    stack = Stack([small("beta_vae")])
    with pytest.raises(ValueError, match="iterations = -1 is out of range; give 0 or more"):
        stack.step(-1)


def test_a_stack_on_the_second_gpu_makes_its_streams_and_graphs_there(monkeypatch):
    current = [torch.device("cuda", 0)]

    @contextmanager
    def device(asked):
        current.append(asked)
        yield
        current.pop()

    seen = []
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(Block, "step", lambda self, trials, batches, method: seen.append(current[-1]))
    stack = Stack([BASE], method="grouped")
    stack.device = torch.device("cuda", 1)  # only now, as there is none
    stack.step()
    assert seen == [stack.device] and len(current) == 1
