"""What all scores of latents against factors share: what they are blind to, their masks, their warnings."""

import warnings
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from sklearn import ensemble

from dd_ray.metrics import (
    Code,
    FewPointsWarning,
    HeldOut,
    block_separation,
    constant_velocity,
    dci,
    further_scores,
    linear_r2,
    linear_r2_of_few,
    mean_correlation_coefficient,
    mig,
    mig_equal_width,
    modularity,
    nonlinear_r2,
    prediction_ratio,
    sap,
)
from tests.metrics.conftest import GROUPS


def _dci(z, f, mask=None):
    result = dci(z, f, mask)
    return result.disentanglement, result.completeness, result.informativeness


def _blocks(z, f, mask=None):
    result = block_separation(z, f, GROUPS, mask)
    return result.disentanglement, result.r2_own, result.r2_other, result.r2_gap


EXACT = {
    "mig": mig,
    "mig_equal_width": mig_equal_width,
    "sap": sap,
    "mcc_pearson": mean_correlation_coefficient,
    "mcc_spearman": lambda z, f, mask=None: mean_correlation_coefficient(z, f, mask, method="spearman"),
    "linear_r2": linear_r2,
    "linear_r2_of_few": lambda z, f, mask=None: linear_r2_of_few(z, f, 100, mask),
    "modularity": modularity,
}
TREES = {"nonlinear_r2": nonlinear_r2, "dci": _dci, "blocks": _blocks}
SCORES = EXACT | TREES
NEED_POINTS = set(SCORES) - {"sap", "mcc_pearson", "mcc_spearman", "linear_r2", "linear_r2_of_few"}
TOLERANCE = dict.fromkeys(EXACT, 1e-9) | dict.fromkeys(TREES, 0.02)
"""Trees break ties between latents at random, and their steps lie on one side of a point."""
NUM_POINTS = 600


@pytest.fixture(scope="module", autouse=True)
def few_trees():
    """A fifth of the trees, and of the time: what all scores share they share with any number."""
    few = partial(ensemble.GradientBoostingRegressor, n_estimators=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "GradientBoostingRegressor", few)
        yield


few_points = pytest.mark.filterwarnings("ignore::dd_ray.metrics.FewPointsWarning")


@pytest.fixture
def factors(rng):
    return rng.random((NUM_POINTS, 4))


@pytest.fixture
def latents(rng, factors):
    return factors @ rng.standard_normal((4, 4)) + 0.1 * rng.standard_normal((NUM_POINTS, 4))


@cache
def _plain(score):
    rng = np.random.default_rng(0)
    factors = rng.random((NUM_POINTS, 4))
    return SCORES[score](factors @ rng.standard_normal((4, 4)) + 0.1 * rng.standard_normal((NUM_POINTS, 4)), factors)


@pytest.fixture
def plain():
    """What a score gives latents and factors as they are, computed once, since trees take a second."""
    return _plain


ALL_AT_ONCE = "permuted, negated, scaled and shifted"
TRANSFORMS = {
    "permuted": lambda z: z[:, [3, 1, 0, 2]],
    "negated": lambda z: z * [1, -1, -1, 1],
    "scaled": lambda z: z * [1e-5, 1e5, 3, 1],
    "shifted": lambda z: z + np.array([1, -1, 100, 0]),
    ALL_AT_ONCE: lambda z: z[:, [3, 1, 0, 2]] * [1, -3, -1, 1e5] + [1, -1, 100, 0],
    "tiny": lambda z: z * 1e-30,
    "huge": lambda z: z * 1e30,
}


