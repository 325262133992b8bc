"""Helpers for computing a model's convolutions in other ways."""

from collections.abc import Mapping, Sequence

from torch import nn

from dd_ray.models import Model
from dd_ray.models.networks.layers import Conv2d, ConvTranspose2d

PLAIN: Mapping[type[nn.Module], type[nn.Module]] = {Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d}
"""The layers of PyTorch that ours extend by an activation function."""


def is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Return whether a layer has one group, taps side by side, and zeros around its images, as many as it says."""
    known = not isinstance(layer.padding, str) and layer.padding_mode == "zeros"
    return known and layer.groups == 1 and set(layer.dilation) == {1}


def size_of_convolved(layer: nn.Conv2d, size: Sequence[int]) -> tuple[int, int]:
    """Return height and width of a convolution's output from those of its input."""
    height, width = (
        (size[i] + 2 * int(layer.padding[i]) - layer.dilation[i] * (layer.kernel_size[i] - 1) - 1) // layer.stride[i]
        + 1
        for i in (0, 1)
    )
    return height, width


def size_of_transposed(layer: nn.ConvTranspose2d, size: Sequence[int]) -> tuple[int, int]:
    """Return height and width of a transposed convolution's output from those of its input."""
    height, width = (
        (size[i] - 1) * layer.stride[i]
        - 2 * int(layer.padding[i])
        + layer.dilation[i] * (layer.kernel_size[i] - 1)
        + layer.output_padding[i]
        + 1
        for i in (0, 1)
    )
    return height, width


def with_convolutions(model: Model, kinds: Mapping[type[nn.Module], type[nn.Module]]) -> Model:
    """Replace layers of a model by layers of other kinds, which have the same parameters under the same names.

    `kinds` names PyTorch's layers; layers that apply an activation function as well go on to apply it.
    """
    for module in model.modules():
        plain = PLAIN.get(type(module), type(module))
        if plain in kinds:
            module.__class__ = kinds[plain]
    return model
