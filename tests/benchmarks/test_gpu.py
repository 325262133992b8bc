"""The sitting at a GPU comes to its end on a CPU, with small sizes, and leaves what is to be gone on with."""

import json
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dd_ray import results
from dd_ray.cli import parse
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.manifest import check_agrees
from dd_ray.training import load_state
from dd_ray.training.fused import STEPS_TO_SETTLE
from dd_ray.training.painting import TIMES_BEFORE
from tests.benchmarks import measure
from tests.benchmarks.gpu import __main__ as sitting_of
from tests.benchmarks.gpu import cases, paper
from tests.benchmarks.gpu.__main__ import PHASES, RESERVE, Case, Sitting, _paper
from tests.benchmarks.gpu.record import latest, outcomes, tell, told
from tests.benchmarks.gpu.table import MOST, table

ROOT = Path(__file__).parents[2]


def _sit(out: Path, minutes: float) -> list[str]:
    command = ["-m", "tests.benchmarks.gpu", "--small", "--minutes", str(minutes), "--out", str(out)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_sitting_comes_to_its_end_and_is_gone_on_with(tmp_path):
    out = tmp_path / "out"
    printed = _sit(out, minutes=20)
    assert len(printed) <= MOST
    ended = outcomes(told(out))
    assert {name.partition(" ")[0] for name in ended} == {"ceilings", "correct", "speed", "paper", "processes", "tests"}
    assert {*ended.values()} == {"done"}, printed
    assert all(latest(told(out), name, "agrees") for name in ended if name.startswith(("correct", "speed")))
    assert printed[-1] == "all cases were done"

    before = told(out)
    _sit(out, minutes=1)
    assert told(out) == before  # nothing was left to do

    paper.unpack(out, tmp_path / "sweeps")
    sweep = SweepFolder.open(str(tmp_path / "sweeps" / paper.NAME))
    trials = results.final(results.load(sweep.location))
    assert len(trials) == 2 and set(trials["state"]) == {"finished"} and set(trials["iteration"]) == {6}
    assert all(load_state(sweep.trial(key).state(6)).iteration == 6 for key in trials["key"])
    command = ["--preset", "paper", "--storage", str(tmp_path / "sweeps"), "--name", paper.NAME, *paper.SMALL]
    check_agrees(parse(paper._study(), [*command, "--beta-norm", "0.1"]), sweep)  # the same command goes on with it


@pytest.mark.slow
def test_a_sitting_without_time_tells_so_and_leaves_the_sweep_as_it_was(tmp_path):
    printed = _sit(tmp_path, minutes=0.05)
    assert "not done: " in printed[-1]
    assert {*outcomes(told(tmp_path)).values()} <= {"no time", "too long"}
    with tarfile.open(tmp_path / paper.RECORDS) as archive:
        assert f"{paper.NAME}/sweep.json" in archive.getnames()


def test_a_line_that_was_cut_short_is_none(tmp_path):
    tell(tmp_path, "ceilings", device="cuda")
    tell(tmp_path, "ceilings", outcome="done")
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"case": "spee')
    assert [json.dumps(result.get("device")) for result in told(tmp_path)] == ['"cuda"', "null"]
    assert outcomes(told(tmp_path)) == {"ceilings": "done"}
    tell(tmp_path, "speed 36 triton tf32", outcome="done")  # of the next sitting
    assert outcomes(told(tmp_path)) == {"ceilings": "done", "speed 36 triton tf32": "done"}


@pytest.mark.parametrize("fused", [True, False])
def test_what_is_timed_on_a_gpu_has_captured_its_painting_before(monkeypatch, fused):
    taken: list[int] = []
    monkeypatch.setattr(measure, "wait_for", lambda device: None)
    measure.warm_up(SimpleNamespace(fused=fused, device=torch.device("cuda"), step=taken.append))
    assert sum(taken) > max(TIMES_BEFORE, STEPS_TO_SETTLE)


def test_what_a_case_gives_up_is_tried_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=1, small=True)
    attempts = "from dd_ray.storage.gpu_attempts import of_this_user; "
    for name, code in (
        ("one", "of_this_user('GPU').give_up('triton', 'it was ended'); assert of_this_user('GPU').given_up('triton')"),
        ("next", "assert of_this_user('GPU').given_up('triton') is None"),
    ):
        sitting_of._run(sitting, "P1", Case(name, ["-c", attempts + code]), 60)
    assert outcomes(told(sitting.out)) == {"one": "done", "next": "done"}


