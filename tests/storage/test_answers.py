"""A storage that does not answer is given up after a while, and fails at once as long as it does not."""

import pickle
import threading
import time
from pathlib import Path

import pytest

from dd_ray.storage.files import BlockedError, LocalFiles, answers, is_blocked, local


@pytest.fixture
def server(monkeypatch):
    """Answers while it is set, as the server of a file system; given up after a tenth of a second."""
    is_there, sync = threading.Event(), local._sync_folder

    def sync_folder(folder):
        is_there.wait()
        sync(folder)

    monkeypatch.setattr(local, "_sync_folder", sync_folder)
    monkeypatch.setattr(answers, "SECONDS_TO_ANSWER", 0.1)
    is_there.set()
    yield is_there
    is_there.set()


CALLS = {
    "write": lambda files: files.write("file", b"new\n"),
    "remove": lambda files: files.remove("file"),
    "move": lambda files: files.move("file", "other"),
    "append": lambda files: files.append("another", b"line\n"),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_answered_is_given_up_and_so_is_all_else_until_it_is(tmp_path, server, call, monkeypatch):
    files = LocalFiles(tmp_path)
    monkeypatch.setattr(answers, "SECONDS_TO_ANSWER", 60)
    files.write("file", b"old\n")
    server.clear()
    monkeypatch.setattr(answers, "SECONDS_TO_ANSWER", 0.1)
    with pytest.raises(BlockedError, match="no answer within"):
        CALLS[call](files)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "storage")  # a command may end
    monkeypatch.setattr(answers, "SECONDS_TO_ANSWER", 60)
    began = time.monotonic()
    with pytest.raises(BlockedError):
        files.at("cells").write("file", b"", durable=False)  # would not wait for the server
    assert time.monotonic() - began < 10
    assert not (tmp_path / "cells").exists()
    server.set()
    deadline = time.monotonic() + 10
    while True:  # what was given up is answered now
        try:
            files.write("later", b"")
            break
        except BlockedError:
            assert time.monotonic() < deadline
    assert not list(tmp_path.glob(".*"))


def test_whether_a_file_is_there_is_given_up_too(tmp_path, server, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: server.wait())
    server.clear()
    with pytest.raises(BlockedError, match="no answer within"):
        LocalFiles(tmp_path).exists("file")


def test_other_errors_are_raised_as_they_are(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as caught:
        LocalFiles(tmp_path / "file").remove("below")
    assert not is_blocked(caught.value)


def test_a_lock_is_let_go_of_where_nothing_is_answered(tmp_path, server):
    files = LocalFiles(tmp_path)
    with files.lock(".lock", "me"):
        server.clear()
        with pytest.raises(BlockedError):
            files.write("file", b"")


def test_an_interrupt_ends_the_command_after_what_is_being_written(tmp_path, monkeypatch):
    wait = answers.wait

    def interrupted(*arguments):
        monkeypatch.setattr(answers, "wait", wait)
        raise KeyboardInterrupt

    monkeypatch.setattr(answers, "wait", interrupted)
    replace = local._replace
    monkeypatch.setattr(local, "_replace", lambda *arguments: (time.sleep(0.1), replace(*arguments)))
    with pytest.raises(KeyboardInterrupt):
        LocalFiles(tmp_path).write("file", b"new\n")
    assert (tmp_path / "file").read_bytes() == b"new\n"


def test_the_cause_of_an_error_counts():
    error = RuntimeError("the search failed")
    error.__cause__ = BlockedError("/results", 40)
    assert is_blocked(error)


def test_what_an_error_came_of_counts():
    error = RuntimeError("no report of it either")
    error.__context__ = BlockedError("/results", 40)
    assert is_blocked(error)


def test_it_is_known_in_another_process():
    error = pickle.loads(pickle.dumps(BlockedError("/results", 40)))
    assert is_blocked(error)
    assert str(error) == str(BlockedError("/results", 40))
