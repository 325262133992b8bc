"""Arms at equal KL, against closed forms."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from dd_ray.results.equal_rates import POINTS, at_equal_rate, mean_difference
from tests.results.finals import finals

BETAS = (0.1, 0.3, 1.0, 3.0)
GRID = {"model": ["inertia_vae"], "beta": BETAS, "gamma": [0.0, 0.5], "seed": [0, 1, 2]}
SHIFT = (0.11, 0.14, 0.08)
"""Of each seed: by how much γ = 0.5 is better at equal KL."""


def rate(config):
    """γ = 0.5 has less of it at each β."""
    return (6 - 2 * math.log(config["beta"])) * (0.8 if config["gamma"] else 1.0) + 0.1 * config["seed"]


def measure(config):
    """Scores are lines in the KL, steeper in later seeds, which γ = 0.5 lifts by a shift."""
    kl = rate(config)
    score = 0.1 + (0.05 + 0.01 * config["seed"]) * kl + (SHIFT[config["seed"]] if config["gamma"] else 0.0)
    return {"kl": kl, "linear_r2": score, "reconstruction_error": 0.02 - 0.001 * kl, "active_units": 4.0}


def test_lines_that_lie_apart_differ_by_their_distance_at_every_rate():
    found = at_equal_rate(finals([GRID], measure), ["linear_r2"])
    assert len(found) == 1 + POINTS
    expected = stats.ttest_1samp(SHIFT, 0.0)
    interval = expected.confidence_interval(0.95)
    for row in found.to_dict("records"):
        assert (row["arm"], row["baseline"], row["seeds"]) == ("γ = 0.5", "γ = 0", 3)
        assert row["difference"] == pytest.approx(np.mean(SHIFT))
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
        assert row["p_value"] == pytest.approx(expected.pvalue)
    assert found["p_holm"].tolist() == pytest.approx([min(1, 4 * expected.pvalue)] * 4)


def test_at_equal_beta_the_same_arms_differ_by_their_rates_as_well():
    trials = finals([GRID], measure)
    by_arm = trials[trials["beta"] == 1].groupby("gamma")["linear_r2"].mean()
    assert by_arm[0.5] - by_arm[0.0] < np.mean(SHIFT) - 0.05


def test_only_rates_that_both_arms_reach_with_every_seed_are_compared():
    trials = finals([GRID], measure)
    ends = trials.groupby(["gamma", "seed"])["kl"].agg(["min", "max"])
    found = at_equal_rate(trials, ["linear_r2"])
    low, high = ends["min"].max(), ends["max"].min()
    assert (found.loc[0, "kl_from"], found.loc[0, "kl_to"]) == pytest.approx((low, high))
    assert found.loc[1:, "kl_from"].tolist() == pytest.approx([low, (low + high) / 2, high])
    assert (found.loc[1:, "kl_from"] == found.loc[1:, "kl_to"]).all()


def test_arms_without_a_rate_in_common_are_not_compared():
    def apart(config):
        return {**measure(config), "kl": rate(config) + (100.0 if config["gamma"] else 0.0)}

    (row,) = at_equal_rate(finals([GRID], apart), ["linear_r2"]).to_dict("records")
    assert math.isnan(row["difference"]) and row["seeds"] == 0


def test_an_arm_that_collapsed_everywhere_has_a_row_without_numbers():
    def collapsed(config):
        return {**measure(config), "active_units": 0.0 if config["gamma"] else 4.0}

    (row,) = at_equal_rate(finals([GRID], collapsed), ["linear_r2"]).to_dict("records")
    assert row["arm"] == "γ = 0.5" and row["seeds"] == 0
    assert all(math.isnan(row[name]) for name in ("kl_from", "kl_to", "difference", "p_holm"))


def test_collapsed_networks_count_for_reconstruction_alone():
    def collapsed(config):
        gone = config["beta"] == 3
        return {**measure(config), **({"active_units": 0.0, "linear_r2": 5.0} if gone else {})}

    trials = finals([GRID], collapsed)
    found = at_equal_rate(trials, ["linear_r2", "reconstruction_error"]).groupby("metric").first()
    assert found.loc["linear_r2", "difference"] == pytest.approx(np.mean(SHIFT))
    left = trials[trials["beta"] < 3]
    assert found.loc["linear_r2", "kl_from"] == pytest.approx(left.groupby(["gamma", "seed"])["kl"].min().max())
    assert found.loc["reconstruction_error", "kl_from"] < found.loc["linear_r2", "kl_from"]
    # One line for both arms: they do not differ, and agree in it to the last digit.
    assert found.loc["reconstruction_error", "difference"] == pytest.approx(0)


def test_the_mean_along_a_range_is_that_of_the_lines_between_points():
    rng = np.random.default_rng(2)
    one, other = ((np.sort(rng.uniform(0, 10, 5)), rng.normal(size=5)) for _ in range(2))
    low, high = max(one[0][0], other[0][0]), min(one[0][-1], other[0][-1])

    def apart(rates):
        return np.interp(rates, *one) - np.interp(rates, *other)

    knots = [k for k in (*one[0], *other[0]) if low < k < high]
    expected = integrate.quad(apart, low, high, points=knots)[0] / (high - low)
    assert mean_difference(one, other, low, high) == pytest.approx(expected)


def test_a_grid_of_one_beta_has_no_curves():
    assert at_equal_rate(finals([{**GRID, "beta": [1.0]}], measure), ["linear_r2"]).empty


def test_with_one_seed_there_is_no_interval():
    found = at_equal_rate(finals([{**GRID, "seed": [1]}], measure), ["linear_r2"])
    assert found["difference"].tolist() == pytest.approx([SHIFT[1]] * 4)
    assert found[["ci_low", "ci_high", "p_value", "p_holm"]].isna().all(axis=None)


def test_counts_have_a_difference_but_no_interval():
    def counted(config):
        return {**measure(config), "active_units": 1.0 + (config["seed"] + 1 if config["gamma"] else 0)}

    found = at_equal_rate(finals([GRID], counted), ["active_units"])
    assert found["difference"].tolist() == pytest.approx([2.0] * 4)
    assert found[["ci_low", "ci_high", "p_value", "p_holm"]].isna().all(axis=None)
