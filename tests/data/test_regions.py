"""Regions of an image follow the circle, by the rule that the original study's errors were computed with."""

import numpy as np
import pytest

from dd_ray.data import circle_regions
from tests.data import oracle

POSITIONS = np.random.default_rng(4).random((50, 2))


def _circle_alone(position: np.ndarray, rho: float) -> np.ndarray:
    """The circle of radius 64·rho on black, reduced to 32×32, in [0, 1]."""
    x, y = 48 * position + 8
    rows, columns = np.mgrid[:64, :64]
    radius = 64 * rho
    lit = (columns - x) ** 2 + (rows - y) ** 2 - radius <= radius**2
    return oracle.halve(255 * lit.astype(np.uint8)) / 255


def test_regions_are_those_of_the_definition():
    regions = circle_regions(POSITIONS)
    for i, position in enumerate(POSITIONS):
        circle = _circle_alone(position, 0.10) > 0.4
        edge = circle ^ (_circle_alone(position, 0.05) > 0.4)
        np.testing.assert_array_equal(regions.edge[i], edge)
        np.testing.assert_array_equal(regions.inside[i], circle & ~edge)
        np.testing.assert_array_equal(regions.background[i], ~(_circle_alone(position, 0.15) > 0.4))


def test_regions_of_pictures_that_are_not_reduced_are_those_of_the_circles_themselves():
    regions = circle_regions(POSITIONS, 64)
    rows, columns = np.mgrid[:64, :64]
    for i, (x, y) in enumerate(48 * POSITIONS + 8):
        square = (columns - x) ** 2 + (rows - y) ** 2
        inside, circle, surround = (square - r <= r**2 for r in (3.2, 6.4, 9.6))
        np.testing.assert_array_equal(regions.inside[i], inside)
        np.testing.assert_array_equal(regions.edge[i], circle & ~inside)
        np.testing.assert_array_equal(regions.background[i], ~surround)


def test_no_pixel_is_in_two_regions_and_a_ring_is_in_none():
    counts = np.sum(circle_regions(POSITIONS), axis=0)
    assert counts.max() == 1
    assert ((counts == 0).sum(axis=(1, 2)) > 20).all()


def test_sizes_are_those_of_the_original():
    sizes = [region.sum(axis=(1, 2)).mean() for region in circle_regions(POSITIONS)]
    assert sizes == pytest.approx([12, 28, 943], rel=0.05)


def test_more_positions_than_a_chunk_are_the_same_one_by_one():
    positions = np.tile(POSITIONS, (20, 1))
    many = circle_regions(positions).inside
    np.testing.assert_array_equal(many[-50:], circle_regions(POSITIONS).inside)
    np.testing.assert_array_equal(many[:50], many[-50:])
