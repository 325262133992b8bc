"""What a map marks, and its pooled intervals: against scipy, closed forms and simulated maps."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dd_ray.results.comparisons import (
    BEYOND_QUADRATURE,
    LEVEL,
    SCALES,
    Scale,
    by_flips,
    expected_largest,
    holm,
    pooled_widths,
    residual_squares,
    told_apart,
)
from dd_ray.results.comparisons.dunnett import chance_beyond
from dd_ray.results.comparisons.variances import are_alike, pooled_variance

Array = NDArray[np.float64]
ROWS, CELLS = 8, 4
"""Of a simulated map of 8 × 5 cells: rows, and the cells beside the reference of each."""
MAPS = 150
"""Of each number of seeds."""


def normal(rng: np.random.Generator, seeds: int) -> Array:
    """Scores [rows, 1 + cells, seeds] without an effect; all cells of a seed share a part."""
    return rng.normal(size=(ROWS, 1 + CELLS, seeds)) + 2 * rng.normal(size=seeds)


def bimodal(rng: np.random.Generator, seeds: int) -> Array:
    """Scores of which one in five is of the networks that did not find the circle."""
    lost = rng.random((ROWS, 1 + CELLS, seeds)) < 0.2
    return np.where(lost, 0.3, 0.9) + 0.01 * rng.normal(size=lost.shape)


def marked(maps: Array) -> NDArray[np.bool_]:
    """[rows × cells] which cells are marked."""
    scores = maps[:, 1:].reshape(-1, maps.shape[-1])
    references = np.repeat(maps[:, 0], CELLS, axis=0)
    return told_apart(scores, references, np.repeat(np.arange(ROWS), CELLS)).marked


@pytest.mark.parametrize(("draw", "level"), [(normal, 0.05), (bimodal, 0.10)])
def test_a_map_without_an_effect_is_seldom_marked(draw, level: float) -> None:
    rng, shares = np.random.default_rng(0), []
    for seeds in range(2, 11):
        shares.append(np.mean([marked(draw(rng, seeds)).any() for _ in range(MAPS)]))
        assert shares[-1] <= level + 3.3 * np.sqrt(level * (1 - level) / MAPS), f"{seeds} seeds: {shares[-1]}"
    # All numbers of seeds together, so that a level that is a little too high shows as well.
    assert np.mean(shares) <= level + 2 * np.sqrt(level * (1 - level) / (MAPS * len(shares)))


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("steady", [(0, 1), (0, 1, 2, 3)])
def test_cells_that_vary_less_than_their_reference_lend_no_certainty(seeds: int, steady: tuple[int, ...]) -> None:
    """As where an effect brings scores near 1 in some cells, or all: means may still be those of the reference."""
    rng, number = np.random.default_rng(9), 0
    for _ in range(MAPS):
        maps = rng.normal(size=(ROWS, 1 + CELLS, seeds))
        maps[:, 1:][:, steady] *= 0.02
        number += bool(marked(maps).any())
    assert number / MAPS <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / MAPS)


def test_a_true_difference_is_found_more_often_than_by_the_variance_of_its_own_cell() -> None:
    rng, pooled, own = np.random.default_rng(1), 0, 0
    for _ in range(100):
        maps = normal(rng, 3)
        maps[3, 2] += 3
        pooled += marked(maps)[3 * CELLS + 1]
        own += stats.ttest_rel(maps[3, 2], maps[3, 0]).pvalue * ROWS * CELLS < 0.05
    assert own <= 10
    assert pooled >= 40


@pytest.mark.parametrize("seeds", [6, 10])
def test_a_true_difference_is_found_where_signs_are_flipped_too(seeds: int) -> None:
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(40):
        maps = normal(rng, seeds)
        maps[0, 1] -= 3
        found += marked(maps)[0]
    assert found >= 34


def test_one_group_has_the_bound_of_dunnett() -> None:
    """Against a Monte Carlo estimate of the same chance, and scipy's of another design of the same correlation."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(200_000, 1 + 4 + 3))
    s = np.sqrt(rng.chisquare(14, size=(len(z), 1)) / 14)
    largest = np.abs(np.hstack([z[:, 1:5] - z[:, :1], z[:, 6:] - z[:, 5:6]]) / (np.sqrt(2) * s)).max(axis=1)
    for bound in (1.0, 2.0, 2.9, 4.0):
        share = (largest > bound).mean()
        assert chance_beyond(bound, np.repeat([0, 1], [4, 2]), 14) == pytest.approx(
            share, abs=4 * np.sqrt(share / len(z)) + 1e-5
        )
    samples = rng.normal(size=(5, 6))
    found = stats.dunnett(*samples[1:], control=samples[0], rng=np.random.default_rng(4))
    for statistic, p_value in zip(np.abs(found.statistic), found.pvalue, strict=True):
        assert chance_beyond(statistic, np.zeros(4, int), 25) == pytest.approx(p_value, abs=2e-3)


