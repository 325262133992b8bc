"""Convolutions that apply the activation function that follows them, so that a faster one can compute both at once.

Parameters, their names and their initialisation are those of PyTorch's layers. Source of ELU, x for x > 0 and eˣ − 1
else: Clevert, Unterthiner and Hochreiter 2016.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Activation = Literal["linear", "relu", "elu"]

FUNCTIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    "linear": lambda images: images,
    "relu": partial(functional.relu, inplace=True),
    "elu": partial(functional.elu, inplace=True),
}


class Conv2d(nn.Conv2d):
    """A convolution and an activation function.

    Args:
        activation: name of the function; linear is none.
        arguments, more: those of `torch.nn.Conv2d`.
    """

    def __init__(self, *arguments: Any, activation: Activation, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """Map images [N, I, H, W] to [N, O, H', W']."""
        return activated(self, super().forward(input))


class ConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution and an activation function.

    Args:
        activation: name of the function; linear is none.
        arguments, more: those of `torch.nn.ConvTranspose2d`.
    """

    def __init__(self, *arguments: Any, activation: Activation, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.activation = activation

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map images [N, I, H, W] to [N, O, H', W']."""
        return activated(self, super().forward(input, output_size))


_dtype_between: list[torch.dtype] = [torch.float32]


def keep_images_as(dtype: torch.dtype) -> None:
    """Let `Convolutions` keep the images between their layers in float32 or bfloat16, in the whole process."""
    _dtype_between[0] = dtype


@contextmanager
def images_kept_as(dtype: torch.dtype) -> Iterator[None]:
    """During the block, let `Convolutions` keep the images between their layers in this type."""
    before = dtype_between()
    keep_images_as(dtype)
    try:
        yield
    finally:
        keep_images_as(before)


def dtype_between() -> torch.dtype:
    """Return the type of the images between the layers of `Convolutions`."""
    return _dtype_between[0]


class Convolutions(nn.Sequential):
    """Convolutions of this module, one after the other; a faster kind computes their gradients together.

    Images between them are of the type that `keep_images_as` sets, and those of the last one of float32, as are all
    weights and their gradients.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map images [N, C, H, W] to those of the last layer."""
        *others, last = self
        if dtype_between() is torch.float32 or not others:
            images: Tensor = super().forward(input)
            return images
        images = input
        with torch.autocast(input.device.type, dtype_between(), cache_enabled=False):  # a graph would keep the cache
            for layer in others:
                images = layer(images)
        of_last: Tensor = last(images.float())
        return of_last


def activation_of(layer: nn.Module) -> Activation:
    """Return the name of the function that a layer applies itself; a layer of PyTorch's applies none."""
    activation: Activation = getattr(layer, "activation", "linear")
    return activation


def before_activation(activation: Activation, gradient: Tensor, images: Tensor) -> Tensor:
    """Return the gradient with respect to z, given that with respect to images = activation(z), of the same shape."""
    if activation == "relu":
        of_relu: Tensor = torch.ops.aten.threshold_backward(gradient, images, 0)  # in one pass
        return of_relu
    if activation == "elu":
        return torch.where(images <= 0, gradient * (images + 1), gradient)
    return gradient


def activated(layer: nn.Module, images: Tensor) -> Tensor:
    """Apply the function of a layer to what it computed, in place."""
    return FUNCTIONS[activation_of(layer)](images)
