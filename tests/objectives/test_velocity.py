"""The constant-velocity prior's KL against dense Gaussians, samples, and the evidence of a Kalman filter."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from dd_ray.objectives import kl_divergence as kl_from_prior
from dd_ray.objectives import velocity_kl

CASES = [(0.1, 1.0), (0.5, 0.7), (2.0, 0.0), (0.3, -0.4)]
"""s and α."""
each_case = pytest.mark.parametrize(("scale", "alpha"), CASES)


def _posterior(num_frames, num_latents=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = (1, num_frames, num_latents)
    mu, logvar = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
    return mu, logvar - 2


def _closed_form(mu, logvar, scale, alpha):
    """Of the whole path."""
    return (kl_from_prior(mu[:, 0], logvar[:, 0]).sum() + velocity_kl(mu, logvar, scale, alpha).sum()).item()


def _precision(num_frames, scale, alpha):
    """Of the path of one latent: a row of `a` for each z_0, z_1 − z_0, z_t − (1 + α) z_{t−1} + α z_{t−2}."""
    a, sizes = np.eye(num_frames), np.full(num_frames, scale)
    sizes[:2] = 1
    a[1, 0] = -1
    for t in range(2, num_frames):
        a[t, t - 1], a[t, t - 2] = -(1 + alpha), alpha
    return torch.from_numpy(a.T @ np.diag(sizes**-2) @ a)


def _log_evidence(x, noise, scale, alpha):
    """log p(x) of x_t = z_t + noise · ε, by a Kalman filter of the states (z_t, z_{t−1})."""
    step = np.array([[1 + alpha, -alpha], [1.0, 0.0]])
    mean, covariance = np.zeros(2), np.diag([1.0, 0.0])
    total = 0.0
    for t, seen in enumerate(x):
        if t == 1:
            mean, covariance = mean[[0, 0]], covariance[0, 0] * np.ones((2, 2)) + np.diag([1.0, 0.0])
        elif t > 1:
            mean, covariance = step @ mean, step @ covariance @ step.T + np.diag([scale**2, 0.0])
        variance = covariance[0, 0] + noise**2
        total += -0.5 * (math.log(2 * math.pi * variance) + (seen - mean[0]) ** 2 / variance)
        gain = covariance[:, 0] / variance
        mean, covariance = mean + gain * (seen - mean[0]), covariance - np.outer(gain, covariance[0])
    return total


@each_case
@pytest.mark.parametrize("num_frames", [2, 3, 7])
def test_the_kl_of_a_path_is_that_of_the_two_gaussians(scale, alpha, num_frames):
    mu, logvar = _posterior(num_frames)
    prior = MultivariateNormal(torch.zeros(num_frames).double(), precision_matrix=_precision(num_frames, scale, alpha))
    expected = kl_divergence(MultivariateNormal(mu[0, :, 0], torch.diag(logvar[0, :, 0].exp())), prior)
    assert _closed_form(mu, logvar, scale, alpha) == pytest.approx(expected.item(), rel=1e-9)


@each_case
def test_the_kl_of_a_path_is_that_of_samples(scale, alpha):
    mu, logvar = _posterior(5, num_latents=2)
    rng = torch.Generator().manual_seed(1)
    z = mu + (logvar / 2).exp() * torch.randn(200_000, 5, 2, generator=rng, dtype=torch.float64)
    predicted = z[:, 1:-1] + alpha * (z[:, 1:-1] - z[:, :-2])
    prior = Normal(0.0, 1.0).log_prob(z[:, 0]) + Normal(z[:, 0], 1.0).log_prob(z[:, 1])
    prior = prior.sum(1) + Normal(predicted, scale).log_prob(z[:, 2:]).sum((1, 2))
    sampled = Normal(mu, (logvar / 2).exp()).log_prob(z).sum((1, 2)) - prior
    error = sampled.std().item() / math.sqrt(len(sampled))
    assert _closed_form(mu, logvar, scale, alpha) == pytest.approx(sampled.mean().item(), abs=4 * error)


@each_case
def test_the_bound_of_a_linear_model_misses_the_kalman_evidence_by_the_kl_from_its_smoother(scale, alpha):
    # log p(x) = E_q log p(x|z) − KL(q ‖ p(z)) + KL(q ‖ p(z|x)), whatever q.
    num_frames, noise = 6, 0.3
    x = np.random.default_rng(0).normal(size=num_frames)
    mu, logvar = _posterior(num_frames)
    precision = _precision(num_frames, scale, alpha) + torch.eye(num_frames).double() / noise**2
    smoothed = MultivariateNormal(
        torch.linalg.solve(precision, torch.from_numpy(x) / noise**2), precision_matrix=precision
    )
    q = MultivariateNormal(mu[0, :, 0], torch.diag(logvar[0, :, 0].exp()))
    errors = (x - mu[0, :, 0].numpy()) ** 2 + logvar[0, :, 0].exp().numpy()
    likelihood = -0.5 * (errors / noise**2 + math.log(2 * math.pi * noise**2)).sum()
    bound = likelihood - _closed_form(mu, logvar, scale, alpha)
    assert bound + kl_divergence(q, smoothed).item() == pytest.approx(_log_evidence(x, noise, scale, alpha), rel=1e-8)


def _path(*places):
    return torch.tensor(places, dtype=torch.float64).view(1, -1, 1)


def test_a_place_is_paid_in_the_first_frame_alone_and_a_velocity_in_the_second():
    logvar = torch.full((1, 5, 1), -4.0, dtype=torch.float64)
    at_0, at_2, moving = (
        velocity_kl(_path(*places), logvar, 0.1, 1.0) for places in ([0] * 5, [2] * 5, [0, 0.3, 0.6, 0.9, 1.2])
    )
    torch.testing.assert_close(at_0, at_2)
    torch.testing.assert_close(moving[:, 1:], at_0[:, 1:])
    assert (moving - at_0)[0, 0, 0] == pytest.approx(0.3**2 / 2)


def test_a_latent_at_constant_velocity_pays_what_the_text_says():
    alpha, scale = 1.0, 0.1
    best = math.log(scale**2 / 6)
    at_best = velocity_kl(_path(0, 1, 2, 3), torch.full((1, 4, 1), best, dtype=torch.float64), scale, alpha)
    torch.testing.assert_close(at_best[0, 1:, 0], torch.full((2,), 0.5 * math.log(6), dtype=torch.float64))
    for other in (best - 0.1, best + 0.1):
        worse = velocity_kl(_path(0, 1, 2, 3), torch.full((1, 4, 1), other, dtype=torch.float64), scale, alpha)
        assert (worse[0, 1:] > at_best[0, 1:]).all()


@pytest.mark.parametrize("log_variance", [-20.0, -104.0, -200.0])  # float32 ends at -103
def test_narrow_posteriors_give_finite_values_and_gradients(log_variance):
    mu = torch.tensor([0.0, 0.5, 0.0]).view(1, 3, 1).requires_grad_()
    logvar = torch.full((1, 3, 1), log_variance, requires_grad=True)
    kl = velocity_kl(mu, logvar, torch.tensor(0.1), torch.tensor(1.0))
    kl.sum().backward()
    assert torch.isfinite(kl).all() and torch.isfinite(mu.grad).all() and torch.isfinite(logvar.grad).all()