def test_bounds_of_p_values_mark_the_same_differences_in_less_time() -> None:
    rng = np.random.default_rng(6)
    for effect in (0.0, 0.3, 1.0, 3.0):
        scores = rng.normal(effect, size=(24, 4)) * rng.uniform(0.5, 2)
        references, groups = rng.normal(size=(6, 4)).repeat(4, axis=0), np.arange(6).repeat(4)
        exact, bound = (told_apart(scores, references, groups, least) for least in (BEYOND_QUADRATURE, LEVEL))
        np.testing.assert_array_equal(bound.marked, exact.marked)
        assert (bound.p_values >= exact.p_values - 1e-9).all()
        np.testing.assert_array_equal(bound.p_values[~exact.marked], exact.p_values[~exact.marked])
    assert exact.marked.any() and (bound.p_values != exact.p_values).any()


def test_flips_are_judged_from_the_largest_mean_down() -> None:
    differences = np.random.default_rng(8).normal([[1.5], [0.0], [0.9], [-1.2], [0.0]], 0.8, (5, 7))
    signs = np.array(list(itertools.product([1.0], *[[1.0, -1.0]] * 6)))
    means, measured = np.abs(signs @ differences.T) / 7, np.abs(differences.mean(axis=1))
    expected, left, highest = np.empty(5), [*np.argsort(-measured)], 0.0
    while left:
        if highest <= LEVEL:
            highest = max(highest, (means[:, left].max(axis=1) >= measured[left[0]] * (1 - 1e-9)).mean())
        expected[left.pop(0)] = highest
    assert by_flips(differences) == pytest.approx(expected, abs=1e-12)
    assert (expected <= LEVEL).sum() == 2 and len({*expected}) == 3


def test_of_many_seeds_flips_are_drawn_at_random_and_always_the_same() -> None:
    differences = np.random.default_rng(55).normal([[0.5], [0.3], [0.0]], 1.0, (3, 13))
    found = [by_flips(differences) for _ in range(2)]
    signs = 1 - 2 * (np.arange(2**12)[:, None] >> np.arange(13) & 1)
    share = (np.abs(signs @ differences.T).max(axis=1) >= np.abs(differences.sum(axis=1)).max() * (1 - 1e-9)).mean()
    assert 0.01 < share < 0.1
    assert found[0].min() == pytest.approx(share, abs=4 * np.sqrt(share / 2048))
    np.testing.assert_array_equal(*found)


def test_flips_as_large_as_what_was_measured_count_whatever_their_rounding() -> None:
    numbers = np.random.default_rng(35).integers(-3, 9, size=(4, 8)).astype(float)
    assert by_flips(numbers / 10).tolist() == by_flips(numbers / 7).tolist() == by_flips(numbers).tolist()


def test_a_smaller_mean_whose_seeds_agree_more_is_no_surer_than_a_larger_one() -> None:
    larger, smaller = np.r_[np.full(6, 10.0), -1.0], np.full(7, 8.0)
    assert by_flips(smaller[None]) == 1 / 64
    assert by_flips(np.array([larger, smaller])) == pytest.approx([2 / 64, 2 / 64])


