"""What the tests of sweeps share."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.processes import know_the_cluster, python
from tests.storage.object_store import KEYS
from tests.sweep.studies import ROOT, TINY_OPTIONS

FOUR_TRIALS = (
    "--beta 0.1 1 --gamma 0 0.5 --lambda 0 --iterations 6 --learning-rate 1e-5 --width-factor 0.25 --scheduler none"
).split()
ONE_AT_A_TIME = ("--max-concurrent", "1")
"""In one process, which takes longer to import PyTorch than to train."""
UNSCORED = ("--final-metrics", "none")
"""Without the scores of the end, for which each process draws 10,000 pictures."""


SCORED = ("--final-metrics", "mcc")


def sweep_words(*, figures=False):
    """After `python`, words that run `small_grid.py` on tiny trials: with figures, with its page too."""
    script = [str(ROOT / "tests" / "sweep" / "small_grid.py")] if figures else ["-m", "tests.tune.without_figures"]
    return [*script, *(option for option in TINY_OPTIONS if not (figures and option == "--no-page")), *UNSCORED]


def sweep(*options, figures=False):
    """Run a sweep of tiny trials to its end; of an option that is given twice, the last counts."""
    return python(*sweep_words(figures=figures), *options, first=know_the_cluster)


class Ran(NamedTuple):
    """A sweep that a command has run."""

    done: subprocess.CompletedProcess[str]
    folder: Path


@pytest.fixture
def coarse(monkeypatch):
    """Figures of a ninth of the pixels, which take a fraction of the time; this process alone knows."""
    monkeypatch.setattr("dd_ray.figures.common.DPI", 50)


@pytest.fixture
def no_node_goes(monkeypatch):
    """A cluster that is made up drains no node, for which Ray would have to be asked."""
    monkeypatch.setattr("dd_ray.tune.resources.nodes_taken_away", tuple)


@pytest.fixture(scope="session")
def four_trials(ray_folder, tmp_path_factory):
    """Four trials that one command has trained on this machine, without a cluster, and drawn; to be looked at alone."""
    storage = tmp_path_factory.mktemp("four_trials")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", ray_folder)
        done = sweep(*FOUR_TRIALS, *SCORED, "--storage", storage, "--name", "mine", figures=True)
    assert done.returncode == 0, done.stderr
    return Ran(done, storage / "mine")


@pytest.fixture(scope="session")
def ray_folder():
    """A folder for what Ray writes; not below tmp_path, whose length leaves no room for its sockets' names."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture(scope="session")
def token(ray_folder):
    """A token for clusters, which this process and what it starts offer while the tests last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        patch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
        yield


@pytest.fixture(scope="session")
def cluster(ray_folder, token):
    """Address of a Ray of two CPUs that lives as long as the tests."""
    with ray_head(ray_folder, {"RAY_AUTH_MODE": "token", **KEYS}) as address:
        yield address


@contextmanager
def ray_head(ray_folder, environment, port=None):
    """A Ray of two CPUs, and its address; at a port of the system's choice where none is given."""
    # On a busy machine a node may be late for its own head, which then ends.
    for attempts_left in (2, 1, 0):
        with _starting(ray_folder, environment, port or _free_port()) as (head, address, log):
            if _has_started(head, log):
                yield address
                return
        assert attempts_left, f"ray start ended early:\n{log.read_text()}"


@contextmanager
def _starting(ray_folder, environment, port):
    command = f"start --head --block --port {port} --num-cpus 2 --include-dashboard false --temp-dir {ray_folder}"
    path = Path(ray_folder) / "head.log"
    with path.open("w") as log:
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *command.split(), "--node-ip-address", "127.0.0.1"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1"} | environment,
        )
        try:
            yield head, f"127.0.0.1:{port}", path
        finally:
            head.terminate()
            head.wait(timeout=300)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _has_started(head, log):
    """Whether a head and its node are there, as it says; not, if it ends before."""
    deadline = time.monotonic() + 300
    while "Ray runtime started" not in log.read_text():
        if head.poll() is not None:
            return False
        assert time.monotonic() < deadline, f"ray start takes too long:\n{log.read_text()}"
        time.sleep(0.2)
    return True
