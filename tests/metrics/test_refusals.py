"""Arguments that scores and intervals refuse, beside those of `test_contract`, in a sentence that says why."""

import numpy as np
import pytest

from dd_ray.metrics import (
    Code,
    HeldOut,
    active_mask,
    active_units,
    applicable,
    beta_vae_score,
    bootstrap_interval,
    constant_velocity,
    curvature,
    factor_vae_score,
    further_scores,
    gaussian_total_correlation,
    linear_r2_of_few,
    mean_correlation_coefficient,
    mean_squared_cross_correlation,
    mean_squared_sweep_correlation,
    prediction_ratio,
    seed_interval,
    straightness,
)

VIDEOS = np.arange(240.0).reshape(6, 10, 4)
POINTS = VIDEOS.reshape(60, 4)


@pytest.mark.parametrize("score", [straightness, curvature, constant_velocity])
@pytest.mark.parametrize("latents", [POINTS, POINTS[0], VIDEOS[None]])
def test_latents_that_are_not_of_videos_do_not_move(score, latents):
    with pytest.raises(ValueError, match=r"latents \(.*\) are not \[B, T, L\]"):
        score(latents)


@pytest.mark.parametrize(
    ("latents", "predicted"),
    [(POINTS, POINTS), (VIDEOS, VIDEOS[:1]), (VIDEOS, VIDEOS[:, :5]), (VIDEOS, VIDEOS[..., :1]), (POINTS[0], VIDEOS)],
)
def test_latents_and_predictions_of_other_frames_have_no_ratio(latents, predicted):
    with pytest.raises(ValueError, match=r"are not \[B, T, L\] both"):
        prediction_ratio(latents, predicted)


@pytest.mark.parametrize("score", [mean_squared_cross_correlation, mean_squared_sweep_correlation])
@pytest.mark.parametrize("responses", [POINTS, VIDEOS[None]])
def test_responses_that_are_not_of_sweeps_are_refused(score, responses):
    with pytest.raises(ValueError, match=r"are not \[F, S, L\]"):
        score(responses)


@pytest.mark.parametrize("score", [active_mask, active_units])
@pytest.mark.parametrize(
    ("latents", "message"), [(np.full((9, 2), np.nan), "NaN or infinite"), (POINTS[:0], r"\(0, 4\) hold no row")]
)
def test_units_without_a_variance_are_not_counted(score, latents, message):
    with pytest.raises(ValueError, match=message):
        score(latents)


@pytest.mark.parametrize(
    ("mu", "variance", "message"),
    [
        (POINTS, POINTS[:7], r"\(60, 4\) and variances \(7, 4\) are not"),
        (POINTS, POINTS[:, :1], "of the same N"),
        (POINTS, 1.0, "of the same N"),
        (VIDEOS, VIDEOS, "of the same N"),
        (POINTS[:0], POINTS[:0], "N ≥ 1"),
        (POINTS, -POINTS, "a variance is -239; give σ²"),
    ],
)
def test_posteriors_that_do_not_belong_together_have_no_total_correlation(mu, variance, message):
    with pytest.raises(ValueError, match=message):
        gaussian_total_correlation(mu, variance)


@pytest.mark.parametrize("confidence", [95, 1, 0, -0.5, np.nan])
def test_a_confidence_is_between_0_and_1(confidence):
    message = rf"confidence = {confidence} is out of range; give a number in \(0, 1\)"
    with pytest.raises(ValueError, match=message):
        seed_interval([1.0, 2.0, 4.0], confidence)
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(np.mean, POINTS, confidence=confidence)


@pytest.mark.parametrize("option", [{"num_resamples": 0}, {"rows_together": 0}, {"rows_together": -2}])
def test_resamples_and_rows_are_at_least_one(option):
    with pytest.raises(ValueError, match="give 1 or more of each"):
        bootstrap_interval(np.mean, POINTS, **option)


def test_lists_are_resampled_as_arrays_are():
    assert bootstrap_interval(np.mean, POINTS.tolist()) == bootstrap_interval(np.mean, POINTS)


@pytest.mark.parametrize("num_labels", [0, -3])
def test_a_read_out_has_a_label(num_labels):
    with pytest.raises(ValueError, match=f"num_labels = {num_labels} is out of range; give 1 or more"):
        linear_r2_of_few(POINTS, POINTS, num_labels)


def test_correlations_are_of_a_known_method():
    with pytest.raises(ValueError, match="no method 'kendall'; give pearson or spearman"):
        mean_correlation_coefficient(POINTS, POINTS, method="kendall")


@pytest.mark.parametrize("score", [beta_vae_score, factor_vae_score])
@pytest.mark.parametrize(
    ("encode", "num_factors", "message"),
    [
        (lambda f: f, 0, "num_factors = 0 leaves none to fix"),
        (lambda f: f[:, 0], 2, r"return \[N, L\] of the same N"),
        (lambda f: f[:-1], 2, r"return \[N, L\] of the same N"),
        (lambda f: f[:, None], 2, r"encode returns \(\d+, 1, 2\)"),
    ],
)
def test_encoders_return_a_row_for_each_of_some_factors(score, encode, num_factors, message):
    with pytest.raises(ValueError, match=message):
        score(encode, num_factors)


@pytest.mark.parametrize(
    ("names", "message"),
    [(["sap", "migg"], "no score 'migg'; give some of"), ("mig", r"'mig' is text; give .* such as \['mig'\]")],
)
def test_unknown_scores_are_named(names, message):
    code = Code(latents=POINTS, factors=POINTS, factor_names=tuple("abcd"), encode=None)
    with pytest.raises(ValueError, match=message):
        further_scores(names, code)
    with pytest.raises(ValueError, match=message):
        applicable(names, ())


@pytest.mark.parametrize("factors", [VIDEOS[:3], VIDEOS.reshape(10, 6, 4)])
def test_factors_of_other_frames_are_not_compared(factors):
    held_out = HeldOut(latents=VIDEOS, predicted=None, factors=factors, factor_names=tuple("abcd"), means={})
    with pytest.raises(ValueError, match="of the same frames"):
        held_out.metrics()
