"""Hosts on one machine: each with a network, processes, mounts and a name of its own, wired to one switch.

A host is the Linux namespaces of one process that only waits. When that ends, the kernel kills all that runs on
the host and takes its network away; so nothing is left behind, even where the test that made it was killed. Needs
root, and `ip`, `unshare` and `nsenter` (Debian: iproute2, util-linux).
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

NETWORK = "10.77.0"
TOOLS = ("ip", "unshare", "nsenter")


class _Namespaces:
    """A process that does nothing but keep its namespaces; it ends when this process does."""

    def __init__(self, kinds: str) -> None:
        # sh, not cat itself, is the first process, since it takes leave of orphans that end.
        command = ["unshare", *kinds.split(), "--fork", "--kill-child", "--", "sh", "-c", "echo; cat; :"]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        if not self._holder.stdout.readline():
            raise OSError(self._holder.communicate()[1].strip())
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.pid = int(children)

    def close(self) -> None:
        """End the process, and with it all that runs in its namespaces."""
        self._holder.stdin.close()  # for which it waits
        self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass(frozen=True)
class Host:
    """One host of a network."""

    name: str
    ip: str
    folder: Path
    """Its own: `HOME`, and what Ray writes."""
    namespaces: _Namespaces
    switch: _Namespaces

    def popen(self, command: str, **options: Any) -> subprocess.Popen:
        """Start a command line on this host."""
        enter = ["nsenter", "--target", str(self.namespaces.pid), "--net", "--mount", "--pid", "--uts", "--"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env |= {"HOME": str(self.folder), "RAY_TMPDIR": str(self.folder), "RAY_USAGE_STATS_ENABLED": "0"}
        env |= options.pop("env", {})
        return subprocess.Popen([*enter, *shlex.split(command)], env=env, **options)

    def run(self, command: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess:
        """Run a command line on this host to its end."""
        with self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)

    def unplug(self) -> None:
        """Take the cable out of the switch: what is sent from or to the host is lost, without an error."""
        _ip(self.switch, f"link set {self.name} down")

    def plug(self) -> None:
        """Put the cable back."""
        _ip(self.switch, f"link set {self.name} up")

    def power_off(self) -> None:
        """Kill all that runs on the host, at once."""
        self.namespaces.close()


@contextmanager
def hosts(number: int) -> Iterator[list[Host]]:
    """Hosts named h1, h2, ..., that reach each other and nothing else.

    Raises:
        OSError: this process may not make namespaces, or a tool is missing.
    """
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise OSError(f"{tool} is not installed")
    with ExitStack() as stack:
        switch = stack.enter_context(_Namespaces("--net"))
        for command in ("link add switch type bridge", "link set switch up", f"addr add {NETWORK}.254/24 dev switch"):
            _ip(switch, command)
        yield [_host(stack, switch, i, number) for i in range(1, number + 1)]


def _host(stack: ExitStack, switch: _Namespaces, number: int, of: int) -> Host:
    name, address = f"h{number}", f"{NETWORK}.{number}"
    # Not below a test's folder, whose length leaves no room for the names of Ray's sockets.
    folder = stack.enter_context(TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True))
    own = stack.enter_context(_Namespaces("--net --mount --pid --uts --mount-proc"))
    _ip(switch, f"link add {name} type veth peer name eth0 netns {own.pid}")
    _ip(switch, f"link set {name} master switch up")
    for command in ("link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up"):
        _ip(own, command)
    _ip(own, f"route add default via {NETWORK}.254")  # Ray asks the routes which address is the host's own
    host = Host(name, address, Path(folder), own, switch)
    host.run(f"hostname {name}")
    # They know each other's names and ask nobody for others, which in vain would take 5 s a time.
    names = "".join(f"{NETWORK}.{i} h{i}\n" for i in range(1, of + 1))
    _mount_file(host, "/etc/hosts", f"127.0.0.1 localhost\n{names}")
    _mount_file(host, "/etc/resolv.conf", "")
    return host


def _mount_file(host: Host, path: str, content: str) -> None:
    own = host.folder / Path(path).name
    own.write_text(content)
    done = host.run(f"mount --bind {own} {path}")
    if done.returncode:
        raise OSError(f"{path}: {done.stderr.strip()}")


def _ip(namespaces: _Namespaces, command: str) -> None:
    enter = ["nsenter", "--target", str(namespaces.pid), "--net", "--"]
    done = subprocess.run([*enter, "ip", *command.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {command}: {done.stderr.strip()}")
