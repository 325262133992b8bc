"""Studies from Python: the same plans and refusals as on the command line, and a process that is left as it was."""

import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dd_ray
from dd_ray.api import _open_sweep
from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.studies import study_named
from dd_ray.sweep.manifest import make_manifest
from tests.sweep.studies import ROOT, TINY, load_study
from tests.tune.conftest import ray_folder

__all__ = ["ray_folder"]

SEARCH = load_study(ROOT / "sweeps" / "inertia_search.py")


def test_a_plan_is_shown_in_a_line():
    grid, search = (
        repr(dd_ray.plan(study, preset="quick", name="one")) for study in ("inertia_grid", "inertia_search")
    )
    assert grid.startswith("<Plan of ") and "one: 15 trials of 2 model" in grid
    assert search.startswith("<SearchPlan of ") and "one: 16 suggestions" in search
    assert len(grid) < 300 and len(search) < 300


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"gamma": [0, 0.5], "lam": 1}, "--gamma 0 0.5 --lambda 1"),
        ({"gamma": np.array([0, 0.5]), "seeds": np.int64(2)}, "--gamma 0 0.5 --seeds 2"),
        ({"preset": "paper", "beta": range(2)}, "--preset paper --beta 0 1"),  # in place of the preset's beta_norm
        ({"gamma": {0.9, 0, 0.5}, "batch_size": frozenset({64, 8})}, "--gamma 0 0.5 0.9 --batch-size 8 64"),
        ({"model": {"predictive_vae", "inertia_vae"}}, "--model inertia_vae predictive_vae"),
        ({"learn_alpha": [False, True], "final_metrics": "none"}, "--learn-alpha False True --final-metrics none"),
        ({"seed": [3, 4], "dataset_seed": None}, "--seed 3 4"),
        ({"exclude": "gamma=0 beta=1", "storage": Path("/data")}, "--exclude 'gamma=0 beta=1' --storage /data"),
    ],
)
def test_a_call_asks_for_what_its_command_line_asks_for(options: dict[str, Any], words: str) -> None:
    called, written = dd_ray.plan(TINY, **options), parse(TINY, shlex.split(words))
    assert called.trials == written.trials
    assert (asdict(called.options), called.axes) == (asdict(written.options), written.axes)
    assert called.location == written.location


def test_a_search_is_asked_for_in_the_same_way() -> None:
    called = dd_ray.plan(SEARCH, beta=[0.1, 1], objectives="mcc", suggestions=3)
    written = parse(SEARCH, "--beta 0.1 1 --objectives mcc --suggestions 3".split())
    assert (asdict(called.options), called.axes) == (asdict(written.options), written.axes)
    assert (called.contents(), called.optuna_study) == (written.contents(), written.optuna_study)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gamma": 2}, "--gamma 2"),
        ({"iterations": 0}, "--iterations 0"),
        ({"seeds": 2, "seed": [0, 1]}, "--seeds 2 --seed 0 1"),
        ({"name": "a/b"}, "--name a/b"),
        ({"gamma": [0, 0]}, "--gamma 0 0"),
        ({"metric": "loss"}, "--metric loss"),
        ({"delay": 2}, "--delay 2"),
    ],
)
def test_a_call_is_refused_with_the_words_of_the_command_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as written:
        parse(TINY, words.split())
    with pytest.raises(UserError) as called:
        dd_ray.run(TINY, **options)
    assert str(called.value) == str(written.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gama": 0.5}, "tiny has no option gama; did you mean gamma?"),
        ({"suggestions": 3}, "tiny has no option suggestions"),
        ({"preset": "large"}, "tiny has no preset 'large'; give one of quick, paper."),
        ({"gamma": "0.5"}, "--gamma '0.5' is of the wrong type; give a number."),
        ({"num_latents": 4.0}, "--num-latents 4.0 is of the wrong type; give a whole number."),
        ({"seeds": True}, "--seeds True is of the wrong type; give a whole number."),
        ({"learn_alpha": 1}, "--learn-alpha 1 is of the wrong type; give True or False."),
        ({"storage": 3}, "--storage 3 is of the wrong type; give text."),
        ({"pack": "maybe"}, "--pack 'maybe' is none of auto, on, off; give one."),
        ({"model": "no_vae"}, "--model 'no_vae' is none of"),
        ({"extension": "missing.py"}, "--extension missing.py cannot be read"),
        ({"extension": 3}, "--extension 3 is of the wrong type; give text."),
        ({"config": 3}, "--config 3 is of the wrong type; give text."),
        ({"preset": ["quick"]}, "--preset ['quick'] is of the wrong type; give text."),
        ({"gamma": 10**400}, "--gamma has a number of 1329 bits; give a smaller one."),
        ({"lam": 0, "lambda": 3}, "lambda is given twice, as lambda too; give it once."),
    ],
)
def test_what_a_command_line_could_not_say_is_refused_in_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(dd_ray.UserError) as error:
        dd_ray.plan(TINY, **options)
    assert str(error.value).startswith(said)


def test_a_study_that_there_is_not_is_named() -> None:
    with pytest.raises(UserError, match=r"there is no study 'inertia_gird'; did you mean inertia_grid\?"):
        dd_ray.plan("inertia_gird")
    with pytest.raises(UserError, match="there is no study"):
        dd_ray.plan(["inertia_grid"])  # type: ignore[arg-type]


