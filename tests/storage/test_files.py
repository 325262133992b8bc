"""Files are whole, durable and locked, in a folder and in an object store alike."""

import _thread
import errno
import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count, repeat
from pathlib import Path
from unittest.mock import MagicMock, Mock
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from pyarrow.fs import LocalFileSystem

from dd_ray.errors import UserError
from dd_ray.storage.files import Lease, LocalFiles, NoFileError, open_files, out_of_space
from dd_ray.storage.files.claims import Claims, put, times
from dd_ray.storage.files.local import open_in_place
from dd_ray.storage.files.objects import ObjectFiles
from tests.storage.object_store import KEYS, running_object_store

QUICK = Lease(renew=0.5, expire=3.0, poll=0.4)


@pytest.fixture(params=["folder", "object_store"])
def files(request, tmp_path):
    if request.param == "folder":
        return open_files(tmp_path / "files")
    return open_files(request.getfixturevalue("object_store").url())


@pytest.fixture
def folder(tmp_path):
    return open_files(tmp_path)


@pytest.fixture
def objects(object_store):
    return open_files(object_store.url())


@contextmanager
def in_another_process(code, *arguments):
    """Run code that prints a line when it is ready; killed in the end."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


# Both kinds


def test_what_was_written_is_read_by_another_client_at_once(files):
    other = open_files(files.location)
    for content in (b"one", b"", b"three" * 1000):
        files.write("cells/abc/state.npz", content)
        assert other.read("cells/abc/state.npz") == content


def test_what_is_missing(files):
    with pytest.raises(FileNotFoundError):
        files.read("nothing")
    assert not files.exists("nothing")
    assert files.names() == files.names("no/folder") == []
    files.remove("nothing")
    files.remove("no/folder/nothing")


def test_below_a_file_there_is_nothing(files):
    files.write("notes.txt", b"")
    below = files.at("notes.txt")
    with pytest.raises(FileNotFoundError):
        below.read("config.json")
    assert below.names() == [] and not below.exists("config.json")


def test_at_is_a_folder_below(files):
    trial = files.at("cells", "β=0.1 γ=½")
    trial.write("config.json", b"{}")
    assert files.read("cells/β=0.1 γ=½/config.json") == b"{}"
    assert open_files(trial.location).read("config.json") == b"{}"
    assert files.names("cells") == ["β=0.1 γ=½"]


def test_a_stamp_changes_with_its_file(files):
    assert files.stamps("b") == {}
    files.write("b/c/d", b"1\n")
    files.write("b/e", b"1\n")
    files.write("a", b"1\n")
    before = files.stamps("b")
    assert sorted(before) == ["c/d", "e"] and files.stamps("b") == before
    files.append("b/c/d", b"2\n")
    after = files.stamps("b")
    assert after["c/d"] != before["c/d"] and after["e"] == before["e"]
    assert files.size("b") == len(b"1\n2\n" + b"1\n")


def test_names_are_files_and_folders_directly_below_but_for_the_hidden(files):
    for name in ("b", "a/c/d", ".draft", "e"):
        files.write(name, b"")
    assert files.names() == ["a", "b", "e"]
    assert files.names("a") == ["c"]
    assert files.exists("a/c/d") and files.exists("a")


@pytest.mark.slow
def test_more_names_than_one_page_holds(files):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: files.write(f"cells/{i:04}/config.json", b"{}"), range(1200)))
    assert files.names("cells") == [f"{i:04}" for i in range(1200)]


def test_a_file_with_more_bytes_than_it_may_have_is_not_read(files):
    files.write("a", b"12345")
    assert files.read("a", 5) == files.read("a") == b"12345"
    with pytest.raises(NoFileError, match="it has 0 MB, and may have 0"):
        files.read("a", 4)


def test_removal(files):
    files.write("a/b", b"1")
    files.write("a/c/d", b"2")
    files.remove("a/b")
    assert files.names("a") == ["c"]
    assert files.exists("a/c/d") and not files.exists("a/b")


def test_a_folder_is_moved_and_removed_with_all_that_is_in_it(files):
    for name in ("cells/a/state", "cells/a/deep/down", "cells/ab"):
        files.write(name, name.encode())
    files.move("cells/a", "aside/new")
    assert [*files.stamps("cells")] == files.names("cells") == ["ab"] and not files.exists("cells/a")
    assert files.read("aside/new/state") == b"cells/a/state"
    assert files.read("aside/new/deep/down") == b"cells/a/deep/down"
    files.move("cells/ab", "cells/b")
    assert [*files.stamps("cells")] == ["b"] and files.read("cells/b") == b"cells/ab"
    files.remove_folder("aside")
    files.remove_folder("no/folder")
    assert files.names() == ["cells"] and files.stamps("aside") == {}


def test_lines_are_added_in_order(files):
    for i in range(5):
        files.append("a/lines", b"%d\n" % i)
    assert files.read("a/lines") == b"0\n1\n2\n3\n4\n"


@pytest.mark.parametrize(("before", "after"), [(b"one\ntw", b"one\nthree\n"), (b"on", b"three\n"), (b"", b"three\n")])
def test_a_line_cut_short_is_dropped_before_the_next(files, before, after):
    files.write("lines", before)
    files.append("lines", b"three\n")
    assert files.read("lines") == after


WRITER = """
import hashlib, random, sys, time
from dd_ray.storage.files import open_files
files, draw = open_files(sys.argv[1]), random.Random(int(sys.argv[2]))
while True:
    content = draw.randbytes(draw.randrange(100_000))
    files.write("a/state", hashlib.sha256(content).digest() + content)
    print("written", flush=True)
    time.sleep(draw.random() / 20)  # else there may be no moment to read in, where a store is shared by busy processes
