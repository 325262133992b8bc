"""What the tests of sweeps share."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.object_store import KEYS, object_store

__all__ = ["object_store"]


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
def ray_head(ray_folder, environment):
    """A Ray of two CPUs, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"start --head --block --port {port} --num-cpus 2 --include-dashboard false --temp-dir {ray_folder}"
    with (Path(ray_folder) / "head.log").open("w") as log:
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *command.split(), "--node-ip-address", "127.0.0.1"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"} | environment,
        )
        try:
            _wait_for(port, head)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()
            head.wait(timeout=30)


def _wait_for(port, head):
    for _ in range(120):
        assert head.poll() is None, "ray start ended early"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(2)  # from the port's opening to the node's registration
                return
        time.sleep(0.5)
    pytest.fail("ray start did not open its port within a minute")
