"""Networks have the layers of their papers, and conv32 the weights that it always had."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dd_ray.config import NETWORKS, TrialConfig
from dd_ray.data import make_dataset
from dd_ray.models import build_model
from dd_ray.models.networks import make_decoder, make_features
from dd_ray.objectives import objective
from dd_ray.training import Stack

FITTING = [(network, size) for network, spec in NETWORKS.items() for size in spec.image_sizes]
each_network = pytest.mark.parametrize(("network", "size"), FITTING)


def stills(network: str, size: int, **changes) -> TrialConfig:
    values = {"model": "beta_vae", "dataset": "still_circles", "beta": 1.0, "batch_size": 2, "num_latents": 10}
    return TrialConfig(**values | {"network": network, "image_size": size} | changes)


def num_weights(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@each_network
@pytest.mark.parametrize("width_factor", [0.1, 0.3, 1.0])
def test_networks_go_from_images_to_features_and_from_codes_to_images(network, size, width_factor):
    config = stills(network, size, width_factor=width_factor)
    features, decoder = make_features(config), make_decoder(config, 3)
    assert features(torch.rand(5, *config.image_shape)).shape == (5, features.size)
    images = decoder(torch.randn(5, 3))
    assert images.shape == (5, *config.image_shape)
    assert 0 < images.min() < images.max() < 1


def test_conv64_has_the_layers_of_burgess_et_al():
    conv = [16 * 1 * 32 + 32, *[16 * 32 * 32 + 32] * 3]
    linear = [512 * 256 + 256, 256 * 256 + 256]
    assert num_weights(make_features(stills("conv64", 64))) == sum(conv) + sum(linear)
    mirrored = [16 * 32 * 32 + 32] * 3 + [16 * 32 * 1 + 1]
    linear = [10 * 256 + 256, 256 * 256 + 256, 256 * 512 + 512]
    assert num_weights(make_decoder(stills("conv64", 64), 10)) == sum(mirrored) + sum(linear)


@pytest.mark.parametrize("size", [32, 64])
def test_mlp_has_the_layers_of_higgins_et_al(size):
    square = 1200 * 1200 + 1200
    assert num_weights(make_features(stills("mlp", size))) == size**2 * 1200 + 1200 + square
    decoder = 10 * 1200 + 1200 + 2 * square + 1200 * size**2 + size**2
    assert num_weights(make_decoder(stills("mlp", size), 10)) == decoder


def test_wider_networks_have_wider_layers():
    narrow, wide = (make_features(stills("conv32", 32, width_factor=factor)) for factor in (0.5, 2.0))
    assert [conv.out_channels for conv in narrow.convs] == [16, 16, 32, 32]
    assert [conv.out_channels for conv in wide.convs] == [64, 64, 128, 128]
    assert (narrow.size, wide.size) == (128, 512)


def test_the_weights_of_conv32_and_what_it_learns_have_not_changed():
    # A change here makes every recorded sweep another one.
    config = TrialConfig(model="inertia_vae", beta=0.1, seed=3)
    weights = [parameter.detach().double() for parameter in build_model(config).parameters()]
    assert weights[-1].item() == pytest.approx(-0.0921, abs=1e-4)  # the last that is drawn
    assert sum(w.abs().sum().item() for w in weights) == pytest.approx(3655.822675489412, rel=1e-9)
    stack = Stack([config])
    stack.step(2)
    assert stack[config.key].terms.loss.item() == pytest.approx(398.2731628417969, rel=1e-4)


@each_network
@pytest.mark.parametrize("width_factor", [1.0, 2.0])
def test_the_work_that_a_plan_counts_is_the_work_that_is_done(network, size, width_factor):
    config = stills(network, size, width_factor=width_factor, num_latents=4)
    model, batch = build_model(config), make_dataset(config).batch(0)
    with FlopCounterMode(display=False) as counter:
        objective(config, model(batch)).loss.backward()
    counted = counter.get_total_flops() / config.batch_size / 1e9
    tolerance = 0.01 if width_factor == 1 else 0.5  # the outermost layers grow with the width alone
    assert NETWORKS[network].gflop_per_frame[size] * width_factor**2 == pytest.approx(counted, rel=tolerance)
