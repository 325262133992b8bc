"""Layers by our own kernels in Triton, for one trial or, under `vmap`, for K at once.

Layers that follow each other are one operation, so that what lies between them is read and written as seldom as can be:
a kernel applies the activation function to the images that it writes. On the way back the kernel that computes the
gradient of a layer's input also takes it back through the activation that gave this input, and sums it for the bias.

Shapes: K trials, N images, C×H×W pixels, O and I channels of a kernel of k×k pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dd_ray.models.networks.layers import Activation, Convolutions, activated, activation_of, before_activation
from dd_ray.training.convolutions import is_plain, size_of_convolved, size_of_transposed
from dd_ray.training.triton_convolutions import Geometry, convolve, differentiate

Layer = nn.Conv2d | nn.ConvTranspose2d


class TritonConv2d(nn.Conv2d):
    """A convolution and its activation function."""

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """Map images [N, I, H, W] to [N, O, H', W']."""
        return _applied([self], input) if _are_computed([self], input) else activated(self, super().forward(input))


class TritonConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution and its activation function."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Map images [N, O, H', W'] to [N, I, H, W]."""
        if output_size is None and _are_computed([self], input):
            return _applied([self], input)
        return activated(self, super().forward(input, output_size))


class TritonConvolutions(Convolutions):
    """Layers one after the other."""

    def forward(self, input: Tensor) -> Tensor:
        """Map images [N, C, H, W] to those of the last layer."""
        layers = [layer for layer in self if isinstance(layer, Layer)]
        known = len(layers) == len(self) and _are_computed(layers, input)
        return _applied(layers, input) if known else super().forward(input)


TRITON: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: TritonConv2d,
    nn.ConvTranspose2d: TritonConvTranspose2d,
    Convolutions: TritonConvolutions,
}


@dataclass(frozen=True)
class Step:
    """A layer for images of certain sizes, without its weights."""

    geometry: Geometry
    transposed: bool
    activation: Activation


def _are_computed(layers: Sequence[Layer], images: Tensor) -> bool:
    """Return whether our kernels compute such layers, which may be of a user's own network; PyTorch does the others."""
    return images.dim() == 4 and all(map(is_plain, layers))


def _applied(layers: Sequence[Layer], images: Tensor) -> Tensor:
    steps: list[Step] = []
    size = (images.shape[2], images.shape[3])
    for layer in layers:
        pairs = [(int(pair[0]), int(pair[1])) for pair in (layer.kernel_size, layer.stride, layer.padding)]
        if isinstance(layer, nn.ConvTranspose2d):
            narrow, size = size, size_of_transposed(layer, size)
            steps.append(Step(Geometry(size, narrow, *pairs), True, activation_of(layer)))
        else:
            wide, size = size, size_of_convolved(layer, size)
            steps.append(Step(Geometry(wide, size, *pairs), False, activation_of(layer)))
    last: Tensor
    last, *_ = OfOneTrial.apply(tuple(steps), images, *(t for layer in layers for t in (layer.weight, layer.bias)))
    return last


