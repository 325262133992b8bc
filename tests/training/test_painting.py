"""Painting by one launch, where CUDA graphs are played on a CPU: the bytes are those of painting launch by launch."""

from typing import Any

import pytest
import torch

from dd_ray.config import DATASETS, TrialConfig
from dd_ray.data import make_dataset
from dd_ray.training import painting
from dd_ray.training.painting import MOST_CAPTURED, TIMES_BEFORE, Painting
from tests.small import DATA, name_of
from tests.training.tape import Tape

OF_CIRCLES: list[dict[str, Any]] = [
    {},
    {"background": "black"},
    {"dataset": "still_circles", "grid": "original"},
    {"dataset": "moving_circles", "grid": "original"},
    {"network": "conv64", "image_size": 64},
]


def _config(values: dict[str, Any]) -> TrialConfig:
    moving = DATASETS[values.get("dataset", "moving_circles")].moving
    return TrialConfig(model="inertia_vae" if moving else "beta_vae", beta=0.1, batch_size=4, **values)


PAINTED = [_config(values) for values in [*OF_CIRCLES, *DATA]]
each_painted = pytest.mark.parametrize("config", [pytest.param(config, id=name_of(config)) for config in PAINTED])


class Device:
    """Plays what of CUDA painting needs."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.mode: int | str = 0

    def captured(self, prepare, take, pool):
        prepare()
        tape = Tape()
        with tape.captures():
            take()
        self.tapes.append(tape)
        return tape.replay

    def set_mode(self, mode: int | str) -> None:
        self.mode = mode


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    monkeypatch.setattr(painting, "captured", device.captured)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", device.set_mode)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: device.mode)
    return device


@each_painted
def test_what_is_painted_by_a_graph_is_what_is_painted_without(device, config):
    dataset = make_dataset(config)
    factors = [torch.from_numpy(dataset.factors(iteration)) for iteration in range(3)]
    paint = Painting(dataset.paint)
    for _ in range(TIMES_BEFORE):
        paint(factors[0])
    assert not device.tapes
    painted = [paint(each) for each in factors]  # together, so that a later call does not change an earlier one's
    assert len(device.tapes) == 1
    for ours, of_iteration in zip(painted, factors, strict=True):
        assert torch.equal(ours, dataset.paint(of_iteration))


def test_a_painter_that_waits_for_the_device_is_called_as_it_is(device):
    def paint(factors):
        if device.mode == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        return factors + 1

    paints = Painting(paint)
    for i in range(TIMES_BEFORE + 3):
        assert torch.equal(paints(torch.full((1,), float(i))), torch.full((1,), i + 1.0))
    assert not device.tapes and device.mode == 0


def test_where_memory_is_short_it_paints_as_before(device, monkeypatch):
    def captured(prepare, take, pool):
        raise torch.OutOfMemoryError("of a graph")

    monkeypatch.setattr(painting, "captured", captured)
    paints = Painting(lambda factors: factors + 1)
    for _ in range(TIMES_BEFORE + 2):
        assert torch.equal(paints(torch.zeros(2)), torch.ones(2))


def test_only_a_few_numbers_of_images_are_captured_and_none_that_is_painted_once(device):
    paints = Painting(lambda factors: factors + 1)
    for _ in range(TIMES_BEFORE + 1):
        for size in range(1, MOST_CAPTURED + 3):
            assert torch.equal(paints(torch.zeros(size)), torch.ones(size))
    paints(torch.zeros(100))
    assert len(device.tapes) == MOST_CAPTURED
