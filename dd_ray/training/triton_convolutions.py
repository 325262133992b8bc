"""Convolutions of K trials by kernels of our own, in Triton.

With wide images x, narrow images y and a kernel w, of stride s and padding p,

    T(x, y, w) = Σ_noiabuv  w[o, i, u, v] · x[n, i, s·a + u − p, s·b + v − p] · y[n, o, a, b]

is linear in each of the three. A convolution is ∂T/∂y, a transposed one ∂T/∂x, and the gradients of each are the two
others: so two kernels are all, one for images from images, one for ∂T/∂w. They are implicit matrix products: pixels
are gathered as they are multiplied, and the unfolded columns are never in memory.

What to expect, from counts; **none of this has run on a GPU**. conv32's second layer has 576 images of 32×16×16 in and
32×8×8 out: each of its three operations moves 24 MB a trial-iteration and 0.68 GFLOP, in programs of 2.4 MFLOP (images)
and 8.4 (kernels). A step of 36 trials of 64 × 10 frames moves 23.0 GB (`tests.training.traffic`), 7 ms of an H100's
3.35 TB/s: 10.4 in our kernels, the rest in activations and sums of biases' gradients, which are not fused. Of the
instructions in the inner loops, compiled for it in float32, 80% and 60% are multiply-adds, the rest loads, addresses
and masks: at best 0.15 ms a trial-iteration, where all 67 TFLOP/s would take 0.11. In TF32 tensor cores multiply, and
memory is the limit.

Shapes: K trials, N images, I channels H×W of the wide ones, O channels H'×W' of the narrow ones, k×k kernel.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from subprocess import CalledProcessError
from typing import Any

import torch
from torch import Tensor, nn

from dd_ray.errors import UserError
from dd_ray.training.convolutions import size_of_convolved, size_of_transposed

WIDE, NARROW, KERNEL = range(3)
"""The arguments of T."""
LEAST = 16
"""The smallest side that Triton's matrix products take."""
SHARE = 2048
"""Pixels that one program of a kernel's gradient sums over, about: enough programs for a GPU with few trials, and
little to add up after them."""


class KernelError(UserError):
    """Our kernels cannot compute this here."""


def is_available(device: torch.device) -> bool:
    """Whether there is Triton for a device; for a CPU its interpreter, which is for tests."""
    can_run = device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    return can_run and find_spec("triton") is not None


@dataclass(frozen=True)
class Geometry:
    """Of a layer, as (y, x): sizes of its wide and narrow images and of its kernel, stride and padding."""

    wide: tuple[int, int]
    narrow: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


class TritonConv2d(nn.Conv2d):
    """∂T/∂y + b."""

    def forward(self, input: Tensor) -> Tensor:  # as PyTorch names it
        """[N, I, H, W] to [N, O, H', W']."""
        narrow = size_of_convolved(self, input)
        return _applied(self, _geometry(self, (input.shape[2], input.shape[3]), narrow), NARROW, input, None)


class TritonConvTranspose2d(nn.ConvTranspose2d):
    """∂T/∂x + b."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, O, H', W'] to [N, I, H, W]."""
        wide = size_of_transposed(self, input)
        return _applied(self, _geometry(self, wide, (input.shape[2], input.shape[3])), WIDE, None, input)


TRITON: Mapping[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: TritonConv2d,
    nn.ConvTranspose2d: TritonConvTranspose2d,
}


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d, wide: tuple[int, int], narrow: tuple[int, int]) -> Geometry:
    pairs = [(int(pair[0]), int(pair[1])) for pair in (layer.kernel_size, layer.stride, layer.padding)]
    return Geometry(wide, narrow, *pairs)


def _applied(
    layer: nn.Conv2d | nn.ConvTranspose2d, geometry: Geometry, by: int, wide: Tensor | None, narrow: Tensor | None
) -> Tensor:
    """A layer, to its one trial or, under `vmap`, to each."""
    return OfOneTrial.apply(geometry, by, wide, narrow, layer.weight, layer.bias)


