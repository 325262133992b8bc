"""Ada-GVAE: which latents the frames of a pair share, and what they have of them."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from dd_ray.data import make_dataset
from dd_ray.models import build_model
from dd_ray.models.ada_gvae import average_pairs, gaussian_kl, share_latents
from dd_ray.objectives import objective
from tests.small import small


def _posterior(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    mu, logvar = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
    return mu, logvar


def test_the_distance_of_two_posteriors_is_the_kl_of_the_first_from_the_second():
    (mu, logvar), (other_mu, other_logvar) = _posterior(50), _posterior(50, seed=1)
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(other_mu, (other_logvar / 2).exp()))
    torch.testing.assert_close(gaussian_kl(mu, logvar, other_mu, other_logvar), expected)


def test_latents_nearer_than_half_way_from_the_least_to_the_greatest_distance_are_shared():
    # With equal variances of 1, KL = ½ d²: 0, ½, 2 and 4.5, half way between 0 and 4.5.
    distances, zero = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.zeros(4)
    shared, mu, logvar = share_latents(zero, zero, distances, zero)
    assert shared.tolist() == [True, True, True, False]
    torch.testing.assert_close(mu, distances / 2)
    torch.testing.assert_close(logvar, zero)


def test_a_shared_latent_has_the_mean_of_both_variances():
    one, three = torch.tensor([1.0]).log(), torch.tensor([3.0]).log()
    _, _, logvar = share_latents(torch.zeros(1), one, torch.zeros(1), three)
    assert logvar.exp().item() == pytest.approx(2.0)


@pytest.mark.parametrize("num_frames", [3, 4, 7, 10])
def test_both_frames_of_a_pair_have_one_posterior_of_what_they_share_and_their_own_of_the_rest(num_frames):
    mu, logvar = _posterior(3, num_frames, 5)
    averaged_mu, averaged_logvar = average_pairs(mu, logvar)
    half = num_frames // 2
    for t in range(half):
        pair = (mu[:, t], logvar[:, t], mu[:, t + half], logvar[:, t + half])
        shared, *of_both = share_latents(*pair)
        assert shared.any() and not shared.all()
        for frame in (t, t + half):
            for averaged, own, average in zip((averaged_mu, averaged_logvar), (mu, logvar), of_both, strict=True):
                torch.testing.assert_close(averaged[:, frame][shared], average[shared])
                assert torch.equal(averaged[:, frame][~shared], own[:, frame][~shared])
    assert torch.equal(averaged_mu[:, 2 * half :], mu[:, 2 * half :])


def test_only_the_latent_that_moves_keeps_its_own_means():
    mu = torch.zeros(1, 10, 3)
    mu[0, :, 1] = torch.linspace(-1, 1, 10)
    mu[0, :, 2] = 0.01 * torch.linspace(-1, 1, 10)
    averaged, _ = average_pairs(mu, torch.full_like(mu, -4.0))
    assert torch.equal(averaged[..., :2], mu[..., :2])
    torch.testing.assert_close(averaged[0, :5, 2], averaged[0, 5:, 2])


def test_a_resting_video_is_that_of_the_beta_vae():
    config = small("ada_gvae")
    batch = make_dataset(config).batch(0)
    resting = type(batch)(batch.images[:, :1].expand_as(batch.images), batch.factors, batch.factor_names)
    noise = torch.randn(4, 5, 4, generator=torch.Generator().manual_seed(0))
    plain = small("beta_vae")
    ours, theirs = (objective(c, build_model(c)(resting, noise)).loss for c in (config, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_what_is_shared_has_the_gradient_of_both_frames():
    mu, logvar = (part.float().requires_grad_() for part in _posterior(1, 2, 3))
    shared, *_ = share_latents(mu[:, 0], logvar[:, 0], mu[:, 1], logvar[:, 1])
    averaged, _ = average_pairs(mu, logvar)
    (gradient,) = torch.autograd.grad(averaged[:, 0].sum(), mu)
    torch.testing.assert_close(gradient[0, 1], 0.5 * shared[0].float())


def test_the_encoder_s_own_means_are_kept_beside_the_averaged_ones():
    config = small("ada_gvae")
    model, batch = build_model(config), make_dataset(config).batch(0)
    outputs = model(batch)
    assert torch.equal(outputs.encoded, model.code(batch.images))
    assert not torch.equal(outputs.mu, outputs.encoded)
