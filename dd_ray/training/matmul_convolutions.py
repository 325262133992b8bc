"""Convolutions as matrix products, which `vmap` turns into batched ones where it would make groups of channels.

Shapes: N images, I channels in, O channels out, k×k kernel, H×W pixels in, H'×W' out.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dd_ray.models import Model


class MatmulConv2d(nn.Conv2d):
    """y = W · unfold(x) + b."""

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """[N, I, H, W] to [N, O, H', W']."""
        options: dict[str, Any] = {"dilation": self.dilation, "padding": self.padding, "stride": self.stride}
        columns_nqp = functional.unfold(input, self.kernel_size, **options)  # q = I·k², p = H'·W'
        out = torch.matmul(self.weight.flatten(1), columns_nqp)
        if self.bias is not None:
            out = out + self.bias[:, None]
        return out.unflatten(2, self._size(input))

    def _size(self, images: Tensor) -> tuple[int, int]:
        height, width = (
            (images.shape[2 + i] + 2 * int(self.padding[i]) - self.dilation[i] * (self.kernel_size[i] - 1) - 1)
            // self.stride[i]
            + 1
            for i in (0, 1)
        )
        return height, width


class MatmulConvTranspose2d(nn.ConvTranspose2d):
    """y = fold(Wᵀ · x) + b."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, I, H, W] to [N, O, H', W']."""
        columns_nqp = torch.matmul(self.weight.flatten(1).T, input.flatten(2))  # q = O·k², p = H·W
        options: dict[str, Any] = {"dilation": self.dilation, "padding": self.padding, "stride": self.stride}
        out = functional.fold(columns_nqp, self._size(input), self.kernel_size, **options)
        return out if self.bias is None else out + self.bias[:, None, None]

    def _size(self, images: Tensor) -> tuple[int, int]:
        height, width = (
            (images.shape[2 + i] - 1) * self.stride[i]
            - 2 * int(self.padding[i])
            + self.dilation[i] * (self.kernel_size[i] - 1)
            + self.output_padding[i]
            + 1
            for i in (0, 1)
        )
        return height, width


_MATMUL: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: MatmulConv2d,
    nn.ConvTranspose2d: MatmulConvTranspose2d,
}


def with_matmul_convolutions(model: Model) -> Model:
    """The same model, with the same parameters by the same names, computing its convolutions as matrix products."""
    for module in model.modules():
        if type(module) in _MATMUL:
            module.__class__ = _MATMUL[type(module)]
    return model
