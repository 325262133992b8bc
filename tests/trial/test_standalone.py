"""A trial that no sweep keeps trains as any other, and takes over states as they are."""

import math
from dataclasses import replace

import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.metrics import reported_by
from dd_ray.training import Stack, dump_state, load_state
from dd_ray.trial.standalone import StandaloneTrial
from tests.small import small

CONFIGS = [
    small("inertia_vae"),
    small("ada_gvae", num_frames=6),
    small("supervised_encoder"),
    small("supervised_decoder"),
    small("inertia_vae", learn_gamma="shared", gamma_schedule="constant"),
    small("inertia_vae", beta_schedule="linear", schedule_iterations=4),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model)
def test_it_trains_as_in_a_stack_and_reports_what_its_config_reports(config: TrialConfig) -> None:
    trial, stack = StandaloneTrial(config), Stack([config])
    stack.step(3)
    report = trial.advance(3)
    assert trial.state() == dump_state(stack[config.key].state())
    assert (report.iteration, report.state) == (3, None)
    assert reported_by(config) <= report.metrics.keys()
    assert trial.advance(2).iteration == 5


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model)
def test_it_goes_on_from_its_own_state_bit_for_bit(config: TrialConfig) -> None:
    undisturbed, first, second = (StandaloneTrial(config) for _ in range(3))
    undisturbed.advance(4)
    first.advance(2)
    second.take_over(load_state(first.state()))
    assert second.state() == first.state()
    assert second.advance(2).metrics == pytest.approx(undisturbed.advance(0).metrics, abs=0, nan_ok=True)
    assert second.state() == undisturbed.state()


def test_it_goes_on_from_the_state_of_another_trial_with_its_own_hyperparameters() -> None:
    theirs = small("inertia_vae")
    ours = replace(theirs, gamma=0.9, beta=0.01, learning_rate=1e-4, seed=7)
    source, trial = StandaloneTrial(theirs), StandaloneTrial(ours)
    trial.advance(1)  # what it has learned itself is gone
    source.advance(3)
    state = load_state(source.state())
    trial.take_over(state)
    after = load_state(trial.state())
    assert (after.config, after.iteration) == (ours, 3)
    for kept, taken in ((state.weights, after.weights), (state.square_avg, after.square_avg)):
        assert kept.keys() == taken.keys() and all(torch.equal(kept[name], taken[name]) for name in kept)
    # It then learns as a trial of its own config would from there: other noise, another γ, β and step.
    expected = Stack()
    expected.add(ours, replace(state, config=ours))
    expected.step(2)
    trial.advance(2)
    assert trial.state() == dump_state(expected[ours.key].state())
    source.advance(2)
    assert not torch.equal(trial.trial.weights, source.trial.weights)


def test_a_schedule_is_where_the_state_is() -> None:
    config = small("inertia_vae", gamma=0.8, gamma_schedule="linear", schedule_iterations=4)
    source, trial = StandaloneTrial(config), StandaloneTrial(replace(config, gamma=0.4))
    source.advance(2)
    trial.take_over(load_state(source.state()))
    assert trial.trial.model.get_buffer("gamma").item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"num_latents": 6}, "num_latents = 6 there and 4 here"),
        ({"network": "mlp", "width_factor": 0.05}, "network = 'mlp' there and 'conv32' here, width_factor = 0.05"),
        ({"learn_alpha": True}, "learn_alpha = True there and False here"),
    ],
)
def test_the_state_of_another_network_is_refused_and_leaves_the_trial_as_it_was(
    changes: dict[str, object], told: str
) -> None:
    trial, other = StandaloneTrial(small("inertia_vae")), StandaloneTrial(small("inertia_vae", beta=2.0, **changes))
    trial.advance(1)
    before = trial.state()
    with pytest.raises(UserError) as refused:
        trial.take_over(load_state(other.state()))
    assert told in str(refused.value) and "beta = " not in str(refused.value)
    assert f"of trial {other.config.key} does not fit the network of {trial.config.key}" in str(refused.value)
    assert trial.state() == before


def test_a_trial_that_diverges_reports_no_number() -> None:
    config = small("beta_vae", learning_rate=1e20)
    report = StandaloneTrial(config).advance(3)
    assert report.state == "diverged"
    assert reported_by(config) <= report.metrics.keys()
    assert all(math.isnan(report.metrics[name]) for name in reported_by(config))


def test_a_trial_whose_loss_overflows_first_on_held_out_data_reports_no_number_either() -> None:
    config = small("beta_vae", learning_rate=100.0)
    trial = StandaloneTrial(config)
    report = trial.advance(1)
    assert not trial.trial.diverged  # its only batch was seen with the first weights
    assert report.state == "diverged"
    assert all(math.isnan(value) for value in report.metrics.values())
