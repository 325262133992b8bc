"""Convolutions that apply the activation function that follows them, so that a faster one can compute both at once.

Parameters, their names and their initialisation are those of PyTorch's layers. Source of ELU, x for x > 0 and eˣ − 1
else: Clevert, Unterthiner and Hochreiter 2016.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

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


class Convolutions(nn.Sequential):
    """Convolutions of this module, one after the other; a faster kind computes their gradients together."""


def activation_of(layer: nn.Module) -> Activation:
    """Return the name of the function that a layer applies itself; a layer of PyTorch's applies none."""
    activation: Activation = getattr(layer, "activation", "linear")
    return activation


def activated(layer: nn.Module, images: Tensor) -> Tensor:
    """Apply the function of a layer to what it computed, in place."""
    return FUNCTIONS[activation_of(layer)](images)