"""


def is_whole(content):
    return hashlib.sha256(content[32:]).digest() == content[:32]


def test_a_reader_sees_whole_files_only_while_they_are_written_and_after_a_kill(files):
    for seed in range(3):
        with in_another_process(WRITER, files.location, str(seed)) as writer:
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                assert is_whole(files.read("a/state"))
            writer.kill()
        assert is_whole(files.read("a/state"))
    assert files.names("a") == ["state"]


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
def test_no_name_leads_out_of_a_folder(folder, name):
    ways = (lambda: folder.write(name, b""), lambda: folder.append(name, b"\n"), lambda: folder.read(name))
    for leads_out in (*ways, lambda: folder.at(name), lambda: folder.at("a", f"../{name}")):
        with pytest.raises(ValueError, match="leads out of"):
            leads_out()


def test_a_line_that_was_added_in_part_is_taken_back(folder, monkeypatch):
    folder.append("lines", b"one\n")
    write = os.write

    def full(file, content):
        if len(content) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, content[:10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        folder.append("lines", b"a line of more than twenty bytes\n")
    monkeypatch.undo()
    assert folder.read("lines") == b"one\n"


HOLDER = """
import sys, time
from dd_ray.storage.files import Lease, open_files
with open_files(sys.argv[1]).lock(".lock", "process 7 on elsewhere", Lease(renew=0.5, expire=3.0, poll=0.4)) as lock:
    print("held", flush=True)
    sys.stdin.readline()