class OfOneTrial(torch.autograd.Function):
    """The derivative of T by one of its arguments, in whose place there is None, plus a bias [C] if it is images.

    Under `vmap` it is that of K trials, whose result is nobody's view: an activation that works in place would have
    autograd copy the whole of what it is a view of.
    """

    @staticmethod
    def forward(geometry: Geometry, by: int, *tensors: Tensor | None) -> Tensor:
        """[N, I, H, W], [N, O, H', W'] or [O, I, k, k]."""
        return OfTrials.forward(geometry, by, *(None if t is None else t[None] for t in tensors)).squeeze(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the arguments."""
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        """As `_gradients` has them."""
        return _gradients(OfOneTrial.apply, ctx, gradient)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Of K trials; a tensor that they share is not copied."""
        geometry, by, *tensors = inputs
        stacked = _stacked(tensors, in_dims[2:], info.batch_size)
        return OfTrials.apply(geometry, by, *stacked), 0


class OfTrials(torch.autograd.Function):
    """As `OfOneTrial`, of K trials: all tensors have a leading K, to which `vmap` adds its own."""

    @staticmethod
    def forward(geometry: Geometry, by: int, *tensors: Tensor | None) -> Tensor:
        """[K, N, I, H, W], [K, N, O, H', W'] or [K, O, I, k, k]."""
        wide, narrow, kernel, bias = tensors
        if kernel is None:
            assert wide is not None and narrow is not None
            return _correlate(geometry, wide, narrow)
        source = wide if narrow is None else narrow
        assert source is not None
        return _convolve(geometry, source, kernel, bias, transposed=by == WIDE)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the arguments."""
        _keep(ctx, inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        """As `_gradients` has them."""
        return _gradients(OfTrials.apply, ctx, gradient)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """As many trials more."""
        geometry, by, *tensors = inputs
        stacked = _stacked(tensors, in_dims[2:], info.batch_size)
        flat = [None if tensor is None else tensor.flatten(0, 1) for tensor in stacked]
        return OfTrials.apply(geometry, by, *flat).unflatten(0, (info.batch_size, -1)), 0


def _keep(ctx: Any, inputs: tuple[Any, ...]) -> None:
    ctx.geometry, ctx.by, *arguments, _ = inputs
    ctx.save_for_backward(*arguments)


def _gradients(derivative: Callable[..., Tensor], ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    """The derivatives by the others, with the gradient in the place of what was computed, and by a bias."""
    arguments = list(ctx.saved_tensors)
    arguments[ctx.by] = gradient
    wanted = ctx.needs_input_grad[2:]
    gradients = [
        derivative(ctx.geometry, i, *(None if j == i else t for j, t in enumerate(arguments)), None)
        if wanted[i]
        else None
        for i in (WIDE, NARROW, KERNEL)
    ]
    return None, None, *gradients, gradient.sum((-4, -2, -1)) if wanted[3] else None


def _stacked(tensors: Sequence[Tensor | None], dims: Sequence[int | None], count: int) -> list[Tensor | None]:
    """Each with a leading K, where `vmap` has it elsewhere or, of what is shared, nowhere."""
    return [
        None if tensor is None else tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, dims, strict=True)
    ]


def _convolve(geometry: Geometry, source: Tensor, kernel: Tensor, bias: Tensor | None, *, transposed: bool) -> Tensor:
    """Narrow images from wide ones or, transposed, wide ones from narrow ones."""
    source, bias = _with_whole_trials(source), None if bias is None else _with_whole_trials(bias)
    kernel_tsc = kernel.flatten(3).permute((0, 3, 1, 2) if transposed else (0, 3, 2, 1)).contiguous()  # taps, source, C
    trials, num_images, *of_source = source.shape
    size, step = (geometry.wide, geometry.stride) if transposed else (geometry.narrow, (1, 1))
    target = source.new_empty(trials, num_images, kernel_tsc.shape[3], *size)
    _check_size(target)
    tile = _tile_of_images(of_source[0], target.shape[2])
    tiles_of_phase = _parts(num_images * _parts(size[0], step[0]) * _parts(size[1], step[1]), tile["BLOCK_P"])
    _launch(
        "convolve",
        (step[0] * step[1] * tiles_of_phase, _parts(target.shape[2], tile["BLOCK_C"]), trials),
        *(source, kernel_tsc, bias, target),
        *(num_images, source.stride(0), 0 if bias is None else bias.stride(0)),
        **_constants(geometry) | tile,
        SOURCE=tuple(of_source),
        TARGET=tuple(target.shape[2:]),
        TRANSPOSED=transposed,
    )
    return target


def _correlate(geometry: Geometry, wide: Tensor, narrow: Tensor) -> Tensor:
    """The kernel from images: sums over shares of the pixels, and their sum, in an order that is always the same."""
    wide, narrow = _with_whole_trials(wide), _with_whole_trials(narrow)
    trials, num_images, *of_wide = wide.shape
    shape = (narrow.shape[2], of_wide[0], *geometry.size)
    tile = _tile_of_kernels(of_wide[0] * geometry.size[0] * geometry.size[1], shape[0])
    pixels = num_images * geometry.narrow[0] * geometry.narrow[1]
    shares = _parts(pixels, SHARE)
    share = _parts(_parts(pixels, shares), tile["BLOCK_P"]) * tile["BLOCK_P"]
    parts = wide.new_empty(trials, shares, *shape)
    _launch(
        "correlate",
        (_parts(parts[0, 0, 0].numel(), tile["BLOCK_R"]) * _parts(shape[0], tile["BLOCK_C"]), shares, trials),
        *(wide, narrow, parts),
        *(num_images, share, wide.stride(0), narrow.stride(0)),
        **_constants(geometry) | tile,
        WIDE=tuple(of_wide),
        NARROW=tuple(narrow.shape[2:]),
    )
    return parts.sum(1)


def _tile_of_images(source_channels: int, channels: int) -> dict[str, int]:
    """Tiles [P, C] of the result, and how many channels of the source are multiplied at a time.

    All channels up to 64 are in one tile, so that each pixel is read once for all of them. With 4 warps a thread has up
    to 32 sums: it multiplies ten times as often as it reads shared memory. Its registers, 107 at most, and the memory
    of its program's stages, 60 KiB at most, let at least 3 programs share a multiprocessor. A single channel is
    multiplied as it is: a matrix product, of at least 16, would be of zeros.
    """
    return {
        "BLOCK_P": 64 if channels > 32 else 128,
        "BLOCK_C": 1 if channels == 1 else _block(channels),
        "BLOCK_R": 1 if source_channels < LEAST else min(32, _block(source_channels)),
    }


def _tile_of_kernels(channels_and_taps: int, channels: int) -> dict[str, int]:
    """Tiles [R, C] of the result, and how many pixels are multiplied at a time.

    Channels and taps are tiled together, so that an image of one channel has tiles to fill, too. A thread has 16 sums
    and at most 128 registers; with 64×64 sums in a tile it has 200. The narrow images are read anew, from the cache,
    for every tile of R.
    """
    return {
        "BLOCK_R": min(32 if channels > 32 else 64, _block(channels_and_taps)),
        "BLOCK_C": _block(channels),
        "BLOCK_P": 32,
    }


def _block(count: int) -> int:
    """Side of tiles to hold so many: a power of 2, as all are in Triton."""
    return min(64, max(LEAST, 1 << (count - 1).bit_length()))


def _parts(count: int, size: int) -> int:
    return -(-count // size)


def _with_whole_trials(tensor: Tensor) -> Tensor:
    """What is contiguous within each trial, as it is; one that all trials share stays one."""
    _check_size(tensor)
    return tensor if tensor[0].is_contiguous() else tensor.contiguous()


def _check_size(tensor: Tensor) -> None:
    if tensor[0].numel() >= 2**31:
        raise KernelError("A trial's images are counted with 32 bits, and are more here.")


def _constants(geometry: Geometry) -> dict[str, Any]:
    tf32 = torch.backends.cuda.matmul.fp32_precision == "tf32"
    return {
        "SIZE": geometry.size,
        "STRIDE": geometry.stride,
        "PADDING": geometry.padding,
        "PRECISION": "tf32" if tf32 else "ieee",
    }


def _launch(name: str, grid: tuple[int, int, int], *arguments: Tensor | int | None, **constants: Any) -> None:
    """Start a kernel, which is compiled the first time.

    Raises:
        KernelError: it cannot be compiled or started.
        torch.OutOfMemoryError: its code does not find room on the GPU.
    """
    kernel = _kernel(name)
    try:
        kernel[grid](*arguments, **constants, num_warps=4, num_stages=3, enable_fp_fusion=True)
    except Exception as error:  # a compiler's passes raise what they like, and there are other methods
        if "out of memory" in str(error):
            raise torch.OutOfMemoryError(str(error)) from error
        raise KernelError(f"Triton cannot run the kernel {name!r} on this GPU: {error}") from error


@cache
def _kernel(name: str) -> Any:
    """A kernel, yet to be compiled."""
    try:
        module, triton = import_module("dd_ray.training.triton_kernels"), import_module("triton")
        if not triton.knobs.runtime.interpret:
            _ = triton.runtime.driver.active  # which needs a C compiler and Python's headers
    except (ImportError, RuntimeError, AssertionError, OSError, CalledProcessError) as error:
        raise KernelError(f"Triton cannot compile anything here: {error}") from error
    return getattr(module, name)
