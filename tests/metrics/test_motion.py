"""How latents of videos move, on paths whose curvature is known."""

import numpy as np
import pytest

from dd_ray.metrics import curvature, prediction_ratio, straightness
from tests.metrics.codes import straight_lines


def test_every_affine_code_of_a_line_is_straight(rng):
    latents = straight_lines(rng) @ rng.standard_normal((4, 3)) + rng.standard_normal(3)
    assert straightness(latents) == pytest.approx(1)
    assert curvature(latents) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("degrees", [10, 60, 90, 150, 180])
def test_a_polygon_bends_by_its_angle(rng, degrees):
    headings = np.deg2rad(degrees) * np.arange(9) + 0.3
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=-1) * rng.uniform(0.1, 10, (5, 9, 1))
    latents = np.cumsum(steps, axis=1)
    assert curvature(latents) == pytest.approx(degrees, abs=1e-4)
    assert straightness(latents) == pytest.approx(np.cos(np.deg2rad(degrees)))


def test_random_walks_bend_by_a_right_angle_and_independent_frames_by_more(rng):
    steps = rng.standard_normal((300, 30, 50))
    walk = np.cumsum(steps, axis=1)
    assert straightness(walk) == pytest.approx(0, abs=0.01)
    assert curvature(walk) == pytest.approx(90, abs=0.5)
    assert straightness(steps) == pytest.approx(-0.5, abs=0.01)
    assert curvature(steps) == pytest.approx(120, abs=0.5)


def test_one_independent_number_a_frame_turns_twice_as_often_as_it_goes_on(rng):
    # Three values are monotone in a third of their orders.
    assert straightness(rng.random((3_000, 10, 1))) == pytest.approx(1 / 3 - 2 / 3, abs=0.02)


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e12, 1e200])
def test_curvature_is_blind_to_scale_rotation_and_speed(rng, scale):
    latents = rng.standard_normal((20, 10, 4))
    rotation, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    assert straightness(scale * latents @ rotation) == pytest.approx(straightness(latents))
    assert curvature(scale * latents[:, ::-1]) == pytest.approx(curvature(latents))


def test_steps_of_no_length_are_left_out(rng):
    latents = np.concatenate([straight_lines(rng), np.ones((7, 10, 4))])
    assert straightness(latents) == pytest.approx(1)
    still = np.ones((3, 10, 4))
    assert np.isnan(straightness(still))
    assert np.isnan(curvature(still))
    assert np.isnan(straightness(straight_lines(rng)[:, :2]))


def test_a_prediction_out_of_range_is_infinitely_wrong_and_unknown_latents_have_no_ratio(rng):
    latents = straight_lines(rng)
    assert prediction_ratio(latents, np.full_like(latents, np.inf)) == np.inf
    assert np.isnan(prediction_ratio(np.full_like(latents, np.nan), latents))
    with pytest.raises(ValueError, match="NaN or infinite"):
        straightness(np.where(latents > 1, np.nan, latents))


def test_masked_latents_are_not_looked_at(rng):
    lines = straight_lines(rng)
    noisy = np.concatenate([lines, rng.standard_normal((20, 10, 2))], axis=2)
    mask = np.arange(6) < 4
    assert straightness(noisy) < 0.9
    assert straightness(noisy, mask) == pytest.approx(1)
    assert curvature(noisy, mask) == pytest.approx(0, abs=1e-4)
    predicted = np.zeros_like(noisy)
    predicted[:, 2:] = 2 * noisy[:, 1:-1] - noisy[:, :-2]
    assert prediction_ratio(noisy, predicted) > 0.1
    assert prediction_ratio(noisy, predicted, mask) < 1e-20
    for score in (straightness, curvature):
        assert np.isnan(score(noisy, np.zeros(6, bool)))
    assert np.isnan(prediction_ratio(noisy, predicted, np.zeros(6, bool)))
