"""Convolutions as matrix products, which `vmap` turns into batched ones where it would make groups of channels.

Shapes: N images, I channels in, O channels out, k×k kernel, H×W pixels in, H'×W' out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dd_ray.training.convolutions import size_of_convolved, size_of_transposed


class MatmulConv2d(nn.Conv2d):
    """y = W · unfold(x) + b."""

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """[N, I, H, W] to [N, O, H', W']."""
        top, left = (int(padding) for padding in self.padding)
        padded, (height, width) = functional.pad(input, (left, left, top, top)), size_of_convolved(self, input)
        (size_y, size_x), (stride_y, stride_x) = self.kernel_size, self.stride
        # By slices, since PyTorch's own unfold starts a kernel for each image.
        taps = [
            padded[:, :, i : i + stride_y * height : stride_y, j : j + stride_x * width : stride_x]
            for i in range(size_y)
            for j in range(size_x)
        ]
        columns_nqp = torch.stack(taps, dim=2).flatten(3).flatten(1, 2)  # q = I·k², p = H'·W'
        out = torch.matmul(self.weight.flatten(1), columns_nqp)
        if self.bias is not None:
            out = out + self.bias[:, None]
        return out.unflatten(2, (height, width))


class MatmulConvTranspose2d(nn.ConvTranspose2d):
    """y = fold(Wᵀ · x) + b."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, I, H, W] to [N, O, H', W']."""
        columns_nqp = torch.matmul(self.weight.flatten(1).T, input.flatten(2))  # q = O·k², p = H·W
        columns = columns_nqp.unflatten(2, input.shape[2:]).unflatten(1, (-1, *self.kernel_size))
        top, left = (int(padding) for padding in self.padding)
        height, width = size_of_transposed(self, input)
        out = _fold(columns, *self.stride)[:, :, top : top + height, left : left + width]
        return out if self.bias is None else out + self.bias[:, None, None]


def _fold(columns: Tensor, stride_y: int, stride_x: int) -> Tensor:
    """Windows [N, O, k, k, H, W] added up where they lie, a stride from each other.

    Row r of the result is of phase r mod stride, and the windows' rows of one phase are shifted against each other by
    whole rows. So each phase is a few sums, and the phases are interleaved.
    """
    height, width = columns.shape[2:4]
    more_y, more_x = (height - 1) // stride_y, (width - 1) // stride_x
    taps_of = columns.flatten(2, 3).unbind(2)  # once, so that their gradients are put together once

    def phase(y: int, x: int) -> Tensor:
        taps = [(i, j) for i in range(y, height, stride_y) for j in range(x, width, stride_x)]
        shifts = [(j // stride_x, more_x - j // stride_x, i // stride_y, more_y - i // stride_y) for i, j in taps]
        parts = [functional.pad(taps_of[i * width + j], shift) for (i, j), shift in zip(taps, shifts, strict=True)]
        return torch.stack(parts).sum(dim=0)

    rows = [torch.stack([phase(y, x) for x in range(stride_x)], dim=-1).flatten(3) for y in range(stride_y)]
    return torch.stack(rows, dim=3).flatten(2, 3)


MATMUL: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: MatmulConv2d,
    nn.ConvTranspose2d: MatmulConvTranspose2d,
}