print(lock.held, flush=True)
"""


def test_a_lock_excludes_other_processes_and_names_the_holder(files):
    with in_another_process(HOLDER, files.location) as holder:
        with (
            pytest.raises(UserError, match="is being run already, by process 7 on elsewhere; wait for it"),
            files.lock(".lock", "me", QUICK),
        ):
            pass
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "True\n"
    with files.lock(".lock", "me", QUICK) as lock:
        assert lock.held
    assert files.names() == []


def test_the_lock_of_a_killed_process_is_taken_over(files, caplog):
    with in_another_process(HOLDER, files.location) as holder:
        holder.kill()
        holder.wait()
        with files.lock(".lock", "me", QUICK) as lock:
            assert lock.held
    # The wait for a lease is announced; a local lock ends with its process.
    waited = ["is held by process 7 on elsewhere" in message for message in caplog.messages]
    assert waited == ([] if files.local else [True])


@pytest.mark.parametrize(
    ("content", "who"),
    [
        *((content, "another command") for content in (b"", b"no JSON", b"\xff", b"[]", b"null", b"{}", b"[" * 10**5)),
        (b'{"who": "\\u001b[2J"}', r"\x1b[2J"),
    ],
)
def test_a_claim_of_anybody_is_waited_for_and_named_as_text(tmp_path, caplog, monkeypatch, content, who):
    (tmp_path / "claim").write_bytes(content)
    # It does not give up, however busy this machine is.
    monkeypatch.setattr("dd_ray.storage.files.claims.time", Mock(monotonic=lambda: 0.0, sleep=time.sleep))
    claims = Claims(LocalFileSystem(), str(tmp_path), "me", Lease(expire=0.2, poll=0.02))
    assert claims.acquire() is None and f"is held by {who}; " in caplog.text


@pytest.fixture
def quick_claims(tmp_path):
    return Claims(LocalFileSystem(), str(tmp_path), "me", Lease(renew=0.02, expire=2.0, poll=0.02))


def test_a_holder_that_gives_a_sign_of_life_is_named_at_once(quick_claims, tmp_path, monkeypatch):
    began = time.monotonic()
    for name in ("waiting", "holding"):
        (tmp_path / name).write_text(f'{{"who": "{name}"}}')

    def renewed(store, folder):
        os.utime(tmp_path / "holding")
        return dict(sorted(times(store, folder).items(), key=lambda each: each[0] == "holding"))

    monkeypatch.setattr("dd_ray.storage.files.claims.times", renewed)
    assert quick_claims.acquire() == "holding" and time.monotonic() - began < 1
    assert {*os.listdir(tmp_path)} == {"waiting", "holding"}


def test_among_others_that_ask_all_the_time_one_gives_up(tmp_path, monkeypatch):
    claims, began = Claims(LocalFileSystem(), str(tmp_path), "me", Lease(expire=0.3, poll=0.02)), time.monotonic()
    own = []

    def crowded(store, folder):
        own.extend(times(store, folder))
        asking = {f"{time.monotonic()}": time.time_ns()} if time.monotonic() < began + 10 else {}
        return {**times(store, folder), **asking}

    monkeypatch.setattr("dd_ray.storage.files.claims.times", crowded)
    assert claims.acquire() == "another command"
    assert 0.3 < time.monotonic() - began < 10
    assert len(own) == len(set(own)) > 1  # so that nobody takes it for a holder that gives signs of life


def test_one_that_takes_a_lock_leaves_its_own_claim_alone(quick_claims, tmp_path, monkeypatch):
    (tmp_path / "dead").touch()
    os.utime(tmp_path / "dead", (0, 0))
    monkeypatch.setattr(
        "dd_ray.storage.files.claims.times", lambda store, folder: {"withdrawn by another": 0, **times(store, folder)}
    )
    assert quick_claims.acquire() is None
    assert len(os.listdir(tmp_path)) == 1 and not (tmp_path / "dead").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("step", [put, times])
def test_one_that_is_interrupted_while_it_asks_leaves_no_claim(quick_claims, tmp_path, monkeypatch, step, error):
    def interrupted(*given):
        step(*given)
        raise error

    monkeypatch.setattr(f"dd_ray.storage.files.claims.{step.__name__}", interrupted)
    with pytest.raises(error):
        quick_claims.acquire()
    assert os.listdir(tmp_path) == []


def test_an_interrupt_is_not_hidden_by_a_claim_that_cannot_be_withdrawn(quick_claims, monkeypatch):
    monkeypatch.setattr("dd_ray.storage.files.claims.times", Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(quick_claims, "_withdraw", Mock(side_effect=OSError("down")))
    with pytest.raises(KeyboardInterrupt):
        quick_claims.acquire()


def test_a_lock_outlives_a_renewal_that_the_store_refuses(quick_claims, monkeypatch):
    assert quick_claims.acquire() is None
    renewed = threading.Event()
    answers = iter([OSError("down"), OSError("down")])

    def put_later(*given):
        for refused in answers:
            raise refused
        put(*given)
        renewed.set()

    monkeypatch.setattr("dd_ray.storage.files.claims.put", put_later)
    with quick_claims.kept():
        assert renewed.wait(10)
        assert quick_claims.held


def test_a_renewal_that_is_under_way_at_the_end_leaves_no_claim(quick_claims, tmp_path, monkeypatch):
    assert quick_claims.acquire() is None
    begun = threading.Event()

    def slow_put(*given):
        begun.set()
        time.sleep(0.1)
        put(*given)

    monkeypatch.setattr("dd_ray.storage.files.claims.put", slow_put)
    with quick_claims.kept():
        assert begun.wait(10)
        (lease,) = (thread for thread in threading.enumerate() if thread.name == "lease")
    lease.join()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("outage", "another"), [(9, True), (9, False), (0, True)])
def test_a_holder_that_was_cut_off_for_a_lease_has_lost_its_lock_if_another_asks(
    quick_claims, tmp_path, monkeypatch, outage, another
):
    assert quick_claims.acquire() is None
    if another:
        (tmp_path / "another").touch()
    listed = []

    def cut_off(store, folder):
        listed.append(times(store, folder))
        if len(listed) <= outage:
            raise OSError("down")
        return listed[-1]

    monkeypatch.setattr("dd_ray.storage.files.claims.times", cut_off)
    # A tenth of the lease between two renewals, however busy this machine is.
    monkeypatch.setattr("dd_ray.storage.files.claims.time", Mock(monotonic=count(0, 0.2).__next__))
    with quick_claims.kept():
        deadline = time.monotonic() + 10
        while quick_claims.held and len(listed) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        assert quick_claims.held == (not outage or not another)


def test_a_lock_whose_claims_are_gone_with_their_folder_is_lost(quick_claims, tmp_path):
    assert quick_claims.acquire() is None
    with quick_claims.kept():
        tmp_path.rename(tmp_path.with_name("elsewhere"))
        deadline = time.monotonic() + 10
        while quick_claims.held:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_an_interrupt_does_not_empty_an_object(tmp_path):
    file = tmp_path / "object"
    file.write_bytes(b"old")

    def interrupted(path):
        stream = LocalFileSystem().open_output_stream(path)
        _thread.interrupt_main()
        return stream

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            put(Mock(open_output_stream=interrupted), str(file), [b"new"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert file.read_bytes() == b"new"


def test_an_error_is_not_hidden_by_a_claim_that_cannot_be_withdrawn(quick_claims, tmp_path):
    assert quick_claims.acquire() is None
    (claim,) = tmp_path.iterdir()
    claim.unlink()
    claim.mkdir()  # which is not withdrawn as an object is
    with pytest.raises(ZeroDivisionError), quick_claims.kept():
        raise ZeroDivisionError


def test_a_store_that_does_not_list_a_claim_cannot_be_locked(objects, monkeypatch):
    monkeypatch.setattr("dd_ray.storage.files.claims.times", lambda store, folder: {})
    with pytest.raises(UserError, match=r"cannot be locked \(.*does not list"), objects.lock(".lock", "me", QUICK):
        pass


def test_a_lock_whose_holder_is_no_text_is_held_nevertheless(folder):
    with folder.lock(".lock", "me"):
        (folder.local / ".lock").write_bytes(b"\xff")
        with (
            pytest.raises(UserError, match="being run already, by \N{REPLACEMENT CHARACTER};"),
            folder.lock(".lock", "I"),
        ):
            pass


def test_a_lock_is_released_by_an_error(files):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), files.lock("deep/down/.lock", "me", QUICK):
            raise ZeroDivisionError


# Folders


def test_a_folder_is_absolute_and_may_be_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for location in ("some folder", Path("some folder"), (tmp_path / "some folder").as_uri()):
        files = open_files(location)
        assert files.local == tmp_path / "some folder" and files.location == str(files.local)
    assert not files.local.exists()


def test_a_lock_names_its_holder_and_none_before(folder):
    with folder.lock(".lock", "one whose name is long"):
        pass
    with (
        folder.lock(".lock", "another"),
        pytest.raises(UserError, match="is being run already, by another; wait"),
        folder.lock(".lock", "me"),
    ):
        pass


def test_a_lock_whose_holder_has_not_said_so_yet_is_held_by_another(folder):
    with folder.lock(".lock", "me"):
        (folder.local / ".lock").write_bytes(b"")
        with pytest.raises(UserError, match="run already, by another command; wait"), folder.lock(".lock", "I"):
            pass


def test_a_lock_that_was_removed_with_its_folder_is_lost_also_if_another_holds_a_new_one(folder, monkeypatch):
    with folder.lock(".lock", "me") as lock:
        assert lock.held
        folder.remove_folder()
        assert not lock.held
        with folder.lock(".lock", "another") as new:
            assert new.held and not lock.held
            monkeypatch.setattr("os.open", Mock(side_effect=OSError(errno.EIO, "Input/output error")))
            assert new.held
            monkeypatch.undo()


def test_a_lock_of_a_machine_is_lost_to_one_of_another_machine(folder, monkeypatch):
    monkeypatch.setattr("fcntl.flock", Mock())  # succeeds, as where each machine locks for itself
    with folder.lock(".lock", "me") as lock, folder.lock(".lock", "another") as other:
        assert other.held and not lock.held


def test_a_folder_that_is_no_file_is_not_left_open(folder):
    folder.write("folder/file", b"")
    lowest = os.dup(0)
    os.close(lowest)
    with pytest.raises(NoFileError, match="a folder, or something else"):
        folder.read("folder")
    now = os.dup(0)
    os.close(now)
    assert now == lowest


def test_a_file_is_no_folder(folder):
    folder.write("file", b"")
    with pytest.raises(UserError, match=r"file is a file; give a folder, s3://BUCKET/PREFIX"):
        open_files(folder.local / "file")


def test_a_folder_that_cannot_be_looked_at_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"nnn cannot be opened \(File name too long\); give another folder"):
        open_files(tmp_path / ("n" * 300))
    with pytest.raises(UserError, match=r"cannot be opened \(embedded null byte\); give another folder"):
        open_files(tmp_path / "a\0b")
    monkeypatch.setattr(Path, "stat", Mock(side_effect=PermissionError(errno.EACCES, "Permission denied")))
    with pytest.raises(UserError, match=r"theirs cannot be opened \(Permission denied\); give another folder"):
        open_files(tmp_path / "theirs")


@pytest.mark.parametrize("missing", [os.R_OK, os.X_OK])
def test_a_folder_that_may_not_be_read_is_refused(folder, monkeypatch, missing):
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder.local or not mode & missing)
    with pytest.raises(UserError, match="may not be read; ask its owner for access, or give another folder"):
        open_files(folder.local)


def test_a_folder_without_pyarrow(folder):
    code = "import sys, dd_ray.storage.files as f; f.open_files('.').names(); print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


@pytest.mark.parametrize("add", [lambda f: f.write("x", b"new\n"), lambda f: f.append("x", b"new\n")])
def test_what_the_disk_refused_was_not_written(folder, monkeypatch, add):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder.write("x", b"old\n")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            add(folder)
    assert folder.read("x") == b"old\n"
    assert os.listdir(folder.local) == ["x"]


def _synced(monkeypatch, call):
    """The files and folders that a call waits for the disk with, by their numbers."""
    numbers = []
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: numbers.append(os.fstat(descriptor).st_ino))
        call()
    return set(numbers)


def test_what_was_written_is_on_the_disk_and_so_is_the_way_to_it(folder, monkeypatch):
    def numbers(*names):
        return {(folder.local / name).stat().st_ino for name in names}

    ways = [".", "a", "a/b"]
    assert _synced(monkeypatch, lambda: folder.write("a/b/state", b"1")) == numbers(*ways, "a/b/state")
    assert _synced(monkeypatch, lambda: folder.write("a/b/state", b"2")) == numbers("a/b", "a/b/state")
    assert _synced(monkeypatch, lambda: folder.write("a/b/hint", b"3", durable=False)) == set()
    assert _synced(monkeypatch, lambda: folder.append("a/b/lines", b"1\n")) >= numbers("a/b", "a/b/lines")
    assert _synced(monkeypatch, lambda: folder.append("a/b/lines", b"2\n")) == numbers("a/b/lines")
    assert _synced(monkeypatch, lambda: folder.move("a/b/lines", "c/lines")) == numbers(".", "a/b", "c")
    assert _synced(monkeypatch, lambda: folder.remove("a/b/state")) == numbers("a/b")
    assert _synced(monkeypatch, lambda: folder.remove_folder("a/b")) == numbers("a")
    assert folder.read("c/lines") == b"1\n2\n" and not folder.exists("a/b")


def test_a_file_takes_its_place_when_all_of_it_is_on_the_disk(folder, monkeypatch):
    folder.write("state", b"old")
    seen = []
    monkeypatch.setattr("os.fsync", lambda file: seen.append((os.fstat(file).st_size, folder.read("state"))))
    folder.write("state", b"newer")
    assert seen[0] == (len(b"newer"), b"old")


def test_a_name_may_be_as_long_as_names_can_be(folder):
    folder.write("n" * 255, b"")
    assert folder.names() == ["n" * 255]


UNFINISHED = """
import os, sys
from dd_ray.storage.files import open_files

