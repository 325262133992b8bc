"""Convolutions of K trials by our own kernels in Triton.

With wide images x, narrow images y and a kernel w, of stride s and padding p,

    T(x, y, w) = Σ_noiabuv  w[o, i, u, v] · x[n, i, s·a + u − p, s·b + v − p] · y[n, o, a, b]

is linear in each of the three. A convolution is ∂T/∂y, a transposed one ∂T/∂x, and the gradients of each are the two
other derivatives. So two kernels suffice: one that computes images from images, and one for ∂T/∂w. They are implicit
matrix products: pixels are gathered as they are multiplied, and the unfolded columns are never in memory.

Counts for an H100 (times measured on an H200 are in README.md). conv32's second layer has 576 images of 32×16×16 in and
32×8×8 out: each of its three operations moves 24 MB and computes 0.68 GFLOP per trial and iteration, in programs of 2.4
MFLOP (images) and 8.4 (kernels). A step of 36 trials of 64 × 10 frames moves 14.2 GB (`tests.training.traffic`), which
takes 4.2 ms at 3.35 TB/s: 12.2 GB in our kernels, which also apply activations and go back through them, and the rest
in losses, linear layers and weights. With bfloat16 between the layers it is 8.3 GB. Of the instructions in the inner
loops, compiled in float32, 80% and 60% are multiply-adds, the rest loads, addresses and masks: at best 0.15 ms per
trial and iteration, where all 67 TFLOP/s would take 0.11. In TF32 tensor cores multiply, and memory is the limit.

Shapes: K trials, N images, I channels H×W of the wide ones, O channels H'×W' of the narrow ones, k×k kernel.
"""

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from subprocess import CalledProcessError
from typing import Any

import torch
from torch import Tensor

from dd_ray.errors import UserError
from dd_ray.models.networks.layers import Activation, dtype_between

LEAST = 16
"""The smallest side of Triton's matrix products."""
LAUNCH = {"num_warps": 4, "num_stages": 3}
"""Warps of a program, and how many steps of its loop are under way at a time."""
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
    images: Tensor | None = None,
    sums: bool = False,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor | None]:
    """Compute narrow images from wide ones or, transposed, wide ones from narrow ones, for K trials.

    Args:
        geometry: geometry of the layer.
        source: what is convolved, [K, N, ...].
        kernel: [K, O, I, k, k].
        bias: [K, C] of the result, or None.
        transposed: whether wide images are computed.
        activation: the function that is applied to the result.
        images: [K, N, C, ...] = activation(z). If they are given, the function is not applied: the result is the
            gradient with respect to these images, and is turned into that with respect to z.
        sums: whether to return sums of the result over images and pixels.
        dtype: type of the result, float32 or bfloat16.

    Returns:
        The result [K, N, C, ...], and its sums [K, C] or None.
    """
    source, bias = _with_whole_trials(source), None if bias is None else _with_whole_trials(bias)
    images = None if images is None else _with_whole_trials(images)
    kernel_tsc = kernel.flatten(3).permute((0, 3, 1, 2) if transposed else (0, 3, 2, 1)).contiguous()  # taps, source, C
    trials, num_images, *of_source = source.shape
    size, step = (geometry.wide, geometry.stride) if transposed else (geometry.narrow, (1, 1))
    target = source.new_empty(trials, num_images, kernel_tsc.shape[3], *size, dtype=dtype)
    _check_size(target)
    tile = _tile_of_images(of_source[0], target.shape[2])
    tiles_of_phase = _parts(num_images * _parts(size[0], step[0]) * _parts(size[1], step[1]), tile["BLOCK_P"])
    programs = step[0] * step[1] * tiles_of_phase
    parts = kernel.new_empty(trials, programs, target.shape[2]) if sums else None
    _launch(
        "convolve",
        (programs, _parts(target.shape[2], tile["BLOCK_C"]), trials),
        *(source, kernel_tsc, bias, target, images, parts),
        *(num_images, source.stride(0), 0 if bias is None else bias.stride(0)),
        **_constants(geometry) | tile,
        SOURCE=tuple(of_source),
        TARGET=tuple(target.shape[2:]),
        TRANSPOSED=transposed,
        ACTIVATION=activation,
    )
    return target, None if parts is None else parts.sum(1)


