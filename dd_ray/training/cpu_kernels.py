"""Convolutions of one trial by kernels of our own for CPUs, `kernels.cpp`, where they were compiled at installation.

As for a GPU (see `triton_convolutions`), two derivatives of one form compute a layer and its gradients:

    T(x, y, w) = Σ_noiabuv  w[o, i, u, v] · x[n, i, s·a + u − p, s·b + v − p] · y[n, o, a, b]

A convolution is ∂T/∂y, a transposed one ∂T/∂x, and a kernel's gradient ∂T/∂w. Images lie in memory with their channels
last, so that vectors of 8 floats (AVX2) or 16 (AVX-512) are of channels, and no layer reorders what the one before it
wrote. The bits of a result depend on the width of vectors, and not on the number of threads.

Shapes: N images, I channels of the wide ones x, O of the narrow ones y, k×k kernel.
"""

import ctypes
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from dd_ray.models.networks.layers import Activation, before_activation

MOST_TAPS = 256
"""The largest kernel, in pixels, that ours compute."""
TOLERANCE = 1e-5
"""The largest difference from PyTorch, relative to the largest number, with which our kernels are used."""
_ACTIVATIONS: Sequence[Activation] = ("linear", "relu", "elu")
_Pair = ctypes.c_int64 * 2
_Triple = ctypes.c_int64 * 3


class _Shape(ctypes.Structure):
    _fields_ = (
        ("images", ctypes.c_int64),
        ("wide", _Triple),
        ("narrow", _Triple),
        ("size", _Pair),
        ("stride", _Pair),
        ("padding", _Pair),
    )


class _Threads(ctypes.Structure):
    _fields_ = (("parallel", ctypes.c_void_p), ("count", ctypes.c_int64))


