"""Schedules are what their equations say, and end at the value that the config gives."""

from itertools import pairwise
from typing import get_args

import pytest

from dd_ray.config import Schedule
from dd_ray.config.schedules import share_at, value_at
from tests.small import small

SCHEDULES = get_args(Schedule)


def _shares(schedule, length=8, cycles=2, iterations=10):
    return [share_at(schedule, i, length, cycles) for i in range(iterations)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1] * 10),
        ("linear", [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1]),
        ("cosine", [0, 0.038060, 0.146447, 0.308658, 0.5, 0.691342, 0.853553, 0.961940, 1, 1]),
        ("cyclic", [0, 0.5, 1, 1, 0, 0.5, 1, 1, 1, 1]),
    ],
)
def test_shares_are_those_of_the_equations(schedule, expected):
    assert _shares(schedule) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cycles", [4, 7, 10, 50])
def test_every_cycle_begins_at_0(cycles):
    length = 200 * cycles
    shares = _shares("cyclic", length, cycles, length)
    assert [i for i, share in enumerate(shares) if share == 0] == list(range(0, length, 200))
    assert min(shares[i] for i in range(length) if i % 200) == pytest.approx(0.01)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("length", "cycles"), [(1, 1), (7, 3), (100, 4), (3, 5)])
def test_shares_lie_in_0_to_1_and_stay_1_from_the_end_on(schedule, length, cycles):
    shares = _shares(schedule, length, cycles, 2 * length)
    assert all(0 <= share <= 1 for share in shares)
    assert set(shares[length:]) == {1.0}
    assert schedule == "constant" or shares[0] == 0


@pytest.mark.parametrize("cycles", [1, 3, 4])
def test_a_cyclic_schedule_begins_so_often_at_0(cycles):
    shares = _shares("cyclic", length=120, cycles=cycles, iterations=150)
    assert sum(share == 0 for share in shares) == cycles
    assert sum(b < a for a, b in pairwise(shares)) == cycles - 1


def test_each_name_is_scheduled_by_its_own_fields():
    config = small("inertia_vae", beta_norm=0.01, gamma_schedule="cosine", lam_schedule="cyclic", schedule_iterations=8)
    assert value_at(config, "beta", 0) == config.beta_value
    assert value_at(config, "gamma", 4) == pytest.approx(0.25)
    assert value_at(config, "lam", 0) == 0
    assert [value_at(config, name, 8) for name in ("gamma", "lam")] == [config.gamma, config.lam]
    capacity = small("beta_vae", objective="capacity", capacity_max=20, capacity_iterations=100)
    assert [value_at(capacity, "capacity", i) for i in (0, 50, 100, 1000)] == [0, 10, 20, 20]