@pytest.mark.parametrize(("lacks", "seeds"), [(2, [7, 7, 6]), (0, [6, 7, 7])])
def test_without_a_score_differences_are_taken_as_independent(lacks: int, seeds: list[int]) -> None:
    """Of cells that share a reference, which is cautious; a seed that one of them lacks counts for the others."""
    rng = np.random.default_rng(16)
    scores, references = rng.normal([[1.0], [0.0], [0.0]], size=(3, 7)), np.tile(rng.normal(size=7), (3, 1))
    scores[lacks, 1] = np.nan
    differences = scores - references
    squares, degrees = residual_squares(np.vstack([np.zeros(7), differences]))
    statistics = np.abs(np.nanmean(differences, axis=1)) / np.sqrt(squares / degrees * 2 / np.array(seeds))
    found = told_apart(scores, references, [0, 0, 0])
    p_values = found.p_values
    assert not found.flipped
    assert p_values.min() == pytest.approx(chance_beyond(statistics.max(), np.arange(3), degrees))
    assert p_values.min() > chance_beyond(statistics.max(), np.zeros(3, int), degrees) * 1.01


def test_where_variances_differ_a_difference_that_lacks_a_seed_is_judged_by_those_it_has() -> None:
    rng = np.random.default_rng(17)
    scores = rng.normal(size=(6, 5)) * np.r_[0.001, np.ones(5)][:, None] + np.r_[1.0, np.zeros(5)][:, None]
    scores[0, 4] = np.nan
    found = told_apart(scores, np.ones((6, 5)), np.arange(6))
    assert not found.alike and found.number == 6 and not np.isnan(found.p_values).any()


@pytest.mark.parametrize("seeds", [3, 5])
def test_of_one_cell_and_its_reference_the_variances_are_alike(seeds: int) -> None:
    """What is left of two cells without the means of seeds differs by its sign alone."""
    rng = np.random.default_rng(10)
    found = [told_apart(*rng.random((2, 1, seeds)), [0]) for _ in range(100)]
    assert all(each.alike and each.scale == "identity" for each in found)


def test_one_difference_is_judged_as_by_the_paired_t_test() -> None:
    rng = np.random.default_rng(5)
    scores, references = rng.normal(2, size=4), rng.normal(size=4)
    (p_value,) = told_apart([scores], [references], [0]).p_values
    assert p_value == pytest.approx(stats.ttest_rel(scores, references).pvalue, rel=1e-4)


@pytest.mark.parametrize(
    ("seeds", "least", "family"),
    [(5, 0, "1 difference: Dunnett's bound"), (6, 1 / 32, "1 difference: Dunnett's bound, flips of signs")],
)
def test_with_enough_seeds_flips_of_signs_have_to_agree(seeds: int, least: float, family: str) -> None:
    scores = 100 + np.arange(float(seeds))
    found = told_apart([scores], np.zeros((1, seeds)), [0])
    assert found.p_values == pytest.approx([max(stats.ttest_1samp(scores, 0).pvalue, least)], rel=0.02)
    assert found.family == family


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 8, 16, 300])
@pytest.mark.parametrize("p_value", [0.05, 1e-3, 1e-4, 1e-6, 1e-10])
def test_small_p_values_of_one_difference_are_those_of_the_t_test(degrees: int, p_value: float) -> None:
    bound = float(stats.t.isf(p_value / 2, degrees))
    assert chance_beyond(bound, np.zeros(1, int), degrees) == pytest.approx(p_value, rel=0.02)


def test_no_p_value_exceeds_1() -> None:
    assert chance_beyond(0.0, np.zeros(3, int), 2) == 1


def test_residuals_are_those_of_an_analysis_of_variance_in_blocks() -> None:
    values = np.random.default_rng(6).normal(size=(5, 4))
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    assert residual_squares(values) == (pytest.approx((rest**2).sum()), 4 * 3)
    # Without a score, it is as with the one that fits best in its place (Yates 1933).
    values[0, 0] = np.nan
    of_cell, of_seed, of_all = np.nansum(values[0]), np.nansum(values[:, 0]), np.nansum(values)
    filled = np.where(np.isnan(values), (5 * of_cell + 4 * of_seed - of_all) / (4 * 3), values)
    assert residual_squares(values) == (pytest.approx(residual_squares(filled)[0]), 11)


def test_whether_seeds_differ_does_not_depend_on_the_size_of_other_cells() -> None:
    small, large = np.array([1e-12, 2e-12, 4e-12]), np.array([1.0, 2.0, 4.0])
    assert told_apart([small, large], np.zeros((2, 3)), [0, 1]).number == 2


