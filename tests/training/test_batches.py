"""Batches that are rendered ahead are those that are rendered when they are due, and few are kept."""

from collections.abc import Iterable

import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.data import Batch, make_dataset
from dd_ray.training import Stack, batches
from dd_ray.training.batches import Batches
from tests.own_files import GREY
from tests.small import DATA, name_of, small

CONFIGS = [small("inertia_vae"), *(small("beta_vae", **values) for values in [*DATA, GREY])]
each_of_data = pytest.mark.parametrize("config", [pytest.param(config, id=name_of(config)) for config in CONFIGS])


def _batches(config: TrialConfig) -> tuple[Batches, list[list[int]]]:
    """The batches of a config, and the iterations of each rendering."""
    dataset, asked = make_dataset(config), []
    render = dataset.batches

    def rendering(iterations: Iterable[int]) -> dict[int, Batch]:
        asked.append([*iterations])
        return render(asked[-1])

    dataset.batches = rendering  # type: ignore[method-assign]
    return Batches(dataset, config), asked


@each_of_data
def test_they_are_those_of_each_iteration_by_itself(config: TrialConfig) -> None:
    ahead, _ = _batches(config)
    dataset = make_dataset(config)
    for iterations in ({0}, {1}, {5, 2}, {3, 6}, {700}, {0}):
        for iteration, batch in ahead.at(iterations).items():
            alone = dataset.batch(iteration)
            assert len(batch.tensors) == len(alone.tensors)
            assert all(torch.equal(one, other) for one, other in zip(batch.tensors, alone.tensors, strict=True))


def test_few_renderings_are_of_many_batches_and_what_was_used_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "NUMBERS_TOGETHER", 4 * 5 * 32 * 32 * 3)  # three batches of 4 videos of 5 frames
    ahead, asked = _batches(small("inertia_vae"))
    for iteration in range(7):
        ahead.at({iteration})
        assert len(ahead._rendered) <= 3
    assert asked == [[0], [1, 2], [3, 4, 5], [6, 7, 8]]
    ahead.at({7, 20})
    assert asked[4:] == [[9, 20, 21, 22]]
    large, asked = _batches(small("inertia_vae", batch_size=64))
    large.at({0})
    large.at({1})
    assert asked == [[0], [1]]


def test_a_stack_on_a_cpu_renders_ahead_and_comes_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("inertia_vae")
    ahead = Stack([config])
    ahead.step(5)
    assert ahead._batches is not None and ahead._batches._together == 8
    monkeypatch.setattr(batches, "NUMBERS_TOGETHER", 1)
    alone = Stack([config])
    alone.step(5)
    assert torch.equal(ahead[config.key].weights, alone[config.key].weights)
