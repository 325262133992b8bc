"""Intervals hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from dd_ray.metrics import bootstrap_interval, linear_r2, mean_correlation_coefficient, mig, seed_interval
from tests.metrics.codes import encoder


def _mean_r2(latents, factors):
    return linear_r2(latents, factors).mean()


def _covered(metric, truth, draw, repetitions, **options):
    intervals = [bootstrap_interval(metric, *draw(), num_resamples=100, **options) for _ in range(repetitions)]
    return np.mean([low <= truth <= high for _, low, high in intervals])


@pytest.mark.slow
def test_intervals_over_points_hold_the_truth(rng):
    def draw():
        factors = rng.random((400, 2))
        return factors + 0.2 * rng.standard_normal(factors.shape), factors

    truth = (1 / 12) / (1 / 12 + 0.04)
    assert 0.85 <= _covered(_mean_r2, truth, draw, 50) <= 1
    assert 0.85 <= _covered(mean_correlation_coefficient, truth**0.5, draw, 100) <= 1
    # The R² of a line, which is 0.02 wide to each side, is not held by half of that.
    assert _covered(_mean_r2, truth, draw, 50, confidence=0.5) < 0.7


@pytest.mark.slow
def test_intervals_of_mutual_information_hold_the_truth_though_resampling_inflates_it(rng):
    code = encoder("identity_plus_noise_sd0.1", seed=1)
    many = rng.random((300_000, 2))
    truth = mig(code(many), many)

    def draw():
        factors = rng.random((5_000, 2))
        return code(factors), factors

    assert _covered(mig, truth, draw, 6) >= 0.6


def test_frames_of_a_video_are_drawn_together(rng):
    # 40 videos of 25 equal frames are 40 points, not 1,000.
    videos = np.repeat(rng.standard_normal((40, 1)), 25, axis=0)
    together = bootstrap_interval(np.mean, videos, rows_together=25)
    apart = bootstrap_interval(np.mean, videos)
    assert together.high - together.low == pytest.approx(2 * 1.96 * videos.std() / 40**0.5, rel=0.25)
    assert apart.high - apart.low < (together.high - together.low) / 3


def test_points_that_were_fitted_are_never_scored():
    def halves(rows):
        half = len(rows) // 2
        assert not {*rows[:half]} & {*rows[half:]}
        return 0.0

    for size in (10, 11):
        bootstrap_interval(halves, np.arange(size))


def test_intervals_of_several_numbers_are_theirs_one_by_one(rng, factors):
    latents = factors + 0.3 * rng.standard_normal(factors.shape)
    all_factors = bootstrap_interval(linear_r2, latents, factors, num_resamples=20)
    third = bootstrap_interval(lambda z, f: linear_r2(z, f)[2], latents, factors, num_resamples=20)
    assert all_factors.estimate.shape == all_factors.low.shape == all_factors.high.shape == (4,)
    assert (all_factors.low < all_factors.estimate).all() and (all_factors.estimate < all_factors.high).all()
    assert [end[2] for end in all_factors] == pytest.approx([float(end) for end in third])


def test_intervals_follow_from_the_seed(rng):
    points = rng.standard_normal(100)
    first, again, other = (bootstrap_interval(np.mean, points, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(("sizes", "together"), [((10, 9), 1), ((10, 10), 3), ((10,), 10), ((), 1), ((0,), 1)])
def test_rows_that_cannot_be_drawn_are_refused(sizes, together):
    with pytest.raises(ValueError, match="rows cannot be drawn"):
        bootstrap_interval(lambda *arrays: 0.0, *(np.zeros(size) for size in sizes), rows_together=together)


def test_intervals_over_seeds_are_those_of_scipy(rng):
    scores = rng.standard_normal((5, 3))
    found = seed_interval(scores, confidence=0.9)
    low, high = stats.t.interval(0.9, 4, loc=scores.mean(axis=0), scale=stats.sem(scores))
    np.testing.assert_allclose(found, [scores.mean(axis=0), low, high])


def test_intervals_over_seeds_hold_the_truth(rng):
    _, low, high = seed_interval(rng.standard_normal((3, 2_000)) + 7)
    assert np.mean((low <= 7) & (high >= 7)) == pytest.approx(0.95, abs=0.02)


def test_one_seed_has_no_interval_and_a_diverged_one_no_mean():
    np.testing.assert_equal(seed_interval([0.3]), (0.3, np.nan, np.nan))
    assert np.isnan(seed_interval([0.3, np.nan, 0.4])).all()
    assert seed_interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("scores", [[], 0.5])
def test_no_seed_has_no_mean(scores):
    with pytest.raises(ValueError, match="no seed"):
        seed_interval(scores)


def test_no_group_is_drawn_into_both_halves():
    """Of 7 groups of 10 rows, the fourth would lie in both halves of 70 rows."""
    both = []

    def metric(rows):
        half = len(rows) // 2
        both.append({*(rows[:half] // 10)} & {*(rows[half:] // 10)})
        return 0.0

    bootstrap_interval(metric, np.arange(70), rows_together=10)
    assert not any(both)
