"""Codes whose scores are known: the reference's `metric_calibration`, and what follows from theory.

Its factors and noise are another draw than these. It scored 5,000 points, and fitted on 5,000 others.
"""

import numpy as np
import pytest
from scipy.stats import rankdata

from dd_ray.metrics import (
    dci,
    linear_r2,
    mean_correlation_coefficient,
    mig,
    mig_equal_width,
    modularity,
    nonlinear_r2,
    sap,
)
from tests.metrics.codes import CODES, NUM_POINTS, ONE_DRAW

SCORED = slice(NUM_POINTS // 2, None)
CHEAP = {
    "MIG_hist20": lambda z, f: mig_equal_width(z[SCORED], f[SCORED]),
    # Bins of equal width of the ranks of latents are their rank bins; factors are binned by width.
    "MIG_quantile20": lambda z, f: mig_equal_width(rankdata(z[SCORED], axis=0), f[SCORED]),
    "SAP_continuous": lambda z, f: sap(z[SCORED], f[SCORED]),
    "R2_linear": lambda z, f: linear_r2(z, f).mean(),
    "MCC_pearson": mean_correlation_coefficient,
    "MCC_spearman": lambda z, f: mean_correlation_coefficient(z, f, method="spearman"),
}


def test_every_code_of_the_reference_is_scored_here(numbers):
    assert set(CODES) | ONE_DRAW == set(numbers["metric_calibration"])


@pytest.mark.parametrize("score", CHEAP)
@pytest.mark.parametrize("code", CODES)
def test_known_codes_have_the_scores_of_the_reference(numbers, coded, code, score):
    # A mean of draws, as one has a standard deviation of up to 0.01 (equal-width bins of normal latents).
    found = np.mean([CHEAP[score](*coded(code, draw)) for draw in range(4)])
    assert found == pytest.approx(numbers["metric_calibration"][code][score], abs=0.02)


@pytest.mark.parametrize(
    "code",
    # One that mixes factors always; the others, each of which takes seconds, when asked for.
    [code if code == "circle_xy_rotated_45" else pytest.param(code, marks=pytest.mark.slow) for code in CODES],
)
def test_known_codes_have_the_dci_of_the_reference(numbers, coded, code):
    # Where factors are not encoded their importances are spread at random: D has a deviation of 0.014 then.
    draws = range(3) if code == "background_only_plus_2_dead" else range(1)
    results = [dci(*coded(code, draw)) for draw in draws]
    found = np.mean([[r.disentanglement, r.completeness, r.informativeness] for r in results], axis=0)
    expected = [numbers["metric_calibration"][code][f"DCI_gbt_{score}"] for score in ("D", "C", "R2")]
    np.testing.assert_allclose(found, expected, atol=0.03)


@pytest.mark.parametrize("code", ["identity", "monotone_warp_normal_quantile", "monotone_warp_cubed"])
def test_rank_bins_score_every_monotone_code_alike(coded, code):
    assert mig(*coded(code)) == pytest.approx(0.99, abs=0.005)
    assert mig(*coded(code)) == mig(*coded("identity"))


MODULARITY = {
    "identity": 1,
    "permuted_and_negated": 1,
    "identity_plus_noise_sd0.1": 1,
    "monotone_warp_cubed": 1,
    "non_monotone_abs": 1,
    "identity_duplicated_8d": 1,
    # A latent that tells two of four factors alike deviates by 1/3 from one that tells one.
    "circle_xy_rotated_45": (2 * 1 + 2 * 2 / 3) / 4,
    "both_pairs_rotated_45": 2 / 3,
}


@pytest.mark.parametrize("code", MODULARITY)
def test_modularity_is_one_for_latents_of_one_factor_and_less_for_mixtures(coded, code):
    assert modularity(*coded(code)) == pytest.approx(MODULARITY[code], abs=0.01)


def test_modularity_does_not_miss_a_factor_that_is_not_told(coded):
    latents, factors = coded("background_only_plus_2_dead")
    assert modularity(latents, factors, np.array([True, True, False, False])) == pytest.approx(1, abs=0.01)
    assert modularity(np.full_like(latents, 0.3), factors) == 0


def test_a_latent_of_all_factors_alike_is_not_modular(factors):
    assert modularity(factors.sum(axis=1, keepdims=True), factors) == pytest.approx(0, abs=0.15)


NONLINEAR_R2 = {
    "identity": 1,
    "both_pairs_rotated_45": 1,
    "monotone_warp_cubed": 1,
    "identity_plus_6_noise_dims": 1,
    "identity_plus_noise_sd0.1": (1 / 12) / (1 / 12 + 0.01),
    "pure_noise": 0,
    # The sign is lost, and with it all of a factor that is symmetric about ½.
    "non_monotone_abs": 0,
    "background_only_plus_2_dead": (0, 0, 1, 1),
}


SELDOM = {"identity", "both_pairs_rotated_45", "monotone_warp_cubed", "identity_plus_6_noise_dims", "pure_noise"}
"""What is easier than the others, each of which takes a second."""


@pytest.mark.parametrize(
    "code", [pytest.param(code, marks=pytest.mark.slow) if code in SELDOM else code for code in NONLINEAR_R2]
)
def test_nonlinear_r2_is_what_the_code_holds(coded, code):
    found = nonlinear_r2(*coded(code))
    np.testing.assert_allclose(found, np.broadcast_to(NONLINEAR_R2[code], 4), atol=0.04)


def test_nonlinear_r2_sees_what_no_line_sees(factors):
    # A point on a circle tells its angle, which is no linear function of it.
    angle = 2 * np.pi * 0.9 * factors[:, :1]
    latents = np.hstack([np.cos(angle), np.sin(angle)])
    assert linear_r2(latents, factors[:, :1])[0] < 0.8
    assert nonlinear_r2(latents, factors[:, :1])[0] > 0.99