def parts():
    yield b"half"
    print("writes", flush=True)
    sys.stdin.readline()

open_files(sys.argv[1]).write_parts("cells/abc/state.npz", parts())
"""


def test_a_draft_of_a_killed_writer_is_removed_and_none_that_is_being_written(folder):
    def drafts():
        return [path for path in folder.local.rglob("*") if path.is_file() and path.name.startswith(".state.npz.")]

    with in_another_process(UNFINISHED, folder.location):
        (left,) = drafts()
    for name in (".lock", ".hidden", "cells/abc/config.json", f"notes.{'a' * 32}"):
        folder.write(name, b"")
    for path in (path for path in folder.local.rglob("*") if path.is_file()):
        os.utime(path, (1e9, 1e9))
    with in_another_process(UNFINISHED, folder.location):
        folder.remove_drafts()
        (written,) = drafts()
    assert written != left
    assert folder.names("cells/abc") == ["config.json"] and (folder.local / ".lock").exists()
    assert (folder.local / ".hidden").exists() and folder.names() == ["cells", f"notes.{'a' * 32}"]


def test_a_draft_is_as_old_as_the_clock_of_its_storage_says(folder, monkeypatch):
    draft = folder.local / f".state.npz.{'0' * 32}"
    draft.touch()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)  # the clock of this machine is ahead
    folder.remove_drafts()
    assert [*folder.local.iterdir()] == [draft]


REMOVES_DRAFTS = """
import os, sys
from dd_ray.storage.files import open_files

