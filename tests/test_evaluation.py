"""What an evaluation tells of a model, and that it tells the same each time."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from dd_ray import evaluation
from dd_ray.data import FACTORS, circle_regions, make_dataset, render_circles
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate, region_errors
from dd_ray.metrics import REPORTED, mean_correlation_coefficient
from dd_ray.models import build_model, load_original
from tests.small import CONFIGS, VAES, name_of, small

each_config = pytest.mark.parametrize("config", CONFIGS, ids=name_of)
each_vae = pytest.mark.parametrize("model", VAES)


def _evaluated(config):
    return evaluate(build_model(config), config, make_dataset(config).test_set())


def _expected_names(config) -> set[str]:
    scores = {"loss", "linear_r2", "mcc", *(f"linear_r2/{name}" for name in FACTORS)}
    if config.model == "supervised_encoder":
        return scores | {"factor_error"}
    scores |= {"reconstruction_error", "loss/reconstruction", "active_units", "prediction_ratio"}
    if config.stochastic:
        scores |= {"kl", "loss/kl", *(f"kl/latent_{i}" for i in range(config.num_latents))}
    return scores if config.model == "beta_vae" else scores | {"loss/prediction"}


@each_config
def test_metrics_are_named_and_finite(config):
    metrics = _evaluated(config).metrics
    assert set(metrics) == _expected_names(config)
    assert {name for name in metrics if "/" not in name} <= set(REPORTED)
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in metrics.values())


@each_config
def test_an_evaluation_is_the_same_each_time_and_leaves_the_model_alone(config):
    model, test_set = build_model(config), make_dataset(config).test_set()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    first = evaluate(model, config, test_set)
    torch.manual_seed(1)
    second = evaluate(model, config, test_set)
    assert first.metrics == second.metrics
    np.testing.assert_array_equal(first.picture, second.picture)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


# The original's prediction loss is of the first video of each batch, so it hangs on the batches.
@pytest.mark.parametrize("chunk", [1, 3, 8])
@pytest.mark.parametrize("config", [c for c in CONFIGS if c.compat == "none"], ids=name_of)
def test_the_size_of_the_chunks_does_not_matter(config, chunk, monkeypatch):
    whole = _evaluated(config)
    monkeypatch.setattr(evaluation, "CHUNK", chunk)
    chunked = _evaluated(config)
    assert chunked.metrics == pytest.approx(whole.metrics, rel=1e-3, abs=1e-7)


def test_the_noise_does_not_depend_on_the_trial_s_seed():
    config = small("inertia_vae")
    model, test_set = build_model(config), make_dataset(config).test_set()
    assert evaluate(model, config, test_set).metrics == evaluate(model, replace(config, seed=5), test_set).metrics


@each_vae
def test_the_reconstruction_error_is_that_of_the_means_per_pixel(model):
    config = small(model)
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        outputs = network(test_set)
        expected = (outputs.reconstruction - outputs.target).square().mean().item()
    metrics = evaluate(network, config, test_set).metrics
    assert metrics["reconstruction_error"] == pytest.approx(expected, rel=1e-5)
    assert metrics["loss/reconstruction"] > expected * outputs.target[0].numel()


@each_vae
def test_the_kl_is_per_frame_and_the_sum_over_latents(model):
    config = small(model)
    metrics = _evaluated(config).metrics
    assert metrics["kl"] == pytest.approx(sum(metrics[f"kl/latent_{i}"] for i in range(4)))
    num_frames = config.num_frames - (2 if model == "inertia_vae" else 0)
    assert metrics["loss/kl"] == pytest.approx(num_frames * metrics["kl"], rel=1e-5)


@each_vae
def test_scores_compare_the_code_of_a_frame_with_the_factors_of_that_frame(model):
    config = small(model, num_test=64)
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        outputs = network(test_set)
    # A code that is the first two factors of the very frame it encodes.
    code = test_set.factors[:, outputs.frames]
    pairs = {"latents": code.numpy(), "predicted": code.numpy(), "factors": test_set.factors[:, outputs.frames].numpy()}
    assert evaluation._scores(pairs, FACTORS)["mcc"] == pytest.approx(1)
    expected = mean_correlation_coefficient(outputs.mu.flatten(0, 1).numpy(), code.flatten(0, 1).numpy())
    assert evaluate(network, config, test_set).metrics["mcc"] == pytest.approx(expected, rel=1e-4)


@each_vae
def test_a_diverged_model_is_evaluated_without_scores(model):
    config = small(model)
    network = build_model(config)
    with torch.no_grad():
        network.encoder.mu.bias.fill_(float("nan"))
    metrics = evaluate(network, config, make_dataset(config).test_set()).metrics
    assert math.isnan(metrics["loss"])
    assert "mcc" not in metrics


@pytest.mark.parametrize("num_test", [2, 8])
def test_a_picture_of_videos_has_frame_beside_frame_and_originals_above(num_test):
    config = small("inertia_vae", num_test=num_test)
    test_set = make_dataset(config).test_set()
    picture = evaluate(build_model(config), config, test_set).picture
    rows, columns = 2 * min(num_test, evaluation.PICTURED), config.num_frames - 2
    assert picture.dtype == np.uint8
    assert picture.shape == (32 * rows, 32 * columns)
    originals = (test_set.images[:, 2:, 0] * 255).round().numpy()
    np.testing.assert_array_equal(picture[:32, 32:64], originals[0, 1])
    np.testing.assert_array_equal(picture[64:96, :32], originals[1, 0])


def test_a_picture_of_stills_has_one_row_of_originals():
    config = small("beta_vae", dataset="still_circles")
    test_set = make_dataset(config).test_set()
    picture = evaluate(build_model(config), config, test_set).picture
    assert picture.shape == (2 * 32, evaluation.PICTURED * 32)
    originals = (test_set.images[:, 0, 0] * 255).round().numpy()
    for i in range(evaluation.PICTURED):
        np.testing.assert_array_equal(picture[:32, 32 * i : 32 * (i + 1)], originals[i])


def test_a_model_without_a_decoder_has_no_picture():
    assert _evaluated(small("supervised_encoder")).picture is None


def test_stills_have_no_motion_to_predict():
    for model in ("beta_vae", "supervised_encoder"):
        assert "prediction_ratio" not in _evaluated(small(model, dataset="still_circles")).metrics


BETA_NORMS = ("0.001", "0.0055", "0.0302", "0.1657", "0.9103", "5.0")


@pytest.mark.parametrize("network", range(6))
def test_region_errors_are_those_that_the_original_published(reference, network):
    published = np.load(reference / "region_errors.npz")
    assert published["beta_norm"].tolist() == [float(beta) for beta in BETA_NORMS]
    levels = np.linspace(0, 1, 8)
    background_x, background_y, circle_x, circle_y = np.meshgrid(levels, levels, levels, levels, indexing="ij")
    factors = np.stack([circle_x, circle_y, background_x, background_y], axis=-1).reshape(-1, 4)
    path = reference / "checkpoints" / f"staticvae32_betanorm={BETA_NORMS[network]}_dsprites_circle_last_500K"
    errors = region_errors(load_original(path), factors)
    assert set(errors) == set(published) - {"beta_norm"}
    for name, error in errors.items():
        np.testing.assert_allclose(error, published[name][network].ravel(), rtol=0, atol=1e-5, err_msg=name)


@each_vae
def test_region_errors_of_an_untrained_model_are_those_of_its_decoded_means(model):
    factors = np.random.default_rng(0).random((3, 4))
    network = build_model(small(model))
    images = torch.from_numpy(render_circles(factors))[:, None, None] / 255
    with torch.no_grad():
        mu, _ = network.encode(images)
        squares = (network.decode(mu) - images).square().numpy()[:, 0, 0]
    masks = circle_regions(factors[:, :2])._asdict()
    for name, error in region_errors(network, factors).items():
        expected = [square[mask].mean() for square, mask in zip(squares, masks[name], strict=True)]
        np.testing.assert_allclose(error, expected, rtol=1e-5)


def test_region_errors_refuse_factors_out_of_range():
    with pytest.raises(UserError, match="circle_x = 2"):
        region_errors(build_model(small("beta_vae")), np.array([[2.0, 0, 0, 0]]))


def test_region_errors_do_not_depend_on_the_chunks(monkeypatch):
    factors, model = np.random.default_rng(0).random((25, 4)), build_model(small("beta_vae"))
    whole = region_errors(model, factors)
    monkeypatch.setattr(evaluation, "CHUNK", 1)
    for name, error in region_errors(model, factors).items():
        np.testing.assert_allclose(error, whole[name], rtol=1e-5)
