"""A cluster of separate hosts, as `cluster/own_machines.md` sets it up, and what it stands."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dd_ray import results
from tests.cluster.namespaces import hosts
from tests.sweep.studies import ROOT, TINY_OPTIONS

ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
# A silent host is given up after 5 s at most, and not after 65.
IMPATIENT = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500",
    "RAY_health_check_failure_threshold": "5",
}
SWEEP = [sys.executable, str(ROOT / "tests" / "sweep" / "small_grid.py"), *TINY_OPTIONS]
FOUR_TRIALS = "--beta 0.1 1 --gamma 0 0.5 --lambda 0 --iterations 600 --evaluations 12 --scheduler none".split()


@pytest.fixture
def head_and_worker():
    """Two hosts with a Ray of two CPUs each, which are one cluster."""
    network = hosts(2)
    try:
        machines = network.__enter__()
    except OSError as error:
        pytest.skip(f"needs hosts of their own (Linux, root, iproute2, util-linux): {error}")
    try:
        head, worker = machines
        start(head, "head --include-dashboard false", IMPATIENT)
        copy_token(head, worker)
        start(worker, f"worker {head.ip}")
        yield machines
    finally:
        network.__exit__(None, None, None)


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_is_cut_off_costs_no_evaluation_and_can_join_again(head_and_worker, tmp_path):
    head, worker = head_and_worker
    log = tmp_path / "log"
    command = [*SWEEP, *FOUR_TRIALS, "--address", "auto", "--storage", str(tmp_path), "--name", "mine"]
    with log.open("w") as file:
        sweep = head.popen(" ".join(command), stdout=file, stderr=subprocess.STDOUT)
    wait_until(lambda: trials_seen(tmp_path, worker), sweep, log)
    labels = trials_seen(tmp_path, worker)
    worker.unplug()
    assert not list(tmp_path.glob("mine/cells/*/outcome.json")), "the sweep had ended before the cut"
    wait_until(lambda: trials_seen(tmp_path, head) >= labels, sweep, log)

    worker.plug()
    wait_until(lambda: "/raylet" not in worker.run("ps ax -o args").stdout, sweep, log)
    start(worker, f"worker {head.ip}")

    assert sweep.wait(timeout=300) == 0, log.read_text()
    trials = results.final(results.load(tmp_path / "mine"))
    assert set(trials["state"]) == {"finished"} and len(trials) == 4
    for record in tmp_path.glob("mine/cells/*/metrics.jsonl"):
        iterations = [json.loads(line)["iteration"] for line in record.read_text().splitlines()]
        assert iterations == [0, *range(50, 601, 50)]  # each once, in order


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_that_joins_without_the_storage_costs_no_trial(head_and_worker, tmp_path):
    head, worker = head_and_worker
    assert worker.run("ray stop", env=ENVIRONMENT).returncode == 0
    assert worker.run(f"mount -t tmpfs none {tmp_path}").returncode == 0
    log = tmp_path / "log"
    command = [*SWEEP, *FOUR_TRIALS, "--iterations", "1800", "--address", "auto", "--storage", str(tmp_path)]
    with log.open("w") as file:
        sweep = head.popen(" ".join([*command, "--name", "mine"]), stdout=file, stderr=subprocess.STDOUT)
    wait_until(lambda: trials_seen(tmp_path, head), sweep, log)
    start(worker, f"worker {head.ip}")

    assert sweep.wait(timeout=300) == 0, log.read_text()
    assert log.read_text().count(f"node {worker.ip} and this machine do not see the same {tmp_path}") == 1
    assert "The sweep goes on without it." in log.read_text()
    trials = results.final(results.load(tmp_path / "mine"))
    assert set(trials["state"]) == {"finished"} and len(trials) == 4


@pytest.mark.parametrize(
    ("token", "said", "words"),
    [
        (None, "", "there is no token; copy {token} of the head"),
        ("", "", "there is no token; copy {token} of the head"),
        ("another", "rpc error: InvalidAuthToken", "the cluster at 10.0.0.1:6379 has another token; copy {token}"),
        ("the head's", "timed out", "no Ray answers at 10.0.0.1:6379; is the head started"),
    ],
)
def test_a_worker_is_told_why_it_cannot_join(tmp_path, token, said, words):
    """With a `ray` that says what the health check of one says."""
    home, ray = tmp_path / ".ray", tmp_path / "ray"
    home.mkdir()
    if token is not None:
        (home / "auth_token").write_text(token)
    ray.write_text(f"#!/bin/sh\n[ $RAY_AUTH_MODE = token ] && [ $1 = health-check ] && echo '{said}' >&2\nexit 1\n")
    ray.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = [ROOT / "cluster" / "node.sh", "worker", "10.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words.format(token=home / "auth_token") in done.stderr
    if token:
        assert (home / "auth_token").stat().st_mode & 0o077 == 0


@pytest.mark.ray
@pytest.mark.slow
def test_a_worker_without_the_token_is_sent_away(head_and_worker):
    head, worker = head_and_worker
    assert worker.run("ray stop", env=ENVIRONMENT).returncode == 0
    token = worker.folder / ".ray" / "auth_token"
    for content, word in (("", "no token"), ("0123456789abcdef" * 4, "another token")):
        token.write_text(content)
        done = node(worker, f"worker {head.ip}")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1 and word in done.stderr and str(token) in done.stderr


def node(host, options, settings=None):
    """Run `cluster/node.sh` on a host."""
    command = f"{ROOT / 'cluster' / 'node.sh'} {options}"
    return host.run(command, timeout=300, env=ENVIRONMENT | (settings or {}))


def start(host, options, settings=None):
    """Start two CPUs of Ray on a host."""
    done = node(host, f"{options} --num-cpus 2", settings)
    assert done.returncode == 0, done.stderr


def copy_token(source, target):
    """The one token, for its owner alone."""
    path = Path(".ray", "auth_token")
    assert (source.folder / path).stat().st_mode & 0o077 == 0
    (target.folder / path).parent.mkdir()
    (target.folder / path).write_bytes((source.folder / path).read_bytes())


def trials_seen(storage, host):
    """Labels of the trials that a host has worked on: the names of TensorBoard's files tell."""
    return {path.parent.name for path in storage.glob(f"mine/tensorboard/*/events.*.{host.name}.*")}


def wait_until(condition, sweep, log, seconds=300):
    """Wait for what must come true while a sweep runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        assert sweep.poll() in (None, 0), log.read_text()
        time.sleep(0.1)
