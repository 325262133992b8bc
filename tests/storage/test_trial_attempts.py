"""When and where workers trained a trial."""

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from dd_ray.storage.files import LocalFiles
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_attempts import ATTEMPTS, attempts, begin_attempt, end_attempt
from tests.figures.sweeps import write_sweep


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path)


def test_an_attempt_is_there_from_its_beginning_and_once_after_its_end(files: LocalFiles) -> None:
    assert attempts(files) == []
    begun = begin_attempt(files, "cpu", -1)
    assert attempts(files) == [begun]
    assert (begun.host, begun.pid, begun.ended) == (socket.gethostname(), os.getpid(), None)
    end_attempt(files, begun, "left", 40)
    again = begin_attempt(files, "GPU 0", 30)
    end_attempt(files, again, "error", 35, "RuntimeError: " + "x" * 1000)
    first, second = attempts(files)
    assert first == replace(begun, ended=first.ended, iteration=40, how="left")
    assert first.ended is not None and begun.began <= first.ended <= second.began
    assert (second.device, second.how, second.iteration, len(second.error or "")) == ("GPU 0", "error", 35, 300)


def test_what_is_damaged_is_left_out_and_a_later_version_may_say_more(files: LocalFiles) -> None:
    begun = begin_attempt(files, "cpu", -1)
    content = files.read(ATTEMPTS)
    more = json.dumps({**json.loads(content), "attempt": "later", "watts": 200}).encode()
    files.write(ATTEMPTS, content + b'{"attempt": 3}\n' + b"\0" * 40 + b"\n" + more + b"\n" + b'{"attempt": "cut sho')
    assert attempts(files) == [begun, replace(begun, attempt="later")]


def test_a_link_in_its_place_is_not_followed(files: LocalFiles, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("not ours\n")
    (tmp_path / ATTEMPTS).symlink_to(other)
    assert attempts(files) == []
    begun = begin_attempt(files, "cpu", -1)
    assert attempts(files) == [begun]
    assert other.read_text() == "not ours\n"


def test_a_folder_in_its_place_harms_nothing(files: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / ATTEMPTS).mkdir()
    end_attempt(files, begin_attempt(files, "cpu", -1), "finished", 300)
    assert attempts(files) == [] and (tmp_path / ATTEMPTS).is_dir()


def test_a_full_disk_at_the_end_harms_nothing(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = begin_attempt(files, "cpu", -1)

    def full(*content: object, **how: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    end_attempt(files, begun, "finished", 300)
    assert attempts(files) == [begun]


def test_a_copy_of_a_trial_has_its_attempts(tmp_path: Path) -> None:
    sweep = SweepFolder.at(write_sweep(tmp_path / "one", {"gamma": [0.0], "beta": [0.1]}))
    (trial,) = sweep.trials()
    begun = begin_attempt(trial.files, "cpu", -1)
    copy = SweepFolder.at(tmp_path / "two").trial(trial.key)
    trial.copy_to(copy, "label")
    assert attempts(copy.files) == [begun]
