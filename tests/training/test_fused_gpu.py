"""Trials computed as one on a GPU, as captured graphs: each gets what it gets alone on a CPU.

Most of the time goes into compiling kernels: `pytest -n 8 --dist load tests/training/test_fused_gpu.py`.
"""

from dataclasses import replace

import pytest
import torch

from dd_ray.data import make_dataset
from dd_ray.training import Stack, bytes_per_trial, fused, set_precision
from dd_ray.training.fused import methods_of
from dd_ray.training.painting import TIMES_BEFORE, Painting
from tests.small import CONFIGS, each, small
from tests.training.test_fused import _relative, _three, assert_learned_alike, slow
from tests.training.test_painting import each_painted

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU"),
]
each_method = pytest.mark.parametrize("method", [*methods_of(torch.device("cuda")), "auto"])


@pytest.fixture(autouse=True)
def float32():
    """All bits of float32, so that a CPU's numbers are to be compared with."""
    set_precision("float32")


@pytest.fixture(autouse=True)
def captured(monkeypatch):
    """Steps are captured from the first on, so that a few are enough to see."""
    monkeypatch.setattr(fused, "STEPS_TO_SETTLE", 0)


@each_method
@pytest.mark.parametrize("config", each(CONFIGS))
def test_the_gradients_of_a_step_are_those_of_each_trial_alone(config, method):
    configs = _three(config)
    together, alone = Stack(configs, "cuda", method), Stack(configs)
    together.step()
    alone.step()
    for c in configs:
        ours, theirs = together[c.key], alone[c.key]
        assert _relative(ours.square_avg.sqrt().cpu(), theirs.square_avg.sqrt()) < 1e-5
        assert _relative(ours.terms.loss.cpu(), theirs.terms.loss) < 1e-5


@each_method
def test_replayed_steps_come_to_what_a_cpu_comes_to(method, monkeypatch):
    monkeypatch.setattr(fused, "STEPS_TO_SETTLE", 5)  # and so do those before
    configs = [slow("inertia_vae", seed=0), slow("inertia_vae", seed=1), replace(slow("inertia_vae"), gamma=0.9)]
    stack = Stack(configs, "cuda", method)
    stack.step(20)
    for config in configs:
        trial = stack.remove(config.key)
        trial.weights, trial.terms = trial.weights.cpu(), trial.terms.map(torch.Tensor.cpu)
        assert_learned_alike(trial, config, 20)


@each_method
def test_a_trial_that_is_nan_leaves_the_bits_of_the_others_unchanged(method, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # else two equal stacks differ
    configs = [small("inertia_vae", seed=seed) for seed in range(3)]
    method = "grouped" if method == "auto" else method  # what is fastest may differ from one stack to the next
    healthy, stack = Stack(configs, "cuda", method), Stack(configs, "cuda", method)
    with torch.no_grad():
        stack[configs[1].key].weights.fill_(float("nan"))
    for both in (healthy, stack):
        both.step(3)
    assert stack[configs[1].key].diverged
    for config in (configs[0], configs[2]):
        assert torch.equal(stack[config.key].weights, healthy[config.key].weights)


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_what_is_fastest_keeps_nan_to_itself_also_where_channels_are_few(precision, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    set_precision(precision)  # kernels of TF32 take several groups of few channels as one
    configs = [replace(slow("inertia_vae"), width_factor=0.25, seed=seed) for seed in range(9)]
    stack = Stack(configs, "cuda", "auto")
    stack.step()
    with torch.no_grad():
        stack[configs[4].key].weights.fill_(float("nan"))
    stack.step(2)
    assert [trial.diverged for trial in stack] == [config is configs[4] for config in configs]


@each_method
def test_trials_come_and_go(method):
    first, second = slow("inertia_vae", seed=0), slow("inertia_vae", seed=1)
    stack = Stack([first], "cuda", method)
    stack.step(2)
    stack.add(second)
    stack.step(2)
    assert [trial.iteration for trial in stack] == [4, 2]
    state = stack.remove(first.key).state()
    stack.step(1)
    stack.add(first, state)
    stack.step(1)
    assert [trial.iteration for trial in stack] == [4, 5]
    assert torch.isfinite(stack[first.key].weights).all()


@each_painted
def test_images_that_are_painted_by_one_launch_are_those_painted_without(config, recwarn):
    dataset, undisturbed = Stack([config], "cuda").dataset, make_dataset(config, "cuda")
    batches = [dataset.batch(iteration) for iteration in range(TIMES_BEFORE + 3)]
    for iteration, batch in enumerate(batches):
        assert torch.equal(batch.images, undisturbed.batch(iteration).images), iteration
    assert isinstance(dataset.paint, Painting) and len(dataset.paint._captured) == 1
    assert not recwarn.list  # one could be captured


def test_the_estimate_of_a_trial_s_memory_is_enough_and_not_far_too_much():
    config = small("inertia_vae", batch_size=64)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    stack = Stack([replace(config, seed=seed) for seed in range(16)], "cuda", "grouped")
    stack.step(2)
    each = (torch.cuda.max_memory_allocated() - before) / 16
    assert each / 2 < bytes_per_trial(config, "grouped", torch.device("cuda")) < 5 * each
