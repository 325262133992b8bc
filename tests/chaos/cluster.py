"""What `tests.chaos` breaks: a cluster of several nodes on one machine, and a storage that can be full."""

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CPUS_PER_NODE = 2
MOST_NODES = 4
STORAGE_BYTES = 256 << 20
SECONDS_TO_GIVE_UP = 60
"""For the cluster to miss a node that does not answer; with the settings below it takes some 10 to 15."""
SECONDS_AFTER_SUSPENSION = 3
SECONDS_TO_END = 120
"""For a sweep that was told to."""
IN_NAMESPACE = "CHAOS_NAMESPACE"
TRIAL = (b"ray::LoggedTrial", b"ray::ResourceTrainable")
"""How Ray titles a process with a trial, at its start and later."""


def enter_namespace() -> None:
    """Start this program again in namespaces of its own, where the system allows it.

    There it may mount a small storage without being root, and whatever it starts ends with it.
    """
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if IN_NAMESPACE in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        return
    os.environ[IN_NAMESPACE] = "1"
    # Process 1 must be one that takes care of orphans, as a shell does.
    program = [sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
    os.execvp("unshare", [*unshare, "sh", "-c", '"$@"; exit $?', "sh", *program])


def prepare_ray(folder: Path, logs: Path, pace: float) -> None:
    """Set the environment that Ray and its nodes read; before Ray is imported."""
    os.environ |= {
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "5",
        "CHAOS_LOGS": str(logs),
        "CHAOS_PACE": str(pace),
    }


class Nodes:
    """Three nodes at first, of which the head stays; all with CPUs only.

    Logical GPUs would have PyTorch look for real ones, and the sweep refuse them.
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        from ray.cluster_utils import Cluster

        port = _free_port()
        node = _node() | {"include_dashboard": True, "dashboard_port": port}
        self._cluster = Cluster(initialize_head=True, head_node_args=node)
        self.address: str = self._cluster.address
        self.dashboard = f"http://127.0.0.1:{port}"
        for _ in range(2):
            self.add()

    @property
    def count(self) -> int:
        """Nodes that are there."""
        return len(self._cluster.list_all_nodes())

    def add(self) -> None:
        """Start a node."""
        self._cluster.add_node(**_node())

    def kill(self, choice: random.Random) -> int:
        """Kill a node that is not the head, and return how many trials it had."""
        node = choice.choice(sorted(self._cluster.worker_nodes, key=_raylet))
        trials = len(_trials(_raylet(node)))
        self._cluster.remove_node(node, allow_graceful=False)
        return trials

    def kill_raylet(self, choice: random.Random) -> int:
        """Kill the raylet of a node that is not the head, and nothing else; returns how many trials it had."""
        node = choice.choice(sorted(self._cluster.worker_nodes, key=_raylet))
        trials = len(_trials(_raylet(node)))
        node.all_processes["raylet"][0].process.kill()
        time.sleep(SECONDS_AFTER_SUSPENSION)
        self._cluster.remove_node(node, allow_graceful=False)
        return trials

    def kill_control_store(self) -> None:
        """Kill the process that knows all nodes and trials, and nothing else."""
        self._cluster.head_node.all_processes["gcs_server"][0].process.kill()

    def kill_head(self) -> None:
        """Kill all processes of the head, those with trials among them."""
        self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

    def start_anew(self) -> None:
        """End what is left of the nodes, and start a cluster in their place, which knows nothing of them."""
        for node in self._cluster.list_all_nodes():
            node.kill_all_processes(check_alive=False, allow_graceful=False)
        self._start()

    def suspend(self, choice: random.Random, replaced: Callable[[list[int]], None]) -> tuple[int, float]:
        """Stop the processes of a node that is not the head until the others have given it up.

        Then they go on, as those of a machine that was suspended or cut off, and the node is taken away.

        Args:
            choice: chooses the node.
            replaced: waits until others do the work of its trials, of which it is given the processes.

        Returns:
            How many trials it had, and the seconds until it was given up.
        """
        node = choice.choice(sorted(self._cluster.worker_nodes, key=_raylet))
        trials, alive, began = _trials(_raylet(node)), self._alive, time.monotonic()
        stopped = [_raylet(node), *trials]
        for pid in stopped:
            _signal(pid, signal.SIGSTOP)
        while self._alive >= alive and time.monotonic() - began < SECONDS_TO_GIVE_UP:
            time.sleep(0.1)
        given_up = time.monotonic() - began
        replaced(trials)
        for pid in reversed(stopped):
            _signal(pid, signal.SIGCONT)
        time.sleep(SECONDS_AFTER_SUSPENSION)
        self._cluster.remove_node(node, allow_graceful=False)
        return len(trials), given_up

    @property
    def _alive(self) -> int:
        return len(self._cluster.global_state._live_node_ids())

    def trials(self) -> list[int]:
        """Process ids of workers with a trial, found as children of the nodes' own processes."""
        return [pid for node in self._cluster.list_all_nodes() for pid in _trials(_raylet(node))]

    def shutdown(self) -> None:
        """Stop all nodes."""
        self._cluster.shutdown()


class Storage:
    """A folder of limited size: a file system of its own in memory, or a stub that refuses to write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={STORAGE_BYTES}", "chaos", str(folder)]
        self.mounted = IN_NAMESPACE in os.environ and not subprocess.run(mount, check=False).returncode
        self._ballast = folder / "ballast" if self.mounted else folder.with_name("ballast")
        if not self.mounted:
            os.environ["CHAOS_FULL"] = str(self._ballast)

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while self.mounted:
                    ballast.write(bytes(1 << 16))
            except OSError:
                pass

    def clear(self) -> None:
        """Make room again."""
        self._ballast.unlink()

    def close(self) -> None:
        """Let go of the folder."""
        if self.mounted:
            subprocess.run(["umount", str(self.folder)], check=False)


class Sweep:
    """The command of a sweep, run again and again."""

    def __init__(self, command: list[str], address: str, log: Path) -> None:
        self._command, self.address, self._log = command, address, log
        self.start()

    def start(self) -> None:
        """Run the command."""
        with self._log.open("ab") as log:
            self._before = log.tell()
            # A session of its own, so that Ctrl-C in the terminal is for the program, not for the sweep.
            command = [*self._command, "--address", self.address]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def end(self, number: signal.Signals | None = None) -> tuple[int | None, float]:
        """Send a signal, if one is given, and wait: the exit code, None if it did not end, and the seconds it took."""
        started = time.monotonic()
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        return code, time.monotonic() - started

    @property
    def said(self) -> str:
        """What the command has printed since it was last started."""
        return self._log.read_bytes()[self._before :].decode(errors="replace")


def ray_folder() -> Path:
    """A folder for Ray's own files; the names of its sockets must be short."""
    return Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))


def _node() -> dict[str, Any]:
    """Arguments of a node. The agent of each, to which jobs are given, needs a port of its own on this machine."""
    return {"num_cpus": CPUS_PER_NODE, "dashboard_agent_listen_port": _free_port()}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, number)


def _raylet(node: Any) -> int:
    return node.all_processes["raylet"][0].process.pid


def _trials(raylet: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and (folder / "cmdline").read_bytes().startswith(TRIAL):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
    return sorted(found)
