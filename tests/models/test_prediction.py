"""Linear prediction and inertia against the recursions that define them.

Shapes: B videos, T frames, L latents, n latents in time.
"""

import pytest
import torch

from dd_ray.models.prediction import inertia_matrix, predict_linearly
from dd_ray.objectives import prediction_error

SEEDS = range(5)


def _double(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _gamma_and_alpha(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    gamma, alpha = torch.rand(2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return gamma, 2 * alpha


def _recursion(encoded: torch.Tensor, gamma: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """z_0 = e_0, ẑ_1 = z_0, ẑ_{i+1} = z_i + α (z_i − z_{i−1}), z_i = (1 − γ) e_i + γ ẑ_i, frame by frame."""
    latents = [encoded[:, 0]]
    for i in range(1, encoded.shape[1]):
        predicted = latents[0] if i == 1 else latents[-1] + alpha * (latents[-1] - latents[-2])
        latents.append((1 - gamma) * encoded[:, i] + gamma * predicted)
    return torch.stack(latents, dim=1)


def _straight(seed: int, num_frames: int) -> torch.Tensor:
    """Any affine map of straight motion at constant velocity, [B, T, L]."""
    start, velocity = _random(seed, 6, 1, 4), _random(seed + 100, 6, 1, 4)
    motion = start + torch.arange(num_frames)[:, None] * velocity
    return motion @ _random(seed + 200, 4, 5) + _random(seed + 300, 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_error_of_predicting_the_filtered_code_is_a_share_of_that_of_the_encoders(seed):
    """z − ẑ = (1 − γ)(e − ẑ), by which λ weighs (1 − γ)² of what it would at γ = 0."""
    gamma, alpha = _gamma_and_alpha(seed)
    encoded = _random(seed, 3, 9, 2)
    filtered = inertia_matrix(gamma, alpha, 9) @ encoded
    predicted = predict_linearly(filtered, alpha)
    torch.testing.assert_close((filtered - predicted)[:, 1:], (1 - gamma) * (encoded - predicted)[:, 1:])


@pytest.mark.parametrize("num_frames", [1, 2, 3, 9])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_matrix_is_the_recursion(seed, num_frames):
    gamma, alpha = _gamma_and_alpha(seed)
    encoded = _random(seed, 3, num_frames, 2)
    filtered = inertia_matrix(gamma, alpha, num_frames) @ encoded
    torch.testing.assert_close(filtered, _recursion(encoded, gamma, alpha))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gamma_of_each_latent_gives_the_matrix_of_each(seed):
    gammas, (_, alpha) = torch.tensor([0.0, 0.3, 0.9, 1.0], dtype=torch.float64), _gamma_and_alpha(seed)
    each = torch.stack([inertia_matrix(gamma, alpha, 6) for gamma in gammas])
    torch.testing.assert_close(inertia_matrix(gammas, alpha, 6), each)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_matrix_is_differentiable_in_gamma_and_alpha(seed):
    inputs = tuple(value.requires_grad_() for value in _gamma_and_alpha(seed))
    assert torch.autograd.gradcheck(lambda gamma, alpha: inertia_matrix(gamma, alpha, 6), inputs)


def test_without_inertia_the_matrix_is_the_identity():
    torch.testing.assert_close(inertia_matrix(_double(0), _double(1), 7), torch.eye(7, dtype=torch.float64))


def test_with_full_inertia_every_latent_is_the_first():
    matrix = inertia_matrix(_double(1), _double(1), 7)
    assert torch.equal(matrix[:, 0], torch.ones(7, dtype=torch.float64))
    assert not matrix[:, 1:].any()


def test_no_latent_depends_on_a_later_frame():
    matrix = inertia_matrix(*_gamma_and_alpha(0), 7)
    assert torch.equal(matrix, matrix.tril())


@pytest.mark.parametrize("seed", SEEDS)
def test_resting_latents_pass_the_filter_unchanged(seed):
    gamma, alpha = _gamma_and_alpha(seed)
    resting = _random(seed, 3, 1, 2).expand(-1, 8, -1)
    torch.testing.assert_close(inertia_matrix(gamma, alpha, 8) @ resting, resting)


@pytest.mark.parametrize("gamma", [0.3, 0.8])
def test_the_filter_catches_up_with_uniform_motion(gamma):
    path = _straight(0, 200)
    lag = (inertia_matrix(_double(gamma), _double(1), 200) @ path - path).norm(dim=-1)
    # z_i − e_i obeys x² = 2γx − γ, whose roots have the size √γ.
    assert (lag[:, -1] < 10 * gamma**99 * lag[:, 1] + 1e-10).all()
    assert (lag[:, 1] > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_latent_leaves_its_prediction_by_what_the_encoder_says_beyond_it(seed):
    gamma, alpha = _gamma_and_alpha(seed)
    encoded = _random(seed, 3, 9, 2)
    latents = inertia_matrix(gamma, alpha, 9) @ encoded
    predicted = predict_linearly(latents, alpha)
    torch.testing.assert_close(
        latents - predicted, (1 - gamma) * (encoded - predicted) * (torch.arange(9) > 0)[:, None]
    )


@pytest.mark.parametrize("num_frames", [3, 10])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_affine_map_of_straight_motion_is_predicted_without_error(seed, num_frames):
    path = _straight(seed, num_frames)
    error = prediction_error(path, predict_linearly(path, _double(1)))
    assert 0 <= error < 1e-24 * path.square().sum()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_straight_motion_is_predicted_by_constant_velocity_alone(alpha):
    path = _straight(0, 10)
    steps = (path[:, 2:] - path[:, 1:-1]).square().sum() / len(path)
    error = prediction_error(path, predict_linearly(path, _double(alpha)))
    torch.testing.assert_close(error, 0.5 * (1 - alpha) ** 2 * steps)


def test_predictions_of_the_first_two_frames_are_the_first_latent():
    latents = _random(0, 3, 5, 2)
    predicted = predict_linearly(latents, _double(1))
    assert torch.equal(predicted[:, 0], latents[:, 0])
    assert torch.equal(predicted[:, 1], latents[:, 0])


@pytest.mark.parametrize("num_frames", [1, 2])
def test_videos_too_short_to_predict_from_keep_their_shape(num_frames):
    latents = _random(0, 3, num_frames, 2)
    assert predict_linearly(latents, _double(1)).shape == latents.shape