def test_the_table_has_at_most_twenty_lines_also_of_a_whole_sitting_on_a_gpu(tmp_path):
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=8.5, small=False)
    (tmp_path / paper.RECORDS).touch()
    tell(tmp_path, "ceilings", device="cuda", machine="a card")
    for phase, _, cases_of in PHASES:
        for case in cases_of(sitting) if cases_of else _paper(sitting, 240):
            tell(tmp_path, case.name, step_ms=9.0, trial_iterations_per_s=4000.0, agrees=True)
            tell(tmp_path, case.name, phase=phase, outcome="done")
    lines = table(told(tmp_path))
    assert len(outcomes(told(tmp_path))) > 20 and 15 < len(lines) <= MOST
    assert lines[-1] == "all cases were done"
    assert any("216: 4000" in line for line in lines) and any("16: 4000" in line for line in lines)


def test_the_fastest_is_taken_of_those_that_are_right(tmp_path):
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=8.5, small=False)
    tell(tmp_path, "ceilings", device="cuda")
    for ms, method, precision in [(9, "triton", "tf32"), (20, "streams", "tf32"), (30, "streams", "float32")]:
        tell(tmp_path, f"speed 36 {method} {precision}", step_ms=float(ms))
    assert sitting.fastest()[:2] == [("triton", "tf32"), ("streams", "tf32")]
    tell(tmp_path, "speed 36 triton bf16", step_ms=5.0)
    tell(tmp_path, "speed 36 triton bf16", agrees=True)
    tell(tmp_path, "speed 36 triton bf16", outcome="done")
    assert sitting.fastest()[:2] == [("triton", "bf16"), ("triton", "tf32")]
    tell(tmp_path, "speed 36 triton bf16", agrees=False)
    assert sitting.fastest()[:2] == [("triton", "tf32"), ("streams", "tf32")]
    assert any("gradients are others" in line for line in table(told(tmp_path)))
    tell(tmp_path, "correct triton", agrees=False)
    assert sitting.fastest() == [("streams", "tf32"), ("streams", "float32")]


def test_the_device_is_told_in_a_short_sitting_too(tmp_path, monkeypatch):
    given: dict[str, float] = {}
    monkeypatch.setattr(sitting_of, "_run", lambda sitting, phase, case, seconds: given.setdefault(phase, seconds))
    monkeypatch.setattr(sitting_of, "_begin", lambda sitting, case: None)
    sitting_of.sit(Sitting(out=tmp_path, scratch=tmp_path, minutes=3, small=False))
    assert given["P0"] == pytest.approx(30, abs=1)  # else all that follows takes it for a CPU
    assert given["P1"] == pytest.approx(40 * 3 / 8.5, abs=1)


