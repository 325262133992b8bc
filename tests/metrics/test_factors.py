"""R², MCC and concentration against factors, on codes whose score follows from theory.

Shapes: N points, L latents, F factors.
"""

from importlib import import_module

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from dd_ray.metrics import (
    dci,
    linear_r2,
    linear_r2_of_few,
    mean_correlation_coefficient,
    nonlinear_r2,
    share_lost_to_fitting,
)
from dd_ray.metrics.dci import mean_concentration
from tests.metrics.codes import NUM_POINTS, rotated


def test_every_rotation_is_linear_but_not_aligned(factors, rng):
    rotation, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    latents = (factors - 0.5) @ rotation
    np.testing.assert_allclose(linear_r2(latents, factors), 1)
    assert 0.5 < mean_correlation_coefficient(latents, factors) < 0.95


def test_rotating_a_pair_lowers_the_mcc_to_its_cosine(factors):
    for degrees in (0, 20, 45):
        latents = rotated(factors - 0.5, degrees, (0, 1))
        expected = (2 * np.cos(np.deg2rad(degrees)) + 2) / 4
        assert mean_correlation_coefficient(latents, factors) == pytest.approx(expected, abs=0.02)


def test_noise_lowers_r2_to_the_share_of_variance_that_is_signal(factors, rng):
    variance = 1 / 12
    for noise in (0.05, 0.2, 0.5):
        latents = factors + noise * rng.standard_normal(factors.shape)
        expected = variance / (variance + noise**2)
        np.testing.assert_allclose(linear_r2(latents, factors), expected, atol=0.02)
        assert mean_correlation_coefficient(latents, factors) == pytest.approx(expected**0.5, abs=0.02)


def test_latents_near_the_end_of_their_type_are_scored(factors):
    latents = (factors * 3e38).astype(np.float32)
    np.testing.assert_allclose(linear_r2(latents, factors), 1, atol=1e-6)
    assert mean_correlation_coefficient(latents, factors) > 0.999


def test_r2_is_scored_on_points_that_were_not_fitted(rng):
    # As many latents as points to fit: every noise is fitted exactly, and tells nothing of the others.
    latents, factors = rng.standard_normal((40, 19)), rng.random((40, 4))
    assert (linear_r2(latents, factors) < 0.5).all()


