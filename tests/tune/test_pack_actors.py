"""Packs on Ray: a sweep whose trials are trained by one process."""

import errno
import os
import pickle
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from ray.exceptions import RayTaskError

from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.storage.files import BlockedError, is_blocked, out_of_space
from dd_ray.tune import pack_actors
from tests.processes import Command
from tests.tune.conftest import FOUR_TRIALS, SCORED, sweep, sweep_words

pytestmark = pytest.mark.ray
LONG = "--beta 0.1 1 --gamma 0 0.5 --lambda 0 --iterations 1000 --evaluations 8 --scheduler none".split()


def _processes(command: Command, title: str) -> list[psutil.Process]:
    """Of a command, those that Ray has given a title."""
    children = psutil.Process(command.pid).children(recursive=True)
    # One that has just ended has no command line any more.
    lines = {child: child.as_dict(["cmdline"], ad_value=[])["cmdline"] for child in children if child.is_running()}
    return [child for child, line in lines.items() if title in " ".join(line)]


def _wait_for(condition, command: Command):
    for _ in range(6000):
        assert command.is_running(), command.ended().stderr
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail("it did not come to that within ten minutes")


def _evaluated(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.glob("cells/*/metrics.jsonl"))


def test_a_packed_sweep_gives_the_table_that_another_gives(cluster, four_trials, tmp_path):
    options = ["--address", cluster, "--pack", "on", "--storage", tmp_path, "--name", "packed"]
    done = sweep(*FOUR_TRIALS, *SCORED, *options)
    assert done.returncode == 0, done.stderr
    assert "trained by one process" in done.stdout and "trained by one process" not in four_trials.done.stdout
    folders = (tmp_path / "packed", four_trials.folder)
    packed, plain = (results.load(folder).sort_values(["key", "iteration"]) for folder in folders)
    assert list(packed.columns) == list(plain.columns)
    for column in ("key", "label", "state", "iteration"):
        assert packed[column].tolist() == plain[column].tolist()
    for column in ("loss", "reconstruction_error", "kl"):
        assert packed[column].tolist() == pytest.approx(plain[column].tolist(), rel=1e-4)
    assert len(list((tmp_path / "packed" / "tensorboard").iterdir())) == 4


@pytest.mark.parametrize(
    ("raised", "is_known"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events.out"), out_of_space),
        (BlockedError("/results", 40), is_blocked),
        (UserError("take less"), lambda error: str(error) == "take less"),
    ],
)
def test_an_error_of_a_pack_is_raised_in_the_trial_as_it_was(raised, is_known, monkeypatch):
    def get(call):
        assert call == "a call"
        raise RayTaskError("call", "a traceback", pickle.loads(pickle.dumps(raised))).as_instanceof_cause()

    monkeypatch.setattr(pack_actors.ray, "get", get)
    with pytest.raises(type(raised)) as caught:
        pack_actors._answer("a call")
    assert is_known(caught.value)


def test_packed_sweeps_of_one_program_have_a_registry_each(monkeypatch):
    """They run on its Ray, and so in one namespace, where a name is given once."""
    named = {}

    def options(name, **others):
        assert name not in named
        named[name] = SimpleNamespace(pack_at=SimpleNamespace(remote=lambda *asked: named[name].pack), pack=pack(name))
        return SimpleNamespace(remote=lambda: None)

    def pack(name):
        return SimpleNamespace(call=SimpleNamespace(remote=lambda method: name))

    ray = SimpleNamespace(
        remote=lambda actor: SimpleNamespace(options=options),
        kill=lambda actor: None,
        get=lambda answer: answer,
        get_actor=named.__getitem__,
        get_runtime_context=lambda: SimpleNamespace(get_node_id=lambda: "0a" * 28),
    )
    monkeypatch.setattr(pack_actors, "ray", ray)
    monkeypatch.setattr(pack_actors, "wait_until_ready", lambda actor: None)
    with pack_actors.running_registry("/results/one"), pack_actors.running_registry("/results/two"):
        packs = [pack_actors.pack_here(f"/results/{sweep}", "cpu", 1)("steps") for sweep in ("one", "two")]
    assert packs == list(named)


@pytest.mark.slow
def test_a_pack_that_is_killed_is_replaced_and_an_interrupt_loses_nothing(ray_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", ray_folder)
    options = ["--pack", "on", "--storage", str(tmp_path), "--name", "mine"]
    run = Command(*sweep_words(), *LONG, *options)
    _wait_for(lambda: _evaluated(tmp_path / "mine") >= 4, run)
    (pack,) = _processes(run, "ray::PackActor")
    assert_thin(_processes(run, "ray::ResourceTrainable"))
    pack.send_signal(signal.SIGKILL)
    (other,) = _wait_for(lambda: [p for p in _processes(run, "ray::PackActor") if p.pid != pack.pid], run)
    before = _evaluated(tmp_path / "mine")
    _wait_for(lambda: _evaluated(tmp_path / "mine") > before, run)
    run.interrupt()
    ended = run.ended()
    assert ended.returncode == 130, ended.stderr
    assert not other.is_running() or other.status() == psutil.STATUS_ZOMBIE  # ended, and not yet asked how
    before = results.load(tmp_path / "mine")
    done = sweep(*LONG, *options)
    assert done.returncode == 0, done.stderr
    after = results.load(tmp_path / "mine")
    assert len(after) == 4 * 9 and set(after["state"]) == {"finished"}
    kept = after.merge(before, on=["key", "iteration"], suffixes=("", "_before"))
    assert len(kept) == len(before) and (kept["loss"] == kept["loss_before"]).all()


def assert_thin(trials: list[psutil.Process]) -> None:
    """The processes of trials hold no PyTorch."""
    assert trials
    for trial in trials:
        assert not [mapped.path for mapped in trial.memory_maps() if "libtorch" in mapped.path]