def test_kernels_are_compiled_beside_the_first_cases_and_not_beside_those_that_are_timed(tmp_path, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(sitting_of, "_begin", lambda sitting, case: seen.append(f"begin {case.name}") or case)
    monkeypatch.setattr(sitting_of, "_finish", lambda sitting, phase, case, left: seen.append(f"finish {case.name}"))
    monkeypatch.setattr(sitting_of, "_run", lambda sitting, phase, case, left: seen.append(phase))
    tell(tmp_path, "ceilings", device="cuda")
    sitting_of.sit(Sitting(out=tmp_path, scratch=tmp_path, minutes=8.5, small=False))
    assert seen[:7] == ["begin kernels", "P0", "P1", "P1", "P1", "finish kernels", "P2"]


def test_what_matters_most_comes_first_and_the_grid_gets_what_is_left(tmp_path, monkeypatch):
    seen: dict[str, float] = {}
    monkeypatch.setattr(sitting_of, "_begin", lambda sitting, case: None)
    monkeypatch.setattr(sitting_of, "_finish", lambda *given: None)
    monkeypatch.setattr(sitting_of, "_run", lambda sitting, phase, case, left: seen.setdefault(case.name, left))
    (tmp_path / paper.RECORDS).touch()
    tell(tmp_path, "ceilings", device="cuda")
    tell(tmp_path, "speed 36 triton tf32", step_ms=9.0)
    sitting_of.sit(Sitting(out=tmp_path, scratch=tmp_path, minutes=8.5, small=False))
    cases_seen = list(seen)
    assert cases_seen[4:7] == [f"speed 36 triton {precision}" for precision in ("tf32", "bf16", "float32")]
    last = ["tests", "paper", *(f"processes {n} tf32" for n in (1, 8, 16))]
    assert cases_seen[-8:] == [*last, *(f"speed {n} triton tf32" for n in (216, 1, 8))]
    assert seen["paper"] == pytest.approx(510 - 100, abs=5)  # but for what those after it have


@pytest.mark.parametrize("count", [1, 8, 16])
def test_processes_take_about_as_long_however_many_they_are(tmp_path, monkeypatch, count):
    taken: list[int] = []
    monkeypatch.setattr(cases, "rate_of_processes", lambda configs, *a, steps, **more: taken.append(steps) or 1.0)
    cases.processes(cases.Case(tmp_path, "processes", small=False), "grouped", "tf32", str(count))
    assert taken[0] * count == cases.OF_PROCESSES


def test_a_case_that_is_not_done_in_time_is_ended_and_told(tmp_path):
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=1, small=True)
    begun = sitting_of._begin(sitting, Case("slow", ["-c", "import time; time.sleep(600)"]))
    sitting_of._finish(sitting, "P1", begun, -1)
    assert outcomes(told(tmp_path)) == {"slow": "too long"} and begun.process.poll() is not None


TESTS_OF_A_GPU = """
import sys
from types import SimpleNamespace

def lose():
    raise RuntimeError("an illegal memory access")

def test_that_passes():
    pass

def test_that_loses_the_gpu():
    cuda = SimpleNamespace(is_available=lambda: True, synchronize=lose)
    sys.modules["torch"] = SimpleNamespace(cuda=cuda)
    lose()

def test_after_it():
    assert "torch" not in sys.modules  # which is so in another process alone
"""


