"""What dies or stands still under a sweep is noticed within a minute; and what is written is nobody else's."""

import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
from ray._private import worker as ray_worker

from dd_ray.cli import execute, parse
from dd_ray.storage.files import BlockedError, answers, local
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.trial.report import TrialReport
from dd_ray.tune import pulse, stopped
from dd_ray.tune.environment import left_as_it_was, prepare_environment
from dd_ray.tune.private import Worker
from dd_ray.tune.progress import Watcher
from dd_ray.tune.pulse import RayLost, while_ray_lives
from dd_ray.tune.searcher import Listener
from dd_ray.tune.trial_trainable import TrialTrainable
from tests.sweep.studies import TINY
from tests.tune.conftest import ray_head

ROOT = Path(__file__).parents[2]
SWEEP = (
    "import sys; from dd_ray.cli import main; from tests.sweep.studies import TINY; "
    "main(TINY, ['--iterations', '1000000', '--evaluations', '100000', *sys.argv[1:]])"
)


OPTIONS = "--scheduler none --final-metrics none --beta 1 --gamma 0".split()


def children_of(pid):
    """Command lines of the processes that a process has started, by their pids."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended
            continue
    return found


def wait_until(true, seconds=240):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def running_sweep(folder, home, *options):
    """A sweep that goes on for ever, in a process group of its own, which has been evaluated.

    With an `--address` among the options it offers this process's token.
    """
    kept = ("RAY_AUTH_TOKEN",) if "--address" in options else ()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name in kept}
    evaluations = folder / "endless" / "cells"
    before = {file: file.stat().st_size for file in evaluations.glob("*/metrics.jsonl")}
    sweep = subprocess.Popen(
        [sys.executable, "-c", SWEEP, "--storage", str(folder), "--name", "endless", *OPTIONS, *options],
        cwd=ROOT,
        env=environment | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until(lambda: any(f.stat().st_size > before.get(f, 0) for f in evaluations.glob("*/metrics.jsonl")))
        yield sweep
    finally:
        sweep.kill()
        sweep.communicate()


@pytest.mark.ray
@pytest.mark.slow
def test_a_raylet_that_is_killed_ends_the_sweep_and_the_same_command_goes_on(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    with running_sweep(tmp_path, home) as sweep:
        token = home / ".ray" / "auth_token"
        assert (stat.S_IMODE(token.stat().st_mode), stat.S_IMODE(token.parent.stat().st_mode)) == (0o600, 0o700)
        (raylet, command), *_ = [each for each in children_of(sweep.pid).items() if "raylet/raylet" in each[1]]
        session = Path(re.search(r"--session_dir=(\S+)", command)[1])
        assert stat.S_IMODE(session.parents[1].stat().st_mode) == 0o700
        os.kill(raylet, signal.SIGKILL)
        _, said = sweep.communicate(timeout=120)
        assert sweep.returncode == 1
        assert said.strip().endswith("What was recorded is kept; the same command goes on.")
        assert "Traceback" not in said
        assert not session.exists()
    with running_sweep(tmp_path, home) as sweep:
        os.killpg(sweep.pid, signal.SIGTERM)
        sweep.communicate(timeout=120)  # at most 15 s on an idle machine
        assert sweep.returncode == 130
        assert (tmp_path / "endless" / "results.csv").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_is_stopped_is_ended_within_a_minute_and_its_trial_goes_on(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    with running_sweep(tmp_path, home) as sweep:
        (raylet, _), *_ = [each for each in children_of(sweep.pid).items() if "raylet/raylet" in each[1]]

        def workers():
            return [pid for pid, command in children_of(raylet).items() if "ray::ResourceTrainable" in command]

        found = []
        wait_until(lambda: found.extend(workers()) or found, seconds=60)  # between tasks it has another title
        worker = found[0]
        os.kill(worker, signal.SIGSTOP)
        (evaluations,) = (tmp_path / "endless" / "cells").glob("*/metrics.jsonl")
        wait_until(lambda: worker not in children_of(raylet), seconds=60)
        size = evaluations.stat().st_size
        wait_until(lambda: evaluations.stat().st_size > size)
        os.killpg(sweep.pid, signal.SIGTERM)
        _, said = sweep.communicate(timeout=120)
        assert f"Process {worker} on" in said and "was stopped by a signal" in said
        assert "is tried again from iteration" in said


@pytest.mark.ray
@pytest.mark.slow
def test_a_head_that_dies_ends_the_sweep_and_the_same_command_goes_on_when_it_is_back(tmp_path, ray_folder, token):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    asks = {"RAY_AUTH_MODE": "token"}
    with ray_head(ray_folder, asks) as address, running_sweep(tmp_path, home, "--address", address) as sweep:
        head = next(pid for pid, command in children_of(os.getpid()).items() if "start --head" in command)
        for process in (*children_of(head), head):
            os.kill(process, signal.SIGKILL)
        _, said = sweep.communicate(timeout=120)
        assert sweep.returncode == 1
        assert said.strip().endswith("What was recorded is kept; the same command goes on.")
        assert "Traceback" not in said
    with (
        ray_head(ray_folder, asks, port=int(address.rpartition(":")[2])),
        running_sweep(tmp_path, home, "--address", address) as sweep,
    ):
        sweep.terminate()
        sweep.communicate(timeout=120)  # 15 s on an idle machine
        assert sweep.returncode == 130


class Process:
    """A process with a title of its own."""

    def __init__(self, title, program="while True: pass"):
        self.process = subprocess.Popen([title, "-c", program], executable=sys.executable)

    def __enter__(self):
        return self.process

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def quick_looks(monkeypatch):
    monkeypatch.setattr(stopped, "SECONDS_BETWEEN_LOOKS", 0.1)


def test_a_stopped_worker_is_ended_and_a_slow_one_and_other_processes_are_not(quick_looks):
    with (
        Process("ray::Trial.train") as still,
        Process("ray::Trial.train") as busy,
        Process("ray::Trial.train", "import time; time.sleep(60)") as waiting,
        Process("editor") as other,
    ):
        for process in (still, other):
            os.kill(process.pid, signal.SIGSTOP)
        wait_until(lambda: stopped.is_stopped(still.pid) and stopped.is_stopped(other.pid))
        assert stopped.end_stopped([each.pid for each in (still, busy, waiting, other)]) == [still.pid]
        assert still.wait(10) == -signal.SIGKILL
        assert [each.poll() for each in (busy, waiting, other)] == [None] * 3


def test_a_worker_that_goes_on_meanwhile_is_not_ended(quick_looks):
    with Process("ray::Trial.train") as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        wait_until(lambda: stopped.is_stopped(worker.pid))
        threading.Timer(0.05, os.kill, [worker.pid, signal.SIGCONT]).start()
        assert stopped.end_stopped([worker.pid]) == []
        assert worker.poll() is None


def test_a_node_that_does_not_answer_keeps_no_other_from_being_asked(tmp_path, monkeypatch):
    dead, other = (Worker(pid=pid, node=node, address=node) for pid, node in ((1, "dead"), (2, "other")))
    answers = {"other": []}

    class Context:
        def get_node_id(self):
            return "mine"

    def wait(asked, num_returns, timeout):
        assert num_returns == len(asked)
        return [each for each in asked if each.partition("#")[0] in answers], []

    lookout, asked = stopped.Lookout(watcher_of(tmp_path), threading.Event()), []
    monkeypatch.setattr(stopped.ray, "get_runtime_context", Context)
    monkeypatch.setattr(stopped.ray, "wait", wait)
    monkeypatch.setattr(stopped, "SECONDS_TO_ANSWER", 0.05)
    monkeypatch.setattr(stopped.ray, "get", lambda answer: answers[answer.partition("#")[0]])
    monkeypatch.setattr(stopped, "workers", lambda: [dead, other])
    monkeypatch.setattr(lookout._watcher, "silent_at", lambda seconds: {None})
    monkeypatch.setattr(lookout, "_ask", lambda there: asked.append(f"{there[0].node}#{len(asked)}") or asked[-1])
    for _ in range(3):
        lookout.look()
    assert sorted(each.partition("#")[0] for each in asked) == ["dead", "other", "other", "other"]
    answers["dead"] = [1]
    lookout.look()
    lookout.look()
    assert [each.partition("#")[0] for each in asked].count("dead") == 2


def test_a_node_whose_cores_are_all_taken_is_asked_as_well(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(stopped.ray, "remote", lambda **options: asked.update(options) or (lambda task: Mock()))
    lookout = stopped.Lookout(watcher_of(tmp_path), threading.Event())
    lookout._ask([Worker(pid=1, node="0" * 56, address="there")])
    assert asked["num_cpus"] == 0


def watcher_of(folder):
    sweep = SweepFolder.at(folder)
    sweep.write_manifest({"study": "small_grid"})
    return Watcher(sweep, iterations=10, num_trials=1, already_done={}, ended=(), shown=False)


def test_a_storage_that_does_not_answer_ends_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "SECONDS_TO_ANSWER", 0.1)
    monkeypatch.setattr(pulse, "SECONDS_TO_END", 0.1)
    monkeypatch.setattr(pulse, "SECONDS_BETWEEN_LOOKS", 0.1)
    watcher, server = watcher_of(tmp_path), threading.Event()
    monkeypatch.setattr(local, "_replace", lambda *arguments: server.wait())

    def is_over():
        watcher.record()
        return watcher.ending == "storage blocked"

    with pytest.raises(RayLost):
        while_ray_lives(lambda: server.wait(60), is_over)  # as Tune, in a call of its own
    began = time.monotonic()
    watcher.close()
    assert time.monotonic() - began < 5  # and not as long as the server, which answers never
    assert watcher.ending == "storage blocked"
    server.set()


FULL, READ_ONLY = (OSError(number, os.strerror(number)) for number in (errno.ENOSPC, errno.EROFS))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FULL, "storage full"),
        (READ_ONLY, "storage read-only"),
        (BlockedError("/results", 40), "storage blocked"),
        (OSError("x"), None),
    ],
)
def test_a_storage_that_fails_under_the_driver_ends_the_sweep_and_is_no_fault_of_a_trial(
    tmp_path, monkeypatch, error, why
):
    class Trial:
        config = {"key": "a"}  # noqa: RUF012
        last_result = TrialReport(iteration=5).to_tune()

    class Source:
        def fail(self, key):
            raise RuntimeError("the search failed") from error

        trial_evaluated = trial_ended = fail

    def finish(folder, outcome):
        raise error

    monkeypatch.setattr(TrialFolder, "finish", finish)
    evaluated = TrialReport(iteration=5, metrics={"mcc": 0.5}).to_tune()
    first, second, third = (watcher_of(tmp_path) for _ in range(3))
    calls = [
        (first, lambda: first.on_trial_complete(0, [], Trial())),
        (second, lambda: Listener(Source(), second).on_trial_result(0, [], Trial(), evaluated)),
        (third, lambda: Listener(Source(), third).on_trial_complete(0, [], Trial())),
    ]
    for watcher, call in calls:
        with nullcontext() if why else pytest.raises((OSError, RuntimeError)):
            call()
        assert watcher.ending == why
    assert first.ended == set()  # it is trained further by the next command


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FULL, "is full"),
        (READ_ONLY, "is read-only now"),
        (BlockedError("/results", 40), "does not answer"),
        (OSError("x"), None),
    ],
)
def test_a_storage_that_fails_under_the_table_of_a_whole_sweep_is_told_in_a_sentence(
    tmp_path, monkeypatch, capsys, error, told
):
    monkeypatch.setattr("dd_ray.cli.train", lambda plan, began: (SweepFolder.at(plan.location), None))
    monkeypatch.setattr("dd_ray.cli.collect", Mock(side_effect=error))
    with nullcontext() if told else pytest.raises(OSError, match="x"):
        assert execute(parse(TINY, ["--storage", str(tmp_path)]), 0.0) == 1
        assert f"The storage {told}: {tmp_path}" in capsys.readouterr().err


def test_a_sweep_that_only_gets_a_smaller_share_is_not_about_to_end(tmp_path):
    watcher = watcher_of(tmp_path)
    watcher.stop("shares changed")
    time.sleep(0.01)
    assert watcher.seconds_since_end == 0
    watcher.stop("interrupted")
    time.sleep(0.01)
    assert watcher.seconds_since_end > 0
    assert watcher.ending == "interrupted"


def test_a_trial_reports_a_storage_that_does_not_answer():
    class Blocked:
        def advance(self):
            raise BlockedError("/results", 40)

    trial = TrialTrainable.__new__(TrialTrainable)
    trial._run, trial._reached = Blocked(), 7
    report = TrialReport.from_tune(trial.step())
    assert (report.iteration, report.state) == (7, None)
    assert report.storage == "storage blocked"


def test_a_node_is_asked_where_a_trial_has_said_nothing_for_long(tmp_path):
    class Trial:
        config = {"key": "a"}  # noqa: RUF012

    watcher = watcher_of(tmp_path)
    watcher.on_trial_start(0, [], Trial())
    assert watcher.silent_at(-1) == {None}
    watcher.on_trial_result(0, [], Trial(), {"node_ip": "10.0.0.7"})
    assert watcher.silent_at(-1) == {"10.0.0.7"}
    assert watcher.silent_at(60) == set()
    watcher.on_trial_recover(0, [], Failed())
    assert watcher.silent_at(-1) == set()


class Failed:
    config = {"key": "a"}  # noqa: RUF012
    custom_trial_name = "γ=0"
    error_file = None


def test_a_process_of_the_own_ray_that_is_stopped_counts_as_lost(monkeypatch):
    monkeypatch.setattr(pulse, "SECONDS_BETWEEN_LOOKS", 0.02)
    with Process("raylet") as raylet:
        monkeypatch.setattr(pulse, "own_processes", lambda: [raylet])
        os.kill(raylet.pid, signal.SIGSTOP)
        over = threading.Event()
        with pytest.raises(RayLost):
            while_ray_lives(over.wait)
        over.set()


def test_a_control_store_counts_as_dead_where_connections_to_it_are_refused_and_not_where_it_is_busy(monkeypatch):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        class Context:
            gcs_address = f"127.0.0.1:{listening.getsockname()[1]}"

            def get_node_id(self):
                raise ConnectionError

        monkeypatch.setattr(pulse.ray, "is_initialized", lambda: True)
        monkeypatch.setattr(pulse.ray, "get_runtime_context", Context)
        monkeypatch.setattr(pulse, "SECONDS_BETWEEN_LOOKS", 0.02)
        monkeypatch.setattr(pulse, "SECONDS_REFUSED", 0.1)
        monkeypatch.setattr(pulse, "LOOKS_TO_ANSWER", 100_000)
        assert while_ray_lives(lambda: time.sleep(0.5)) is None
    with pytest.raises(RayLost):
        while_ray_lives(lambda: time.sleep(20))


def test_a_cluster_that_has_forgotten_this_process_does_not_answer(monkeypatch):
    class Context:
        def get_node_id(self):
            return "mine"

    nodes = [{"NodeID": "mine", "Alive": True}]
    monkeypatch.setattr(pulse.ray, "get_runtime_context", Context)
    monkeypatch.setattr(pulse.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(pulse, "SECONDS_BETWEEN_LOOKS", 0.05)
    monkeypatch.setattr(pulse, "SECONDS_BETWEEN_QUESTIONS", 0.02)
    monkeypatch.setattr(pulse, "LOOKS_TO_ANSWER", 25)
    assert while_ray_lives(lambda: time.sleep(2)) is None
    nodes[0] = {"NodeID": "another", "Alive": True}
    with pytest.raises(RayLost):
        while_ray_lives(lambda: time.sleep(20))


def test_what_is_waited_for_is_returned_or_raised():
    assert while_ray_lives(lambda: 3) == 3
    with pytest.raises(ValueError, match="so it is"):
        while_ray_lives(lambda: int("so it is"))


def test_an_error_of_a_trial_that_nobody_waits_for_any_more_is_not_printed(monkeypatch):
    """As of trials whose sweep was moved away: the command's last words are the sentence that says so."""
    monkeypatch.delenv("RAY_IGNORE_UNHANDLED_ERRORS", raising=False)
    told = []
    monkeypatch.setattr(ray_worker, "_unhandled_error_handler", told.append)
    with left_as_it_was():
        prepare_environment()
        ray_worker.Worker.raise_errors(Mock(deserialize_objects=lambda *_: [FileNotFoundError("owner")]), [], [])
    assert not told