@pytest.mark.parametrize("by_file", [False, True])
def test_a_dry_run_trains_nothing(by_file: bool, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("dry-run: true")
    given: dict[str, Any] = {"config": str(tmp_path / "study.yaml")} if by_file else {"dry_run": True}
    with pytest.raises(UserError, match=r"dry_run starts nothing.* dd_ray\.plan"):
        dd_ray.run(TINY, storage=tmp_path / "results", **given)
    assert dd_ray.plan(TINY, **given).num_trials and not (tmp_path / "results").exists()


def test_values_that_can_be_read_once_are_those_of_an_earlier_preset_too(tmp_path: Path) -> None:
    study = study_named("inertia_grid")
    before = study.as_before()
    assert before
    earlier = dd_ray.plan(before, gamma=[0, 0.9], storage=tmp_path)
    SweepFolder.at(earlier.location).write_manifest(make_manifest(earlier, {}))
    assert dd_ray.plan(study, gamma=iter([0, 0.9]), extension=None, storage=tmp_path).keys == earlier.keys


def test_what_only_an_earlier_preset_refuses_is_not_told(tmp_path: Path) -> None:
    other = dd_ray.plan("inertia_grid", num_latents=10, storage=tmp_path)
    SweepFolder.at(other.location).write_manifest(make_manifest(other, {}))
    with pytest.raises(UserError, match="num-latents was 10 and is now 4"):  # and not that 500 is more than 300
        dd_ray.plan("inertia_grid", scheduler="asha", grace_period=500, storage=tmp_path)


def test_a_sweep_that_names_no_versions_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = dd_ray.plan(TINY, storage=tmp_path)
    without = {name: value for name, value in make_manifest(plan, {}).items() if name != "versions"}
    SweepFolder.at(plan.location).write_manifest(without)
    _open_sweep(plan, shown=True)
    assert not capsys.readouterr().out


IN_A_PROGRAM = """
import asyncio, logging, os, signal, sys, threading, time, warnings
from pathlib import Path

import optuna  # which gives its logger a handler when it is imported
import ray
import torch

import dd_ray
from dd_ray import results
from tests.sweep.studies import TINY


def of_this_process():
    loggers = [logging.root, *map(logging.getLogger, ("ray", "ray.tune", "optuna"))]
    return {
        "environment": dict(os.environ), "filters": list(warnings.filters), "threads": torch.get_num_threads(),
        "handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "logging": [(logger.level, list(logger.handlers)) for logger in loggers],
    }


def as_before():
    now = of_this_process()
    changed = {name: (now[name], was) for name, was in before.items() if now[name] != was}
    assert not changed, changed


class Mine:
    def answer(self):
        return 42


async def in_a_loop(**options):
    return dd_ray.run(TINY, storage=storage, **options)


storage = sys.argv[1]
signal.signal(signal.SIGTERM, lambda number, frame: None)
dd_ray.run  # what is imported only once comes first
ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
actor = ray.remote(num_cpus=0)(Mine).remote()
before = of_this_process()

table = asyncio.run(in_a_loop(name="a", gamma=[0, 0.5], beta=0.1, learning_rate=[1e-3, 1e30], scheduler="none"))
assert sorted(results.final(table)["state"]) == ["diverged"] * 2 + ["finished"] * 2, table
as_before()
assert table.equals(results.load(f"{storage}/a"))

try:
    dd_ray.run(TINY, storage=storage, name="a", address="auto", insecure=True)
except dd_ray.UserError as error:
    assert "connected to a Ray already" in str(error), error
else:
    raise AssertionError("two Rays in one process")


def interrupt():
    while not any(path.stat().st_size for path in Path(storage, "b").glob("cells/*/metrics.jsonl")):
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


threading.Thread(target=interrupt).start()
long = dict(storage=storage, name="b", gamma=0, beta=0.1, scheduler="none", evaluations=100, progress=False)
try:
    dd_ray.run(TINY, iterations=1_000_000, **long)
except KeyboardInterrupt as error:
    assert "1 trial to go" in str(error), error
else:
    raise AssertionError("not interrupted")
(left,) = results.final(results.load(f"{storage}/b"))["state"]
assert left == "unfinished", left
as_before()

failed = []
thread = threading.Thread(target=lambda: failed.append(dd_ray.run(TINY, gamma=0, beta=0.1, storage=storage, name="c")))
thread.start()
thread.join()
assert set(results.final(failed[0])["state"]) == {"finished"}

assert ray.is_initialized() and ray.get(actor.answer.remote()) == 42
print("as it was")
"""


@pytest.mark.ray
@pytest.mark.slow
def test_a_program_goes_on_as_it_was_with_its_own_ray(
    ray_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", ray_folder)
    command = [sys.executable, "-c", IN_A_PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "as it was"
    assert "4 trials = 2 gamma × 2 learning-rate" not in done.stdout  # the plan is the program's to print
    assert "Running 4 trials" in done.stdout or "Running 2 trials at a time" in done.stdout
    assert done.stderr.count("sweep: ") >= 1