@pytest.mark.parametrize(("num_latents", "num_videos"), [(4, 64), (4, 128), (8, 64)])
def test_r2_of_few_videos_is_too_low_by_the_share_that_is_lost_to_fitting(rng, num_latents, num_videos):
    # Latents and factor rest in each video of ten frames; of the variance of the factor, the latents explain 0.4.
    error, variance = np.empty((2, 2_000))
    for i in range(2_000):
        code = rng.standard_normal((num_videos, num_latents))
        factor = np.sqrt(0.4) * code[:, :1] + np.sqrt(0.6) * rng.standard_normal((num_videos, 1))
        variance[i] = factor[num_videos // 2 :].var()
        error[i] = (1 - linear_r2(np.repeat(code, 10, axis=0), np.repeat(factor, 10, axis=0))[0]) * variance[i]
    ratio = error.mean() / variance.mean()
    bound = 4 * (error - ratio * variance).std() / variance.mean() / 2_000**0.5
    assert ratio == pytest.approx(0.6 * (1 + share_lost_to_fitting(num_latents, num_videos)), abs=bound)
    assert ratio > 0.6 + bound


def test_the_share_that_is_lost_to_fitting_is_that_of_videos():
    assert share_lost_to_fitting(4, 512) == pytest.approx(0.024, abs=0.001)
    assert share_lost_to_fitting(4, 64) == pytest.approx(0.228, abs=0.001)
    assert share_lost_to_fitting(4, 65) == share_lost_to_fitting(4, 64)  # an odd one is left out
    assert share_lost_to_fitting(4, 12) == np.inf


def test_latents_that_do_not_vary_tell_nothing(factors):
    for constant in (0.0, 0.1, -7.3):
        latents = np.full((NUM_POINTS, 3), constant, np.float32)
        np.testing.assert_allclose(linear_r2(latents, factors), 0, atol=1e-3)
        assert mean_correlation_coefficient(latents, factors) == pytest.approx(0, abs=1e-9)


def test_a_constant_latent_beside_others_changes_nothing(factors):
    latents = factors[:, :2]
    padded = np.column_stack([latents, np.full(NUM_POINTS, 0.1)])
    np.testing.assert_allclose(linear_r2(padded, factors), linear_r2(latents, factors), atol=1e-9)
    assert mean_correlation_coefficient(padded, factors) == pytest.approx(
        mean_correlation_coefficient(latents, factors)
    )


def test_a_factor_that_does_not_vary_has_no_r2_and_no_part_in_the_correlation(factors):
    factors[:, 1] = 0.3
    r2 = linear_r2(factors.copy(), factors)
    assert np.isnan(r2[1])
    np.testing.assert_allclose(r2[[0, 2, 3]], 1)
    assert mean_correlation_coefficient(factors.copy(), factors) == pytest.approx(1)


def test_a_factor_that_rests_in_the_points_that_are_scored_has_no_r2(factors):
    half = NUM_POINTS // 2
    factors[half:, 1] = factors[half, 1]
    r2 = linear_r2(factors.copy(), factors)
    assert np.isnan(r2[1]) and not np.isnan(r2[[0, 2, 3]]).any()


@pytest.mark.parametrize("num_latents", [1, 2, 3])
def test_factors_that_find_no_latent_count_as_nothing(factors, num_latents):
    latents = factors[:, :num_latents]
    assert mean_correlation_coefficient(latents, factors) == pytest.approx(num_latents / 4)
    r2 = linear_r2(latents, factors)
    np.testing.assert_allclose(r2[:num_latents], 1)
    np.testing.assert_allclose(r2[num_latents:], 0, atol=0.01)


def test_one_latent_cannot_stand_for_two_factors(factors):
    latents = np.column_stack([factors[:, 0] + factors[:, 1], np.zeros(NUM_POINTS)])
    assert mean_correlation_coefficient(latents, factors[:, :2]) == pytest.approx(0.5**0.5 / 2, abs=0.02)


@pytest.mark.parametrize("num_labels", [30, 100, 1000])
def test_few_labels_lose_what_theory_says(rng, num_labels):
    latents = rng.standard_normal((10_000, 4))
    noise = rng.standard_normal((10_000, 60))
    factors = latents @ rng.standard_normal((4, 60)) + noise
    unexplained = noise[5000:].var(axis=0) / factors[5000:].var(axis=0)
    lost = (1 - linear_r2_of_few(latents, factors, num_labels)) / unexplained - 1
    assert lost.mean() == pytest.approx(share_lost_to_fitting(4, 2 * num_labels), rel=0.15)


def test_few_labels_are_the_same_for_every_code_and_enough_for_an_affine_one(rng):
    factors = rng.random((1000, 3))
    latents = factors @ rng.standard_normal((3, 3)) + 1
    np.testing.assert_allclose(linear_r2_of_few(latents, factors, 30), 1)
    noisy = latents + rng.standard_normal(latents.shape)
    np.testing.assert_array_equal(linear_r2_of_few(noisy, factors, 30), linear_r2_of_few(noisy, factors, 30))


def test_few_labels_are_drawn_twenty_times(rng):
    latents, factors = rng.standard_normal((60, 2)), rng.random((60, 3))
    order = np.random.Generator(np.random.Philox(0))
    scores = []
    for _ in range(20):
        labelled = np.argsort(order.random(30), kind="stable")[:10]
        predicted = LinearRegression().fit(latents[labelled], factors[labelled]).predict(latents[30:])
        scores.append(r2_score(factors[30:], predicted, multioutput="raw_values"))
    np.testing.assert_allclose(linear_r2_of_few(latents, factors, 10), np.mean(scores, axis=0))


def test_of_dependent_latents_few_labels_find_the_least_weights(rng):
    factors = rng.random((1000, 3))
    twice = np.column_stack([factors, factors[:, :1], np.zeros(1000)])
    assert (linear_r2_of_few(twice, factors, 100) > 0.99).all()
    many = np.column_stack([factors, rng.standard_normal((1000, 40))])  # more than there are labels
    few_r2 = linear_r2_of_few(many, factors, 30)
    assert np.isfinite(few_r2).all() and (few_r2 < linear_r2_of_few(many, factors, 400)).all()


def test_of_more_latents_than_labels_the_regression_is_a_ridge(rng):
    latents, factors = 3 * rng.standard_normal((60, 40)) + 1, rng.random((60, 2))
    z = (latents - latents[:30].mean(axis=0)) / latents[:30].std(axis=0)
    ridge = Ridge(alpha=1.0).fit(z[:30], factors[:30])  # the labels are the whole first half, in any order
    expected = r2_score(factors[30:], ridge.predict(z[30:]), multioutput="raw_values")
    np.testing.assert_allclose(linear_r2_of_few(latents, factors, 30), expected)


def test_more_labels_than_there_are_points_have_no_score(rng):
    factors = rng.random((100, 2))
    assert np.isnan(linear_r2_of_few(factors, factors, 51)).all()
    np.testing.assert_allclose(linear_r2_of_few(factors, factors, 50), 1)


@pytest.mark.filterwarnings("ignore::dd_ray.metrics.FewPointsWarning")
@pytest.mark.parametrize(("num_points", "num_factors"), [(2, 1), (3, 2), (600, 0)])
def test_nonlinear_r2_of_too_few_points_is_nan_and_of_no_factor_is_empty(rng, num_points, num_factors):
    found = nonlinear_r2(rng.random((num_points, 2)), rng.random((num_points, num_factors)))
    np.testing.assert_array_equal(found, np.full(num_factors, np.nan))


def test_concentration_is_a_mean_in_which_rows_weigh_what_their_importances_sum_to():
    weights = np.array([[4.0, 0.0], [1.0, 1.0], [0.0, 0.0]])  # one factor; both alike; unused
    assert mean_concentration(weights) == pytest.approx((4 * 1 + 2 * 0) / 6)
    three = np.array([[1.0, 1.0, 0.0]])  # ln 2 of at most ln 3
    assert mean_concentration(three) == pytest.approx(1 - np.log(2) / np.log(3))
    assert mean_concentration(np.zeros((2, 2))) == 0


def test_disentanglement_is_of_latents_and_completeness_of_factors(monkeypatch, factors):
    # One latent for two factors, a second one unused; and the other way round.
    table, r2 = np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0.9, 0.5])
    for importances, disentanglement, completeness in ((table, 0, 1), (table.T, 1, 0)):
        monkeypatch.setattr(
            import_module("dd_ray.metrics.dci"), "fit_boosted_trees", lambda z, f, found=importances: (found, r2)
        )
        found = dci(factors[:, :2], factors[:, :2])
        expected = pytest.approx((disentanglement, completeness, 0.7))
        assert (found.disentanglement, found.completeness, found.informativeness) == expected


def test_concentration_of_even_rows_is_not_below_0_by_rounding():
    evens = [np.full((rows, columns), 1 / columns) for rows in range(1, 8) for columns in range(1, 12)]
    assert min(map(mean_concentration, evens)) == 0
