"""The compiled convolutions are PyTorch's in float64, for layers of any shape, in one thread and in several."""

import itertools
import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from dd_ray.models.networks.layers import Conv2d, Convolutions, ConvTranspose2d
from dd_ray.training import Stack, cpu_kernels
from dd_ray.training.convolutions import size_of_convolved, size_of_transposed, with_convolutions
from dd_ray.training.cpu_convolutions import CPU, CPUConv2d, CPUConvTranspose2d
from dd_ray.training.cpu_kernels import kernels
from tests.small import small

compiled = pytest.mark.skipif(kernels() is None, reason="the convolutions were not compiled, or not for this CPU")

IMAGES = [
    (2, 8, 8),  # fewer images than a tile has
    (11, 5, 9),  # some left over, oblong
    (1, 1, 1),
    (130, 4, 4),  # more than are summed at once
]
CHANNELS = [(1, 32), (3, 5), (18, 34), (64, 64), (32, 1), (16, 3)]
GEOMETRIES = [
    (3, 2, 1),  # conv32
    (4, 2, 1),  # conv64
    (3, 1, 1),
    (1, 3, 0),  # pixels without a tap
    ((5, 2), (1, 3), (3, 1)),
]
ACTIVATIONS = ["linear", "relu", "elu"]
EPSILON = torch.finfo(torch.float32).eps / 2