def wait(_):
    print("removes", flush=True)
    sys.stdin.readline()

files = open_files(sys.argv[1])
os.fstat = wait  # asked for the date of the file that tells the storage's time
files.remove_drafts()
"""


def test_what_tells_the_time_of_a_storage_is_removed_though_its_process_was_killed(folder):
    with in_another_process(REMOVES_DRAFTS, folder.location):
        (left,) = folder.local.iterdir()
    os.utime(left, (1e9, 1e9))
    folder.remove_drafts()
    assert not any(folder.local.iterdir())


def test_stamps_tell_files_of_one_size_apart_and_leave_out_what_is_gone_meanwhile(folder, monkeypatch):
    folder.write("a", b"1")
    os.utime(folder.local / "a", ns=(0, 1))
    before = folder.stamps("")
    os.utime(folder.local / "a", ns=(0, 2))
    monkeypatch.setattr(os, "walk", lambda root: [(root, [], ["a", "gone"])])
    assert before.keys() == folder.stamps("").keys() and before != folder.stamps("")


@pytest.mark.parametrize("name", ["", "link", "link/b", "a/link", "a/link/b"])
def test_no_folder_is_removed_through_a_link(tmp_path, name):
    (tmp_path / "theirs" / "b").mkdir(parents=True)
    (tmp_path / "files" / "a").mkdir(parents=True)
    link = tmp_path / "files" / name.partition("/b")[0]
    files = LocalFiles(tmp_path / "files")
    if not name:
        (tmp_path / "files").rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match="link, which is not followed; take it away"):
        files.remove_folder(name)
    assert (tmp_path / "theirs" / "b").exists()


def test_where_a_folder_cannot_be_locked_that_is_said(folder, monkeypatch):
    folder.write("file", b"")
    with (
        pytest.raises(UserError, match=r"cannot be locked \(File exists\); choose another"),
        folder.lock("file/x", "me"),
    ):
        pass
    monkeypatch.setattr("fcntl.flock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))
    with pytest.raises(UserError, match=r"cannot be locked \(No locks available\); choose"), folder.lock(".lock", "me"):
        pass


def test_the_end_of_a_lock_is_not_waited_for_where_the_storage_does_not_answer(folder, monkeypatch):
    answer = threading.Event()

    def slow_to_close(path, mode):
        file = open_in_place(path, mode)
        return Mock(wraps=file, close=lambda: answer.wait(20) and file.close())

    monkeypatch.setattr("dd_ray.storage.files.local.open_in_place", slow_to_close)
    monkeypatch.setattr("dd_ray.storage.files.local.SECONDS_TO_CLOSE", 0.1)
    began = time.monotonic()
    with folder.lock(".lock", "me"):
        pass
    answer.set()
    assert time.monotonic() - began < 10


@pytest.fixture
def small_disk(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs to mount a small disk: {mounted.stderr.strip()}")
    yield LocalFiles(tmp_path)
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_keeps_what_was_there(small_disk):
    small_disk.write("state", b"old" * 1000)
    small_disk.append("lines", b"one\n")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its kind is asserted below
        small_disk.write("state", bytes(2**20))
    assert out_of_space(caught.value)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        small_disk.append("lines", bytes(2**20) + b"\n")
    assert out_of_space(caught.value)
    assert small_disk.read("state") == b"old" * 1000
    assert small_disk.read("lines") == b"one\n"
    small_disk.append("lines", b"two\n")
    assert small_disk.read("lines") == b"one\ntwo\n"


def test_out_of_space_looks_at_causes():
    quota = RuntimeError("trial failed")
    quota.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert out_of_space(quota)
    assert not out_of_space(OSError(errno.EACCES, "Permission denied"))
    assert not out_of_space(ValueError("QuotaExceeded"))


# Object stores


def test_a_url_keeps_its_query(objects, object_store):
    assert objects.local is None
    assert objects.location == object_store.url(objects.path().partition("/")[2])
    assert objects.at("a b").location == objects.location.replace("?", "/a%20b?")
    assert open_files(objects.at("50%41#?").location).path("x") == f"{objects.path()}/50%41#?/x"
    with_slash = replace(objects, url=urlsplit("s3://b/x/?region=r"))
    assert (with_slash.at("/y/").location, with_slash.path("y")) == ("s3://b/x/y?region=r", "b/x/y")


@pytest.mark.parametrize("error", [ValueError("closed"), FileNotFoundError("closed")])
@pytest.mark.parametrize(("times", "content"), [(0, b"new"), (3, b"new"), (10**6, None)])
def test_what_google_s_store_closes_as_it_is_replaced_is_read_again(times, content, error):
    file = MagicMock(read=lambda: content, metadata=dict)
    file.__enter__.return_value = file
    store = Mock(open_input_file=Mock(side_effect=chain(repeat(error, times), repeat(file))))
    objects = ObjectFiles(urlsplit("gs://bucket/sweep"), patient=store, brief=store)
    if content is None:
        with pytest.raises((ValueError, OSError), match=r"closed|replaced each time"):
            objects.read("state")
    else:
        assert objects.read("state") == content


@pytest.mark.parametrize("times", [1, 10**6])
def test_an_object_that_is_replaced_as_it_is_read_is_read_again_and_loses_no_line(times):
    versions = chain(range(2 * times), repeat(-1))  # it is longer at each look, `times` times
    file = MagicMock(read=lambda: b"one\n", metadata=versions.__next__)
    file.__enter__.return_value = file
    store = MagicMock(open_input_file=Mock(return_value=file))
    objects = ObjectFiles(urlsplit("s3://bucket/sweep"), patient=store, brief=Mock(spec=[]))
    written = store.open_output_stream.return_value.__enter__.return_value.write
    if times == 1:
        objects.append("lines", b"two\n")
        written.assert_called_once_with(b"one\ntwo\n")
        assert next(versions) == -1
    else:
        with pytest.raises(OSError, match="replaced each time that it was read"):
            objects.append("lines", b"two\n")
        written.assert_not_called()


def test_an_object_larger_than_a_part(objects):
    content = bytes(range(256)) * 100_000
    objects.write("large", content)
    assert open_files(objects.location).read("large") == content


class FullStore(http.server.BaseHTTPRequestHandler):
    """Answers as a store whose quota is used up: Ceph's and MinIO's words, by key."""

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_PUT(self):
        if length := self.headers["Content-Length"]:
            self.rfile.read(int(length))
        else:
            while size := int(self.rfile.readline(), 16):  # a body of chunks
                self.rfile.read(size + 2)
        status, code = {"/b/ceph": (403, "QuotaExceeded"), "/b/minio": (507, "XMinioStorageFull")}[self.path]
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextmanager
def full_store():
    """The files of a store whose quota is used up, which answers during the block."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FullStore) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            objects = open_files(f"s3://b?endpoint_override=127.0.0.1:{server.server_port}&scheme=http")
            yield replace(objects, patient=objects.brief)
        finally:
            server.shutdown()


