"""An S3-compatible server for tests."""

import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",  # else a machine without keys asks its cloud, for seconds
}


@dataclass(frozen=True)
class ObjectStore:
    """A running server with one bucket."""

    port: int
    process: subprocess.Popen[str]
    bucket: str = "sweeps"

    def url(self, prefix: str | None = None, bucket: str | None = None) -> str:
        """The URL of a prefix, or of a new one."""
        path = f"{bucket or self.bucket}/{prefix or uuid.uuid4().hex}"
        return f"s3://{path}?endpoint_override=127.0.0.1:{self.port}&scheme=http"

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        self.process.wait()


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Run moto's server on a free port of this machine. Clients need `KEYS` in their environment."""
    from pyarrow.fs import S3FileSystem

    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **KEYS})
    assert process.stderr
    port = next(int(found[1]) for line in process.stderr if (found := re.search(r"http://127.0.0.1:(\d+)", line)))
    # A full pipe would stop the server.
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    store = ObjectStore(port, process)
    try:
        address = {"endpoint_override": f"127.0.0.1:{port}", "scheme": "http", "region": "us-east-1"}
        S3FileSystem(access_key="testing", secret_key="testing", allow_bucket_creation=True, **address).create_dir(
            store.bucket
        )
        yield store
    finally:
        store.stop()
        drain.join()
        process.stderr.close()


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """One server for all tests, whose keys are in the environment."""
    with pytest.MonkeyPatch.context() as patch, running_object_store() as store:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield store
