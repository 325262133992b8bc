"""Scores of latents by themselves, on codes whose score is known."""

from typing import get_args

import numpy as np
import pytest

from dd_ray.metrics import REPORTED, Metric, active_mask, active_units, prediction_ratio
from tests.metrics.codes import straight_lines


def _predicted(latents, alpha=1.0):
    """Each latent from the two before it; the first two frames are never looked at."""
    predicted = np.full_like(latents, np.nan)
    predicted[:, 2:] = latents[:, 1:-1] + alpha * (latents[:, 1:-1] - latents[:, :-2])
    return predicted


def test_units_with_a_variance_above_a_hundredth_are_active(rng):
    code = rng.standard_normal((100_000, 6)) * [1.0, 0.11, 0.09, 1e-5, 0.0, 30.0] + [0, 5, 5, 100, 7, 0]
    assert active_units(code) == 3
    assert [*np.flatnonzero(active_mask(code))] == [0, 1, 5]
    assert active_units(code.astype(np.float32)) == 3


def test_no_unit_of_a_constant_code_is_active():
    assert active_units(np.full((10, 3), 0.7, np.float32)) == 0


@pytest.mark.parametrize("shape", [(20, 10, 4), (10,)])
def test_frames_of_videos_are_not_counted_as_units(shape):
    for score in (active_units, active_mask):
        with pytest.raises(ValueError, match=r"are not \[N, L\]; reshape those of videos"):
            score(np.ones(shape))


def test_uniform_motion_is_predicted_without_error_by_every_affine_code(rng):
    latents = straight_lines(rng) @ rng.standard_normal((4, 3)) + rng.standard_normal(3)
    assert prediction_ratio(latents, _predicted(latents)) < 1e-20


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0, 3.0])
def test_wrong_velocities_have_the_square_of_what_they_miss(rng, alpha):
    latents = straight_lines(rng)
    assert prediction_ratio(latents, _predicted(latents, alpha)) == pytest.approx((1 - alpha) ** 2)


def test_predicting_rest_is_the_unit(rng):
    latents = rng.standard_normal((20, 10, 4))
    rest = np.concatenate([latents[:, :1], latents[:, :-1]], axis=1)
    assert prediction_ratio(latents, rest) == pytest.approx(1)


def test_independent_frames_are_predicted_three_times_worse_than_by_rest(rng):
    # Var[z_t − 2 z_{t−1} + z_{t−2}] = 6 and Var[z_t − z_{t−1}] = 2.
    latents = rng.standard_normal((5000, 10, 4))
    assert prediction_ratio(latents, _predicted(latents)) == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_ratio_is_blind_to_scale_and_offset(rng, scale):
    latents = rng.standard_normal((20, 10, 4))
    expected = prediction_ratio(latents, _predicted(latents))
    moved = scale * (latents + 3)
    assert prediction_ratio(moved, _predicted(moved)) == pytest.approx(expected)


def test_large_float32_latents_do_not_overflow(rng):
    latents = rng.standard_normal((20, 10, 4), dtype=np.float32)
    huge = latents * np.float32(1e30)
    assert prediction_ratio(huge, _predicted(huge)) == pytest.approx(prediction_ratio(latents, _predicted(latents)))


def test_where_nothing_moves_there_is_no_ratio():
    still = np.ones((3, 10, 4))
    assert np.isnan(prediction_ratio(still, _predicted(still)))
    assert np.isnan(prediction_ratio(still[:, :2], still[:, :2]))


def test_every_reported_metric_says_how_it_is_read():
    assert all(metric.label for metric in REPORTED.values())
    directions = get_args(Metric.__dataclass_fields__["better"].type)
    assert all(metric.better is None or metric.better in str(directions) for metric in REPORTED.values())
    # What β, γ and λ weigh ranks no cells of a grid, and neither do active units beyond the factors.
    unranked = {name for name, metric in REPORTED.items() if metric.better is None}
    of_motion = {"prediction_ratio", "straightness", "prediction_ratio_encoder", "straightness_encoder"}
    of_the_notebook = {name for name in REPORTED if "notebook" in name}
    of_the_kl = {"kl", "mutual_information", "total_correlation", "dimension_wise_kl", "gaussian_total_correlation"}
    assert unranked == {"loss", "active_units"} | of_the_kl | of_motion | of_the_notebook
    assert {name for name, metric in REPORTED.items() if metric.better == "min"} == {
        *("reconstruction_error", "factor_error"),
        *("reconstruction_error_seen", "factor_error_seen"),
        *("reconstruction_error_hidden", "reconstruction_error_dropped"),
    }