@pytest.mark.parametrize("name", ["ceph", "minio"])
def test_a_full_store_is_out_of_space(object_store, name):
    with full_store() as objects, pytest.raises(OSError) as caught:  # noqa: PT011 - its kind is asserted below
        objects.write(name, b"new")
    assert out_of_space(caught.value)


def test_a_write_that_the_store_does_not_answer_raises(object_store):
    with full_store() as objects:
        pass
    with pytest.raises(OSError, match="connect"):
        objects.write("x", b"new")


def test_a_lost_lock_is_noticed(objects):
    with objects.lock(".lock", "me", QUICK) as lock:
        time.sleep(2 * QUICK.renew)
        assert lock.held
        deadline = time.monotonic() + 60 * QUICK.renew
        while lock.held:
            for claim in objects.names(".lock"):  # as one does who finds them too old; they may just be renewed
                objects.remove(f".lock/{claim}")
            assert time.monotonic() < deadline
            time.sleep(QUICK.renew / 4)


def test_a_holder_keeps_its_lock_while_another_asks_for_it(objects):
    with objects.lock(".lock", "me", QUICK) as lock:
        objects.write(".lock/another", b'{"who": "another"}')
        time.sleep(3 * QUICK.renew)
        assert lock.held


def test_a_holder_that_was_stopped_for_a_lease_has_lost_its_lock(objects):
    with in_another_process(HOLDER, objects.location) as holder:
        os.kill(holder.pid, signal.SIGSTOP)
        with objects.lock(".lock", "me", QUICK) as lock:
            os.kill(holder.pid, signal.SIGCONT)
            time.sleep(3 * QUICK.renew)
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "False\n"
            time.sleep(2 * QUICK.renew)
            assert lock.held