@few_points
@pytest.mark.parametrize(
    ("score", "transform"),
    # Trees take a second each time, so what would show with one of the first four shows with all of them at once.
    [
        *((score, transform) for score in EXACT for transform in TRANSFORMS),
        *((score, ALL_AT_ONCE) for score in TREES),
        *(pytest.param(score, size, marks=pytest.mark.slow) for score in TREES for size in ("tiny", "huge")),
    ],
)
def test_scores_are_blind_to_order_sign_scale_and_offset_and_change_no_argument(
    latents, factors, plain, score, transform
):
    transformed = TRANSFORMS[transform](latents)
    before = transformed.copy(), factors.copy()
    np.testing.assert_allclose(SCORES[score](transformed, factors), plain(score), atol=TOLERANCE[score])
    np.testing.assert_array_equal(transformed, before[0])
    np.testing.assert_array_equal(factors, before[1])


@few_points
@pytest.mark.parametrize("score", ["mig", "mcc_spearman", "modularity"])
def test_scores_by_rank_are_blind_to_monotone_functions(latents, factors, score):
    assert SCORES[score](np.exp(3 * latents), factors) == SCORES[score](latents, factors)


@few_points
def test_trees_see_latents_as_small_as_a_penalty_on_their_motion_makes_them(factors):
    latents, factor = factors[:, :2], factors[:, :1]
    assert _dci(1e-9 * latents, factor) == pytest.approx(_dci(latents, factor), abs=1e-3)


@few_points
@pytest.mark.parametrize(
    "score", [*EXACT, "dci", *(pytest.param(s, marks=pytest.mark.slow) for s in TREES if s != "dci")]
)
def test_scores_are_blind_to_the_type(latents, factors, plain, score):
    of_floats = SCORES[score](latents.astype(np.float32), factors.astype(np.float32))
    np.testing.assert_allclose(of_floats, plain(score), atol=0.02)


@few_points
@pytest.mark.parametrize("score", SCORES)
def test_masked_latents_are_not_looked_at(rng, latents, factors, plain, score):
    padded = np.column_stack([factors[:, 1], latents, rng.standard_normal(NUM_POINTS)])
    mask = np.array([False, True, True, True, True, False])
    expected = plain(score)
    np.testing.assert_allclose(SCORES[score](padded, factors, mask), expected, atol=1e-9)
    assert not np.allclose(SCORES[score](padded, factors), expected, atol=1e-4)


@few_points
@pytest.mark.parametrize("score", SCORES)
def test_no_latent_and_latents_that_do_not_vary_score_nothing(latents, factors, score):
    nothing = SCORES[score](latents, factors, np.zeros(4, bool))
    # R² is below 0 by the difference between the means of the halves.
    np.testing.assert_allclose(nothing, 0, atol=0.08)
    np.testing.assert_allclose(SCORES[score](np.full_like(latents, 0.1), factors), nothing, atol=1e-9)


@few_points
@pytest.mark.parametrize("score", sorted(set(SCORES) - {"blocks"}))
def test_a_factor_that_does_not_vary_has_no_score_and_changes_that_of_no_other(latents, factors, score):
    resting = np.column_stack([factors[:, :2], np.full(NUM_POINTS, 0.1), factors[:, 3:]])
    found, expected = SCORES[score](latents, resting), SCORES[score](latents, factors[:, [0, 1, 3]])
    if np.ndim(expected) == 1 and len(expected) == 3 and score != "dci":
        assert np.isnan(found[2])
        found = np.delete(found, 2)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.isnan(SCORES[score](latents, np.full_like(factors, 0.1))).all()


@few_points
def test_groups_of_factors_that_do_not_vary_have_no_part_in_the_separation(latents, factors):
    resting = np.column_stack([factors[:, :3], np.full(NUM_POINTS, 0.1)])
    expected = block_separation(latents, factors[:, :3], GROUPS[:3])
    assert block_separation(latents, resting, GROUPS).r2_gap == pytest.approx(expected.r2_gap, abs=1e-9)
    assert np.isnan(_blocks(latents, factors * [1, 1, 0, 0])).all()


