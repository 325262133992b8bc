"""Run by test_triton, in Triton's interpreter: what our kernels compute, against PyTorch's own convolutions."""

import os
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from dd_ray.models.networks.layers import Conv2d, Convolutions, ConvTranspose2d, keep_images_as
from dd_ray.training import Stack, triton_convolutions
from dd_ray.training.convolutions import with_convolutions
from dd_ray.training.triton_layers import TRITON
from tests.small import small

assert os.environ.get("TRITON_INTERPRET") == "1", "see test_triton"
N = 2
ROUNDING = 2e-6


def _layers(channels, kernel, output_padding):
    """Each convolution of a network on the way down, and its mirror image."""
    for wide, narrow in channels:
        yield nn.Conv2d(wide, narrow, kernel, 2, 1)
        yield nn.ConvTranspose2d(narrow, wide, kernel, 2, 1, output_padding)


def _side(layer, sides):
    return sides[1] if isinstance(layer, nn.ConvTranspose2d) else sides[0]


# Small images of the networks' own channels, kernels and strides; an odd number of pixels leaves tiles half empty.
NETWORKS = [
    *((layer, (6, 3)) for layer in _layers([(1, 32), (32, 32), (32, 64), (64, 64)], 3, 1)),  # conv32
    *((layer, (6, 3)) for layer in _layers([(1, 32), (32, 32)], 4, 0)),  # conv64
]
ODD = [
    (nn.Conv2d(3, 5, (4, 3), (3, 2), (1, 2)), (9, 9)),
    (nn.ConvTranspose2d(3, 5, (4, 3), (3, 2), (2, 0), (1, 0)), (5, 5)),
    (nn.ConvTranspose2d(3, 5, 1, 2, 0, 1), (5, 5)),  # phases without a tap
    (nn.Conv2d(17, 70, 3, 1, 1, bias=False), (4, 4)),  # channels of several tiles
]


def _case(layer, sides, shared, trials=2):
    torch.manual_seed(0)
    side = _side(layer, sides)
    images = torch.randn(*(() if shared else (trials,)), N, layer.in_channels, side, side)
    values = {name: torch.randn(trials, *p.shape) for name, p in layer.named_parameters()}
    return images, values


def _results(layer, images, values, shared):
    """Outputs of all trials, and the gradients of half their squares."""

    def loss(images, values):
        out = functional_call(layer, values, (images,))
        return out.square().sum() / 2, out

    of_images = None if shared else 0
    gradient = vmap(grad_and_value(loss, argnums=(0, 1), has_aux=True), in_dims=(of_images, 0))
    (of_images, of_values), (_, out) = gradient(images, values)
    return {"out": out, "images": of_images, **of_values}


def _ours(layer):
    copy = type(layer)(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        bias=layer.bias is not None,
    )
    copy.output_padding = layer.output_padding
    return with_convolutions(copy, TRITON)


@pytest.mark.parametrize(
    ("layer", "sides", "shared"),
    [(*case, False) for case in NETWORKS + ODD] + [(*case, True) for case in NETWORKS[:4]],
    ids=lambda value: {True: "shared", False: "own"}.get(value) if isinstance(value, bool) else str(value),
)
def test_a_layer_and_its_gradients_are_those_of_pytorch(layer, sides, shared):
    assert_as_pytorch(layer, sides, shared)


def test_one_layer_and_its_gradients_are_those_of_pytorch():
    assert_as_pytorch(*ODD[2], shared=False)  # the smallest, which is tried always


def assert_as_pytorch(layer, sides, shared):
    """A layer's outputs for all trials, and its gradients, are PyTorch's own."""
    images, values = _case(layer, sides, shared)
    ours = _results(_ours(layer), images, values, shared)
    theirs = _results(layer, images.double(), {name: value.double() for name, value in values.items()}, shared)
    for name, expected in theirs.items():
        assert (ours[name] - expected).norm() < ROUNDING * expected.norm(), name


CHAINS = {
    "encoder": [
        Conv2d(1, 32, 3, stride=2, padding=1, activation="relu"),
        Conv2d(32, 16, 3, stride=2, padding=1, activation="relu"),
        Conv2d(16, 17, 3, stride=2, padding=1, bias=False, activation="elu"),
    ],
    "decoder": [
        ConvTranspose2d(17, 16, 3, stride=2, padding=1, activation="elu"),
        ConvTranspose2d(16, 20, 3, stride=2, padding=1, output_padding=1, bias=False, activation="linear"),
        ConvTranspose2d(20, 16, 3, stride=2, padding=1, output_padding=1, activation="relu"),
        ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1, activation="linear"),
    ],
}


