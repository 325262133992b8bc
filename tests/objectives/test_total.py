"""Loss terms against their closed forms, in which nothing of the package takes part."""

import math
from dataclasses import fields, replace

import pytest
import torch
from scipy.special import entr
from torch.distributions import Bernoulli, Normal
from torch.distributions import kl_divergence as kl_of_distributions

from dd_ray.config import MODELS, OBJECTIVES, resolve
from dd_ray.data import make_dataset
from dd_ray.models import Reconstruction, build_model
from dd_ray.objectives import (
    Posterior,
    Weights,
    factor_error,
    kl_divergence,
    objective,
    original_prediction_error,
    prediction_error,
    reconstruction_error,
    reconstruction_floor,
    slowness_kl,
    velocity_kl,
)
from tests.small import CONFIGS, VAES, each, name_of, quick, small


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


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_a_network_that_has_diverged_has_an_error_of_nan_and_raises_none(likelihood):
    images = torch.full((2, 1, 1, 4, 4), 0.5)
    reconstruction = images.clone()
    reconstruction[0, 0, 0, 1, 2] = math.nan
    assert reconstruction_error(images, reconstruction, likelihood).isnan()


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


def _outputs(config, noise_seed=0):
    model, batch = build_model(config), make_dataset(config).batch(0)
    shape = model.noise_shape(*batch.images.shape[:2])
    noise = None if shape is None else torch.randn(shape, generator=torch.Generator().manual_seed(noise_seed))
    return model(batch, noise)


def _terms(config, noise_seed=0, iteration=0):
    return objective(config, _outputs(config, noise_seed), Weights.at(config, iteration))


PATHS = {
    "slowness": lambda config, mu, logvar: slowness_kl(mu, logvar, config.slowness_rate),
    "velocity": lambda config, mu, logvar: velocity_kl(mu, logvar, config.velocity_scale, config.velocity_alpha),
}
"""The KL [B, n − 1, L] from a prior of paths, of all frames but the first."""


@pytest.mark.parametrize("name", PATHS)
def test_priors_of_paths_are_summed_over_frames_and_latents_and_averaged_over_videos(rng, name):
    mu, logvar = torch.randn(2, 5, 4, 3, generator=rng, dtype=torch.float64)
    config = small("predictive_vae", objective=name)
    penalty = resolve(OBJECTIVES[name].penalty)(config, Posterior(mu, logvar, mu), Weights.at(config, 0))
    first = kl_of_distributions(Normal(mu[:, 0], (logvar[:, 0] / 2).exp()), Normal(0.0, 1.0))
    for term, kl in zip(penalty.values(), (first, PATHS[name](config, mu, logvar)), strict=True):
        torch.testing.assert_close(term.value, torch.stack([of_video.sum() for of_video in kl]).mean())


def test_the_terms_are_those_that_the_model_takes():
    assert {*_terms(small("beta_vae")).parts} == {"reconstruction", "kl"}
    assert {*_terms(small("predictive_vae")).parts} == {"reconstruction", "kl", "prediction"}


EACH = [small(model) for model in MODELS] + [config for config in CONFIGS if config.objective != "beta"]


@pytest.mark.parametrize("iteration", [0, 3])
@pytest.mark.parametrize("config", EACH, ids=name_of)
def test_the_loss_is_the_weighted_sum_of_its_parts(rng, config, iteration):
    weights = {
        **{"kl": config.beta_value, "total_correlation": config.beta_value, "first_kl": config.beta_value},
        **{"prediction": config.lam, "capacity_gap": config.capacity_weight, "slowness": config.slowness_weight},
        "velocity": config.beta_value,
    }
    outputs = _outputs(config)
    if isinstance(outputs, Reconstruction):  # whose terms of the latents are too small to be seen before training
        mu, logvar, noise = torch.randn(3, *outputs.mu.shape, generator=rng, dtype=torch.float64)
        latents = mu + (logvar / 2).exp() * noise
        outputs = replace(outputs, mu=mu, logvar=logvar, latents=latents)
    terms = objective(config, outputs, Weights.at(config, iteration))
    expected = sum(weights.get(name, 1) * part.item() for name, part in terms.parts.items())
    if config.objective == "tcvae" and config.tc_sampling == "weighted":
        # What is told is without the constants of the estimate: of the total correlation, 3 log N for four latents.
        decoded = config.num_latents_in_time - config.traits.warm_up
        expected += (config.beta_value - 1) * decoded * (config.num_latents - 1) * math.log(config.num_data)
    assert terms.loss.item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("config", [config for config in EACH if config.model == VAES[0]], ids=name_of)