def test_p_values_do_not_depend_on_the_unit_of_scores() -> None:
    scores, references = np.random.default_rng(18).normal(size=(2, 4, 3))
    p_values = told_apart(scores, references, [0, 0, 1, 1]).p_values
    for unit in (1e-200, 1e200):
        assert told_apart(unit * scores, unit * references, [0, 0, 1, 1]).p_values == pytest.approx(p_values)


def test_a_difference_that_varies_more_than_others_is_judged_by_its_own_variance_among_all_of_them() -> None:
    scores = np.random.default_rng(33).normal(size=(6, 5)) * np.r_[100.0, np.ones(5)][:, None]
    scores[0] += 300
    own = [stats.ttest_1samp(cell, 0).pvalue for cell in scores]
    assert told_apart(scores, np.zeros((6, 5)), np.arange(6)).p_values[0] == pytest.approx(6 * min(own)) == 6 * own[0]


def test_differences_that_vary_unlike_are_told_though_cells_vary_alike() -> None:
    rng = np.random.default_rng(19)
    scores, references = rng.normal(size=(2, 6, 5))
    scores[0] = references[0] + 1e-3 * rng.normal(size=5)
    found = told_apart(scores, references, np.arange(6))
    assert not found.alike and found.family == "6 differences: Dunnett's bound, own variances"


@pytest.mark.parametrize(("spread", "alike"), [(1.0, True), (0.02, False)])
def test_neither_what_seeds_share_nor_levels_of_cells_hide_that_references_vary_more(
    spread: float, alike: bool
) -> None:
    rng = np.random.default_rng(20)
    shared = 10 * rng.normal(size=5)
    references = shared + rng.normal(size=(6, 5))
    scores = shared + spread * rng.normal(size=(6, 5)) + 100 * np.arange(6)[:, None]
    scores[5, 4] = np.nan
    assert told_apart(scores, references, np.arange(6)).alike == alike


def test_a_reference_counts_once_however_many_share_it_and_is_unlike_where_it_clearly_is() -> None:
    """By Bartlett's test of scipy, of what is left without the means of cells and seeds."""
    rng = np.random.default_rng(29)
    references, scores = np.repeat(2.2 * rng.normal(size=(1, 5)), 6, axis=0), rng.normal(size=(6, 5))
    once, each = (
        stats.bartlett(*(cells - cells.mean(axis=1, keepdims=True) - cells.mean(axis=0) + cells.mean())).pvalue
        for cells in (np.vstack([scores, references[:1]]), np.vstack([scores, references]))
    )
    assert each < 0.01 < once < 0.05
    assert told_apart(scores, references, [0] * 6).alike


def test_of_a_reference_the_seeds_count_that_any_of_its_cells_has() -> None:
    level, rng = np.logspace(-3, 0, 6)[:, None], np.random.default_rng(30)
    scores, references = (level * np.exp(0.05 * rng.normal(size=(6, 5))) for _ in range(2))
    references[1] = references[0]
    scores[:2, 4] = np.nan
    for score, scale in ((np.nan, "log"), (scores[0, 0], "identity")):
        references[:2, 4], scores[1, 4] = -1.0, score  # a logarithm of it is asked for where a cell has that seed
        assert told_apart(scores, references, [0, 0, 1, 2, 3, 4]).scale == scale


def test_what_has_no_spread_is_not_compared() -> None:
    scores = np.array([[0.3, 0.3, 0.3], [0.9, 0.8, 0.7], [0.1 + 0.2, 0.2 + 0.2, 0.4 + 0.2], [5.0, np.nan, np.nan]])
    references = np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.0], [0.2, 0.3, 0.5], [0.0, 0.0, 0.0]])
    found = told_apart(scores, references, [0, 0, 0, 0])
    assert list(np.isnan(found.p_values)) == [True, False, True, True]
    assert found.number == 1
    others = np.random.default_rng(31).normal(size=(4, 3))
    shared = np.repeat(np.random.default_rng(32).normal(size=(2, 3)), 2, axis=0)
    some = told_apart(np.vstack([scores[0], others]), np.vstack([references[0], shared]), [2, 0, 0, 1, 1])
    assert list(some.p_values[1:]) == list(told_apart(others, shared, [0, 0, 1, 1]).p_values)
    assert not told_apart(scores[:1], references[:1], [0]).marked.any()
    assert not told_apart(np.zeros((0, 3)), np.zeros((0, 3)), []).marked.any()


