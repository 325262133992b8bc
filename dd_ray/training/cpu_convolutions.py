"""Convolutions for CPUs: by kernels of our own where there are any, and a decoder's last layer in another way if not.

Shapes: N images, I channels in, k×k kernel, H×W pixels in, H'×W' out.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dd_ray.models.networks.layers import activated, activation_of
from dd_ray.training.convolutions import size_of_convolved, size_of_transposed
from dd_ray.training.cpu_kernels import MOST_TAPS, Kernels, Layer, kernels


class CPUConv2d(nn.Conv2d):
    """A convolution, and its activation function."""

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """Map images [N, I, H, W] to [N, O, H', W']."""
        if (ours := _kernels_for(self, input)) is None:
            return activated(self, super().forward(input))
        wide = (*input.shape[2:], self.in_channels)
        return _by(ours, self, input, "narrow", wide, (*size_of_convolved(self, input.shape[2:]), self.out_channels))


class CPUConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution, and its activation function.

    Without kernels of our own, a layer of one output channel computes y = fold(Wᵀ · x) + b, in less than half of the
    time that PyTorch's kernels take.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map images [N, I, H, W] to [N, O, H', W']."""
        if (ours := _kernels_for(self, input)) is not None and output_size is None:
            narrow = (*input.shape[2:], self.in_channels)
            return _by(
                ours, self, input, "wide", (*size_of_transposed(self, input.shape[2:]), self.out_channels), narrow
            )
        if self.out_channels > 1 or self.bias is None:
            return activated(self, super().forward(input, output_size))
        out: Tensor = _ToOneChannel.apply(self, input, self.weight)
        return activated(self, out + self.bias[:, None, None])


CPU: Mapping[type[nn.Module], type[nn.Module]] = {nn.Conv2d: CPUConv2d, nn.ConvTranspose2d: CPUConvTranspose2d}


def _kernels_for(layer: nn.Conv2d | nn.ConvTranspose2d, images: Tensor) -> Kernels | None:
    """Return our kernels if there are any and they compute such a layer."""
    plain = layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"
    known = plain and not isinstance(layer.padding, str) and math.prod(layer.kernel_size) <= MOST_TAPS
    fits = images.ndim == 4 and images.dtype == layer.weight.dtype == torch.float32 and images.device.type == "cpu"
    return kernels() if known and fits else None


def _by(
    ours: Kernels,
    layer: nn.Conv2d | nn.ConvTranspose2d,
    images: Tensor,
    to: Literal["narrow", "wide"],
    *sizes: tuple[int, ...],
) -> Tensor:
    """Compute a layer, given height, width and channels of wide and of narrow images."""
    wide, narrow = ((size[0], size[1], size[2]) for size in sizes)
    size, stride, padding = ((int(pair[0]), int(pair[1])) for pair in (layer.kernel_size, layer.stride, layer.padding))
    what = Layer(
        images=len(images),
        wide=wide,
        narrow=narrow,
        size=size,
        stride=stride,
        padding=padding,
        to=to,
        activation=activation_of(layer),
    )
    out: Tensor = _Convolution.apply(ours, what, images, layer.weight, layer.bias)
    return out


class _Convolution(torch.autograd.Function):
    """A layer by our kernels."""

    @staticmethod
    def forward(ctx: Any, ours: Kernels, layer: Layer, *tensors: Any) -> Tensor:
        images, kernel, bias = tensors
        images = images.contiguous(memory_format=torch.channels_last)
        out = ours.convolve(layer, images, kernel, bias)
        ctx.ours, ctx.layer = ours, layer
        ctx.save_for_backward(images, kernel, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the gradients: back through the activation, then the two other derivatives of T."""
        ours, layer, (images, kernel, out) = ctx.ours, ctx.layer, ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        gradient, of_bias = ours.before_activation(layer.activation, gradient, out)
        _, _, of_images, of_kernel, _ = ctx.needs_input_grad
        return (
            None,
            None,
            ours.convolve(layer.backward, gradient, kernel, None) if of_images else None,
            ours.correlate(layer, *((images, gradient) if layer.to == "narrow" else (gradient, images)))
            if of_kernel
            else None,
            of_bias if ctx.needs_input_grad[4] else None,
        )


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
