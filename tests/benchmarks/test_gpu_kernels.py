"""Our Triton kernels counted, compiled and tried by tiles for a GPU, where there is none."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.version import Version

from dd_ray.training import Stack
from tests.benchmarks.gpu import ahead, instructions, tiles
from tests.benchmarks.gpu.record import told
from tests.benchmarks.stack import seeds_of
from tests.small import small
from tests.training.compiled import without_memory
from tests.training.launches import multiplied_as, recorded
from tests.training.traffic import step_of_nothing

ROOT = Path(__file__).parents[2]
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs the package triton")


@needs_triton
def test_instructions_are_counted_of_all_that_a_step_launches():
    found = list(instructions.programs_of("tf32"))
    assert len(found) == 23  # eight layers and their gradients, but that of the encoder's images
    what, programs, registers, shared, of_warp, ms = found[-1].row()
    assert what == "kernel of 32×16×16 to 1×32×32" and programs == 36 * 72
    assert 32 <= registers <= 255 and 0 < shared < 228
    assert 100 * found[-1].rounds < of_warp < 1000 * found[-1].rounds
    assert ms == pytest.approx(1000 * programs * 4 * of_warp / instructions.ISSUED)


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A cache of Triton of its own, which this process knows nothing of."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "kernels"))
    _forget()
    yield tmp_path / "kernels"
    _forget()


def _forget():
    from dd_ray.training import triton_kernels

    for kernel in (triton_kernels.convolve, triton_kernels.differentiate):
        kernel.device_caches.clear()


@needs_triton
def test_kernels_compiled_ahead_are_found_by_the_same_step(kernels, tmp_path):
    step = partial(step_of_nothing, small("inertia_vae", width_factor=0.1), 3, "triton")
    with multiplied_as("tf32"):
        launches = recorded(step)
    assert [ahead.compiled(launch) for launch in (launches[0], launches[-1])] == [None, None]
    ahead.pack(kernels, tmp_path / "kernels.tar.gz")
    shutil.rmtree(kernels)
    with tarfile.open(tmp_path / "kernels.tar.gz") as packed:
        packed.extractall(kernels, filter="data")
    before = sorted(kernels.rglob("*"))
    assert {path.suffix for path in before} == {"", *ahead.KEPT}
    assert len([path for path in before if path.is_dir()]) == 2

    _forget()
    with multiplied_as("tf32"):
        again = recorded(step)
    assert [ahead.compiled(launch) for launch in (again[0], again[-1])] == [None, None]
    assert sorted(kernels.rglob("*")) == before


@needs_triton
@pytest.mark.parametrize("trials", [1, 3])
def test_a_step_of_nothing_launches_what_a_stack_does(monkeypatch, trials):
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # or a CPU would refuse; nothing is run
    config = small("inertia_vae")
    steps = Stack(seeds_of(config, trials), "cpu", "triton").step, partial(step_of_nothing, config, trials, "triton")
    launched, expected = ([without_memory(launch) for launch in recorded(step)] for step in steps)
    assert len(launched) == 16 and launched == expected


@needs_triton
def test_a_kernel_that_cannot_be_compiled_ahead_is_told(kernels):
    with multiplied_as("ieee"):
        launch = recorded(partial(step_of_nothing, small("inertia_vae"), 3, "triton"))[0]
    wrong = replace(launch, constants={**launch.constants, "BLOCK_P": 48})  # which is no power of 2
    assert "convolve 1×" in ahead.compiled(wrong)


def test_what_a_sitting_tests_and_tiles_launch_is_compiled_once(monkeypatch):
    monkeypatch.setattr(ahead, "TESTS", ahead.TESTS[-1:])
    monkeypatch.setattr(ahead, "SITTING", ahead.SITTING[1:])
    without, each = list(ahead.launches(with_tiles=False)), list(ahead.launches(with_tiles=True))
    assert len({repr(launch) for launch in each}) == len(each)
    for precision, tried in [("ieee", False), ("tf32", True), ("bf16", True)]:
        more = [sum(launch.constants["PRECISION"] == precision for launch in these) for these in (without, each)]
        assert more[0] > 16 and (more[1] > 10 * more[0]) is tried


def test_what_a_sitting_launches_first_is_compiled_first():
    first = [launch for launch, _ in zip(ahead.launches(with_tiles=False), range(48), strict=False)]
    precisions = [launch.constants["PRECISION"] for launch in first]
    assert [*dict.fromkeys(precisions)] == ["ieee", "tf32", "bf16"]
    assert min(Counter(precisions).values()) > 8
    assert {launch.arguments[4 if launch.name == "convolve" else 6] for launch in first} <= {16 * 9, 16 * 8}


@needs_triton
def test_a_sitting_compiles_without_packing(kernels, monkeypatch, capsys):
    launch = next(ahead.launches(with_tiles=False))
    monkeypatch.setattr(ahead, "launches", lambda with_tiles: iter([launch]))
    ahead.main(["--processes", "1"])
    assert "1 kernels in" in capsys.readouterr().out and list(kernels.rglob("*.cubin"))


@pytest.mark.parametrize("folder", [None, "kernels"])
def test_a_cache_that_may_lie_elsewhere_there_is_refused(monkeypatch, tmp_path, capsys, folder):
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    if folder:
        monkeypatch.setenv("TRITON_CACHE_DIR", folder)
    with pytest.raises(SystemExit):
        ahead.main(["--out", str(tmp_path / "kernels.tar.gz")])
    assert "TRITON_CACHE_DIR has to be an absolute path" in capsys.readouterr().err


def test_tiles_that_are_tried_differ_and_leave_a_thread_its_registers():
    with multiplied_as("tf32"):
        tried = [(part, [*call.launches(part)]) for call in ahead.calls_of_nothing() for part in call.parts({})]
    assert Counter(part for part, _ in tried) == {"convolve": 8, "images": 7, "kernel": 8, "both": 7}
    for part, launches in tried:
        assert launches[0][0] == {} and (len(launches) > 16) is (part != "both")
        assert len({repr((launch.grid, launch.constants)) for _, launch in launches}) == len(launches)
        for tile, launch in launches[1:]:
            assert tiles._sums_of_a_thread(part, launch.constants) <= 64
            assert launch.constants["num_warps"] == tile.get("WARPS", 4)


class _Tried:
    """A launch that writes a number where nothing was before, unless its tile is too large."""

    def __init__(self, number, ms):
        self.number, self.ms, self.arguments = number, ms, [torch.zeros(2, 3) for _ in range(4)]

    def __call__(self):
        assert self.arguments[3].isnan().all()
        if self.number is None:
            raise RuntimeError("out of resource: shared memory")
        self.arguments[3].fill_(self.number)


def test_tiles_are_timed_that_come_to_the_same_and_are_begun_in_time(monkeypatch):
    chosen = _Tried(3.0, ms=2.0)
    others = [({"WARPS": 8}, _Tried(float("nan"), 0.1)), ({"BLOCK_P": 512}, _Tried(None, 0.1))]
    others += [({"STAGES": 3}, _Tried(3.01, 1.0)), ({"STAGES": 1}, _Tried(3.0, 0.1))]
    call = SimpleNamespace(parts=lambda tile: {"convolve": chosen}, launches=lambda part: iter([({}, chosen), *others]))
    monkeypatch.setattr(tiles, "_milliseconds", lambda launch: launch.ms)
    monkeypatch.setattr(tiles, "time", SimpleNamespace(monotonic=iter([0.0, 0.0, 1.0, 1.1]).__next__))
    assert tiles.timed(call, "convolve", ends=1.0) == {
        "ms": 2.0,
        "mb": 4 * 24 / 1e6,
        "gb_per_s": pytest.approx(4 * 24 / 2e6),
        "best": "{'STAGES': 3}",
        "best_ms": 1.0,
        "times": {"{}": 2.0, "{'STAGES': 3}": 1.0},
        "left_out": {
            "{'WARPS': 8}": "another result",
            "{'BLOCK_P': 512}": "RuntimeError('out of resource: shared memory')",
        },
    }


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("triton") is None or Version(version("triton")) < Version("3.9"), reason="see test_triton"
)
def test_other_tiles_are_tried_on_each_kernel_of_a_step(tmp_path):
    command = ["-m", "tests.benchmarks.gpu.tiles", "--small", "--precision", "float32", "--out", str(tmp_path)]
    environment = os.environ | {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(tmp_path / "kernels")}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)
    assert [result["case"].split()[2] for result in told(tmp_path)] == ["convolve", "images", "kernel", "both"]
    assert [len(result["times"]) for result in told(tmp_path)] == [2, 2, 2, 1]
    assert all(result["ms"] == result["times"]["{}"] and not result["left_out"] for result in told(tmp_path))
