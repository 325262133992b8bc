"""Scores against factors, on codes whose score is known.

Shapes: N points, L latents, F factors.
"""

import json

import numpy as np
import pytest
import torch
from scipy.stats import norm

from dd_ray.data import Batch, render_circles
from dd_ray.metrics import active_units, linear_r2, mean_correlation_coefficient
from dd_ray.models import load_original
from dd_ray.objectives import kl_divergence

N = 10_000
CODES = {
    "identity": lambda f, rng: f - 0.5,
    "permuted_and_negated": lambda f, rng: -(f - 0.5)[:, [2, 3, 0, 1]],
    "identity_plus_noise_sd0.1": lambda f, rng: f - 0.5 + 0.1 * rng.standard_normal(f.shape),
    "monotone_warp_cubed": lambda f, rng: 4 * (f - 0.5) ** 3 + 0.05 * (f - 0.5),
    "monotone_warp_normal_quantile": lambda f, rng: norm.ppf(f),
    "circle_xy_rotated_45": lambda f, rng: _rotated(f - 0.5, 45, 0),
    "both_pairs_rotated_45": lambda f, rng: _rotated(_rotated(f - 0.5, 45, 0), 45, 2),
    "non_monotone_abs": lambda f, rng: np.abs(f - 0.5),
    "background_only_plus_2_dead": lambda f, rng: np.hstack([(f - 0.5)[:, 2:], 1e-3 * rng.standard_normal((N, 2))]),
    "pure_noise": lambda f, rng: rng.standard_normal(f.shape),
    "identity_plus_6_noise_dims": lambda f, rng: np.hstack([f - 0.5, rng.standard_normal((N, 6))]),
    "identity_duplicated_8d": lambda f, rng: np.hstack([f - 0.5, f - 0.5]),
}
"""The calibration codes of the reference, but for the two that hang on one random matrix."""
ONE_DRAW = {"random_rotation_4d", "collapsed_leaky_1e-4"}


def _rotated(code, degrees: float, column: int):
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    rotated = code.copy()
    rotated[:, column : column + 2] = code[:, column : column + 2] @ rotation
    return rotated


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def factors(rng):
    return rng.random((N, 4))


@pytest.fixture(scope="module")
def numbers(reference):
    return json.loads((reference / "numbers.json").read_text())


def test_every_code_of_the_reference_is_scored_here(numbers):
    assert set(CODES) | ONE_DRAW == set(numbers["metric_calibration"])


@pytest.mark.parametrize("code", CODES)
def test_known_codes_have_the_scores_of_the_reference(numbers, factors, rng, code):
    latents, expected = CODES[code](factors, rng), numbers["metric_calibration"][code]
    # Factors and noise are another draw than the reference's; 0.02 is what 5,000 points leave to chance.
    assert linear_r2(latents, factors).mean() == pytest.approx(expected["R2_linear"], abs=0.02)
    assert mean_correlation_coefficient(latents, factors) == pytest.approx(expected["MCC_pearson"], abs=0.02)


def test_every_rotation_is_linear_but_not_aligned(factors, rng):
    rotation, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    latents = (factors - 0.5) @ rotation
    np.testing.assert_allclose(linear_r2(latents, factors), 1)
    assert 0.5 < mean_correlation_coefficient(latents, factors) < 0.95


def test_rotating_a_pair_lowers_the_mcc_to_its_cosine(factors):
    for degrees in (0, 20, 45):
        latents = _rotated(factors - 0.5, degrees, 0)
        expected = (2 * np.cos(np.deg2rad(degrees)) + 2) / 4
        assert mean_correlation_coefficient(latents, factors) == pytest.approx(expected, abs=0.02)


def test_noise_lowers_r2_to_the_share_of_variance_that_is_signal(factors, rng):
    variance = 1 / 12
    for noise in (0.05, 0.2, 0.5):
        latents = factors + noise * rng.standard_normal(factors.shape)
        expected = variance / (variance + noise**2)
        np.testing.assert_allclose(linear_r2(latents, factors), expected, atol=0.02)
        assert mean_correlation_coefficient(latents, factors) == pytest.approx(expected**0.5, abs=0.02)


@pytest.mark.parametrize("transform", ["permuted", "negated", "scaled", "shifted", "tiny", "huge"])
def test_scores_are_blind_to_order_sign_scale_and_offset(factors, rng, transform):
    latents = factors + 0.3 * rng.standard_normal((N, 4))
    transformed = {
        "permuted": latents[:, [3, 1, 0, 2]],
        "negated": latents * [1, -1, -1, 1],
        "scaled": latents * [1e-5, 1e5, 3, 1],
        "shifted": latents + np.array([1, -1, 100, 0]),
        "tiny": latents * 1e-30,
        "huge": latents * 1e30,
    }[transform]
    np.testing.assert_allclose(linear_r2(transformed, factors), linear_r2(latents, factors), atol=1e-9)
    assert mean_correlation_coefficient(transformed, factors) == pytest.approx(
        mean_correlation_coefficient(latents, factors), abs=1e-9
    )


