"""Our own kernels: in Triton's interpreter, which needs no GPU, and compiled for one, which needs none either."""

import os
import re
import subprocess
import sys
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from packaging.version import Version
from torch import nn

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.models.networks.layers import Convolutions
from dd_ray.training import Stack, triton_convolutions
from dd_ray.training.blocks import Blocks
from dd_ray.training.convolutions import with_convolutions
from dd_ray.training.triton_convolutions import Geometry, KernelError, convolve, differentiate
from dd_ray.training.triton_layers import TRITON
from tests.small import small
from tests.training.compiled import compiled_for_an_h100, registers_of
from tests.training.launches import multiplied_as, recorded
from tests.training.traffic import bytes_of_step

HERE = Path(__file__).parent
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="needs the package triton, which comes with PyTorch's CUDA builds"
)
PROGRAMS = 3
"""That share a multiprocessor at least."""
SHARED_MEMORY = 228 * 1024
"""Of a multiprocessor of an H100; of it each program takes 1 KiB more than it asks for."""
REGISTERS = 65536
SPILLED = 8
"""Bytes of a thread that may go elsewhere: Triton 3.6 puts one pointer by while the loop runs."""


@needs_triton
@pytest.mark.parametrize("which", ["one_layer", pytest.param("", marks=pytest.mark.slow)], ids=["one", "all"])
def test_in_the_interpreter(tmp_path, which):
    if Version(version("triton")) < Version("3.9"):
        pytest.skip("needs Triton 3.9: the interpreter of 3.6 does not work with NumPy 2.4")
    # In a process of its own, since it is chosen before Triton is first imported.
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", str(HERE / "interpreted_triton.py"), "-k", which]
    environment = os.environ | {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(tmp_path)}
    ended = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@needs_triton
@pytest.mark.slow  # that they compile, others see
@pytest.mark.filterwarnings("ignore:AnnAssign:DeprecationWarning")  # Triton's own, on Python 3.13
@pytest.mark.parametrize(
    ("layer", "precision"),
    [
        ((1, 32, 32), "ieee"),
        ((32, 32, 16), "ieee"),
        ((32, 32, 16), "tf32"),
        ((32, 32, 16), "bf16"),
        ((64, 64, 4), "ieee"),
    ],
    ids=str,
)
def test_compiled_for_an_h100_a_program_leaves_room_for_others(monkeypatch, tmp_path, precision, layer):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for launch in _launches(precision, *layer):
        compiled = compiled_for_an_h100(launch)
        registers, spilled = registers_of(compiled)
        assert PROGRAMS * 128 * registers <= REGISTERS and spilled <= SPILLED, launch
        assert PROGRAMS * (compiled.metadata.shared + 1024) < SHARED_MEMORY, launch


@needs_triton
@pytest.mark.parametrize(
    "precision", [pytest.param("ieee", marks=pytest.mark.slow), pytest.param("tf32", marks=pytest.mark.slow), "bf16"]
)
def test_numbers_between_layers_are_read_and_written_sixteen_bytes_at_once(monkeypatch, tmp_path, precision):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for launch in _launches(precision, 32, 32, 16):
        code = compiled_for_an_h100(launch).asm["ptx"]
        read, written = (set(re.findall(rf"{way}\.global\.(\S*b\d+)", code)) for way in ("ld", "st"))
        copied = set(re.findall(r"cp\.async\.(\w+)\.shared", code))  # cg: of sixteen bytes
        assert written - {"b32"} == {"v4.b32"}  # b32: sums of pixels, and the kernel's gradient
        assert read - {"v2.b32"} <= {"v4.b32"} and copied <= {"cg"}  # v2: of a bias
        assert "v2.b32" not in read or launch.name == "convolve"
        assert "b32" not in written or launch.name == "differentiate"


def _launches(precision, wide, narrow, side):
    """What a layer and its gradients ask for."""
    geometry = Geometry((side, side), (side // 2, side // 2), (3, 3), (2, 2), (1, 1))
    kernel = torch.zeros(2, narrow, wide, 3, 3)

    def compute():
        sizes = ((2, 16, c, n, n) for c, n in ((wide, side), (narrow, side // 2)))
        of_wide, of_narrow = (triton_convolutions._empty(n, kernel, between=True, channels_last=True) for n in sizes)
        for source, target, transposed in ((of_wide, of_narrow, False), (of_narrow, of_wide, True)):
            options = {"transposed": transposed, "activation": "elu", "between": True}
            convolve(geometry, source, kernel, torch.zeros(2, target.shape[2]), **options)
            differentiate(geometry, target, kernel, source, **options, of_images=True, sums=True)

    with multiplied_as(precision):
        return recorded(compute)


def test_a_step_of_36_trials_moves_no_more_than_its_layers_read_and_write(monkeypatch):
    config = TrialConfig(model="inertia_vae", beta=1.0, gamma=0.5, lam=3.0)
    moved = bytes_of_step(monkeypatch, config, 36, "triton")
    assert moved["convolve"] > 3.5e9 and moved["differentiate"] > 5e9  # else it is not counted
    assert sum(moved.values()) < 11.5e9
    copied = sum(moved[f"aten.{name}.default"] for name in ("clone", "copy_", "as_strided_copy", "new_empty_strided"))
    assert copied < 0.2e9  # weights as the kernels read them, and the optimiser


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(4, 6, 3, dilation=2),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.ConvTranspose2d(4, 6, 3, groups=2),
        nn.ConvTranspose2d(4, 6, 3, dilation=2),
    ],
    ids=str,
)
def test_layers_that_our_kernels_do_not_compute_are_computed_by_pytorch(layer):
    images = torch.rand(2, 4, 6, 6)
    for theirs in (layer, Convolutions(layer)):
        ours = with_convolutions(deepcopy(theirs), TRITON)
        assert type(ours) is not type(theirs)
        assert torch.equal(ours(images), theirs(images))
    one = nn.Conv2d(4, 6, 3)  # of a single image, without N
    assert torch.equal(with_convolutions(deepcopy(one), TRITON)(images[0]), one(images[0]))


def test_where_there_is_no_triton_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(triton_convolutions, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"method = triton .* the package triton, .* grouped, streams\."):
        Stack(method="triton")


@pytest.mark.parametrize("error", [KernelError("it cannot"), RuntimeError("it cannot")])
def test_a_method_that_fails_is_left_out_with_one_warning(monkeypatch, error):
    def rehearsal():
        raise error

    monkeypatch.setattr("dd_ray.training.fused.STEPS_TO_SETTLE", 0)
    monkeypatch.setattr("dd_ray.training.choice.methods_of", lambda device: ("grouped", "streams"))
    monkeypatch.setattr("dd_ray.training.choice._seconds", lambda rehearse: rehearse() or 1.0)
    monkeypatch.setattr(
        "dd_ray.training.fused.Block.rehearsal",
        lambda self, trials, batches, method: rehearsal if method == "streams" else lambda: None,
    )
    stack = Stack(method="grouped")
    stack._blocks = Blocks(stack.device, "auto")
    stack.add(small("supervised_encoder"))
    with pytest.warns(UserWarning, match=r"method = streams is left out. it cannot") as warned:
        stack.step()
    assert len(warned) == 1
    stack.add(small("supervised_encoder", seed=3))
    stack.add(small("supervised_encoder", seed=4))
    stack.step()  # measured anew, without it
