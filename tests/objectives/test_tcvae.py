"""The three terms of the KL against Gaussians whose terms are known, and the estimators against their stated errors.

Shapes: N samples of the data, S draws, B in a batch, L latents.
"""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from dd_ray.config import DATASETS
from dd_ray.data import make_dataset
from dd_ray.data.dataset import FiniteDataset
from dd_ray.evaluation.decomposition import as_told, kl_terms
from dd_ray.metrics import gaussian_total_correlation
from dd_ray.objectives import Posterior, Weights, decompose_kl, log_weights_of
from dd_ray.objectives.tcvae import tcvae_penalty
from tests.small import small

COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64)
"""Of the means μ(x); with posteriors N(μ(x), s² I) the aggregate q(z) is N(0, COVARIANCE + s² I)."""
S2 = 0.25


def _known_terms() -> tuple[float, float, float]:
    """In closed form, in nats."""
    total = COVARIANCE + S2 * torch.eye(3)
    variances = total.diagonal()
    mutual_information = 0.5 * (total.logdet() - 3 * math.log(S2))
    total_correlation = 0.5 * (variances.log().sum() - total.logdet())
    dimension_wise_kl = 0.5 * (variances - 1 - variances.log()).sum()
    return mutual_information.item(), total_correlation.item(), dimension_wise_kl.item()


def _posteriors(size: int, seed: int = 0) -> Posterior:
    rng = torch.Generator().manual_seed(seed)
    factor = torch.linalg.cholesky(COVARIANCE)
    mu = torch.randn(size, 3, generator=rng, dtype=torch.float64) @ factor.T
    noise = torch.randn(size, 3, generator=rng, dtype=torch.float64)
    logvar = torch.full_like(mu, math.log(S2))
    return Posterior(mu, logvar, mu + math.sqrt(S2) * noise)


def _batch_terms(posterior: Posterior, sampling: str, num_data: int) -> torch.Tensor:
    log_weights = log_weights_of(sampling, len(posterior.mu), num_data).double()
    return torch.stack(decompose_kl(posterior, posterior.mu, posterior.logvar, log_weights))  # [3, S]


def test_the_closed_form_adds_up_to_the_kl():
    # E_x KL(N(μ, s² I) ‖ N(0, I)) = ½ (tr COVARIANCE + 3 s² − 3 − 3 log s²)
    expected = 0.5 * (COVARIANCE.trace().item() + 3 * S2 - 3 - 3 * math.log(S2))
    assert sum(_known_terms()) == pytest.approx(expected)


def test_with_all_data_in_the_batch_stratified_sampling_finds_the_terms_of_known_gaussians():
    terms = _batch_terms(_posteriors(2_000), "stratified", 2_000)
    error = terms.std(dim=1) / math.sqrt(2_000)
    assert ((terms.mean(dim=1) - torch.tensor(_known_terms())).abs() < 4 * error + 0.02).all()
    assert error.max() < 0.05


def test_weighted_sampling_is_off_by_the_logarithms_that_it_states():
    posterior, size = _posteriors(500), 500
    weighted, stratified = (_batch_terms(posterior, sampling, size) for sampling in ("weighted", "stratified"))
    off = math.log(size) * torch.tensor([1.0, 2.0, -3.0]).unsqueeze(1)
    torch.testing.assert_close(weighted, (stratified + off).double())


@pytest.mark.parametrize("sampling", ["weighted", "stratified"])
@pytest.mark.parametrize("batch_size", [2, 3, 16])
def test_the_terms_add_up_whatever_the_weights(sampling, batch_size):
    posterior = _posteriors(batch_size)
    normal = torch.distributions.Normal
    expected = normal(posterior.mu, math.sqrt(S2)).log_prob(posterior.latents) - normal(0.0, 1.0).log_prob(
        posterior.latents
    )
    sums = _batch_terms(posterior, sampling, 1_000).sum(dim=0)
    torch.testing.assert_close(sums, expected.sum(-1))


@pytest.mark.parametrize(("num_data", "batch_size"), [(5, 2), (5, 3), (6, 4), (4, 4)])
def test_stratified_sampling_is_unbiased_over_all_batches(num_data, batch_size):
    data = _posteriors(num_data)
    log_weights = log_weights_of("stratified", batch_size, num_data).double()
    density = torch.distributions.Normal(data.mu, math.sqrt(S2)).log_prob(data.latents[0]).sum(-1).exp()  # [N]
    batches = torch.tensor([(0, *others) for others in permutations(range(1, num_data), batch_size - 1)])
    estimates = (log_weights[0].exp() * density[batches]).sum(-1)
    assert estimates.mean().item() == pytest.approx(density.mean().item())
    assert estimates.log().mean() <= density.mean().log() + 1e-6  # Jensen


