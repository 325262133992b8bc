"""What ended a process that tried it is not tried by the next ones."""

import subprocess
import sys

import pytest

from dd_ray.storage.gpu_attempts import Attempts

ENDS = """
import os, sys
from pathlib import Path
from dd_ray.storage.gpu_attempts import Attempts
with Attempts(Path(sys.argv[1]), "a GPU").trying("triton"):
    os._exit(1)
"""


def _one_ends_in_trying(folder):
    assert subprocess.run([sys.executable, "-c", ENDS, str(folder)], check=False).returncode == 1


def test_what_two_processes_vanished_in_is_given_up(tmp_path):
    attempts = Attempts(tmp_path, "a GPU")
    _one_ends_in_trying(tmp_path)
    assert attempts.given_up("triton") is None  # it may have been killed
    _one_ends_in_trying(tmp_path)
    assert "2 processes ended while they tried it" in attempts.given_up("triton")
    assert attempts.given_up("streams") is None
    assert Attempts(tmp_path, "another GPU").given_up("triton") is None


def test_those_who_are_still_trying_do_not_count_and_leave_nothing(tmp_path):
    attempts = Attempts(tmp_path, "a GPU")
    with attempts.trying("triton"), attempts.trying("triton"), attempts.trying("triton"):
        assert attempts.given_up("triton") is None
    with pytest.raises(ZeroDivisionError), attempts.trying("triton"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_what_cost_a_process_its_gpu_is_given_up_with_the_reason_and_the_remedy(tmp_path):
    attempts = Attempts(tmp_path / "new", "a GPU")
    attempts.give_up("triton", "an illegal access")
    why = Attempts(tmp_path / "new", "a GPU").given_up("triton")
    assert why.startswith("an illegal access (remembered in ") and "delete it to try again" in why
    next((tmp_path / "new").iterdir()).unlink()
    assert attempts.given_up("triton") is None


def test_without_a_folder_nothing_is_remembered_and_nothing_fails(tmp_path):
    (tmp_path / "file").touch()
    attempts = Attempts(tmp_path / "file", "a GPU")
    with attempts.trying("triton"):
        attempts.give_up("triton", "an illegal access")
    assert attempts.given_up("triton") is None
