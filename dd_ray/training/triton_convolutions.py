"""Convolutions of K trials by our own kernels in Triton.

With wide images x, narrow images y and a kernel w, of stride s and padding p,

    T(x, y, w) = Σ_noiabuv  w[o, i, u, v] · x[n, i, s·a + u − p, s·b + v − p] · y[n, o, a, b]

is linear in each of the three. A convolution is ∂T/∂y, a transposed one ∂T/∂x, and the gradients of each are the two
other derivatives. So two functions suffice: one that computes images from images, and one for ∂T/∂w. They are implicit
matrix products: pixels are gathered as they are multiplied, and the unfolded columns are never in memory.

Memory is the limit, and then the instructions that find a pixel; multiplications come third. So images between layers
have channels last, as then a thread reads sixteen bytes at once (one number of each channel would take eight times the
instructions), and kernels apply activations and go back through them. Both gradients of a layer need the same images:
one launch computes both, in programs side by side, so that the second to read finds them in the cache.

Counts for a step of 36 trials of 64 × 10 frames of conv32 (times that were measured are in README.md). It moves 11.2 GB
(`tests.training.traffic`), which takes 3.4 ms at the 3.35 TB/s of an H100: 9.2 GB in our kernels, and the rest in
losses, linear layers and weights. With bfloat16 between the layers it is 6.8 GB. Compiled for an H100, the kernels'
instructions take 2.1 ms in TF32, 1.6 with bfloat16 and 6.7 in float32 if no cycle is lost (`python -m
tests.benchmarks.gpu.instructions`); without channels last it was 3.4, 3.5 and 8.0. In float32 most of them are
multiplications, which tensor cores do otherwise.

Shapes: K trials, N images, I channels H×W of the wide ones, O channels H'×W' of the narrow ones, k×k kernel.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import prod
from subprocess import CalledProcessError
from typing import Any

import torch
from torch import Tensor

from dd_ray.errors import UserError
from dd_ray.models.networks.layers import Activation, dtype_between

LEAST = 16
"""The smallest side of Triton's matrix products."""
WARPS = 4
"""Of a program."""
SHARE = 2048
"""About how many pixels one program of a kernel's gradient sums over: few enough to give a GPU enough programs for few
trials, and many enough to leave little to add up afterwards."""


class KernelError(UserError):
    """Our kernels cannot compute this on this machine."""


def is_available(device: torch.device) -> bool:
    """Return whether Triton is available for a device; for a CPU, its interpreter, which is for tests."""
    can_run = device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    return can_run and find_spec("triton") is not None


@dataclass(frozen=True)
class Geometry:
    """The geometry of a layer, in pairs (y, x): sizes of wide and narrow images and of the kernel, stride, padding."""

    wide: tuple[int, int]
    narrow: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


def convolve(
    geometry: Geometry,
    source: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    *,
    transposed: bool,
    activation: Activation = "linear",
    between: bool = False,
) -> Tensor:
    """Compute narrow images from wide ones or, transposed, wide ones from narrow ones, for K trials.

    Args:
        geometry: geometry of the layer.
        source: what is convolved, [K, N, ...].
        kernel: [K, O, I, k, k].
        bias: [K, C] of the result, or None.
        transposed: whether wide images are computed.
        activation: the function that is applied to the result.
        between: whether the result lies between layers: then it has channels last, and the type `dtype_between()`.

    Returns:
        The result [K, N, C, ...].
    """
    source, bias = _with_whole_trials(source), None if bias is None else _with_whole_trials(bias)
    kernel_cts = _ordered(kernel, transposed)
    target = _empty(_shape_of_target(geometry, source, kernel, transposed), source, between, channels_last=between)
    tile = _tile_of_images(geometry, source, target)
    _launch(
        "convolve",
        (_programs(geometry, target, transposed, tile), _parts(target.shape[2], tile["BLOCK_C"]), len(target)),
        *(source, kernel_cts, bias, target),
        *(source.shape[1], source.stride(0), 0 if bias is None else bias.stride(0)),
        **_constants(geometry) | tile | _layout("SOURCE", source) | _layout("TARGET", target),
        TRANSPOSED=transposed,
        ACTIVATION=activation,
    )
    return target