@compiled
@pytest.mark.parametrize("kind", [CPUConv2d, CPUConvTranspose2d])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    "activations", [ACTIVATIONS, *(pytest.param([one], marks=pytest.mark.slow) for one in ACTIVATIONS)], ids="-".join
)
def test_layers_and_gradients_are_those_of_pytorch(activations, geometry, kind):
    torch.manual_seed(0)
    computed = 0
    for number, (images, channels) in enumerate(itertools.product(IMAGES, CHANNELS)):
        layer = kind(*channels, *geometry, bias=number % 4 > 0)
        # Each in turn, so that images of every size and layers of every width have all of them.
        activation = activations[(number + number // len(CHANNELS)) % len(activations)]
        layer.activation = activation
        x = torch.randn(images[0], channels[0], *images[1:], requires_grad=True)
        if min((size_of_convolved if kind is CPUConv2d else size_of_transposed)(layer, images[1:])) < 1:
            continue
        out = layer(x)
        gradient = torch.randn_like(out)
        ours = torch.autograd.grad((out * gradient).sum(), [x, *layer.parameters()])
        _assert_activated(activation, layer, x, out)
        for one, exact, bound in zip(ours, *_expected(layer, x, gradient * _slope(activation, out)), strict=True):
            assert bool(((one - exact).abs() <= bound).all()), (images, channels)
        computed += 1
    assert computed > 12


def _assert_activated(activation, layer, x, out):
    exact, bound = (_linear(layer, x, of).detach() for of in (torch.Tensor.double, lambda t: t.double().abs()))
    function = {"linear": lambda z: z, "relu": torch.relu, "elu": nn.functional.elu}[activation]
    terms = layer.weight.numel() + 1
    assert bool(((out - function(exact)).abs() <= terms * EPSILON * bound + 4 * EPSILON * exact.abs()).all())


def _slope(activation, out):
    """The derivative of an activation function, from its value."""
    out = out.detach()
    return {"linear": torch.ones_like(out), "relu": (out > 0).float(), "elu": (out + 1).clamp(max=1)}[activation]


def _linear(layer, x, of):
    """A layer by PyTorch, without its activation, of tensors that `of` maps to others."""
    weight, bias = of(layer.weight), None if layer.bias is None else of(layer.bias)
    if isinstance(layer, nn.Conv2d):
        return nn.functional.conv2d(of(x), weight, bias, layer.stride, layer.padding)
    return nn.functional.conv_transpose2d(of(x), weight, bias, layer.stride, layer.padding)


def _expected(layer, x, gradient):
    """Gradients in float64, and the most that rounding each of its terms to float32 changes a sum."""
    inputs = [x, *layer.parameters()]
    exact, magnitudes = (
        torch.autograd.grad((_linear(layer, x, torch.Tensor.double) * gradient.double()).sum(), inputs),
        _gradients_of_magnitudes(layer, x, gradient),
    )
    terms = gradient.numel() + layer.weight.numel()
    return exact, [terms * EPSILON * magnitude + EPSILON * magnitude.max() for magnitude in magnitudes]


def _gradients_of_magnitudes(layer, x, gradient):
    leaves = [tensor.detach().double().abs().requires_grad_() for tensor in (x, *layer.parameters())]
    by_name = dict(zip([id(x), *map(id, layer.parameters())], leaves, strict=True))
    out = _linear(layer, x, lambda tensor: by_name[id(tensor)])
    return torch.autograd.grad((out * gradient.double().abs()).sum(), leaves)


CHAINS = {
    "encoder": [
        Conv2d(1, 32, 3, stride=2, padding=1, activation="relu"),
        Conv2d(32, 40, 3, stride=2, padding=1, activation="elu"),
        Conv2d(40, 17, 3, stride=1, padding=1, bias=False, activation="linear"),
        Conv2d(17, 5, 2, activation="relu"),
    ],
    "decoder": [
        ConvTranspose2d(17, 70, 3, stride=2, padding=1, output_padding=1, activation="elu"),
        ConvTranspose2d(70, 16, 3, stride=2, padding=1, bias=False, activation="relu"),
        ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1, activation="elu"),
    ],
    "through one channel": [  # whose gradients are sums over vectors, from 16 or 32 channels
        Conv2d(3, 1, 3, padding=1, activation="elu"),
        Conv2d(1, 32, 3, stride=2, padding=1, activation="relu"),
        ConvTranspose2d(32, 2, 4, stride=2, padding=1, activation="elu"),
        Conv2d(2, 16, 1, activation="linear"),
    ],
}


def _chain(which):
    torch.manual_seed(1)
    theirs = Convolutions(*deepcopy(CHAINS[which]))
    for layer in theirs:
        layer.reset_parameters()
    ours = deepcopy(theirs)
    return theirs.double(), with_convolutions(ours, CPU)


@compiled
@pytest.mark.parametrize("images", [1, 7, 33])
@pytest.mark.parametrize("which", CHAINS)
def test_layers_that_follow_each_other_are_those_of_pytorch(which, images):
    theirs, ours = _chain(which)
    x = torch.randn(images, ours[0].in_channels, 9, 7, requires_grad=True)
    outputs = [ours(x), theirs(x.double())]
    gradient = torch.randn_like(outputs[0])
    found = [
        torch.autograd.grad((out * gradient).sum(), [x, *module.parameters()])
        for out, module in zip(outputs, (ours, theirs), strict=True)
    ]
    for one, exact in zip(found[0], found[1], strict=True):
        assert float((one - exact).abs().max()) < 1e-5 * float(exact.abs().max())
    assert len(found[0]) == 1 + sum(1 + (layer.bias is not None) for layer in ours)


@compiled
def test_what_else_lies_between_layers_is_applied():
    _, ours = _chain("encoder")
    x = torch.randn(4, 1, 9, 7)
    without = ours(x)
    ours.insert(1, nn.Dropout(1.0))  # all images are 0 after it
    expected = ours[4](ours[3](ours[2](torch.zeros(4, 32, 5, 4))))
    assert torch.equal(ours(x), expected) and not torch.equal(ours(x), without)


@compiled
def test_layers_that_are_changed_after_they_were_used_compute_as_they_are_now():
    theirs, ours = _chain("encoder")
    x = torch.randn(4, 1, 9, 7)
    ours(x)
    for layers in (theirs, ours):
        layers[1].stride, layers[2].activation = (1, 2), "elu"
    torch.testing.assert_close(ours(x).double(), theirs(x.double()), rtol=1e-4, atol=1e-5)


@compiled
def test_images_of_another_number_of_channels_are_refused_as_by_pytorch():
    _, ours = _chain("encoder")
    other = Conv2d(ours[0].out_channels + 1, 4, 3, activation="relu")
    other.__class__ = CPUConv2d
    with pytest.raises(RuntimeError, match="channels"):
        ours(torch.randn(4, 2, 9, 7))
    with pytest.raises(RuntimeError, match="channels"):
        other(ours[0](torch.randn(4, 1, 9, 7)))
    ours[1] = other
    with pytest.raises(RuntimeError, match="channels"):
        ours(torch.randn(4, 1, 9, 7))


@compiled
def test_gradients_that_are_not_asked_for_are_left_out():
    _, ours = _chain("encoder")
    x = torch.randn(4, 1, 9, 7)
    ours[1].weight.requires_grad_(False)
    ours[0].bias.requires_grad_(False)
    ours(x).sum().backward()
    assert x.grad is None and ours[1].weight.grad is None and ours[0].bias.grad is None
    theirs, _ = _chain("encoder")
    theirs.load_state_dict(ours.state_dict())
    theirs(x.double()).sum().backward()
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad.double(), theirs.get_parameter(name).grad, rtol=1e-4, atol=1e-5)


