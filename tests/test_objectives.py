"""Loss terms against their closed forms, in which nothing of the package takes part."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal
from torch.distributions import kl_divergence as kl_of_distributions

from dd_ray.data import make_dataset
from dd_ray.models import VARIANTS, build_model
from dd_ray.objectives import (
    factor_error,
    kl_divergence,
    objective,
    original_prediction_error,
    prediction_error,
    reconstruction_error,
)
from tests.small import VAES, small


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def test_kl_is_that_of_the_distributions(rng):
    mu, logvar = torch.randn(2, 50, 3, 4, generator=rng, dtype=torch.float64) * 2
    expected = kl_of_distributions(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(mu, logvar), expected)


def test_kl_is_zero_at_the_prior_and_positive_elsewhere(rng):
    assert not kl_divergence(torch.zeros(3), torch.zeros(3)).any()
    mu, logvar = torch.randn(2, 1000, generator=rng, dtype=torch.float64)
    assert (kl_divergence(mu, logvar) > 0).all()


def test_gaussian_error_is_the_sum_of_squares_per_video(rng):
    images, reconstruction = torch.rand(2, 5, 3, 1, 4, 4, generator=rng)
    expected = sum(float(((a - b) ** 2).sum()) for a, b in zip(images, reconstruction, strict=True)) / 5
    assert reconstruction_error(images, reconstruction, "gaussian").item() == pytest.approx(expected)


def test_bernoulli_error_is_the_negative_log_likelihood_per_video(rng):
    images, reconstruction = torch.rand(2, 5, 3, 1, 4, 4, generator=rng, dtype=torch.float64)
    black_and_white = images.round()
    expected = -Bernoulli(reconstruction).log_prob(black_and_white).sum() / 5
    torch.testing.assert_close(reconstruction_error(black_and_white, reconstruction, "bernoulli"), expected)


def test_bernoulli_error_of_grey_images_is_least_at_the_images(rng):
    images, other = torch.rand(2, 5, 3, 1, 4, 4, generator=rng)
    least = reconstruction_error(images, images, "bernoulli")
    assert reconstruction_error(images, 0.9 * images + 0.1 * other, "bernoulli") > least


def test_bernoulli_error_of_a_saturated_decoder_is_finite():
    images = torch.tensor([0.0, 1.0]).view(1, 1, 1, 1, 2)
    assert torch.isfinite(reconstruction_error(images, 1 - images, "bernoulli"))


def test_prediction_error_counts_from_the_third_frame_and_averages_over_videos():
    mu = torch.zeros(2, 4, 3)
    predicted = torch.zeros(2, 4, 3)
    predicted[:, :2] = 100.0
    assert prediction_error(mu, predicted) == 0
    predicted[0, 2] = 1.0
    predicted[1, 3] = 2.0
    assert prediction_error(mu, predicted) == 0.5 * (3 + 12) / 2


def test_the_original_prediction_error_sees_two_frames_of_one_video(rng):
    mu = torch.randn(3, 4, 2, generator=rng)
    changed = mu.clone()
    changed[1:] = 7
    changed[0, 2:] = 7
    assert original_prediction_error(changed) == original_prediction_error(mu)
    assert original_prediction_error(2 * mu) == pytest.approx(4 * original_prediction_error(mu).item())


def test_factor_error_is_the_mean_square(rng):
    predicted, target = torch.rand(2, 3, 2, 4, generator=rng)
    torch.testing.assert_close(factor_error(predicted, target), (predicted - target).square().mean())


def _terms(config, noise_seed=0):
    model, batch = build_model(config), make_dataset(config).batch(0)
    shape = model.noise_shape(*batch.images.shape[:2])
    noise = None if shape is None else torch.randn(shape, generator=torch.Generator().manual_seed(noise_seed))
    return objective(config, model(batch, noise))


@pytest.mark.parametrize("model", VARIANTS)
def test_the_loss_is_the_weighted_sum_of_its_parts(model):
    config = small(model)
    weights = {"kl": config.beta_value, "prediction": config.lam}
    terms = _terms(config)
    expected = sum(weights.get(name, 1) * part.item() for name, part in terms.parts.items())
    assert terms.loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("model", VAES)
def test_terms_do_not_depend_on_the_size_of_the_batch_beyond_chance(model):
    config = small(model, batch_size=6, stochastic=False)
    network, batch = build_model(config), make_dataset(config).batch(0)
    outputs = network(batch)
    whole = objective(config, outputs).parts
    halves = [
        objective(config, network(type(batch)(batch.images[half], batch.factors[half]))).parts
        for half in (slice(0, 3), slice(3, 6))
    ]
    for name, part in whole.items():
        torch.testing.assert_close(part, (halves[0][name] + halves[1][name]) / 2)


@pytest.mark.parametrize("model", VAES)
def test_a_plain_autoencoder_pays_no_kl_and_sees_no_noise(model):
    config = small(model, stochastic=False)
    first, second = _terms(config, noise_seed=0), _terms(config, noise_seed=1)
    assert "kl" not in first.parts
    assert torch.equal(first.loss, second.loss)


@pytest.mark.parametrize("model", VAES)
def test_a_stochastic_model_sees_its_noise(model):
    assert _terms(small(model), noise_seed=0).loss != _terms(small(model), noise_seed=1).loss


@pytest.mark.parametrize("model", VAES)
def test_the_likelihood_decides_the_reconstruction_term_and_no_other(model):
    gaussian, bernoulli = (_terms(small(model, likelihood=name)).parts for name in ("gaussian", "bernoulli"))
    assert bernoulli.pop("reconstruction") > 2 * gaussian.pop("reconstruction")
    assert bernoulli == gaussian
