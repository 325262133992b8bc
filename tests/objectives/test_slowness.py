"""The slowness prior's KL against numerical integration and against samples."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Laplace, Normal

from dd_ray.objectives import slowness_kl

CASES = [
    # μ_{t−1}, σ_{t−1}, μ_t, σ_t, rate
    (0.0, 0.5, 0.0, 0.5, 6.0),
    (0.3, 0.1, -0.9, 0.4, 6.0),
    (-1.0, 0.7, 1.5, 1.2, 1.0),
    (0.0, 1.0, 0.2, 0.05, 0.3),
]


def _closed_form(case):
    before, sigma_before, now, sigma, rate = case
    mu = torch.tensor([before, now], dtype=torch.float64).view(1, 2, 1)
    logvar = 2 * torch.tensor([sigma_before, sigma], dtype=torch.float64).log().view(1, 2, 1)
    return slowness_kl(mu, logvar, rate).item()


def _log_normal(x, mu, sigma):
    return -0.5 * ((x - mu) / sigma) ** 2 - math.log(sigma * math.sqrt(2 * math.pi))


def _kl_given(z, now, sigma, rate):
    """KL(N(now, sigma²) ‖ Laplace(z, 1 / rate)) by integration, split at the Laplace's corner."""

    def integrand(x):
        log_ratio = _log_normal(x, now, sigma) - math.log(rate / 2) + rate * abs(x - z)
        return math.exp(_log_normal(x, now, sigma)) * log_ratio

    ends = sorted((now - 12 * sigma, min(max(z, now - 12 * sigma), now + 12 * sigma), now + 12 * sigma))
    return sum(quad(integrand, a, b, epsabs=1e-11)[0] for a, b in pairwise(ends))


@pytest.mark.parametrize("case", CASES)
def test_the_kl_is_that_of_integration_over_both_frames(case):
    before, sigma_before, now, sigma, rate = case
    expected = quad(
        lambda z: math.exp(_log_normal(z, before, sigma_before)) * _kl_given(z, now, sigma, rate),
        *(before - 9 * sigma_before, before + 9 * sigma_before),
        epsabs=1e-8,
        limit=200,
    )[0]
    assert _closed_form(case) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_where_the_frame_before_is_certain_it_is_the_published_kl(case):
    before, _, now, sigma, rate = case
    assert _closed_form((before, 1e-8, now, sigma, rate)) == pytest.approx(
        _kl_given(before, now, sigma, rate), abs=1e-6
    )


def test_with_unit_weights_the_terms_are_the_kl_of_the_whole_path():
    rng = torch.Generator().manual_seed(0)
    mu, logvar = torch.randn(1, 4, 2, generator=rng), torch.randn(1, 4, 2, generator=rng) - 1
    z = mu + (logvar / 2).exp() * torch.randn(200_000, 4, 2, generator=rng)
    posterior = Normal(mu, (logvar / 2).exp()).log_prob(z).sum((1, 2))
    prior = Normal(0.0, 1.0).log_prob(z[:, 0]).sum(1) + Laplace(z[:, :-1], 1 / 2.0).log_prob(z[:, 1:]).sum((1, 2))
    sampled = posterior - prior
    first = torch.distributions.kl_divergence(Normal(mu[:, 0], (logvar[:, 0] / 2).exp()), Normal(0.0, 1.0)).sum()
    error = sampled.std().item() / math.sqrt(len(sampled))
    assert (first + slowness_kl(mu, logvar, 2.0).sum()).item() == pytest.approx(sampled.mean().item(), abs=4 * error)


def test_the_kl_grows_with_the_step_and_with_the_rate_of_large_steps():
    steps = [_closed_form((0.0, 0.1, step, 0.1, 6.0)) for step in (0.0, 0.5, 1.0, 2.0)]
    assert steps == sorted(steps) and steps[-1] - steps[-2] == pytest.approx(6.0, rel=1e-3)
    assert _closed_form((0.0, 0.1, 1.0, 0.1, 12.0)) > steps[2]


@pytest.mark.parametrize("log_variance", [-20.0, -87.0, -104.0, -200.0])  # float32 ends at -103
@pytest.mark.parametrize("step", [0.0, 1e-20, 0.5, 300.0])
def test_narrow_posteriors_give_finite_values_and_gradients(log_variance, step):
    mu = torch.tensor([0.0, step, 0.0]).expand(2, 2, 3).mT.clone().requires_grad_()
    logvar = torch.full((2, 3, 2), log_variance, requires_grad=True)
    kl = slowness_kl(mu, logvar, torch.tensor(6.0))
    kl.sum().backward()
    assert torch.isfinite(kl).all()
    assert torch.isfinite(mu.grad).all() and torch.isfinite(logvar.grad).all()