def test_of_many_that_ask_at_once_at_most_one_holds_the_lock(objects):
    inside, most = 0, 0
    counting = threading.Lock()
    outcomes = []

    def ask(i):
        nonlocal inside, most
        try:
            with open_files(objects.location).lock(".lock", f"thread {i}", QUICK):
                with counting:
                    inside += 1
                    most = max(most, inside)
                time.sleep(3)
                with counting:
                    inside -= 1
            outcomes.append("held")
        except UserError:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert outcomes.count("held") >= 1 and len(outcomes) == 6


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("abfs://container/x", r"unknown kind, abfs://; give a folder, s3://BUCKET/PREFIX"),
        ("s3://", r"names no bucket"),
        ("s3:///x", r"names no bucket"),
        ("gs://", r"names no bucket"),
        ("s3://b/x?endpoint=host", r"unknown option endpoint; there are endpoint_override, scheme, region"),
        ("s3://key:secret@b/x", r"^a URL with keys would be stored .* set AWS_ACCESS_KEY_ID and"),
        ("s3://b/x?access_key=key&secret_key=secret@", r"^a URL with keys would be stored .* AWS_ACCESS_KEY_ID and"),
        ("s3://b?endpoint_override=127.0.0.1:1&scheme=http", r"cannot be reached \(.* connect to server\)"),
        ("gs://anonymous@b/x?endpoint_override=127.0.0.1:1&scheme=http", r"cannot be reached \(UNAVAILABLE\)"),
    ],
)
def test_what_is_wrong_with_a_location_is_said_within_seconds(object_store, location, message):
    began = time.monotonic()
    with pytest.raises(UserError, match=message) as caught:
        open_files(location)
    assert time.monotonic() - began < 10
    assert "secret@" not in str(caught.value)


def test_a_bucket_that_is_not_there(object_store):
    with pytest.raises(UserError, match="there is no bucket nowhere; create it"):
        open_files(object_store.url(bucket="nowhere"))


def test_refused_access_names_the_keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with running_object_store() as store:
        # From now on moto asks for the keys of its users, and there are none.
        url = f"http://127.0.0.1:{store.port}/moto-api/reset-auth"
        urlopen(Request(url, data=b"0", headers={"Content-Type": "text/plain"})).close()
        with pytest.raises(UserError, match=r"access was refused \(.*\); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS"):
            open_files(store.url())


def test_links_are_not_followed_where_a_file_is_changed_in_place(folder, tmp_path):
    victim = tmp_path / "victim"
    for name, change in {
        ".lock": lambda: folder.lock(".lock", "me").__enter__(),
        "metrics.jsonl": lambda: folder.append("metrics.jsonl", b"{}\n"),
        "optuna.log": lambda: folder.drop_cut_line("optuna.log"),
    }.items():
        victim.write_text("precious, without an end of line")
        (folder.local / name).symlink_to(victim)
        with pytest.raises((OSError, UserError), match="it is a link; take it away"):
            change()
        assert victim.read_text() == "precious, without an end of line"
