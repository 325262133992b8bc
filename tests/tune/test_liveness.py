"""A Ray that dies under a sweep is noticed within a minute; and what it and the sweep write is nobody else's."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from dd_ray.tune.pulse import while_ray_lives

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
def running_sweep(folder, home):
    """A sweep that goes on for ever, in a process group of its own, which has been evaluated."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    evaluations = folder / "endless" / "cells"
    before = {file: file.stat().st_size for file in evaluations.glob("*/metrics.jsonl")}
    sweep = subprocess.Popen(
        [sys.executable, "-c", SWEEP, "--storage", str(folder), "--name", "endless", *OPTIONS],
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
        _, said = sweep.communicate(timeout=60)
        assert sweep.returncode == 1
        assert said.strip().endswith("What was recorded is kept; the same command goes on.")
        assert "Traceback" not in said
        assert not session.exists()
    with running_sweep(tmp_path, home) as sweep:
        os.killpg(sweep.pid, signal.SIGTERM)
        sweep.communicate(timeout=60)  # at most 15 s on an idle machine
        assert sweep.returncode == 130
        assert (tmp_path / "endless" / "results.csv").exists()


def test_what_is_waited_for_is_returned_or_raised():
    assert while_ray_lives(lambda: 3) == 3
    with pytest.raises(ValueError, match="so it is"):
        while_ray_lives(lambda: int("so it is"))