@pytest.fixture
def tests_in(monkeypatch):
    """A sitting in a folder, and the case of its tests, by one process and with no more plugins than are needed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # Hypothesis alone takes a second

    def of(folder):
        plugins = ["-p", "xdist.plugin", "-p", "tests.benchmarks.gpu.each_test"]
        options = ["-q", *plugins, "-n", "1", "--out", str(folder), f"--rootdir={folder}"]
        sitting = Sitting(out=folder, scratch=folder, minutes=1, small=True)
        return sitting, Case("tests", ["-m", "pytest", *options, str(folder)])

    return of


def test_each_test_is_told_and_what_has_passed_is_not_run_again(tmp_path, tests_in):
    (tmp_path / "test_it.py").write_text(TESTS_OF_A_GPU)
    sitting, case = tests_in(tmp_path)
    sitting_of._run(sitting, "P6", case, 60)
    first = told(tmp_path)
    passed = {result["case"].rpartition("_")[2]: result["passed"] for result in first if "passed" in result}
    assert passed == {"passes": True, "gpu": False, "it": True}
    assert "an illegal memory access" in str(first)
    assert any("2 passed, 1 failed" in line for line in table(first))
    sitting_of._run(sitting, "P6", case, 60)
    assert {result["case"].rpartition("_")[2] for result in told(tmp_path)[len(first) :]} == {"gpu", "tests"}


def test_a_sitting_is_done_with_tests_that_have_all_passed_before(tmp_path, tests_in):
    (tmp_path / "test_it.py").write_text("def test_that_passes():\n    pass\n")
    sitting, case = tests_in(tmp_path)
    for _ in range(2):
        sitting_of._run(sitting, "P3", case, 60)
    assert [result["outcome"] for result in told(tmp_path) if result["case"] == "tests"] == ["done", "done"]


def test_a_sitting_goes_on_where_a_process_waits_for_a_gpu_that_hangs(tmp_path, monkeypatch):
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=1, small=True)
    killed: list[int] = []
    monkeypatch.setattr(sitting_of.os, "killpg", lambda pid, signal: killed.append(pid))

    def wait(seconds=None):
        assert seconds is not None  # it would never end
        raise subprocess.TimeoutExpired("a case", seconds)

    (tmp_path / "log").touch()
    hanging = sitting_of.Begun(Case("hangs", []), SimpleNamespace(pid=7, wait=wait), tmp_path / "log", 0.0)
    sitting_of._finish(sitting, "P2", hanging, 3.0)
    assert outcomes(told(tmp_path)) == {"hangs": "too long"} and killed == [7]


def test_the_paper_s_grid_is_gone_on_with_in_the_precision_that_it_was_begun_in(tmp_path):
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=8.5, small=False)
    (tmp_path / paper.RECORDS).touch()
    tell(tmp_path, "ceilings", device="cuda")
    for ms, precision in [(5, "bf16"), (9, "tf32")]:
        tell(tmp_path, f"speed 36 triton {precision}", step_ms=float(ms))
    assert "bf16" in _paper(sitting, 240)[0].command
    tell(tmp_path, "paper", precision="tf32", method="streams")
    assert "tf32" in _paper(sitting, 240)[0].command and "triton" in _paper(sitting, 240)[0].command
    tell(tmp_path, "paper", precision="float32")
    assert not _paper(sitting, 240)


def test_the_paper_s_grid_ends_in_time_also_where_its_process_starts_late(tmp_path, monkeypatch):
    sitting = Sitting(out=tmp_path, scratch=tmp_path, minutes=8.5, small=False)
    (tmp_path / paper.RECORDS).touch()
    tell(tmp_path, "ceilings", device="cuda")
    tell(tmp_path, "speed 36 triton tf32", step_ms=9.0)
    _, _, *arguments = _paper(sitting, 240)[0].command
    given: list[float] = []
    started = time.time() + 20
    monkeypatch.setattr(cases, "time", SimpleNamespace(time=lambda: started))
    monkeypatch.setattr(cases, "set_precision", lambda precision: None)
    monkeypatch.setattr(cases, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(cases, "train_paper", lambda *a, seconds, **more: given.append(seconds))
    cases.main(arguments)
    assert given == [pytest.approx(240 - RESERVE - 20, abs=5)]  # the reserve is for the states alone


def test_records_are_packed_while_trials_save_their_states(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    cell = scratch / paper.NAME / "cells" / "a"
    cell.mkdir(parents=True)
    (cell / "metrics.jsonl").write_text("{}\n")
    draft = cell / ".state-000000250.npz.abde65752d7a"
    draft.write_bytes(b"a state that is being written")
    archive = paper.archive

    def when_the_draft_is_a_state(path, root, files):
        draft.rename(cell / "state-000000250.npz")
        archive(path, root, files)

    monkeypatch.setattr(paper, "archive", when_the_draft_is_a_state)
    paper.pack_records(tmp_path, scratch)
    with tarfile.open(tmp_path / paper.RECORDS) as packed:
        assert packed.getnames() == [f"{paper.NAME}/cells/a/metrics.jsonl"]


def test_an_archive_is_replaced_as_a_whole(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    (scratch / paper.NAME / "cells" / "a").mkdir(parents=True)
    (scratch / paper.NAME / "cells" / "a" / "metrics.jsonl").write_text("{}\n")
    paper.pack_records(tmp_path, scratch)
    whole = (tmp_path / paper.RECORDS).read_bytes()
    monkeypatch.setattr(tarfile.TarFile, "addfile", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        paper.pack_records(tmp_path, scratch)
    assert (tmp_path / paper.RECORDS).read_bytes() == whole
    shutil.rmtree(scratch)
    paper.unpack(tmp_path, scratch)
    assert (scratch / paper.NAME / "cells" / "a" / "metrics.jsonl").read_text() == "{}\n"
