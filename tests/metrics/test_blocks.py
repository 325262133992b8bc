"""Separation of the circle's latents from the background's, on codes that mix within and across."""

import numpy as np
import pytest

from dd_ray.metrics import block_separation
from tests.metrics.codes import rotated
from tests.metrics.conftest import GROUPS

NUM_POINTS = 5_000


@pytest.fixture
def factors(rng):
    return rng.random((NUM_POINTS, 4))


@pytest.mark.parametrize(
    "degrees", [pytest.param(0, marks=pytest.mark.slow), 30, pytest.param(45, marks=pytest.mark.slow)]
)
def test_mixing_within_a_group_is_no_mixture(factors, degrees):
    latents = rotated(rotated(factors, degrees, (0, 1)), degrees, (2, 3))[:, [2, 0, 3, 1]]
    result = block_separation(latents, factors, GROUPS)
    assert result.disentanglement == pytest.approx(1, abs=0.01)
    assert result.r2_gap == result.r2_own - result.r2_other == pytest.approx(1, abs=0.01)
    assert [*result.groups_of_latents] == ["background", "circle", "background", "circle"]


def test_mixing_both_groups_alike_separates_nothing(factors):
    result = block_separation(rotated(rotated(factors, 45, (0, 2)), 45, (1, 3)), factors, GROUPS)
    assert result.disentanglement == pytest.approx(0, abs=0.02)
    assert result.r2_gap == pytest.approx(0, abs=0.02)


def test_mixing_groups_a_little_costs_the_share_that_leaks(factors):
    degrees = 20
    result = block_separation(rotated(rotated(factors, degrees, (0, 2)), degrees, (1, 3)), factors, GROUPS)
    assert 0.3 < result.disentanglement < 0.9
    assert result.r2_own == pytest.approx(np.cos(np.deg2rad(degrees)) ** 2, abs=0.02)
    assert result.r2_other == pytest.approx(np.sin(np.deg2rad(degrees)) ** 2, abs=0.02)


def test_a_group_that_is_not_encoded_does_not_count_against_the_other(rng, factors):
    latents = np.column_stack([factors[:, 2:], rng.standard_normal((NUM_POINTS, 2))])
    result = block_separation(latents, factors, GROUPS)
    assert result.disentanglement == pytest.approx(1, abs=0.01)
    assert result.r2_own == pytest.approx(1 / 2, abs=0.01)
    assert result.r2_other == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("groups", [("circle",) * 4, ("circle", "background"), ()])
def test_there_is_one_group_a_factor_and_more_than_one(factors, groups):
    with pytest.raises(ValueError, match="one of several groups"):
        block_separation(factors, factors, groups)