def test_the_gradient_of_a_penalty_is_that_of_its_value(rng, config):
    # Nothing of a penalty is held fixed, such as the frame before, or the posteriors that a mixture is made of.
    posterior = torch.randn(3, 3, 3, 2, generator=rng, dtype=torch.float64, requires_grad=True).unbind()
    penalty = resolve(OBJECTIVES[config.objective].penalty)

    def value(*tensors):
        return sum(
            term.weight * term.value for term in penalty(config, Posterior(*tensors), Weights.at(config, 3)).values()
        )

    assert torch.autograd.gradcheck(value, posterior)


@pytest.mark.parametrize("model", [VAES[0], *(pytest.param(model, marks=pytest.mark.slow) for model in VAES[1:])])
def test_at_beta_1_the_total_correlation_vae_is_a_vae_with_the_kl_sampled(rng, model):
    # The sums of the sampled terms are log q(z|x) − log p(z), whose mean over the noise is the KL.
    config = small(model, objective="tcvae", beta=1.0)
    network, batch, weights = build_model(config), make_dataset(config).batch(0), Weights.at(config, 0)
    noises = torch.randn(200, *network.noise_shape(*batch.images.shape[:2]), generator=rng)
    parts = [objective(config, network(batch, noise), weights).parts for noise in noises]
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    sums = torch.stack([sum(part[name] for name in names) for part in parts])
    error = sums.std() / len(sums) ** 0.5
    assert abs(sums.mean() - _terms(replace(config, objective="beta")).parts["kl"]) < 3 * error


@pytest.mark.parametrize("schedule", ["beta", "lam"])
def test_a_scheduled_weight_is_that_of_the_iteration(schedule):
    config = small("predictive_vae", **{f"{schedule}_schedule": "linear", "schedule_iterations": 4})
    weights = [getattr(Weights.at(config, iteration), schedule) for iteration in range(6)]
    full = getattr(config, schedule)
    assert weights == pytest.approx([full * share for share in (0, 0.25, 0.5, 0.75, 1, 1)])
    assert _terms(config, iteration=2).loss < _terms(config, iteration=4).loss
    assert _terms(config, iteration=4).loss == _terms(small("predictive_vae")).loss


@pytest.mark.parametrize("config", each(c for c in CONFIGS if c.model in VAES and c.compat == "none"))
def test_many_trials_can_be_computed_as_one(config):
    # As a stack on a GPU does: stacked parameters and buffers, and weights that are tensors.
    config = quick(config)
    models = [build_model(replace(config, seed=seed)) for seed in range(3)]
    batch, weights = make_dataset(config).batch(0), Weights.at(config, 3)
    noise = torch.randn(3, *models[0].noise_shape(*batch.images.shape[:2]), generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([0.5, 1.0, 2.0])
    stacked = {field.name: getattr(weights, field.name) * factors for field in fields(Weights)}

    def loss(state, noise, weights):
        outputs = torch.func.functional_call(models[0], state, (batch, noise))
        return objective(config, outputs, Weights(**weights)).loss

    together = torch.func.vmap(loss)(_stacked(models), noise, stacked)
    for k, model in enumerate(models):
        alone = objective(config, model(batch, noise[k]), Weights(**{n: v[k].item() for n, v in stacked.items()})).loss
        torch.testing.assert_close(together[k], alone, rtol=1e-4, atol=1e-4)


def _stacked(models):
    parameters, buffers = torch.func.stack_module_state(models)
    return {name: tensor.detach() for name, tensor in (parameters | buffers).items()}


@pytest.mark.parametrize("model", VAES)
def test_terms_do_not_depend_on_the_size_of_the_batch_beyond_chance(model):
    config = small(model, batch_size=6, stochastic=False)
    network, batch = build_model(config), make_dataset(config).batch(0)
    outputs = network(batch)
    whole = objective(config, outputs).parts
    halves = [
        objective(config, network(type(batch)(batch.images[half], batch.factors[half], batch.factor_names))).parts
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


def test_the_floor_of_the_cross_entropy_is_the_entropy_of_the_pixels():
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, 1, 4, 4, generator=rng)
    images[0, 0] = 0.0
    images[1, 0] = 1.0
    pixels = images.double().numpy()
    expected = (entr(pixels) + entr(1 - pixels)).sum() / 3
    assert reconstruction_floor(images).item() == pytest.approx(expected, rel=1e-5)
    assert reconstruction_error(images, images, "bernoulli").item() == pytest.approx(expected, rel=1e-5)
    # No other drawing gets below it, whatever grey is drawn in place of each pixel.
    for shift in torch.linspace(-0.5, 0.5, 21):
        assert reconstruction_error(images, (images + shift).clamp(0, 1), "bernoulli") >= expected - 1e-4
    assert reconstruction_floor(images.round()) == 0