def correlate(geometry: Geometry, wide: Tensor, narrow: Tensor) -> Tensor:
    """Compute the kernel's gradient from images: sums over shares of the pixels, added up in a fixed order."""
    wide, narrow = _with_whole_trials(wide), _with_whole_trials(narrow)
    trials, num_images, *of_wide = wide.shape
    shape = (narrow.shape[2], of_wide[0], *geometry.size)
    tile = _tile_of_kernels(of_wide[0] * geometry.size[0] * geometry.size[1], shape[0])
    pixels = num_images * geometry.narrow[0] * geometry.narrow[1]
    shares = _parts(pixels, SHARE)
    share = _parts(_parts(pixels, shares), tile["BLOCK_P"]) * tile["BLOCK_P"]
    parts = wide.new_empty(trials, shares, *shape, dtype=torch.float32)
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
    """Choose the tiles [P, C] of the result, how many channels of the source are multiplied at a time, and `LAUNCH`.

    Up to 64 channels are in one tile, so that each pixel is read once for all of them. With 4 warps a thread has up to
    32 sums, and multiplies ten times as often as it reads shared memory. It has at most 107 registers, and the stages
    of a program take at most 60 KiB, so that at least 3 programs share a multiprocessor. A single channel is multiplied
    elementwise, since a matrix product, of at least 16 channels, would be mostly of zeros.
    """
    return {
        "BLOCK_P": 64 if channels > 32 else 128,
        "BLOCK_C": 1 if channels == 1 else _block(channels),
        "BLOCK_R": 1 if source_channels < LEAST else min(32, _block(source_channels)),
        **LAUNCH,
    }


def _tile_of_kernels(channels_and_taps: int, channels: int) -> dict[str, int]:
    """Choose the tiles [R, C] of the result, how many pixels are multiplied at a time, and `LAUNCH`.

    Channels and taps are tiled together, so that an image of one channel fills tiles, too. A thread has 16 sums and at
    most 128 registers; with 64×64 sums in a tile it would have 200. The narrow images are read again, from the cache,
    for every tile of R.
    """
    return {
        "BLOCK_R": min(32 if channels > 32 else 64, _block(channels_and_taps)),
        "BLOCK_C": _block(channels),
        "BLOCK_P": 32,
        **LAUNCH,
    }


def _block(count: int) -> int:
    """Return the side of a tile for so many: a power of 2, as Triton needs."""
    return min(64, max(LEAST, 1 << (count - 1).bit_length()))


def _parts(count: int, size: int) -> int:
    return -(-count // size)


def _with_whole_trials(tensor: Tensor) -> Tensor:
    """Return a tensor that is contiguous within each trial; one that all trials share is not copied for each."""
    _check_size(tensor)
    return tensor if tensor[0].is_contiguous() else tensor.contiguous()


def _check_size(tensor: Tensor) -> None:
    if tensor[0].numel() >= 2**31:
        raise KernelError("A trial's images are counted with 32 bits, and are more here.")


def _constants(geometry: Geometry) -> dict[str, Any]:
    tf32 = "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"
    return {
        "SIZE": geometry.size,
        "STRIDE": geometry.stride,
        "PADDING": geometry.padding,
        "PRECISION": "bf16" if dtype_between() is torch.bfloat16 else tf32,
    }


def _launch(name: str, grid: tuple[int, int, int], *arguments: Tensor | int | None, **constants: Any) -> None:
    """Start a kernel. It is compiled at its first start.

    Raises:
        KernelError: it cannot be compiled or started.
        torch.OutOfMemoryError: the GPU has no memory left for its code.
    """
    kernel = _kernel(name)
    try:
        kernel[grid](*arguments, **constants, enable_fp_fusion=True)
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
