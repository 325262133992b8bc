"""Helpers for computing a model's convolutions in other ways."""

from collections.abc import Mapping

from torch import Tensor, nn

from dd_ray.models import Model


def size_of_convolved(layer: nn.Conv2d, images: Tensor) -> tuple[int, int]:
    """Return height and width of a convolution's output for images [..., H, W]."""
    height, width = (
        (images.shape[i - 2] + 2 * int(layer.padding[i]) - layer.dilation[i] * (layer.kernel_size[i] - 1) - 1)
        // layer.stride[i]
        + 1
        for i in (0, 1)
    )
    return height, width


def size_of_transposed(layer: nn.ConvTranspose2d, images: Tensor) -> tuple[int, int]:
    """Return height and width of a transposed convolution's output for images [..., H, W]."""
    height, width = (
        (images.shape[i - 2] - 1) * layer.stride[i]
        - 2 * int(layer.padding[i])
        + layer.dilation[i] * (layer.kernel_size[i] - 1)
        + layer.output_padding[i]
        + 1
        for i in (0, 1)
    )
    return height, width


def with_convolutions(model: Model, kinds: Mapping[type[nn.Module], type[nn.Module]]) -> Model:
    """Replace layers of a model by layers of other kinds, which have the same parameters under the same names."""
    for module in model.modules():
        if type(module) in kinds:
            module.__class__ = kinds[type(module)]
    return model
