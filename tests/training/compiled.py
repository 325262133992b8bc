"""Our kernels in Triton as they are compiled for an H100, which needs none."""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TYPES = {torch.float32: "*fp32", torch.bfloat16: "*bf16"}
OPTIONS = ("num_warps", "enable_fp_fusion")


def compiled_for_an_h100(name: str, arguments: Sequence[Any], constants: Mapping[str, Any]) -> Any:
    """Compile a kernel for what it is launched with."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from dd_ray.training import triton_kernels

    kernel = getattr(triton_kernels, name)
    given = dict(zip(kernel.arg_names, arguments, strict=False))
    known = {key: value for key, value in constants.items() if key not in OPTIONS}
    known |= {argument: None for argument, value in given.items() if value is None}
    tensors = {argument: TYPES[value.dtype] for argument, value in given.items() if isinstance(value, Tensor)}
    signature = {argument: tensors.get(argument, "i32") for argument in given} | dict.fromkeys(known, "constexpr")
    # As at a launch: whether a number is a multiple of 16, as the memory of a tensor of its own always is.
    even = [(i,) for i, value in enumerate(arguments) if not isinstance(value, int) or value % 16 == 0]
    source = ASTSource(
        kernel,
        signature,
        {(kernel.arg_names.index(constant),): value for constant, value in known.items()},
        {place: [["tt.divisibility", 16]] for place in even if signature[kernel.arg_names[place[0]]] != "constexpr"},
    )
    options = {option: constants[option] for option in OPTIONS}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)


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
