"""Scores that draw their own samples, on codes whose score is known."""

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression

from dd_ray.metrics import beta_vae_score, factor_vae_score
from tests.metrics.codes import encoder

SCORES = {"factor_vae": factor_vae_score, "beta_vae": beta_vae_score}
PERFECT = ["identity", "permuted_and_negated", "identity_plus_noise_sd0.1", "monotone_warp_cubed", "non_monotone_abs"]
PERFECT += ["identity_plus_6_noise_dims", "identity_duplicated_8d"]
# 800 votes have a standard error of 0.018 at ½, and their tables one of their own.
GUESSED = {"circle_xy_rotated_45": 3 / 4, "both_pairs_rotated_45": 1 / 2, "pure_noise": 1 / 4}


@pytest.mark.parametrize("code", PERFECT)
@pytest.mark.parametrize("score", SCORES)
def test_each_factor_with_a_latent_of_its_own_is_told(score, code):
    assert SCORES[score](encoder(code), 4) > 0.99


@pytest.mark.parametrize("code", GUESSED)
@pytest.mark.parametrize("score", SCORES)
def test_what_is_symmetric_or_missing_is_guessed(score, code):
    assert SCORES[score](encoder(code), 4) == pytest.approx(GUESSED[code], abs=0.06)


def test_two_missing_factors_are_guessed():
    # Two factors are told, and of the other two that it is one of them.
    dead = encoder("background_only_plus_2_dead")
    assert beta_vae_score(dead, 4) == pytest.approx(3 / 4, abs=0.06)
    # One of the background's latents is the stillest whatever is fixed, and stands for its own factor.
    mask = np.array([True, True, False, False])
    assert factor_vae_score(dead, 4, mask) == pytest.approx(1 / 2, abs=0.06)


@pytest.mark.parametrize("score", SCORES)
def test_scores_follow_from_the_seed(score):
    code = "both_pairs_rotated_45"
    first, again, other = (SCORES[score](encoder(code), 4, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_blind_to_order_sign_scale_and_offset(score):
    def transformed(factors):
        latents = encoder("both_pairs_rotated_45")(factors)
        return latents[:, [3, 1, 0, 2]] * [1e-12, -1, 1e12, 3] + [0, 1, 0, -5]

    expected = SCORES[score](encoder("both_pairs_rotated_45"), 4)
    assert SCORES[score](transformed, 4) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("score", SCORES)
def test_masked_latents_are_not_looked_at(score):
    padded = encoder("identity_duplicated_8d")
    mask = np.array([False] * 2 + [True] * 4 + [False] * 2)
    # Columns 2 to 5 are the background, then the circle.
    assert SCORES[score](padded, 4, mask) > 0.99
    assert SCORES[score](padded, 4, ~mask) > 0.99
    assert SCORES[score](padded, 4, np.array([True, False] * 4)) < 0.8


@pytest.mark.parametrize("score", SCORES)
def test_no_latent_and_latents_that_do_not_vary_score_nothing(score):
    assert SCORES[score](encoder("identity"), 4, np.zeros(4, bool)) == 0
    assert SCORES[score](lambda factors: np.full((len(factors), 3), 0.1, np.float32), 4) == 0


@pytest.mark.parametrize("score", SCORES)
def test_latents_that_do_not_vary_change_nothing(score):
    identity = encoder("identity")
    assert SCORES[score](lambda f: np.column_stack([np.full(len(f), 0.1), identity(f)]), 4) > 0.99


@pytest.mark.parametrize("score", SCORES)
def test_encoders_are_asked_for_bounded_parts_of_factors_in_their_range(score):
    sizes = []

    def encode(factors):
        assert factors.shape[1] == 3
        assert factors.min() >= 0 and factors.max() <= 1
        sizes.append(len(factors))
        return factors

    assert SCORES[score](encode, 3) > 0.99
    assert max(sizes) <= 6_400


class Asked:
    """An encoder of latents that mix factors and noise and differ in size, which remembers what it was asked."""

    def __init__(self):
        self.rng = np.random.default_rng(3)
        self.factors, self.latents = [], []

    def __call__(self, factors):
        mixed = factors @ [[1, 0.5, 0], [0.3, 1, 0], [0, 0.2, 0]] + self.rng.normal(0, [0.4, 0.4, 1], (len(factors), 3))
        self.factors.append(factors)
        self.latents.append(mixed * [1, 1e-3, 1e3])
        return self.latents[-1]

    def votes(self, begin):
        """Factors and latents [1600, 64, 3] of the samples from one on."""
        asked = (np.concatenate(arrays)[begin : begin + 1600 * 64] for arrays in (self.factors, self.latents))
        return tuple(array.reshape(1600, 64, 3) for array in asked)


def _fixed(alike):
    """Return the factor that each vote fixes, of bool [1600, 64, 3] that tells where samples are alike."""
    of_votes = alike.all(axis=1)
    assert (of_votes.sum(axis=1) == 1).all()
    fixed = of_votes.argmax(axis=1)
    assert np.bincount(fixed) == pytest.approx(1600 / 3, abs=100)
    return fixed


def test_the_factor_vae_score_is_the_share_of_further_votes_that_a_table_of_800_gets_right():
    encode = Asked()
    score = factor_vae_score(encode, 3)
    data = np.concatenate(encode.latents)[:5_000]
    factors, latents = encode.votes(5_000)
    fixed = _fixed(factors == factors[:, :1])
    assert kstest(factors[np.arange(1600), 0, fixed], "uniform").pvalue > 0.001  # at a value of the vote's own
    stillest = (latents.var(axis=1) / data.var(axis=0)).argmin(axis=1)
    table = [np.bincount(fixed[:800][stillest[:800] == d], minlength=3).argmax() for d in range(3)]
    right = [table[d] == k for d, k in zip(stillest[800:], fixed[800:], strict=True)]
    assert score == pytest.approx(np.mean(right)) and 0.4 < score < 0.9


def test_the_beta_vae_score_is_the_share_of_further_votes_that_a_regression_of_800_gets_right():
    encode = Asked()
    score = beta_vae_score(encode, 3)
    (first, z), (second, other_z) = encode.votes(0), encode.votes(1600 * 64)
    fixed = _fixed(first == second)
    values = first[np.arange(1600), :, fixed]
    assert kstest(values.ravel(), "uniform").pvalue > 0.001  # at a value of each pair's own
    differences = np.abs(z - other_z).mean(axis=1)
    differences = (differences - differences[:800].mean(axis=0)) / differences[:800].std(axis=0)
    classifier = LogisticRegression(max_iter=1_000).fit(differences[:800], fixed[:800])
    assert score == pytest.approx(np.mean(classifier.predict(differences[800:]) == fixed[800:])) and 0.4 < score < 0.9