_ARGUMENTS = {
    "dd_ray_convolve": (
        *(ctypes.POINTER(_Shape), ctypes.c_int, *3 * (ctypes.c_void_p,)),
        *(ctypes.c_int, *3 * (ctypes.c_void_p,), ctypes.POINTER(_Threads)),
    ),
    "dd_ray_correlate": (ctypes.POINTER(_Shape), *3 * (ctypes.c_void_p,), ctypes.POINTER(_Threads)),
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer for images of certain sizes.

    Attributes:
        images: N, how many images there are.
        wide, narrow: their height, width and channels.
        size, stride, padding: of the kernel, in pairs (y, x).
        to: whether the layer computes narrow images from wide ones or, transposed, wide ones from narrow ones.
        activation: the function that is applied to them.
    """

    images: int
    wide: tuple[int, int, int]
    narrow: tuple[int, int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    to: Literal["narrow", "wide"]
    activation: Activation

    def back(self, activation: Activation) -> "Layer":
        """Return the layer of the backward pass: from the gradients of this layer's output to those of its input.

        Args:
            activation: the function that gave the input, through which the gradients are taken back.
        """
        return replace(self, to="wide" if self.to == "narrow" else "narrow", activation=activation)


class Kernels:
    """The compiled kernels. Images are float32 on a CPU, with channels last; so are the results.

    Args:
        path: the compiled library.

    Attributes:
        lanes: floats in the vectors that they use here; 0 if they cannot run on this CPU.

    Raises:
        OSError: it cannot be loaded.
    """

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        for name, arguments in _ARGUMENTS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = None, arguments
        self.lanes: int = self._library.dd_ray_lanes()

    def convolve(
        self, layer: Layer, images: Tensor, kernel: Tensor, bias: Tensor | None = None, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Compute a layer's images [N, O, H', W'] or [N, I, H, W].

        Args:
            layer: the layer.
            images: what is convolved.
            kernel: [O, I, k, k].
            bias: of each channel of the result, or None.
            given: images = activation(z) of the result's shape. If they are given, the layer's function is not
                applied: the result is taken for the gradient with respect to them, and turned into that with respect
                to z.

        Returns:
            The images; and if others are given, their sums over images and pixels, of each channel.
        """
        height, width, channels = layer.narrow if layer.to == "narrow" else layer.wide
        target, sums = _empty(layer.images, channels, height, width), None if given is None else torch.empty(channels)
        kernel = kernel.contiguous()  # as long as its memory is read, it has a name
        self._library.dd_ray_convolve(
            _shape(layer),
            layer.to == "wide",
            *(_pointer(tensor) for tensor in (images, kernel, bias)),
            _ACTIVATIONS.index(layer.activation),
            *(_pointer(tensor) for tensor in (given, target, sums)),
            _threads(torch.get_num_threads()),
        )
        return target, sums

    def correlate(self, layer: Layer, wide: Tensor, narrow: Tensor) -> Tensor:
        """Compute a kernel's gradient [O, I, k, k] from images, of which either are gradients."""
        kernel = torch.empty(layer.narrow[2], layer.wide[2], *layer.size)
        self._library.dd_ray_correlate(
            _shape(layer),
            *(_pointer(tensor) for tensor in (wide, narrow, kernel)),
            _threads(torch.get_num_threads()),
        )
        return kernel


@cache
def kernels() -> Kernels | None:
    """Return the kernels; None if they were not compiled, cannot run on this CPU, or compute something else here."""
    spec = find_spec("dd_ray.training._kernels")
    if spec is None or spec.origin is None:
        return None
    try:
        ours = Kernels(spec.origin)
    except (OSError, AttributeError) as error:
        warnings.warn(f"The compiled convolutions are left out: {error}", stacklevel=2)
        return None
    if ours.lanes and not _agrees(ours):
        warnings.warn("The compiled convolutions are left out, as PyTorch computes others on this CPU.", stacklevel=2)
        return None
    return ours if ours.lanes else None


def _agrees(ours: Kernels) -> bool:
    """Return whether layers and gradients are PyTorch's, for shapes that fill tiles and that do not."""
    generator = torch.Generator().manual_seed(0)
    wide, narrow, kernel, bias = (
        torch.randn(shape, generator=generator).contiguous(memory_format=_layout(shape))
        for shape in ((9, 18, 8, 7), (9, 34, 4, 4), (34, 18, 3, 3), (34,))
    )
    layer = Layer(
        images=9,
        wide=(8, 7, 18),
        narrow=(4, 4, 34),
        size=(3, 3),
        stride=(2, 2),
        padding=(1, 1),
        to="narrow",
        activation="elu",
    )
    forward, _ = ours.convolve(layer, wide, kernel, bias)
    back, sums = ours.convolve(layer.back("relu"), narrow, kernel, given=wide)
    expected = before_activation("relu", functional.conv_transpose2d(narrow, kernel, None, 2, 1, (1, 0)), wide)
    assert sums is not None
    pairs = [
        (forward, functional.elu(functional.conv2d(wide, kernel, bias, 2, 1))),
        (back, expected),
        (sums, expected.sum((0, 2, 3))),
        (ours.correlate(layer, wide, narrow), conv2d_weight(wide, kernel.shape, narrow, stride=2, padding=1)),
    ]
    return all(bool((one - other).abs().max() <= TOLERANCE * other.abs().max()) for one, other in pairs)


def _layout(shape: Sequence[int]) -> torch.memory_format:
    return torch.channels_last if len(shape) == 4 else torch.contiguous_format


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, memory_format=torch.channels_last)


@lru_cache(maxsize=256)
def _shape(layer: Layer) -> _Shape:
    pairs = (_Pair(*pair) for pair in (layer.size, layer.stride, layer.padding))
    return _Shape(layer.images, _Triple(*layer.wide), _Triple(*layer.narrow), *pairs)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


@lru_cache
def _threads(count: int) -> _Threads:
    return _Threads(_openmp(), count)


@cache
def _openmp() -> int | None:
    """Return the address of the function that runs something in the threads of PyTorch's own OpenMP, if it has one."""
    try:
        loaded = ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"))
        return ctypes.cast(loaded.GOMP_parallel, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None
