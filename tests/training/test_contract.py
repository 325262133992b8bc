"""What every variant promises in training, with every option that it takes."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

from dd_ray.config import MODELS, TrialConfig
from dd_ray.data import Stream, generator, make_dataset
from dd_ray.models import build_model
from dd_ray.objectives import Weights, objective
from dd_ray.training import Stack, Trial, TrialState, dump_state, load_state
from dd_ray.training.convolutions import with_convolutions
from dd_ray.training.cpu_convolutions import CPU
from tests.small import CONFIGS, TINY, each, quick, small

LOSSES = {"beta", "objective", "capacity_max", "capacity_iterations", "slowness_weight"}
"""Fields of what is minimised: the loss falls for every model with every objective, whatever else it is of."""


def _differs_in(config) -> set[str]:
    """Fields in which a config is not the small one of its variant."""
    plain = small(config.model).to_dict()
    return {name for name, value in config.to_dict().items() if value != plain[name]}


def _trained(config, iterations) -> Trial:
    stack = Stack([config])
    stack.step(iterations)
    return stack[config.key]


def _bits(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()


def assert_same(a: Trial, b: Trial) -> None:
    """Two trials are equal bit for bit: iteration, weights, optimiser and last loss."""
    ours, theirs = a.state(), b.state()
    assert ours.iteration == theirs.iteration
    for group in ("weights", "square_avg"):
        tensors, others = getattr(ours, group), getattr(theirs, group)
        assert tensors.keys() == others.keys()
        assert [name for name in tensors if _bits(tensors[name]) != _bits(others[name])] == []
    assert torch.equal(a.terms.loss, b.terms.loss)


class Trained(NamedTuple):
    """What two steps make of a config."""

    config: TrialConfig
    states: list[TrialState]
    """Before them, after one, and after both."""
    trial: Trial


@pytest.fixture(scope="module", params=each(CONFIGS))
def trained(request):
    """Each config, trained once; those who look at it leave it as it is."""
    config = quick(request.param)
    stack = Stack([config])
    trial = stack[config.key]
    states = [trial.state()]
    for _ in range(2):
        stack.step()
        states.append(trial.state())
    return Trained(config, states, trial)


def test_a_step_learns_with_every_weight_that_takes_part(trained):
    before, after, _ = trained.states
    assert after.iteration == 1
    assert not trained.trial.diverged
    assert not any(square_avg.any() for square_avg in before.square_avg.values())
    moved = {name for name in after.weights if not torch.equal(after.weights[name], before.weights[name])}
    assert moved == {name for name, square_avg in after.square_avg.items() if square_avg.any()}
    unused = {"encoder.logvar.weight", "encoder.logvar.bias"} if not trained.config.stochastic else set()
    assert moved == set(after.weights) - unused


@pytest.mark.parametrize("config", each(c for c in CONFIGS if _differs_in(c) <= LOSSES))
def test_the_loss_falls(config):
    config = replace(config, batch_size=8, learning_rate=1e-3)
    if _differs_in(config) & LOSSES:  # with the network of each variant's own it falls, without any of them
        config = replace(config, **TINY)
    stack, losses = Stack([config]), []
    for _ in range(30):
        stack.step()
        losses.append(stack[config.key].terms.loss.item())
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])


def test_stopped_and_resumed_equals_undisturbed_bit_for_bit(trained):
    resumed = Trial(trained.config)
    for iteration in (0, 1):  # before the first step, and in the midst
        state = load_state(dump_state(resumed.state()))
        stack = Stack()
        resumed = stack.add(state.config, state)
        assert resumed.iteration == iteration
        assert resumed.terms is None
        stack.step()
    assert_same(resumed, trained.trial)


@pytest.mark.parametrize("model", MODELS)
def test_a_trial_in_company_equals_itself_alone(model):
    trio = [small(model, seed=0), small(model, seed=1), small(model, seed=0, learning_rate=3e-3)]
    together = Stack(trio)
    together.step(4)
    for config in trio:
        assert_same(together[config.key], _trained(config, 4))


@pytest.mark.parametrize("model", MODELS)
def test_joining_and_leaving_disturb_nobody(model):
    stays, leaves, joins = (small(model, seed=seed) for seed in range(3))
    stack = Stack([stays, leaves])
    stack.step(2)
    left = stack.remove(leaves.key)
    stack.add(joins)
    stack.step(2)
    # They are at different iterations, so each learns from a batch of its own.
    assert (stack[stays.key].iteration, stack[joins.key].iteration, left.iteration) == (4, 2, 2)
    assert_same(stack[stays.key], _trained(stays, 4))
    assert_same(stack[joins.key], _trained(joins, 2))
    assert_same(left, _trained(leaves, 2))
    stack.add(leaves, left.state())
    stack.step(1)
    assert_same(stack[leaves.key], _trained(leaves, 3))


@pytest.mark.parametrize("model", MODELS)
def test_a_diverged_trial_harms_no_other(model):
    diverges, stays = small(model, seed=0), small(model, seed=1)
    stack = Stack([diverges, stays])
    with torch.no_grad():
        next(stack[diverges.key].model.parameters()).fill_(float("nan"))
    stack.step(3)
    assert stack[diverges.key].diverged
    assert not stack[stays.key].diverged
    assert_same(stack[stays.key], _trained(stays, 3))


def test_training_is_plain_rmsprop_on_the_batches_of_the_dataset(trained):
    config = trained.config
    # With a trial's own layers: RMSprop makes steps as large of gradients that are nothing but rounding.
    model, dataset = with_convolutions(build_model(config), CPU), make_dataset(config)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=config.learning_rate, foreach=False)
    for iteration in range(2):
        batch = dataset.batch(iteration)
        shape = model.noise_shape(*batch.images.shape[:2])
        rng = generator(config.seed, Stream.NOISE, iteration)
        noise = None if shape is None else torch.from_numpy(rng.standard_normal(shape, dtype="float32"))
        optimizer.zero_grad()
        for name, value in model.scheduled_at(iteration).items():
            getattr(model, name).fill_(value)
        loss = objective(config, model(batch, noise), Weights.at(config, iteration)).loss
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(trained.trial.terms.loss, loss, rtol=1e-6, atol=0)
    for name, weights in model.named_parameters():
        torch.testing.assert_close(trained.states[2].weights[name], weights.detach(), rtol=1e-6, atol=1e-8)
