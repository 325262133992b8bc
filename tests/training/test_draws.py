"""The numbers of a step are those of each trial alone, whoever draws them, and the host is not waited for."""

import threading
import time
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.data import Generators
from dd_ray.models import build_model
from dd_ray.objectives import Weights
from dd_ray.training import Stack, draws
from dd_ray.training.draws import Draws
from dd_ray.training.rates import Rates
from dd_ray.training.trial import noise
from tests.small import small

BASE = small("inertia_vae", beta_schedule="linear", schedule_iterations=8)
CONFIGS = [replace(BASE, seed=seed, beta=beta) for seed in (0, 1) for beta in (0.5, 1.0)]
IMAGES = (4, 5)


def _draws(capacity: int = 4) -> Draws:
    model = build_model(BASE)
    shape = model.noise_shape(*IMAGES)
    assert shape is not None
    return Draws(model, IMAGES, (capacity, len(vars(Weights.at(BASE, 0))) + len(fields(Rates)) + 1), (capacity, *shape))


def _assert_those_of_each_alone(drawn: Draws, which: draws.Which) -> None:
    for slot in range(len(drawn.table)):
        if slot not in which:
            assert drawn.table[slot, -1] == 0 and drawn.table[slot, :-1].any()
            continue
        config, iteration = which[slot]
        numbers = [*vars(Weights.at(config, iteration)).values(), *vars(Rates.at(config, iteration)).values(), 1]
        np.testing.assert_array_equal(drawn.table[slot], np.array(numbers, np.float32))
        np.testing.assert_array_equal(
            drawn.noise[slot], noise(config, build_model(config), IMAGES, iteration, Generators())
        )


def test_they_are_those_of_each_trial_whatever_was_drawn_ahead():
    drawn, rng = _draws(), np.random.default_rng(0)
    for _ in range(40):
        slots = rng.permutation(4)[: rng.integers(1, 5)].tolist()
        which = {slot: (CONFIGS[rng.integers(4)], int(rng.integers(3))) for slot in slots}
        drawn.draw(which)
        _assert_those_of_each_alone(drawn, which)
        slots = rng.permutation(4)[: rng.integers(1, 5)].tolist()
        drawn.draw_ahead({slot: (CONFIGS[rng.integers(4)], int(rng.integers(3))) for slot in slots})


def test_what_was_drawn_ahead_is_not_drawn_again(monkeypatch):
    drawing = []
    draws._thread.submit(int).result()  # what the stacks of other tests drew ahead
    monkeypatch.setattr(draws, "noise", lambda *a: drawing.append(threading.current_thread()) or noise(*a))
    stack = Stack([replace(BASE, seed=seed) for seed in range(3)], method="grouped")
    stack.step(4)
    draws._thread.submit(int).result()  # what the last step draws ahead
    here = [thread for thread in drawing if thread is threading.current_thread()]
    assert len(here) == 3  # in the first step
    assert len(drawing) - len(here) == 3 * 4


def test_an_error_of_the_thread_is_told_and_drawn_anew(monkeypatch):
    drawn, which = _draws(), {0: (CONFIGS[0], 3)}
    with monkeypatch.context() as patch:
        patch.setattr(draws, "noise", lambda *a: 1 / 0)
        drawn.draw_ahead(which)
        with pytest.raises(ZeroDivisionError):
            drawn.draw({})
    drawn.draw(which)
    _assert_those_of_each_alone(drawn, which)


@pytest.mark.slow  # it measures a time, which is longer on a busy machine
@pytest.mark.parametrize(("trials", "most"), [(36, 1e-3), (216, 3e-3)])
def test_the_host_s_part_of_a_step_is_short_for_trials_of_different_seeds(monkeypatch, trials, most):
    config = TrialConfig(model="inertia_vae", beta=1.0, gamma=0.5, lam=3.0, width_factor=0.1)
    stack = Stack([replace(config, seed=seed) for seed in range(trials)], method="grouped")
    (block,) = stack._blocks._blocks()
    of_device = torch.zeros_like(block.weights), torch.zeros(len(block.slots)), {}
    monkeypatch.setattr(block, "_gradients", lambda *a: of_device)
    monkeypatch.setattr("dd_ray.training.fused.update_", lambda *a, **k: None)
    seconds = []
    for iteration in range(12):
        batches = stack.dataset.batches([iteration])  # rendered by the device
        started = time.thread_time()
        stack._blocks.step(list(stack), batches)
        seconds.append(time.thread_time() - started)
        block._feed._draws._ahead.result()  # as long as the device computes
    assert min(seconds[1:]) < most