@few_points
def test_the_columns_of_a_table_are_means_of_the_factors_that_vary(latents, factors):
    names = ("circle_x", "circle_y", "background_x", "background_y")
    resting = np.column_stack([factors[:, :3], np.full(NUM_POINTS, 0.1)])
    code = Code(latents=latents, factors=resting, factor_names=names, encode=lambda f: f)
    columns = further_scores(["mig", "sap", "mcc", "linear_r2", "modularity", "dci", "block_separation"], code)
    assert np.isfinite(list(columns.values())).all()
    assert columns["linear_r2_stills"] == pytest.approx(linear_r2(latents, factors[:, :3]).mean())
    held_out = HeldOut(latents=latents[:, None], predicted=None, factors=resting[:, None], factor_names=names, means={})
    assert held_out.metrics()["linear_r2"] == pytest.approx(columns["linear_r2_stills"])
    assert np.isnan(held_out.metrics()["linear_r2/background_y"])


@few_points
def test_scores_are_of_an_even_number_of_videos_and_those_of_motion_of_three_frames_or_more(rng):
    latents, predicted, encoded, factors = rng.standard_normal((4, 101, 4, 2))
    motion = {f"{name}{of}" for name in ("prediction_ratio", "straightness") for of in ("", "_encoder")}

    def held_out(videos, frames):
        arrays = {"latents": latents, "predicted": predicted, "encoded": encoded, "factors": factors}
        of_these = {name: array[:videos, :frames] for name, array in arrays.items()}
        return HeldOut(**of_these, factor_names=("circle_x", "circle_y"), means={"loss": 0.5})

    even = held_out(100, 4).metrics()
    assert held_out(101, 4).metrics() == even and motion < set(even)
    assert even["prediction_ratio"] == prediction_ratio(latents[:100], predicted[:100])
    assert even["prediction_ratio_encoder"] == prediction_ratio(encoded[:100], constant_velocity(encoded[:100]))
    assert motion < set(held_out(100, 3).metrics()) and not motion & set(held_out(100, 2).metrics())
    diverged = replace(held_out(100, 4), encoded=np.full_like(encoded[:100], np.nan)).metrics()
    assert even.items() - diverged.items() == {(name, even[name]) for name in motion if name.endswith("_encoder")}


@few_points
@pytest.mark.parametrize("score", SCORES)
def test_one_latent_is_scored(factors, score):
    assert np.isfinite(SCORES[score](factors[:, :1], factors)).all()


@few_points
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z, f: (z, f[:-1]), "same N points"),
        (lambda z, f: (z[0], f), "same N points"),
        (lambda z, f: (z[:1], f[:1]), "no two points"),
        (lambda z, f: (np.where(z > 0, np.nan, z), f), "NaN"),
        (lambda z, f: (z, np.where(f > np.median(f), np.inf, f)), "NaN or infin"),
        (lambda z, f: (z, f, np.ones(3, bool)), r"expected bool of shape \(4,\)"),
        (lambda z, f: (z, f, np.array([0, 1, 1, 0])), "mask is int"),
    ],
)
def test_what_cannot_be_scored_is_refused(latents, factors, score, change, message):
    with pytest.raises(ValueError, match=message):
        SCORES[score](*change(latents, factors))


@pytest.mark.parametrize("score", sorted(NEED_POINTS - {"dci", "blocks"}))
def test_few_points_are_warned_about_at_the_line_that_asked(rng, score):
    factors = rng.random((5_000, 2))
    with pytest.warns(FewPointsWarning, match=r"4,999 points is biased; give it at least 5,000") as warned:
        SCORES[score](factors[1:], factors[1:])
    assert [warning.filename for warning in warned] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SCORES[score](factors, factors)


@pytest.mark.parametrize("score", ["dci", "blocks"])
def test_few_points_for_trees_are_warned_about_at_the_line_that_asked(latents, factors, score):
    with pytest.warns(FewPointsWarning, match=r"600 points is biased") as warned:
        SCORES[score](latents, factors)
    assert [warning.filename for warning in warned] == [__file__]


@pytest.mark.parametrize("score", sorted(set(SCORES) - NEED_POINTS))
def test_scores_without_bias_are_silent_about_few_points(latents, factors, score):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        SCORES[score](latents[:64], factors[:64])
    assert [warning.category for warning in warned] == []