@pytest.mark.parametrize("which", CHAINS)
@pytest.mark.parametrize("shared", [True, False])
def test_layers_and_their_activations_are_those_of_pytorch(which, shared):
    theirs = Convolutions(*deepcopy(CHAINS[which]))
    ours = with_convolutions(deepcopy(theirs), TRITON)
    images, values = _case_of(theirs, (5, 7) if which == "encoder" else (2, 1), shared)
    expected = _results(theirs.double(), images.double(), {name: v.double() for name, v in values.items()}, shared)
    for name, result in _results(ours, images, values, shared).items():
        assert (result - expected[name]).norm() < ROUNDING * expected[name].norm(), name


def test_layers_of_one_trial_are_those_of_pytorch():
    theirs = Convolutions(*deepcopy(CHAINS["encoder"]))
    ours = with_convolutions(deepcopy(theirs), TRITON)
    images = torch.randn(N, 1, 5, 7)
    for one, other in zip(*(_gradients_alone(module, images) for module in (ours, theirs)), strict=True):
        assert (one - other).norm() < ROUNDING * other.norm()


@pytest.mark.parametrize("which", CHAINS)
def test_images_between_layers_are_bfloat16_if_asked_for(monkeypatch, which):
    # The interpreter takes the bits of bfloat16 for integers where it multiplies matrices.
    constants = triton_convolutions._constants
    monkeypatch.setattr(triton_convolutions, "_constants", lambda geometry: constants(geometry) | {"PRECISION": "ieee"})
    layers = Convolutions(*deepcopy(CHAINS[which]))
    ours = with_convolutions(deepcopy(layers), TRITON)
    images, values = _case_of(layers, (5, 7) if which == "encoder" else (2, 1), shared=False)
    exact = _results(layers, images, values, shared=False)
    keep_images_as(torch.bfloat16)
    try:
        results = _results(ours, images, values, shared=False)
    finally:
        keep_images_as(torch.float32)
    for name, result in results.items():
        assert result.dtype is torch.float32
        assert 1e-5 < (result - exact[name]).norm() / exact[name].norm() < 0.05, name


def _gradients_alone(module, images):
    out = module(images)
    return [out, *torch.autograd.grad(out.square().sum() / 2, list(module.parameters()))]


def _case_of(module, size, shared, trials=2):
    torch.manual_seed(0)
    first = next(module.children())
    images = torch.randn(*(() if shared else (trials,)), N, first.in_channels, *size)
    return images, {name: torch.randn(trials, *p.shape) / 4 for name, p in module.named_parameters()}


@pytest.mark.parametrize(("layer", "sides"), [NETWORKS[2], NETWORKS[3]], ids=str)
def test_a_trial_that_is_nan_leaves_the_bits_of_the_others_unchanged(layer, sides):
    images, values = _case(layer, sides, shared=False, trials=3)
    healthy = _results(_ours(layer), images, values, shared=False)
    for broken in (images, values["weight"], values["bias"]):
        broken[1] = float("nan")
    results = _results(_ours(layer), images, values, shared=False)
    for name, result in results.items():
        assert result[1].isnan().all(), name
        assert torch.equal(result[::2], healthy[name][::2]), name


def test_gradients_of_trials_taken_together_are_theirs_too():
    layer, sides = NETWORKS[2]
    images, values = _case(layer, sides, shared=True)
    ours = _ours(layer)
    of_each = _results(ours, images, values, shared=True)
    leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
    out = vmap(lambda values: functional_call(ours, values, (images,)))(leaves)
    (out.square().sum() / 2).backward()
    assert all(torch.equal(leaf.grad, of_each[name]) for name, leaf in leaves.items())


def test_a_step_of_a_model_is_that_of_each_trial_alone(monkeypatch):
    # Few programs of large tiles, since what takes the interpreter time is their number.
    for name, side in {"_tile_of_images": "BLOCK_P", "_tile_of_kernels": "KERNEL_P"}.items():
        tile = getattr(triton_convolutions, name)
        larger = lambda *given, tile=tile, side=side: tile(*given) | {side: 256}  # noqa: E731
        monkeypatch.setattr(triton_convolutions, name, larger)
    configs = [small("inertia_vae", batch_size=1, num_frames=4, width_factor=0.5, seed=seed) for seed in range(2)]
    together, alone = Stack(configs, method="triton"), Stack(configs)
    for stack in (together, alone):
        stack.step()
    for config in configs:
        ours, theirs = together[config.key], alone[config.key]
        # After the first step v = (1 − ρ) g², so that √v has the size of each gradient.
        ours_g, theirs_g = ours.square_avg.sqrt(), theirs.square_avg.sqrt()
        assert (ours_g - theirs_g).norm() < 1e-5 * theirs_g.norm()
        torch.testing.assert_close(ours.terms.loss, theirs.terms.loss, rtol=1e-5, atol=0)
