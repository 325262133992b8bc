"""Scores of factors that have levels: MIG against mutual information by enumeration of what a code tells of them."""

import numpy as np
import pytest

from dd_ray.metrics import mig, mig_equal_width, modularity
from dd_ray.metrics.binning import level_bins


def _enumerated(joint):
    """I(z; f) / H(f) of a joint distribution [levels of z, levels of f]."""
    of_z, of_f = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    told = joint > 0
    information = (joint[told] * np.log(joint[told] / (of_z * of_f)[told])).sum()
    return information / -(of_f[of_f > 0] * np.log(of_f[of_f > 0])).sum()


def _every_combination(num_levels, counts, points=16_000):
    """A factor [N, 1] whose levels occur in proportion to some counts, in random order."""
    levels = np.repeat(np.arange(num_levels), np.round(points * np.asarray(counts) / np.sum(counts)).astype(int))
    return np.random.default_rng(0).permutation(levels)[:, None]


CASES = {
    "32 levels, halved": (32, np.ones(32), lambda f: f // 2),
    "32 levels, each told": (32, np.ones(32), lambda f: f**3),
    "16 levels, a third told": (16, np.ones(16), lambda f: f % 3),
    "3 levels, two of them rare": (3, np.array([1, 1, 98]), lambda f: f),
    "6 levels, the rare ones told as one": (6, np.array([90, 2, 2, 2, 2, 2]), lambda f: f > 0),
    "40 levels, whose sixth is told": (40, np.arange(1, 41), lambda f: f // 6),
}


@pytest.mark.parametrize("case", CASES)
def test_a_code_of_levels_has_the_mig_of_an_enumeration(case):
    num_levels, counts, code = CASES[case]
    factor = _every_combination(num_levels, counts)
    latent = code(factor).astype(float)
    shares = np.bincount(factor[:, 0], minlength=num_levels) / len(factor)
    told = code(np.arange(num_levels)).astype(int)
    joint = np.zeros((told.max() + 1, num_levels))
    joint[told, np.arange(num_levels)] = shares
    assert mig(latent, factor) == pytest.approx(_enumerated(joint), abs=1e-9)


def test_a_noisy_code_of_levels_has_the_mig_of_an_enumeration(rng):
    # The latent is the level, or with a chance of 0.3 any level.
    factor = _every_combination(12, np.ones(12))
    latent = np.where(rng.random(factor.shape) < 0.3, rng.integers(12, size=factor.shape), factor).astype(float)
    joint = (0.7 * np.eye(12) + 0.3 / 12) / 12
    assert mig(latent, factor) == pytest.approx(_enumerated(joint), abs=0.01)


def test_a_continuous_code_of_many_levels_reaches_their_entropy(rng):
    # Twenty bins of the latent would tell at most log 20 of log 40.
    factor = _every_combination(40, np.ones(40), 20_000)
    latent = factor + rng.uniform(-0.3, 0.3, factor.shape)
    assert mig(latent, factor) > 0.97
    assert np.log(20) / np.log(40) < 0.9
    assert mig_equal_width(latent, factor) == pytest.approx(np.log(20) / np.log(40), abs=0.01)


def test_what_has_levels():
    assert level_bins(np.array([0.5, 0.1, 0.5, 3.0])).tolist() == [1, 0, 1, 2]
    assert level_bins(np.repeat(np.arange(64.0), 50)) is not None
    assert level_bins(np.repeat(np.arange(64.0), 49)) is None
    assert level_bins(np.repeat(np.arange(65.0), 500)) is None
    # 512 videos of 10 frames have no levels of what rests in each.
    assert level_bins(np.repeat(np.random.default_rng(0).random(512), 10)) is None


def test_a_latent_that_is_a_function_of_one_of_many_levels_is_modular(rng):
    """Bins of equally many points would merge neighbours of 40 levels, of which the latent tells odd from even."""
    factors = rng.integers(40, size=(10_000, 2)).astype(float)
    assert modularity(factors % 2, factors) > 0.999
