"""Convolutions for CPUs: by kernels of our own where there are any, and a decoder's last layer in another way if not.

Shapes: N images, I channels in, k×k kernel, H×W pixels in, H'×W' out.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dd_ray.models.networks.layers import Convolutions, activated, activation_of, before_activation, dtype_between
from dd_ray.training.convolutions import is_plain, size_of_convolved, size_of_transposed
from dd_ray.training.cpu_kernels import MOST_TAPS, Kernels, Layer, kernels

Convolution = nn.Conv2d | nn.ConvTranspose2d


class CPUConv2d(nn.Conv2d):
    """A convolution, and its activation function."""

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """Map images [N, I, H, W] to [N, O, H', W']."""
        computed = _by_our_kernels([self], input)
        return activated(self, super().forward(input)) if computed is None else computed


class CPUConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution, and its activation function.

    Without kernels of our own, a layer of one output channel computes y = fold(Wᵀ · x) + b, in less than half of the
    time that PyTorch's kernels take.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map images [N, I, H, W] to [N, O, H', W']."""
        if output_size is None and (computed := _by_our_kernels([self], input)) is not None:
            return computed
        if self.out_channels > 1 or self.bias is None:
            return activated(self, super().forward(input, output_size))
        out: Tensor = _ToOneChannel.apply(self, input, self.weight)
        return activated(self, out + self.bias[:, None, None])


class CPUConvolutions(Convolutions):
    """Layers one after the other. On the way back, what computes the gradient of a layer's input takes it back through
    the activation that gave this input, and sums it for the bias, as in `triton_layers`."""

    def forward(self, input: Tensor) -> Tensor:
        """Map images [N, C, H, W] to those of the last layer."""
        layers = [layer for layer in self if isinstance(layer, Convolution)]
        known = len(layers) == len(self) and dtype_between() is torch.float32
        computed = _by_our_kernels(layers, input) if known else None
        return super().forward(input) if computed is None else computed


CPU: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: CPUConv2d,
    nn.ConvTranspose2d: CPUConvTranspose2d,
    Convolutions: CPUConvolutions,
}


_GEOMETRY = attrgetter(
    *("transposed", "in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding"),
    *("dilation", "groups", "padding_mode"),
)
_described: dict[Hashable, tuple[Layer, ...] | None] = {}
"""Layers that follow each other, by their geometry and the shape of images; None if our kernels do not compute them.
Describing them takes a hundredth of an iteration of 8 × 10 frames."""


def _by_our_kernels(layers: Sequence[Convolution], images: Tensor) -> Tensor | None:
    """Compute layers that follow each other; None if there are no kernels for them."""
    weights = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
    tensors = (images, *(weight for weight in weights if weight is not None))
    fit = images.ndim == 4 and images.device.type == "cpu" and all(tensor.dtype == torch.float32 for tensor in tensors)
    if not fit or (ours := kernels()) is None:
        return None
    key = (images.shape, *((_GEOMETRY(layer), activation_of(layer)) for layer in layers))
    if key not in _described:
        _described[key] = _in_a_row(layers, images)
    described = _described[key]
    return None if described is None else cast("Tensor", _Layers.apply(ours, described, images, *weights))


def _in_a_row(layers: Sequence[Convolution], images: Tensor) -> tuple[Layer, ...] | None:
    """Describe layers that follow each other; None if our kernels do not compute them."""
    described, (number, channels, *size) = [], images.shape
    for layer in layers:
        if channels != layer.in_channels or not is_plain(layer) or math.prod(layer.kernel_size) > MOST_TAPS:
            return None
        described.append(_layer(layer, number, (size[0], size[1])))
        *size, channels = described[-1].narrow if described[-1].to == "narrow" else described[-1].wide
    return tuple(described)


def _layer(layer: Convolution, images: int, size: tuple[int, int]) -> Layer:
    """Describe a layer, given the number of images and the height and width of its input."""
    given = (*size, layer.in_channels)
    if isinstance(layer, nn.Conv2d):
        wide, narrow = given, (*size_of_convolved(layer, size), layer.out_channels)
    else:
        wide, narrow = (*size_of_transposed(layer, size), layer.out_channels), given
    pairs = [(int(pair[0]), int(pair[1])) for pair in (layer.kernel_size, layer.stride, layer.padding)]
    return Layer(
        images=images,
        wide=wide,
        narrow=narrow,
        size=pairs[0],
        stride=pairs[1],
        padding=pairs[2],
        to="narrow" if isinstance(layer, nn.Conv2d) else "wide",
        activation=activation_of(layer),
    )


class _Layers(torch.autograd.Function):
    """Layers by our kernels, from images and (weight, bias) of each."""

    @staticmethod
    def forward(ctx: Any, ours: Kernels, layers: Sequence[Layer], *tensors: Any) -> Tensor:
        images, *weights = tensors
        outputs: list[Tensor] = [images.contiguous(memory_format=torch.channels_last)]
        for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
            outputs.append(ours.convolve(layer, outputs[-1], kernel, bias)[0])
        ctx.ours, ctx.layers = ours, layers
        ctx.save_for_backward(*weights[::2], *outputs)
        return outputs[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients from the last layer to the first."""
        ours, layers, saved = ctx.ours, ctx.layers, ctx.saved_tensors
        kernels_of, (*inputs, last) = saved[: len(layers)], saved[len(layers) :]
        _, _, of_images, *of_weights = ctx.needs_input_grad
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        gradient = before_activation(layers[-1].activation, gradient, last)
        # Of each image first: PyTorch adds up a single number by threads, whose number its bits then depend on.
        sums: Tensor | None = gradient.sum((2, 3)).sum(0)
        found: list[Tensor | None] = []  # from the last layer to the first
        for i in reversed(range(len(layers))):
            layer, images = layers[i], inputs[i]
            pair = (images, gradient) if layer.to == "narrow" else (gradient, images)
            found += [sums if of_weights[2 * i + 1] else None]
            found += [ours.correlate(layer, *pair) if of_weights[2 * i] else None]
            if i > 0:
                back = layer.back(layers[i - 1].activation)
                gradient, sums = ours.convolve(back, gradient, kernels_of[i], given=images)
        of_first = ours.convolve(layers[0].back("linear"), gradient, kernels_of[0])[0] if of_images else None
        return None, None, of_first, *reversed(found)


class _ToOneChannel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: nn.ConvTranspose2d, images: Tensor, weight: Tensor) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(images, weight)
        taps = weight.flatten(1).T[:, :, None, None]  # [k², I, 1, 1]
        columns_nqp = functional.conv2d(images, taps).flatten(2)  # q = k², p = H·W
        size, padding, stride = size_of_transposed(layer, images.shape[2:]), layer.padding, layer.stride
        return functional.fold(columns_nqp, size, layer.kernel_size, padding=padding, stride=stride)  # type: ignore[arg-type]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients by PyTorch's own functions, which are fast."""
        layer, (images, weight) = ctx.layer, ctx.saved_tensors
        geometry = (layer.stride, layer.padding, layer.dilation, True, layer.output_padding, layer.groups)
        needed = [*ctx.needs_input_grad[1:], False]
        of_images, of_weight, _ = torch.ops.aten.convolution_backward(gradient, images, weight, None, *geometry, needed)
        return None, of_images, of_weight