@pytest.mark.parametrize(("num_data", "batch_size"), [(5, 2), (5, 3), (4, 4)])
def test_weighted_sampling_is_a_lower_bound_over_all_batches(num_data, batch_size):
    data = _posteriors(num_data)
    density = torch.distributions.Normal(data.mu, math.sqrt(S2)).log_prob(data.latents[0]).sum(-1).exp()
    batches = torch.tensor([(0, *others) for others in combinations(range(1, num_data), batch_size - 1)])
    estimates = density[batches].sum(-1).log() - math.log(num_data * batch_size)
    assert log_weights_of("weighted", batch_size, num_data)[0, 0].item() == pytest.approx(
        -math.log(num_data * batch_size)
    )
    assert estimates.mean() < density.mean().log()


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_stratified_weights_are_those_of_a_mean_over_all_data(batch_size):
    weights = log_weights_of("stratified", batch_size, 9).exp()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(batch_size))
    if batch_size > 1:
        torch.testing.assert_close(weights.diagonal(), torch.full((batch_size,), 1 / 9))


def test_the_error_of_stratified_sampling_shrinks_with_the_batch():
    known = torch.tensor(_known_terms())
    errors = []
    for size in (8, 32, 128):
        batches = [
            _batch_terms(_posteriors(size, seed), "stratified", 100_000).mean(dim=1) for seed in range(512 // size)
        ]
        errors.append((torch.stack(batches).mean(dim=0) - known)[0].item())
    # Mutual information is too high, since log q(z) is too low, and less so the larger the batch.
    assert errors[0] > errors[1] > errors[2] > -0.1


@pytest.mark.parametrize("num_data", [100, 10_000])
def test_the_number_of_data_moves_no_gradient_of_weighted_sampling(num_data):
    gradients = []
    for n in (num_data, 64):
        posterior = _posteriors(16)
        mu = posterior.mu.clone().requires_grad_()
        _batch_terms(Posterior(mu, posterior.logvar, mu + 0.1), "weighted", n)[1].sum().backward()
        gradients.append(mu.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("num_data", [5, 1_000, 10**9])
def test_the_told_terms_of_weighted_sampling_are_those_of_the_batch_taken_for_all_data(num_data):
    config = small("predictive_vae", objective="tcvae", batch_size=5, num_latents=3, tc_num_data=num_data)
    frames = [_posteriors(5, seed) for seed in range(2)]
    posterior = Posterior(*(torch.stack(tensors, dim=1) for tensors in zip(*frames, strict=True)))  # [B, n, L]
    told = [term.value - term.constant for term in tcvae_penalty(config, posterior, Weights.at(config, 0)).values()]
    # Where a batch is all of the data, stratified sampling has q(z) itself.
    expected = sum(_batch_terms(frame, "stratified", 5).sum(dim=1) / 5 for frame in frames)
    torch.testing.assert_close(torch.stack(told), expected, rtol=1e-5, atol=1e-4)


def test_what_is_told_moves_no_bit_of_the_loss():
    config = small("beta_vae", objective="tcvae", batch_size=6, num_latents=3, dataset="still_circles")
    posterior = Posterior(*(tensor[:, None].float() for tensor in _posteriors(6)))
    log_weights = log_weights_of("weighted", 6, config.num_data)
    plain = decompose_kl(
        Posterior(*(t[:, 0] for t in posterior)), posterior.mu[:, 0], posterior.logvar[:, 0], log_weights
    )
    for term, value in zip(tcvae_penalty(config, posterior, Weights.at(config, 0)).values(), plain, strict=True):
        assert term.value == value.sum() / 6


def test_the_gaussian_total_correlation_is_that_of_known_gaussians():
    posterior = _posteriors(20_000)
    variance = posterior.logvar.exp().numpy()
    expected = _known_terms()[1]
    # Its standard deviation is √(Σ_{i<j} ρ_ij² / N) to first order.
    assert gaussian_total_correlation(posterior.mu.numpy(), variance) == pytest.approx(expected, abs=4 * 0.6 / 141)
    # By Monte Carlo of the log ratio of the densities, of the draws themselves.
    draws = posterior.latents
    total = torch.distributions.MultivariateNormal(torch.zeros(3).double(), COVARIANCE + S2 * torch.eye(3))
    alone = torch.distributions.Normal(0.0, total.covariance_matrix.diagonal().sqrt())
    ratios = total.log_prob(draws) - alone.log_prob(draws).sum(-1)
    assert ratios.mean().item() == pytest.approx(expected, abs=4 * ratios.std().item() / math.sqrt(20_000))


@pytest.mark.parametrize(("deviation", "of_mixture"), [(0.3, 0.06), (0.1, 1.2), (0.05, 3.4), (0.03, 5.5)])
def test_narrow_posteriors_of_independent_latents_have_no_gaussian_total_correlation(deviation, of_mixture):
    rng = torch.Generator().manual_seed(0)
    mu = torch.randn(5_120, 4, generator=rng)
    logvar = torch.full_like(mu, 2 * math.log(deviation))
    terms = kl_terms(Posterior(mu, logvar, mu + deviation * torch.randn(5_120, 4, generator=rng)))
    terms = {name: term.item() for name, term in terms.items()}
    assert terms["total_correlation"] == pytest.approx(of_mixture, abs=0.25)  # the truth is 0
    told = as_told(terms, 5_120)
    assert math.isnan(told["total_correlation"]) == (deviation <= 0.1)
    assert {**told, "total_correlation": 0} == {**terms, "total_correlation": 0}
    assert gaussian_total_correlation(mu.numpy(), logvar.exp().numpy()) < 0.002


def test_latents_that_are_one_number_or_unknown_or_copies_have_a_gaussian_total_correlation_that_says_so():
    mu = _posteriors(100).mu.numpy()
    nothing = np.zeros_like(mu)
    resting = np.column_stack([mu, np.full((100, 2), 0.1)])  # of which the rounded variances are not 0, but correlated
    of_three = gaussian_total_correlation(mu, nothing)
    assert gaussian_total_correlation(resting, np.zeros_like(resting)) == pytest.approx(of_three)
    assert gaussian_total_correlation(mu * [1e-9, 1.0, 1e9], nothing) == pytest.approx(of_three)
    assert gaussian_total_correlation(mu[:, :1], nothing[:, :1]) == 0
    assert gaussian_total_correlation(np.column_stack([mu[:, 0], mu[:, 0]]), nothing[:, :2]) > 10
    assert math.isnan(gaussian_total_correlation(np.where(mu > 1, np.nan, mu), nothing))


def test_held_out_terms_are_of_draws_from_all_frames_whatever_their_order():
    """In order, the first frames are those of a few videos; here, of one end of a path."""
    mu = torch.linspace(-3, 3, 1_024)[:, None]
    logvar = torch.full_like(mu, 2 * math.log(0.3))
    draws = mu + 0.3 * torch.tensor([[-1.0], [1.0]]).repeat(512, 1)
    total = sum(kl_terms(Posterior(mu, logvar, draws)).values())
    assert total.item() == pytest.approx((mu.square().mean().item() + 0.3**2 - 1) / 2 - math.log(0.3), abs=0.1)


def test_held_out_terms_are_those_of_known_gaussians():
    posterior = Posterior(*(tensor.float() for tensor in _posteriors(4_000)))
    terms = {name: term.item() for name, term in kl_terms(posterior).items()}
    # 256 draws: the standard deviations of the three over draws are 1.2, 0.6 and 1.2.
    assert list(terms.values()) == pytest.approx(_known_terms(), abs=4 * 1.2 / math.sqrt(256))


def test_held_out_terms_of_few_frames_add_up_to_the_mean_over_each_of_them():
    posterior = _posteriors(200)
    of_each = torch.distributions.Normal(posterior.mu, (posterior.logvar / 2).exp()).log_prob(posterior.latents)
    of_prior = torch.distributions.Normal(0.0, 1.0).log_prob(posterior.latents)
    expected = (of_each - of_prior).sum(dim=1).mean().item()
    assert sum(term.item() for term in kl_terms(posterior).values()) == pytest.approx(expected)


def test_held_out_mutual_information_is_at_most_the_logarithm_of_the_frames():
    mu = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    terms = kl_terms(Posterior(mu, torch.full_like(mu, -30.0), mu))
    assert terms["mutual_information"].item() == pytest.approx(math.log(300), rel=1e-5)


@pytest.mark.parametrize("dataset", ["still_circles", "moving_circles", "still_sprites"])
def test_the_training_sizes_are_those_of_the_finite_sets(dataset):
    background = "black" if dataset == "still_sprites" else "gaussian"
    config = small("beta_vae", dataset=dataset, grid="original", background=background)
    data = make_dataset(config)
    assert isinstance(data, FiniteDataset)
    assert len(data.train_indices) == DATASETS[dataset].training_size == config.num_data
