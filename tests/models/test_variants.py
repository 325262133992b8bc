"""What each variant makes of videos: which latents become which frames, and what they depend on.

Shapes: B videos, T frames, L latents, n latents in time.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from dd_ray.config import MODELS
from dd_ray.config.effects import takes
from dd_ray.data import Batch, make_dataset
from dd_ray.models import build_model
from dd_ray.models.prediction import predict_linearly
from dd_ray.objectives import objective
from tests.small import CONFIGS, VAES, each, quick, small

NUM_FRAMES = small("inertia_vae").num_frames


def _batch(config) -> Batch:
    return make_dataset(config).batch(0)


def _noise(model, batch):
    shape = model.noise_shape(*batch.images.shape[:2])
    return None if shape is None else torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _with_other_frames(batch: Batch, start: int) -> Batch:
    images = batch.images.clone()
    images[:, start:] = images[:, start:].flip(-1)
    assert not torch.equal(images, batch.images)
    return Batch(images, batch.factors, batch.factor_names)


@pytest.mark.parametrize("config", each(CONFIGS))
def test_the_seed_alone_decides_the_initial_weights(config):
    config = quick(config)
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    first = build_model(config).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(321)
    second, other = build_model(config).state_dict(), build_model(replace(config, seed=1)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_models_that_threads_build_have_the_weights_of_their_seeds():
    configs = [small("beta_vae", seed=seed) for seed in range(24)]
    expected = [build_model(config).state_dict() for config in configs]
    before = torch.random.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        built = [model.state_dict() for model in pool.map(build_model, configs)]
    assert torch.equal(torch.random.get_rng_state(), before)
    for one, other in zip(built, expected, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_variants_of_one_seed_and_size_start_from_the_same_networks():
    # So that their differences are those of the objective.
    networks = [dict(build_model(small(model)).named_parameters()) for model in VAES]
    for network in networks[1:]:
        assert all(torch.equal(network[name], networks[0][name]) for name in networks[0])


@pytest.mark.parametrize("config", each(c for c in CONFIGS if c.model in VAES))
def test_outputs_belong_together(config):
    config = quick(config)
    batch, model = _batch(config), build_model(config)
    outputs = model(batch, _noise(model, batch))
    size, latents_in_time = batch.images[:, outputs.frames].shape[:2]
    assert outputs.mu.shape == outputs.logvar.shape == outputs.mu_predicted.shape == (size, latents_in_time, 4)
    assert outputs.reconstruction.shape == outputs.target.shape
    assert outputs.target.shape[1] == batch.images.shape[1] - (1 + config.delay if config.model == "inertia_vae" else 0)
    assert 0 < outputs.reconstruction.min() < outputs.reconstruction.max() < 1
    assert torch.equal(outputs.mu_predicted, predict_linearly(outputs.mu, model.alpha))


@pytest.mark.parametrize("config", each(c for c in CONFIGS if c.model in VAES))
def test_without_noise_the_means_are_decoded(config):
    config = quick(config)
    batch, model = _batch(config), build_model(config)
    outputs = model(batch)
    assert torch.equal(outputs.reconstruction, model.reconstruct(outputs.mu, outputs.logvar))
    zero_noise = torch.zeros(model.noise_shape(*batch.images.shape[:2]))
    assert torch.equal(outputs.reconstruction, model(batch, zero_noise).reconstruction)


@pytest.mark.parametrize("model", ["beta_vae", "predictive_vae"])
def test_frames_are_encoded_by_themselves(model):
    network, batch = build_model(small(model)), _batch(small(model))
    whole = network(batch)
    alone = network(Batch(batch.images[:, 2:3], batch.factors[:, 2:3], batch.factor_names))
    torch.testing.assert_close(alone.mu[:, 0], whole.mu[:, 2])
    torch.testing.assert_close(alone.reconstruction[:, 0], whole.reconstruction[:, 2])


def test_without_inertia_latents_are_those_of_the_encoder():
    config = small("inertia_vae", gamma=0.0)
    model, batch = build_model(config), _batch(config)
    encoded, _ = model.encode(batch.images[:, :-1])
    assert torch.equal(model(batch).mu, encoded)


def test_with_full_inertia_everything_after_the_first_frame_is_ignored():
    config = small("inertia_vae", gamma=1.0, stochastic=False)
    model, batch = build_model(config), _batch(config)
    outputs, changed = model(batch), model(_with_other_frames(batch, start=1))
    assert torch.equal(outputs.mu, changed.mu)
    assert torch.equal(outputs.reconstruction, changed.reconstruction)


def test_with_less_than_full_inertia_it_is_not():
    config = small("inertia_vae", gamma=0.9, stochastic=False)
    model, batch = build_model(config), _batch(config)
    assert not torch.equal(model(batch).mu, model(_with_other_frames(batch, start=1)).mu)


@pytest.mark.parametrize("start", range(1, NUM_FRAMES - 1))
def test_no_latent_of_the_inertia_vae_depends_on_a_later_frame(start):
    config = small("inertia_vae", gamma=0.5)
    model, batch = build_model(config), _batch(config)
    outputs, changed = model(batch), model(_with_other_frames(batch, start))
    assert torch.equal(outputs.mu[:, :start], changed.mu[:, :start])
    assert not torch.equal(outputs.mu[:, start], changed.mu[:, start])


@pytest.mark.parametrize(("delay", "first"), [(0, 1), (1, 2)])
def test_latents_are_decoded_to_the_frame_that_many_later(delay, first):
    config = small("inertia_vae", delay=delay)
    batch = _batch(config)
    outputs = build_model(config)(batch)
    assert outputs.frames == slice(0, NUM_FRAMES - delay)
    assert outputs.kl_frames == slice(1, NUM_FRAMES - delay)
    assert torch.equal(outputs.target, batch.images[:, first:])
    assert outputs.reconstruction.shape[1] == NUM_FRAMES - first


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_extrapolating_decodes_the_latent_one_step_ahead(alpha):
    config = small("inertia_vae", decode="extrapolated", alpha=alpha)
    model, batch = build_model(config), _batch(config)
    outputs = model(batch)
    z = outputs.mu
    ahead = z[:, 1:] + alpha * (z[:, 1:] - z[:, :-1])
    torch.testing.assert_close(outputs.reconstruction, model.decode(ahead))
    filtered = build_model(small("inertia_vae", alpha=alpha))(batch)
    assert torch.equal(filtered.mu, z)
    torch.testing.assert_close(filtered.reconstruction, model.decode(z[:, 1:]))


@pytest.mark.parametrize("learn_gamma", ["shared", "per_latent"])
@pytest.mark.parametrize("posterior", ["encoder", "filtered"])
def test_a_learned_gamma_begins_as_the_given_one(learn_gamma, posterior):
    given = small("inertia_vae", gamma=0.7, posterior=posterior)
    batch = _batch(given)
    ours, theirs = (build_model(config)(batch) for config in (replace(given, learn_gamma=learn_gamma), given))
    for name in ("mu", "logvar", "reconstruction"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-6)


def test_each_latent_is_filtered_with_its_own_gamma():
    gammas = torch.tensor([0.1, 0.4, 0.6, 0.9])
    model = build_model(small("inertia_vae", learn_gamma="per_latent", posterior="filtered"))
    with torch.no_grad():
        model.gamma_logit.copy_(gammas.logit())
    encoded = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    for i, gamma in enumerate(gammas.tolist()):
        alone = build_model(small("inertia_vae", gamma=gamma, posterior="filtered"))
        for theirs, ours in ((alone.filter, model.filter), (alone.filter_variance, model.filter_variance)):
            torch.testing.assert_close(ours(encoded)[..., i], theirs(encoded)[..., i], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("learn_gamma", ["shared", "per_latent"])
def test_a_learned_gamma_gets_the_gradient_of_the_loss(learn_gamma):
    config = small("inertia_vae", learn_gamma=learn_gamma)
    model, batch = build_model(config).double(), _batch(config)
    batch = Batch(batch.images.double(), batch.factors, batch.factor_names)
    noise = _noise(model, batch).double()
    (gradient,) = torch.autograd.grad(objective(config, model(batch, noise)).loss, model.gamma_logit)
    assert gradient.shape == (() if learn_gamma == "shared" else (4,))
    losses = []
    for step in (0.001, -0.002):
        with torch.no_grad():
            model.gamma_logit += step
            losses.append(objective(config, model(batch, noise)).loss.item())
    assert gradient.sum().item() == pytest.approx((losses[0] - losses[1]) / 0.002, rel=1e-4)


def _variances(config, batch):
    """Posterior variances of a network, and its encoder's, in double precision [B, n, L]."""
    model = build_model(config)
    _, logvar = model.encode(batch.images[:, : config.num_latents_in_time])
    return model(batch).logvar.double().exp(), logvar.double().exp()