class OfOneTrial(torch.autograd.Function):
    """Layers of one trial. Under `vmap` they are `OfTrials`."""

    @staticmethod
    def forward(steps: Sequence[Step], *tensors: Tensor | None) -> tuple[Tensor, ...]:
        """Return the images of the last layer, and then those of the others, from images and (weight, bias) of each."""
        return _of_one(OfTrials.forward(steps, *_of_trials(tensors)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep inputs and outputs for the backward pass."""
        _keep(ctx, inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Any, ...]:
        """Compute the gradients, see `gradients`."""
        return _spread(ctx, GradientsOfOneTrial.apply(ctx.steps, ctx.needs_input_grad[1], gradient, *ctx.saved_tensors))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Compute K trials together; a tensor that they share is not copied."""
        steps, *tensors = inputs
        outputs = OfTrials.apply(steps, *_stacked(tensors, in_dims[1:], info.batch_size))
        return outputs, (0,) * len(outputs)


class OfTrials(torch.autograd.Function):
    """`OfOneTrial` for K trials: all tensors have a leading K."""

    @staticmethod
    def forward(steps: Sequence[Step], *tensors: Tensor | None) -> tuple[Tensor, ...]:
        """Return the images of the last layer, and then those of the others, from images and (weight, bias) of each."""
        images, *weights = tensors
        outputs: list[Tensor] = []
        for step, kernel, bias in zip(steps, weights[::2], weights[1::2], strict=True):
            assert images is not None and kernel is not None
            images = convolve(
                step.geometry,
                images,
                kernel,
                bias,
                transposed=step.transposed,
                activation=step.activation,
                between=step is not steps[-1],
            )
            outputs.append(images)
        return outputs[-1], *outputs[:-1]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep inputs and outputs for the backward pass."""
        _keep(ctx, inputs, output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Any, ...]:
        """Compute the gradients, see `gradients`."""
        return _spread(ctx, gradients(ctx.steps, ctx.needs_input_grad[1], gradient, *ctx.saved_tensors))


class GradientsOfOneTrial(torch.autograd.Function):
    """`gradients` for one trial, which has no gradients itself. Under `vmap` it is `gradients`."""

    @staticmethod
    def forward(steps: Sequence[Step], of_images: bool, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        """Compute the gradients."""
        return _of_one(gradients(steps, of_images, *_of_trials(tensors)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep nothing."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        """Compute K trials together."""
        steps, of_images, *tensors = inputs
        outputs = gradients(steps, of_images, *_stacked(tensors, in_dims[2:], info.batch_size))
        return outputs, (0,) * len(outputs)


def gradients(steps: Sequence[Step], of_images: bool, *tensors: Tensor | None) -> tuple[Tensor, ...]:
    """Compute the gradients of K trials from that of their last layer's images.

    Args:
        steps: the layers.
        of_images: whether the gradient of the first layer's input is wanted.
        tensors: the gradient, these images, (weight, bias) of each layer, and the outputs of `OfTrials`.

    Returns:
        The gradient of the first layer's input, if it is wanted, and those of weight and, if it has one, bias of each
        layer.
    """
    gradient, images, *rest = tensors
    weights, (last, *outputs) = rest[: 2 * len(steps)], rest[2 * len(steps) :]
    assert gradient is not None and last is not None
    inputs, kernels, biases = [images, *outputs], weights[::2], weights[1::2]
    gradient = before_activation(steps[-1].activation, gradient, last)
    sums: Tensor | None = gradient.sum((1, 3, 4))
    found: list[Tensor] = []  # from the last layer to the first
    for i in reversed(range(len(steps))):
        step, given, kernel = steps[i], inputs[i], kernels[i]
        assert given is not None and kernel is not None
        if biases[i] is not None:
            assert sums is not None
            found.append(sums)
        of_kernel, of_given, sums = differentiate(
            step.geometry,
            gradient,
            kernel,
            given,
            transposed=step.transposed,
            of_images=i > 0 or of_images,
            activation=steps[i - 1].activation if i > 0 else "linear",
            sums=i > 0 and biases[i - 1] is not None,
            between=i > 0,
        )
        found.append(of_kernel)
        gradient = gradient if of_given is None else of_given
    return (gradient, *reversed(found)) if of_images else tuple(reversed(found))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.steps, *tensors = inputs
    ctx.given = [tensor is not None for tensor in tensors]
    ctx.mark_non_differentiable(*output[1:])
    ctx.set_materialize_grads(False)  # else zeros are written for images that have no gradient
    ctx.save_for_backward(*tensors, *output)


def _spread(ctx: Any, found: Sequence[Tensor]) -> tuple[Any, ...]:
    """Put each gradient at the place of its input; None where there is no tensor or none was wanted."""
    left = iter(found)
    wanted = [ctx.needs_input_grad[1], *ctx.given[1:]]
    return None, *(next(left) if is_wanted else None for is_wanted in wanted)


def _stacked(tensors: Sequence[Tensor | None], dims: Sequence[int | None], count: int) -> list[Tensor | None]:
    """Give each tensor a leading K, which `vmap` may have elsewhere or, for a shared tensor, nowhere."""
    return [
        None if tensor is None else tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]


def _of_trials(tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [None if tensor is None else tensor[None] for tensor in tensors]


def _of_one(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(tensor.squeeze(0) for tensor in tensors)