def test_latents_near_the_end_of_their_type_are_scored(factors):
    latents = (factors * 3e38).astype(np.float32)
    np.testing.assert_allclose(linear_r2(latents, factors), 1, atol=1e-6)
    assert mean_correlation_coefficient(latents, factors) > 0.999


def test_r2_is_scored_on_points_that_were_not_fitted(rng):
    # As many latents as points to fit: every noise is fitted exactly, and tells nothing of the others.
    latents, factors = rng.standard_normal((40, 19)), rng.random((40, 4))
    assert (linear_r2(latents, factors) < 0.5).all()


def test_latents_that_do_not_vary_tell_nothing(factors):
    for constant in (0.0, 0.1, -7.3):
        latents = np.full((N, 3), constant, np.float32)
        np.testing.assert_allclose(linear_r2(latents, factors), 0, atol=1e-3)
        assert mean_correlation_coefficient(latents, factors) == pytest.approx(0, abs=1e-9)


def test_a_constant_latent_beside_others_changes_nothing(factors):
    latents = factors[:, :2]
    padded = np.column_stack([latents, np.full(N, 0.1)])
    np.testing.assert_allclose(linear_r2(padded, factors), linear_r2(latents, factors), atol=1e-9)
    assert mean_correlation_coefficient(padded, factors) == pytest.approx(
        mean_correlation_coefficient(latents, factors)
    )


def test_a_factor_that_does_not_vary_has_no_r2_and_no_correlation(factors):
    factors[:, 1] = 0.3
    r2 = linear_r2(factors.copy(), factors)
    assert np.isnan(r2[1])
    np.testing.assert_allclose(r2[[0, 2, 3]], 1)
    assert mean_correlation_coefficient(factors.copy(), factors) == pytest.approx(3 / 4)


@pytest.mark.parametrize("num_latents", [1, 2, 3])
def test_factors_that_find_no_latent_count_as_nothing(factors, num_latents):
    latents = factors[:, :num_latents]
    assert mean_correlation_coefficient(latents, factors) == pytest.approx(num_latents / 4)
    r2 = linear_r2(latents, factors)
    np.testing.assert_allclose(r2[:num_latents], 1)
    np.testing.assert_allclose(r2[num_latents:], 0, atol=0.01)


def test_one_latent_cannot_stand_for_two_factors(factors):
    latents = np.column_stack([factors[:, 0] + factors[:, 1], np.zeros(N)])
    assert mean_correlation_coefficient(latents, factors[:, :2]) == pytest.approx(0.5**0.5 / 2, abs=0.02)


NETWORKS = {
    "supervised": "encoderbvae_like_dsprites_circle_last_50K",
    **{
        f"beta_vae_4_latents_beta_norm_{beta}": f"staticvae32_betanorm={beta}_dsprites_circle_last_500K"
        for beta in ("0.001", "0.0055", "0.0302", "0.1657", "0.9103", "5.0")
    },
}
UNTRAINED = {"untrained_4"}  # its weights are not recorded


@pytest.fixture(scope="module")
def pictures():
    factors = np.random.default_rng(1).random((N, 4))
    return Batch(torch.from_numpy(render_circles(factors))[:, None, None] / 255, torch.from_numpy(factors)[:, None])


def test_every_network_of_the_reference_is_scored_here(numbers):
    assert set(NETWORKS) | UNTRAINED == set(numbers["metrics_uniform"])


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_trained_networks_have_the_scores_of_the_reference(reference, numbers, pictures, name):
    # Both are estimates from 10,000 random images, and not of the same ones. Over such draws the mean scores
    # have a standard deviation of up to 0.005, and the R² of a factor that a collapsed network hardly tells
    # one of up to 0.013.
    expected = numbers["metrics_uniform"][name]
    model = load_original(reference / "checkpoints" / NETWORKS[name])
    if name == "supervised":
        latents = model(pictures).predicted[:, 0].numpy()
    else:
        mu, logvar = (moment[:, 0] for moment in model.encode(pictures.images))
        latents = mu.numpy()
        kl = kl_divergence(mu, logvar).mean(dim=0).numpy()
        np.testing.assert_allclose(kl, expected["KL_per_latent"], atol=0.02)
        assert kl.sum() == pytest.approx(expected["KL_total"], rel=0.01, abs=1e-6)
        assert active_units(latents) == expected["active_units_var0.01"]
    factors = pictures.factors[:, 0].numpy()
    r2 = linear_r2(latents, factors)
    np.testing.assert_allclose(r2, expected["R2_linear_per_factor"], atol=0.05)
    assert r2.mean() == pytest.approx(expected["R2_linear"], abs=0.02)
    assert mean_correlation_coefficient(latents, factors) == pytest.approx(expected["MCC_pearson"], abs=0.02)
    np.testing.assert_allclose(latents.std(axis=0), expected["mu_std"], atol=0.02)
