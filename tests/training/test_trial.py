"""What a trial is in an iteration: the weights and the filter that its schedules have there."""

import math
from dataclasses import replace

import pytest
import torch

from dd_ray.config.schedules import value_at
from dd_ray.data import make_dataset
from dd_ray.models import build_model
from dd_ray.objectives import Terms, Weights, objective
from dd_ray.training import Stack, Trial
from dd_ray.training.fused import methods_of
from tests.small import small

SCHEDULED = small("inertia_vae", gamma=0.8, gamma_schedule="cyclic", schedule_iterations=8, schedule_cycles=2)


@pytest.mark.parametrize("method", ["alone", "grouped"])
def test_a_filter_is_that_of_the_trial_s_iteration(method):
    stack = Stack([SCHEDULED], method=method)
    trial = stack[SCHEDULED.key]
    encoded = torch.rand(2, trial.model.num_latents_in_time, 4, generator=torch.Generator().manual_seed(0))
    for iteration in range(10):
        gamma = value_at(SCHEDULED, "gamma", iteration)
        expected = build_model(small("inertia_vae", gamma=gamma)).filter(encoded)
        assert trial.iteration == iteration
        assert trial.model.filter(encoded).equal(expected)
        restored = Trial(SCHEDULED)
        restored.restore(trial.state())
        assert restored.model.filter(encoded).equal(expected)
        stack.step()


@pytest.mark.parametrize("name", ["beta_schedule", "lam_schedule"])
def test_a_step_takes_the_weights_of_its_iteration(name):
    config = small("predictive_vae", **{name: "linear", "schedule_iterations": 4, "stochastic": True})
    trial = Trial(config)
    for iteration in range(3):
        batch = make_dataset(config).batch(iteration)
        outputs = trial.model(batch, trial._noise(batch))
        expected = objective(config, outputs, Weights.at(config, iteration)).loss
        trial.step(batch)
        assert trial.terms.loss.item() == expected.item()


@pytest.mark.parametrize("method", methods_of(torch.device("cpu")))
def test_trials_at_different_places_of_their_schedules_can_be_computed_as_one(method):
    schedules = {"beta_schedule": "linear", "lam_schedule": "cosine", "gamma_schedule": "cyclic"}
    # So small a learning rate that rounding does not grow.
    first, second = (
        small("inertia_vae", **schedules, schedule_iterations=6, gamma=gamma, learning_rate=1e-5, seed=seed)
        for seed, gamma in enumerate((0.5, 0.9))
    )
    together = Stack([first], method=method)
    together.step(2)
    together.add(second)
    together.step(3)
    for config, iterations in ((first, 5), (second, 3)):
        alone = Stack([config])
        alone.step(iterations)
        torch.testing.assert_close(
            together[config.key].terms.loss, alone[config.key].terms.loss, rtol=1e-5, atol=0, check_device=False
        )


def test_what_is_not_scheduled_is_left_alone():
    assert build_model(small("inertia_vae")).scheduled_at(5) == {}


def test_a_trial_has_diverged_if_its_last_loss_is_no_number_and_not_after_a_restore():
    trial = Trial(small("beta_vae"))
    for loss in (1.0, math.nan, -math.inf, math.inf):
        trial.terms = Terms(loss=torch.tensor(loss), parts={})
        assert trial.diverged is not math.isfinite(loss)
    trial.restore(trial.state())
    assert not trial.diverged


def test_a_state_is_restored_by_the_names_of_its_weights_in_whatever_order_they_are():
    stack = Stack([small("beta_vae")])
    stack.step()
    (trial,) = stack
    state = trial.state()
    turned = {group: dict(reversed(getattr(state, group).items())) for group in ("weights", "square_avg")}
    restored = Trial(trial.config)
    restored.restore(replace(state, **turned))
    assert restored.weights.equal(trial.weights) and restored.square_avg.equal(trial.square_avg)