def differentiate(
    geometry: Geometry,
    gradient: Tensor,
    kernel: Tensor,
    images: Tensor,
    *,
    transposed: bool,
    of_images: bool,
    activation: Activation = "linear",
    sums: bool = False,
    between: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Compute the gradients of a layer's kernel and of its images, for K trials.

    Args:
        geometry: geometry of the layer.
        gradient: that of the layer's result before its activation, [K, N, ...].
        kernel: [K, O, I, k, k].
        images: what the layer was given, [K, N, C, ...].
        transposed: whether the layer computes wide images.
        of_images: whether the images' gradient is wanted.
        activation: images = activation(z); their gradient is turned into that with respect to z.
        sums: whether sums of the images' gradient over images and pixels are wanted.
        between: whether the images lie between layers, see `convolve`.

    Returns:
        The kernel's gradient, which is added up in a fixed order, that of the images [K, N, C, ...], and its sums
        [K, C]; None for what is not wanted.
    """
    gradient, images = _with_whole_trials(gradient), _with_whole_trials(images)
    wide, narrow = (gradient, images) if transposed else (images, gradient)
    tile, of_kernels = _tile_of_images(geometry, gradient, images), _tile_of_kernels(geometry, wide, narrow)
    kernel_tiles = _parts(wide.shape[2] * prod(geometry.size), of_kernels["KERNEL_R"])
    kernel_tiles *= _parts(narrow.shape[2], of_kernels["KERNEL_C"])
    trials, num_images, channels = images.shape[:3]
    pixels = num_images * geometry.narrow[0] * geometry.narrow[1]
    shares = _parts(pixels, SHARE)
    share = _parts(_parts(pixels, shares), of_kernels["KERNEL_P"]) * of_kernels["KERNEL_P"]
    parts = kernel.new_empty(trials, shares, *kernel.shape[1:], dtype=torch.float32)

    programs, target, of_programs = 0, None, None
    if of_images:
        programs = _programs(geometry, images, not transposed, tile)
        target = _empty(tuple(images.shape), gradient, between, channels_last=_has_channels_last(images))
        of_programs = kernel.new_empty(trials, programs, channels) if sums else None
    _launch(
        "differentiate",
        (kernel_tiles + _parts(programs * _parts(channels, tile["BLOCK_C"]), shares), shares, trials),
        *(gradient, _ordered(kernel, not transposed), images, target, of_programs, parts),
        *(num_images, programs, share, gradient.stride(0), images.stride(0)),
        **_constants(geometry) | tile | of_kernels | _layout("GRADIENT", gradient) | _layout("IMAGES", images),
        TRANSPOSED=not transposed,
        ACTIVATION=activation,
        KERNEL_TILES=kernel_tiles,
    )
    of_kernel = parts.sum(1)
    return of_kernel, target, None if of_programs is None else of_programs.sum(1)


def _tile_of_images(geometry: Geometry, source: Tensor, target: Tensor) -> dict[str, int]:
    """Choose the tiles [P, C] of the result, and how many channels × taps are multiplied at a time, in how many stages.

    Up to 64 channels are in one tile, so that each pixel is read once for all of them. With 4 warps a thread has up to
    32 sums. A single channel is multiplied elementwise, as a matrix product, of at least 16 channels, would be mostly
    of zeros. There, and in float32, a thread holds what it multiplies, so that this is half as much, in one stage.
    """
    channels = target.shape[2]
    by_tensor_cores = channels > 1 and _precision() != "ieee"
    return {
        "BLOCK_P": 256 if channels == 1 else 64 if channels > 32 else 128,
        "BLOCK_C": 1 if channels == 1 else _block(channels),
        "BLOCK_R": min(32 if by_tensor_cores else LEAST, _block(source.shape[2] * prod(geometry.size))),
        "STAGES": 2 if by_tensor_cores else 1,
    }


def _tile_of_kernels(geometry: Geometry, wide: Tensor, narrow: Tensor) -> dict[str, int]:
    """Choose the tiles [R, C] of a kernel's gradient, how many pixels are multiplied at a time, in how many stages.

    Channels and taps are tiled together, so that an image of one channel fills tiles, too. A thread has up to 32 sums.
    The narrow images are read again, from the cache, for every tile of R. In one stage what is read goes through
    registers, which turn it, with a third of the instructions that copies number by number take. Groups of channels
    are read together: a power of 2 that divides their number.
    """
    channels, of_narrow = wide.shape[2], narrow.shape[2]
    block_r, block_c = _block(channels * prod(geometry.size)), _block(of_narrow)
    return {
        "KERNEL_R": block_r,
        "KERNEL_C": block_c,
        "KERNEL_P": 32,
        "KERNEL_STAGES": 1,
        "GROUP_R": min(channels & -channels, block_r, 32),
        "GROUP_C": min(of_narrow & -of_narrow, block_c, 32),
    }


def _block(count: int) -> int:
    """Return the side of a tile for so many: a power of 2, as Triton needs."""
    return min(64, max(LEAST, 1 << (count - 1).bit_length()))


def _parts(count: int, size: int) -> int:
    return -(-count // size)


def _programs(geometry: Geometry, target: Tensor, transposed: bool, tile: Mapping[str, int]) -> int:
    """Return how many tiles of pixels there are: of each phase, if transposed."""
    height, width = target.shape[3:]
    step_y, step_x = geometry.stride if transposed else (1, 1)
    return step_y * step_x * _parts(len(target[0]) * _parts(height, step_y) * _parts(width, step_x), tile["BLOCK_P"])


def _ordered(kernel: Tensor, transposed: bool) -> Tensor:
    """Give kernels the order that they are read in: [K, channels of the target, taps, channels of the source]."""
    return kernel.flatten(3).permute((0, 2, 3, 1) if transposed else (0, 1, 3, 2)).contiguous()


def _shape_of_target(geometry: Geometry, source: Tensor, kernel: Tensor, transposed: bool) -> tuple[int, ...]:
    of_narrow, of_wide = kernel.shape[1:3]
    target = (of_wide, *geometry.wide) if transposed else (of_narrow, *geometry.narrow)
    return (*source.shape[:2], *target)


def _with_whole_trials(tensor: Tensor) -> Tensor:
    """Return a tensor that is contiguous within each trial; one that all trials share is not copied for each."""
    _check_size(tensor)
    return tensor if tensor[0].is_contiguous() or _has_channels_last(tensor) else tensor.contiguous()


def _empty(shape: tuple[int, ...], like: Tensor, between: bool, *, channels_last: bool) -> Tensor:
    """Make images [K, N, C, H, W] without content."""
    trials, num_images, channels, height, width = shape
    dtype = dtype_between() if between else torch.float32
    if channels_last:
        tensor = like.new_empty(trials, num_images, height, width, channels, dtype=dtype).permute(0, 1, 4, 2, 3)
    else:
        tensor = like.new_empty(shape, dtype=dtype)
    _check_size(tensor)
    return tensor


def _has_channels_last(tensor: Tensor) -> bool:
    one = tensor[0]
    return one.dim() == 4 and not one.is_contiguous() and one.is_contiguous(memory_format=torch.channels_last)


def _check_size(tensor: Tensor) -> None:
    if tensor[0].numel() >= 2**31:
        raise KernelError("A trial's images are counted with 32 bits, and are more here.")


def _layout(name: str, images: Tensor) -> dict[str, tuple[int, ...]]:
    """Tell the kernels the sizes of images, and the numbers from a channel, a row or a column to the next."""
    channels, height, width = images.shape[2:]
    steps = (1, width * channels, channels) if _has_channels_last(images) else (height * width, width, 1)
    return {name: (channels, height, width), f"{name}_STEPS": steps}


def _constants(geometry: Geometry) -> dict[str, Any]:
    return {
        "SIZE": geometry.size,
        "STRIDE": geometry.stride,
        "PADDING": geometry.padding,
        "PRECISION": _precision(),
    }


def _precision() -> str:
    """Return in which precision numbers are multiplied, as Triton calls it, or bf16."""
    if dtype_between() is torch.bfloat16:
        return "bf16"
    return "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"


def _launch(name: str, grid: tuple[int, int, int], *arguments: Tensor | int | None, **constants: Any) -> None:
    """Start a kernel. It is compiled at its first start.

    Raises:
        KernelError: it cannot be compiled or started.
        torch.OutOfMemoryError: the GPU has no memory left for its code.
    """
    kernel = _kernel(name)
    try:
        kernel[grid](*arguments, **constants, num_warps=WARPS, enable_fp_fusion=True)
    except Exception as error:  # a compiler may raise any error, and there are other methods
        if "out of memory" in str(error):
            raise torch.OutOfMemoryError(str(error)) from error
        raise KernelError(f"Triton cannot run the kernel {name!r} on this GPU: {error}") from error


@cache
def _kernel(name: str) -> Any:
    """Return a kernel, which is not compiled yet."""
    try:
        module, triton = import_module("dd_ray.training.triton_kernels"), import_module("triton")
        if not triton.knobs.runtime.interpret:
            _ = triton.runtime.driver.active  # fails without a C compiler and Python's headers
    except (ImportError, RuntimeError, AssertionError, OSError, CalledProcessError) as error:
        raise KernelError(f"Triton cannot compile anything here: {error}") from error
    return getattr(module, name)
