"""Our kernels in Triton as they are compiled for an H100, which needs none."""

import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.training.launches import Launch


@dataclass(frozen=True)
class Pointer:
    """In the place of a tensor: all that a kernel is compiled by."""

    dtype: torch.dtype
    beyond: int
    """Bytes by which it begins beyond a multiple of 16, as the memory that it is in begins at one."""

    def data_ptr(self) -> int:
        """As a tensor has it."""
        return self.beyond


class H100:
    """What a compilation asks a driver for; it has a number that no device has, so that nothing is launched on it."""

    def get_current_target(self) -> Any:
        """Its compute capability."""
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        """Its number."""
        return -1

    def get_current_stream(self, device: int) -> int:
        """None is used."""
        return 0


def without_memory(launch: Launch) -> Launch:
    """Leave of a launch what its kernel is compiled by, with pointers in the place of tensors."""
    values = (_pointer(value) if isinstance(value, Tensor) else value for value in launch.arguments)
    return replace(launch, grid=(1, 1, 1), arguments=tuple(values))


def _pointer(tensor: Tensor) -> Pointer:
    return Pointer(tensor.dtype, tensor.storage_offset() * tensor.element_size() % 16)


def compiled_for_an_h100(launch: Launch) -> Any:
    """Compile a kernel by the way that a launch of it takes, which then finds it in Triton's cache."""
    from triton.runtime import driver

    from dd_ray.training import triton_kernels

    before = driver._active
    driver.set_active(H100())
    try:
        arguments = without_memory(launch).arguments
        kernel = getattr(triton_kernels, launch.name)
        return kernel.run(*arguments, grid=launch.grid, warmup=True, **launch.constants)
    finally:
        driver.set_active(before)


def registers_of(compiled: Any) -> tuple[int, int]:
    """Count a thread's registers, and the bytes that it keeps elsewhere for want of them."""
    found = re.search(r"REG:(\d+) STACK:(\d+).*LOCAL:(\d+)", _told(compiled, "-res-usage"))
    assert found
    registers, stack, local = map(int, found.groups())
    return registers, stack + local


def instructions_of(compiled: Any) -> tuple[int, int]:
    """Count a warp's instructions in a round of the longest loop without another in it, and outside of it."""
    found = re.findall(r"^\s*/\*([0-9a-f]{4,})\*/\s+(.*?);", _told(compiled, "-sass"), re.MULTILINE)
    places = [(int(place, 16), text) for place, text in found if not text.startswith("NOP")]
    jumps = [(place, re.search(r"\bBRA\b.*\b0x([0-9a-f]+)", text)) for place, text in places]
    loops = [(int(jump[1], 16), place) for place, jump in jumps if jump and int(jump[1], 16) < place]
    inner = [loop for loop in loops if not any(other != loop and _is_in(other, loop) for other in loops)]
    begin, end = max(inner, key=lambda loop: loop[1] - loop[0], default=(0, -1))
    within = sum(begin <= place <= end for place, _ in places)
    return within, len(places) - within


def _is_in(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _told(compiled: Any, what: str) -> str:
    """Ask the disassembler that comes with Triton."""
    import triton

    program = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        return subprocess.run([program, what, file.name], capture_output=True, text=True, check=True).stdout
