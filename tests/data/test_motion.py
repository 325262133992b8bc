"""Paths have the geometry that their names promise."""

import numpy as np
import pytest

from dd_ray.data.motion import BOUNCE_LENGTH, PATHS, axis, bounce, linear
from dd_ray.data.streams import Stream, generator

N = 5000


def _uniform(seed=0):
    return generator(seed, Stream.TRAIN, 0).random


@pytest.mark.parametrize("num_frames", [3, 10])
@pytest.mark.parametrize("name", PATHS)
def test_paths_stay_in_the_square(name, num_frames):
    path = PATHS[name](_uniform(), N, num_frames)
    assert path.shape == (N, num_frames, 2)
    assert path.min() >= 0
    assert path.max() <= 1


@pytest.mark.parametrize("path", [linear, axis])
def test_steps_of_a_video_are_equal_and_its_way_exceeds_the_least_distance(path):
    positions = path(_uniform(), N, 10)
    np.testing.assert_allclose(np.diff(positions, 2, axis=1), 0, atol=1e-12)
    distance = np.linalg.norm(positions[:, -1] - positions[:, 0], axis=-1)
    assert distance.min() > 0.1
    assert distance.min() < 0.11


def test_linear_ends_are_uniform_where_they_are_far_enough_apart():
    ends = linear(_uniform(), 40_000, 10)[:, [0, -1]]
    np.testing.assert_allclose(ends.mean(0), 0.5, atol=0.006)
    # Redrawing rejects little, and most of it in the middle: a uniform variable has the variance 1/12.
    np.testing.assert_allclose(ends.var(0), 1 / 12, rtol=0.02)


def test_axis_moves_exactly_one_coordinate_and_either_as_often():
    moves = np.ptp(axis(_uniform(), N, 10), axis=1) > 0
    assert (moves.sum(-1) == 1).all()
    assert abs(moves[:, 0].mean() - 0.5) < 4 * 0.5 / N**0.5


def test_bounce_has_constant_speed_away_from_reflections_and_reflects():
    num_frames = 10
    path = bounce(_uniform(), N, num_frames)
    steps = np.abs(np.diff(path, axis=1))
    # A coordinate's step is shortened by a reflection and by nothing else, so the largest is its speed.
    speed = steps.max(1, keepdims=True)
    reflected = steps < speed - 1e-12
    nearest_border = np.minimum(path, 1 - path)
    within_a_step = np.minimum(nearest_border[:, 1:], nearest_border[:, :-1]) <= speed
    assert within_a_step[reflected].all()
    length = np.linalg.norm(speed[:, 0] * (num_frames - 1), axis=-1)
    assert length.max() <= BOUNCE_LENGTH[1] + 1e-12
    assert length.min() >= BOUNCE_LENGTH[0] - 1e-12
    assert 0.5 < reflected.any((1, 2)).mean() < 1


def test_bounce_is_the_straight_line_folded_at_the_border():
    # Start (0.5, 0.75); displacement 3 · (uniform − ½) = (1, −0.5), drawn after one too short to accept.
    draws = iter([[[[0.5, 0.75]]], [[[0.5, 0.5]]], [[[5 / 6, 1 / 3]]]])
    path = bounce(lambda shape: np.array(next(draws)).reshape(shape), 1, 5)
    np.testing.assert_allclose(path[0], [[0.5, 0.75], [0.75, 0.625], [1, 0.5], [0.75, 0.375], [0.5, 0.25]])