def test_filtered_variances_are_those_of_filtered_draws():
    config = small("inertia_vae", posterior="filtered", gamma=0.7, alpha=0.8)
    variance, of_encoder = _variances(config, _batch(config))
    draws = torch.randn(100_000, *of_encoder[0].shape, generator=torch.Generator().manual_seed(0))
    sampled = build_model(config).filter(draws * of_encoder[0].sqrt()).var(dim=0)
    torch.testing.assert_close(sampled, variance[0], rtol=0.03, atol=0)


def test_the_variance_of_the_second_latent_is_that_of_two_independent_shares():
    config = small("inertia_vae", posterior="filtered", gamma=0.25)
    variance, of_encoder = _variances(config, _batch(config))
    torch.testing.assert_close(variance[:, 0], of_encoder[:, 0], rtol=1e-5, atol=0)
    expected = 0.75**2 * of_encoder[:, 1] + 0.25**2 * of_encoder[:, 0]
    torch.testing.assert_close(variance[:, 1], expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_filtered_variances_at_the_ends_of_gamma_are_the_encoder_s_and_the_first(gamma):
    config = small("inertia_vae", posterior="filtered", gamma=gamma)
    variance, of_encoder = _variances(config, _batch(config))
    expected = of_encoder if gamma == 0 else of_encoder[:, :1].expand_as(of_encoder)
    torch.testing.assert_close(variance, expected, rtol=1e-5, atol=0)


def test_filtering_the_variances_leaves_the_means():
    config = small("inertia_vae", posterior="filtered")
    batch = _batch(config)
    assert torch.equal(build_model(config)(batch).mu, build_model(small("inertia_vae"))(batch).mu)


def test_vanishing_variances_are_filtered_with_finite_gradients():
    model = build_model(small("inertia_vae", posterior="filtered"))
    logvar = torch.full((1, 4, 2), -200.0, requires_grad=True)
    filtered = model.filter_variance(logvar)
    filtered.sum().backward()
    assert torch.isfinite(filtered).all() and torch.isfinite(logvar.grad).all()


def test_extrapolating_without_alpha_is_filtering():
    config = small("inertia_vae", alpha=0.0)
    batch = _batch(config)
    filtered, extrapolated = (build_model(replace(config, decode=d))(batch) for d in ("filtered", "extrapolated"))
    assert torch.equal(filtered.reconstruction, extrapolated.reconstruction)


def _gradient_of_alpha(config):
    model, batch = build_model(config), _batch(config)
    objective(config, model(batch, _noise(model, batch))).loss.backward()
    return model.alpha.grad


@pytest.mark.parametrize("model", [model for model in MODELS if takes(model, "learn_alpha")])
def test_a_learned_alpha_gets_a_gradient_and_a_fixed_one_none(model):
    assert _gradient_of_alpha(small(model, learn_alpha=True)).abs() > 0
    assert _gradient_of_alpha(small(model)) is None


def test_inertia_alone_teaches_alpha():
    assert _gradient_of_alpha(small("inertia_vae", learn_alpha=True, lam=0.0, gamma=0.5)).abs() > 0