@compiled
@pytest.mark.parametrize("layers", [["layer"], [*CHAINS]], ids=str)
def test_bits_do_not_depend_on_the_number_of_threads(layers):
    for which in layers:
        layer = Conv2d(7, 40, 3, stride=2, padding=1, activation="elu")
        layer.__class__ = CPUConv2d
        assert_bits_do_not_depend_on_threads(layer if which == "layer" else _chain(which)[1])


def assert_bits_do_not_depend_on_threads(layer):
    channels = (layer[0] if isinstance(layer, Convolutions) else layer).in_channels
    x = torch.randn(50, channels, 12, 12, requires_grad=True)
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            out = layer(x)
            results.append([out, *torch.autograd.grad(out.square().sum(), [x, *layer.parameters()])])
    finally:
        torch.set_num_threads(threads)
    for others in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(results[0], others, strict=True))


@compiled
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_of_an_image_stays_and_reaches_no_other_image(activation):
    layer = ConvTranspose2d(8, 20, 3, stride=2, padding=1, activation=activation)
    layer.__class__ = CPUConvTranspose2d
    x = torch.randn(9, 8, 4, 4)
    expected = layer(x)
    x[4] = math.nan
    out = layer(x)
    assert bool(out[4].isnan().all())
    others = [n for n in range(9) if n != 4]
    assert torch.equal(out[others], expected[others])


@compiled
def test_what_they_do_not_compute_is_computed_by_pytorch():
    x = torch.randn(2, 4, 8, 8)
    for more in ({"dilation": 2}, {"groups": 2}, {"padding": "same"}, {"padding_mode": "circular", "padding": 1}):
        layer, theirs = CPUConv2d(4, 6, 3, **more), nn.Conv2d(4, 6, 3, **more)
        theirs.load_state_dict(layer.state_dict())
        assert torch.equal(layer(x), theirs(x)), more


def test_without_them_layers_are_computed_by_pytorch(monkeypatch):
    monkeypatch.setattr("dd_ray.training.cpu_convolutions.kernels", lambda: None)
    torch.manual_seed(0)
    x = torch.randn(3, 1, 32, 32)
    for kind in (CPUConv2d, CPUConvTranspose2d):
        layer = kind(1, 6, 3, 2, 1)
        layer.activation = "elu"
        theirs = nn.functional.elu(super(kind, layer).forward(x))
        torch.testing.assert_close(layer(x), theirs, rtol=0, atol=0)


@compiled
def test_kernels_that_compute_something_else_are_left_out(monkeypatch):
    correlate = cpu_kernels.Kernels.correlate
    monkeypatch.setattr(cpu_kernels.Kernels, "correlate", lambda *args: 1.001 * correlate(*args))
    kernels.cache_clear()
    try:
        with pytest.warns(UserWarning, match="left out"):
            assert kernels() is None
    finally:
        kernels.cache_clear()


@pytest.mark.parametrize("network", ["conv32", "conv64"])
def test_an_iteration_with_them_is_one_without_them(network, monkeypatch):
    config = small("inertia_vae", network=network, image_size=64 if network == "conv64" else 32)
    with_them = _gradient(config)
    monkeypatch.setattr("dd_ray.training.cpu_convolutions.kernels", lambda: None)
    assert bool(((with_them - _gradient(config)).abs() <= 1e-5 * with_them.abs().max()).all())


def _gradient(config):
    """The size of a trial's first gradient, from what the optimiser keeps of it."""
    stack = Stack([config])
    stack.step(1)
    return stack[config.key].square_avg.sqrt()