def test_differences_without_spread_on_a_scale_are_not_compared_on_it() -> None:
    references = np.array([[1.0, 2, 4, 8]])
    found = told_apart(references * [[2.0], [16.0]], np.repeat(references, 2, axis=0), [0, 0])
    assert found.scale == "identity" and not found.marked.any()


def test_an_effect_in_proportion_is_compared_on_the_scale_of_logarithms() -> None:
    rng = np.random.default_rng(7)
    level = np.logspace(-4, 0, 12)[:, None]
    references, scores = (level * np.exp(0.05 * rng.normal(size=(12, 4))) for _ in range(2))
    scores[0] *= 1.5  # a small number, but ten deviations
    found = told_apart(scores, references, np.arange(12))
    assert (found.scale, found.alike) == ("log", True)
    assert list(np.flatnonzero(found.marked)) == [0]


def test_two_seeds_of_nine_cells_have_a_narrow_interval() -> None:
    rng = np.random.default_rng(8)
    scores = 0.01 + 1e-3 * np.arange(9)[:, None] + 3e-4 * rng.normal(size=(9, 2))
    widths = pooled_widths(scores)
    half, variance = widths.half, widths.variance
    assert (variance.scale, variance.alike) == ("identity", True)
    assert len(set(half)) == 1 and 2e-4 < half[0] < 1e-3
    own = stats.t.ppf(0.975, 1) * scores.std(axis=1, ddof=1) / np.sqrt(2)
    assert own.max() > 3 * half[0]


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_pooled_intervals_hold_the_mean_of_a_cell_as_often_as_they_say(shared: float) -> None:
    rng, held = np.random.default_rng(9), []
    for _ in range(400):
        scores = rng.normal(size=(9, 3)) + shared * rng.normal(size=3)
        held.append((np.abs(scores.mean(axis=1)) <= pooled_widths(scores).half).mean())
    assert np.mean(held) >= 0.95 - 3 * np.std(held) / np.sqrt(len(held))
    assert np.mean(held) <= 0.985


def test_degrees_of_freedom_tell_cells_that_rise_and_fall_together() -> None:
    rng = np.random.default_rng(10)
    apart = pooled_variance(rng.normal(size=(50, 3)))
    together = pooled_variance(rng.normal(size=(50, 3)) + 30 * rng.normal(size=3))
    assert apart.degrees > 60
    assert together.degrees == pytest.approx(2, abs=0.05)


def test_degrees_of_freedom_where_scores_are_missing() -> None:
    nan = np.nan
    assert pooled_variance([[0.0, 1.0, nan, nan], [nan, nan, 3.0, 4.0]]).degrees == 2  # of four scores and two cells
    assert pooled_variance([[0.0, 1.0, nan], [3.0, 4.0, nan]]).degrees == 1  # of a seed that is in neither
    # Deviations −½, ½ and −3, −1, 4: squares 26.5, of which those of the means of seeds have 2 degrees, the rest has 1.
    of_seeds = 3.5**2 / 2 + 0.5**2 / 2 + 4**2
    found = pooled_variance([[0.0, 1.0, nan], [2.0, 4.0, 9.0]])
    assert found.deviation == pytest.approx(np.sqrt(26.5 / 3))
    assert found.degrees == pytest.approx(26.5**2 / (of_seeds**2 / 2 + (26.5 - of_seeds) ** 2))


def test_unlike_cells_keep_the_wider_interval() -> None:
    rng = np.random.default_rng(11)
    scores = rng.normal(size=(10, 4)) * np.r_[100.0, np.ones(9)][:, None]
    widths = pooled_widths(scores)
    half, variance = widths.half, widths.variance
    assert not variance.alike
    own = stats.t.ppf(0.975, 3) * scores.std(axis=1, ddof=1) / 2
    assert half[0] == pytest.approx(own[0]) and (half >= own * (1 - 1e-12)).all()
    assert widths.error[0] == pytest.approx(scores[0].std(ddof=1) / 2)
    assert pooled_widths(1e200 * scores).half == pytest.approx(1e200 * half)
    assert np.isnan(pooled_widths(np.vstack([scores, [1.0, np.nan, np.nan, np.nan]])).half[10])  # a cell of one seed


