"""A Ray that fails, hangs or is interrupted while it starts is told in a sentence, and leaves nothing."""

import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from dd_ray.errors import UserError
from dd_ray.storage import private
from dd_ray.storage.private import LONGEST_SOCKET, PrivateFolder
from dd_ray.tune import cluster, signals, start
from dd_ray.tune.start import NotStartedError, RayStart


@pytest.fixture(autouse=True)
def own_token(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)


@pytest.fixture(autouse=True)
def nothing_to_shut_down(monkeypatch):
    monkeypatch.setattr(cluster, "shut_down", lambda: None)


def starting(monkeypatch, init):
    monkeypatch.setattr(start.ray, "init", init)


def connected():
    with cluster.connected(None):
        pass


def test_a_start_that_fails_is_a_sentence_with_its_logs_and_its_processes_are_ended(monkeypatch, tmp_path):
    from ray._private import services

    begun = []

    def init(_temp_dir, **options):
        os.makedirs(f"{_temp_dir}/session_latest/logs", exist_ok=True)
        begun.append(services.ConsolePopen(["sleep", "60"]))
        raise Exception("The current node timed out.\nSee the\nlogs.")

    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    starting(monkeypatch, init)
    with pytest.raises(NotStartedError, match=r"^Ray has not started \(The current node timed out. See") as failed:
        connected()
    assert failed.value.exit_code == 1
    logs = str(failed.value).rpartition(" ")[2].rstrip(".")
    assert os.path.isdir(logs)
    assert [process.poll() for process in begun] == [-signal.SIGKILL] * 2
    subprocess.run(["rm", "-r", logs.partition("/r/")[0]], check=True)


def test_a_start_that_fails_is_tried_once_more(monkeypatch, capsys):
    tries = []

    def init(**options):
        tries.append(options)
        if len(tries) == 1:
            raise Exception("too slow")

    starting(monkeypatch, init)
    with cluster.connected(None, print):
        assert "Ray has not started (too slow), as on a busy machine; trying once more." in capsys.readouterr().out
    assert len(tries) == 2 and tries[0] == tries[1]


def test_a_start_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(start, "SECONDS_TO_START", 0.3)
    goes_on = threading.Event()
    starting(monkeypatch, lambda **options: goes_on.wait(60))
    asked = RayStart({})
    with pytest.raises(NotStartedError, match="no answer within 0 s"):
        asked.wait()
    assert asked.is_under_way
    goes_on.set()
    asked.leave()


@pytest.mark.slow  # it interrupts the process of the tests, which on a busy machine may be within another one
def test_an_interrupt_of_a_program_waits_until_ray_can_be_left(monkeypatch):
    started = threading.Event()
    starting(monkeypatch, lambda **options: (time.sleep(1), started.set()))
    threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        connected()
    assert started.is_set()


@pytest.mark.slow  # likewise
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_of_a_command_ends_it_at_once(monkeypatch, number):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    goes_on = threading.Event()
    starting(monkeypatch, lambda **options: goes_on.wait(60))
    threading.Timer(0.3, os.kill, [os.getpid(), number]).start()
    signals.expect_signals()
    try:
        asked = RayStart({})
        with pytest.raises(KeyboardInterrupt):
            asked.wait()
        assert asked.is_under_way
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        signals._asked.clear()
    goes_on.set()
    asked.leave()


def test_what_a_start_raises_is_what_ray_raises(monkeypatch):
    def init(**options):
        raise ConnectionError("gone")

    starting(monkeypatch, init)
    with pytest.raises(UserError, match=r"--address 1\.2\.3\.4:5 has gone"), cluster.connected("1.2.3.4:5"):
        pass


def made(asked, room=60):
    folder = PrivateFolder(asked, room)
    with folder.for_a_while():
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
        (folder.path / "file").touch()
    assert not folder.path.exists()
    return folder


@pytest.fixture
def short():
    """A folder with a short path, which that of a test may not be."""
    with tempfile.TemporaryDirectory(prefix="s", dir=private._BASES[0]) as folder:
        yield folder


def test_a_folder_that_will_do_is_taken(short):
    folder = made({"RAY_TMPDIR": short, "TMPDIR": "/nowhere"})
    assert str(folder.path.parent) == short
    assert folder.refused == ""


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("/nowhere", r"RAY_TMPDIR = /nowhere cannot be written \(No such file or directory\)"),
        ("/etc/hostname", r"cannot be written \(Not a directory\)"),
        ("/proc/self", "cannot be written"),
        ("/a b", "RAY_TMPDIR = /a b has more in it than letters"),
        ("/" + "x" * 60, r"RAY_TMPDIR = /x+ has 61 bytes, of which sockets leave room for \d+"),
        ("/" + "x" * 300, r"RAY_TMPDIR = /x{39}… has 301 bytes"),
    ],
)
def test_a_short_folder_is_taken_in_place_of_one_that_will_not_do_and_it_is_said(base, why):
    folder = made({"RAY_TMPDIR": base})
    assert str(folder.path.parent) in private._BASES
    assert re.search(why, folder.refused)


def test_where_no_folder_will_do_it_is_one_sentence():
    with pytest.raises(UserError, match="set RAY_TMPDIR to a folder of yours whose path has at most"):
        PrivateFolder({"TMPDIR": "/nowhere"}, LONGEST_SOCKET)


KILLED = """
import os
from dd_ray.storage.private import PrivateFolder, scratch_folder
folder = PrivateFolder({}, 60)
with folder.for_a_while(), scratch_folder() as scratch:
    print(folder.path, scratch, flush=True)
    os.killpg(0, 9)
"""


def test_folders_go_with_a_process_that_is_killed():
    done = subprocess.run(
        [sys.executable, "-c", KILLED], capture_output=True, text=True, check=False, start_new_session=True
    )
    assert done.returncode == -9
    deadline = time.monotonic() + 30
    for folder in done.stdout.split():
        while os.path.exists(folder):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_folder_that_late_processes_make_anew_is_removed_for_more_than_a_minute(tmp_path):
    slept, folder, sleep = tmp_path / "slept", tmp_path / "session", tmp_path / "bin" / "sleep"
    sleep.parent.mkdir()
    sleep.write_text(f'#!/bin/sh\necho "$1" >> {slept}\nmkdir -p {folder}/logs\n')
    sleep.chmod(0o755)
    path = f"{sleep.parent}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", private._REMOVE, "sh", folder], check=True, env={**os.environ, "PATH": path})
    assert not folder.exists() and sum(map(int, slept.read_text().split())) > 60


def test_where_the_home_cannot_be_written_the_token_is_in_the_environment(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "file").touch()
    tokens = set()
    for home in (tmp_path / "file", "/proc", "relative"):
        monkeypatch.setenv("HOME", str(home))
        cluster._prepare_token()
        tokens.add(os.environ.pop("RAY_AUTH_TOKEN"))
    assert len(tokens) == 1 and re.fullmatch("[0-9a-f]{64}", *tokens)
    assert not os.path.exists("relative")


def test_a_token_in_the_home_is_written_once_and_for_this_user_alone(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".ray" / "auth_token"
    cluster._prepare_token()
    before = file.read_text()
    file.chmod(0o644)
    cluster._prepare_token()
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert file.read_text() == before and "RAY_AUTH_TOKEN" not in os.environ
