"""Our Triton kernels counted, and tried by tiles for a GPU, where there is none."""

import os
import subprocess
import sys
from collections import Counter
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.version import Version

from tests.benchmarks.gpu import instructions, tiles
from tests.benchmarks.gpu.record import told
from tests.benchmarks.stack import BASE
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


def _calls():
    calls: list[tiles.Call] = []
    step = partial(step_of_nothing, BASE, 36, "triton")
    with multiplied_as("tf32"):
        recorded(lambda: calls.extend(tiles.calls_of(step)))
    return calls


def test_tiles_that_are_tried_differ_and_leave_a_thread_its_registers():
    with multiplied_as("tf32"):
        tried = {
            (place, part): [*call.launches(part)] for place, call in enumerate(_calls()) for part in call.parts({})
        }
    assert Counter(part for _, part in tried) == {"convolve": 8, "images": 7, "kernel": 8, "both": 7}
    for (_, part), launches in tried.items():
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
