"""A decoder's last layer for CPUs, where PyTorch's kernels for a transposed convolution to one channel are slow.

Shapes: N images, I channels in, k×k kernel, H×W pixels in, H'×W' out.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dd_ray.training.convolutions import size_of_transposed


class CPUConvTranspose2d(nn.ConvTranspose2d):
    """Computes y = fold(Wᵀ · x) + b for one output channel, in less than half of the time; else as PyTorch does."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # as PyTorch names it
        """Map images [N, I, H, W] to [N, O, H', W']."""
        if self.out_channels > 1 or self.bias is None:
            return super().forward(input, output_size)
        out: Tensor = _ToOneChannel.apply(self, input, self.weight)
        return out + self.bias[:, None, None]


class _ToOneChannel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: nn.ConvTranspose2d, images: Tensor, weight: Tensor) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(images, weight)
        taps = weight.flatten(1).T[:, :, None, None]  # [k², I, 1, 1]
        columns_nqp = functional.conv2d(images, taps).flatten(2)  # q = k², p = H·W
        size, padding, stride = size_of_transposed(layer, images), layer.padding, layer.stride
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


CPU: Mapping[type[nn.Module], type[nn.Module]] = {nn.ConvTranspose2d: CPUConvTranspose2d}