def test_the_scale_is_the_one_on_which_cells_vary_alike() -> None:
    rng = np.random.default_rng(12)
    noise = rng.normal(size=(12, 6))
    centres = np.linspace(-4, 4, 12)[:, None]
    assert pooled_variance(centres + noise).scale == "identity"
    assert pooled_variance(np.exp(2 * centres + 0.3 * noise)).scale == "log"
    assert pooled_variance(1 / (1 + np.exp(-centres - 0.3 * noise))).scale == "logit"
    assert are_alike(noise) and not are_alike(noise * np.logspace(0, 2, 12)[:, None])


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
def test_an_interval_on_a_scale_is_that_of_a_small_deviation_on_it(scale: Scale) -> None:
    middles = np.array([0.02, 0.1, 0.5, 0.9, 0.98])
    slope = (scale.of(middles + 1e-6) - scale.of(middles - 1e-6)) / 2e-6
    assert scale.slope(middles) == pytest.approx(slope)
    scores = middles[:, None] + np.array([-1, 0, 1]) * 1e-3 / slope[:, None]
    widths = pooled_widths(scores)
    assert widths.variance.scale == scale.name and widths.variance.deviation == pytest.approx(1e-3, rel=0.01)
    assert widths.error * slope == pytest.approx(np.full(5, 1e-3 / np.sqrt(3)), rel=0.01)
    assert widths.half == pytest.approx(stats.t.ppf(0.975, widths.variance.degrees) * widths.error)


def test_a_score_at_the_end_of_a_scale_is_not_on_it() -> None:
    assert [scale.holds(np.array([0.5, np.nan, 1.0])) for scale in SCALES] == [True, True, False]
    assert [scale.holds(np.array([0.5, 0.0])) for scale in SCALES] == [True, False, False]


def test_the_test_of_alike_variances_is_that_of_scipy() -> None:
    rng = np.random.default_rng(13)
    for spread in (1.0, 1.5, 2.0, 3.0):
        values = rng.normal(size=(6, 5)) * np.linspace(1, spread, 6)[:, None]
        assert are_alike(values) == (stats.bartlett(*values).pvalue >= 0.05)


def test_one_seed_has_the_interval_of_the_others_and_equal_seeds_none() -> None:
    rng = np.random.default_rng(14)
    scores = np.vstack([rng.normal(size=(6, 2)), [[1.0, np.nan]], [[0.5, 0.5]], [[np.nan, np.nan]]])
    half = pooled_widths(scores).half
    assert half[6] == pytest.approx(half[0] * np.sqrt(2))
    assert np.isnan(half[7:]).all()
    assert np.isnan(pooled_widths(np.ones((3, 2))).half).all()
    assert np.isnan(pooled_widths(rng.normal(size=(3, 1))).half).all()
    in_proportion = np.logspace(-3, 3, 6)[:, None] * np.exp(rng.normal(size=(6, 2)))
    widths = pooled_widths(np.vstack([in_proportion, [[1.0, np.nan]], [[0.0, np.nan]]]))
    assert widths.variance.scale == "log" and list(np.isnan(widths.half[6:])) == [False, True]
    widths = pooled_widths(np.vstack([in_proportion / (1 + in_proportion), [[0.5, np.nan]], [[1.5, np.nan]]]))
    assert widths.variance.scale == "logit" and list(np.isnan(widths.half[6:])) == [False, True]


def test_holm_adjusts_from_the_smallest_up() -> None:
    adjusted = holm(np.array([0.04, 0.001, np.nan, 0.02, 0.9]))
    assert adjusted == pytest.approx([0.08, 0.004, np.nan, 0.06, 0.9], nan_ok=True)
    # No larger one is adjusted to less than a smaller one, and none to more than 1.
    assert holm(np.array([0.011, 0.6, 0.01, 0.7])) == pytest.approx([0.04, 1, 0.04, 1])


def test_the_best_of_many_looks_better_than_it_is() -> None:
    assert expected_largest(1) == 0
    assert expected_largest(2) == pytest.approx(1 / np.sqrt(np.pi), abs=1e-4)
    assert expected_largest(3) == pytest.approx(1.5 / np.sqrt(np.pi), abs=1e-4)
    largest = np.random.default_rng(15).normal(size=(20_000, 144)).max(axis=1).mean()
    assert expected_largest(144) == pytest.approx(largest, abs=0.02)
