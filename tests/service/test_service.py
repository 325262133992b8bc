"""The service as a user runs it, against a head of its own that asks for a token."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sweep.studies import ROOT

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,  # what a cluster answers is played in test_sweeps.py
    pytest.mark.skipif(not importlib.util.find_spec("aiohttp"), reason="needs the extra `cluster`"),
]
PORTS = (
    "port",
    "dashboard-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "ray-client-server-port",
)
ONE_TRIAL = (
    "--model inertia_vae --seeds 1 --final-metrics none --beta 0.1 --gamma 0.5 --lambda 0 --num-test 4 "
    "--scheduler none --max-concurrent 1 --batch-size 2"
).split()
LONG = [*ONE_TRIAL, *"--iterations 1000000 --evaluations 20000 --name long".split()]
SHORT = [*ONE_TRIAL, *"--iterations 6 --evaluations 2 --name short".split()]


class Service:
    """The service's command line, for a user with a token."""

    def __init__(self, address, environment, storage):
        self.address = address
        self.environment = environment
        self.storage = storage

    def start(self, command, *args, **variables):
        words = [sys.executable, "-m", "dd_ray.service", command, "--address", self.address, *map(str, args)]
        environment = {name: value for name, value in (self.environment | variables).items() if value is not None}
        return subprocess.Popen(
            words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, command, *args, code=0, **variables):
        """What a command prints, on both streams; it must end with a code."""
        running = self.start(command, *args, **variables)
        printed = "".join(running.communicate(timeout=600))
        assert running.returncode == code, printed
        assert "Traceback" not in printed
        return printed

    def submit(self, *options, storage=None, **expected):
        """Submit, and return the ID."""
        storage = storage or self.storage
        printed = self("submit", "--storage", storage, "sweeps/inertia_grid.py", *options, **expected)
        return re.search(r"Submitted as (\S+);", printed)[1]

    def states(self):
        """The state of each sweep, as the list has it."""
        rows = [line.split() for line in self("list").splitlines() if "-" in line]
        return {row[0]: row[3] for row in rows}

    def metrics(self, name):
        """The recorded evaluations of a sweep of one trial."""
        files = list(self.storage.glob(f"{name}/cells/*/metrics.jsonl"))
        assert len(files) <= 1
        return files[0].read_text().splitlines() if files else []


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The service of a head with two CPUs, which ends with the module."""
    with ExitStack() as stack:
        # Not below tmp_path, whose length leaves no room for the names of Ray's sockets.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True))
        home = tmp_path_factory.mktemp("home")
        (home / ".ray").mkdir()
        (home / ".ray" / "auth_token").write_text("a-token-of-this-test-0123456789")
        (home / ".ray" / "auth_token").chmod(0o600)
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "DD_RAY_"))}
        variables |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
        # The head's `python` is what runs the sweeps.
        variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
        ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        options = [word for name, port in ports.items() for word in (f"--{name}", str(port))]
        options += ["--num-cpus", "2", "--node-ip-address", "127.0.0.1", "--temp-dir", folder]
        log = stack.enter_context((Path(folder) / "head.log").open("w"))
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options],
            env=variables | {"RAY_AUTH_MODE": "token"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        stack.callback(_end, head)
        address = f"http://127.0.0.1:{ports['dashboard-port']}"
        _wait_for(f"{address}/api/version", head, Path(log.name))
        yield Service(address, variables, tmp_path_factory.mktemp("storage"))


def _end(head):
    """With a sweep still running it takes a while."""
    head.terminate()
    try:
        head.wait(timeout=60)
    except subprocess.TimeoutExpired:
        head.kill()
        head.wait()


def _free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def _wait_for(url, head, log):
    for _ in range(240):
        assert head.poll() is None, f"ray start ended early:\n{log.read_text()}"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:  # it asks for the token
            return
        except OSError:
            time.sleep(0.25)
    pytest.fail("the dashboard did not open its port within a minute")


def wait_until(condition, seconds=300):
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


@pytest.mark.parametrize(
    "variables", [{"RAY_AUTH_TOKEN": "wrong"}, {"HOME": "{empty}"}, {"RAY_AUTH_TOKEN_PATH": "/no/such"}]
)
def test_a_missing_or_wrong_token_is_one_message(service, variables, tmp_path):
    said = service("list", code=2, **{name: value.format(empty=tmp_path) for name, value in variables.items()})
    assert "asks for a token" in said and len(said.splitlines()) == 1


@pytest.fixture(scope="module")
def short(service):
    """A short sweep that was submitted."""
    return service.submit(*SHORT)


def test_sweeps_run_beside_each_other_and_one_is_stopped_and_goes_on(service, short):
    long = service.submit(*LONG)
    client = service.start("logs", long, "--follow")
    followed = service("logs", short, "--follow")
    assert "6 iterations each" in followed and f"{short}: finished" in followed
    client.kill()  # a client that dies changes nothing
    assert "1,000,000 iterations each" in client.communicate(timeout=300)[0]
    again = service("submit", "--storage", service.storage, "sweeps/inertia_grid.py", *LONG, code=2)
    assert f"running already, as {long}" in again

    wait_until(lambda: len(service.metrics("long")) >= 3)
    assert "the same submit goes on" in service("stop", long)
    assert "the same command goes on" in service("logs", long)
    before = service.metrics("long")
    resumed = service.submit(*LONG)
    wait_until(lambda: len(service.metrics("long")) > len(before))
    after = service.metrics("long")
    assert after[: len(before)] == before
    iterations = [json.loads(line)["iteration"] for line in after]
    assert iterations == [50 * i for i in range(len(after))]

    client = service.start("logs", resumed, "--follow")
    assert client.stdout.readline()
    client.send_signal(signal.SIGINT)
    assert "what was submitted goes on" in client.communicate(timeout=300)[1]
    assert client.returncode == 130
    states = service.states()
    assert (states[long], states[resumed], states[short]) == ("stopped", "running", "finished")
    service("stop", resumed)


def test_table_and_figures_come_from_where_the_cluster_keeps_them(service, short, tmp_path):
    service("logs", short, "--follow")
    status = service("status", short)
    assert "finished" in status and str(service.storage / "short") in status and "MCC" in status
    fetched = service("fetch", short, "--to", tmp_path / "here").split()
    assert str(tmp_path / "here" / "figures" / "grid_maps.png") in fetched
    for name in ("results.csv", "figures/grid_maps.png"):
        assert (tmp_path / "here" / name).read_bytes() == (service.storage / "short" / name).read_bytes()
    assert "is a sweep of this machine" in service("fetch", short, "--to", service.storage / "short", code=2)
    listed = service("list")
    assert short in listed and "dd_ray-" not in listed  # the short jobs of status and fetch leave nothing


def test_what_the_sweep_refuses_on_the_cluster_is_shown(service, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    refused = service.submit(*SHORT, storage=in_the_way)
    assert f"{refused}: failed" in service("logs", refused, "--follow", code=1)
    status = service("status", refused)
    assert "failed: error: storage" in status and "trials:    none to show" in status
    assert "has ended already (failed)" in service("stop", refused, code=2)
    assert "no sweep another" in service("stop", "another", code=2)
