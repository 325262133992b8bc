"""The Ray that a sweep runs on."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import ray

from dd_ray.errors import UserError
from dd_ray.sweep.environment import TOKEN_FILE
from dd_ray.sweep.options import SweepOptions

SECONDS_TO_ANSWER = 10
SECONDS_FOR_GPU = 60
DEFAULT_GPU_SHARE = 0.1


@dataclass(frozen=True)
class Resources:
    """What each trial gets, and how many trials at a time that makes."""

    cpus: float
    gpus: float
    slots: int

    @classmethod
    def of_cluster(cls, options: SweepOptions) -> Self:
        """What the cluster that this process is connected to can give.

        Raises:
            UserError: no node of it could ever hold a trial.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most_gpus = max(node.get("GPU", 0) for node in nodes)
        gpus = options.gpus_per_trial
        if gpus is None:
            gpus = DEFAULT_GPU_SHARE if most_gpus else 0.0
        cpus = options.cpus_per_trial
        slots = sum(_slots(node, cpus, gpus) for node in nodes)
        if not slots:
            most_cpus = max(node.get("CPU", 0) for node in nodes)
            raise UserError(
                f"no node can hold a trial of {cpus:g} CPUs (--cpus-per-trial) and {gpus:g} GPUs (--gpus-per-trial): "
                f"the largest of {len(nodes)} nodes have {most_cpus:g} CPUs and {most_gpus:g} GPUs; ask for less."
            )
        return cls(cpus, gpus, min(slots, options.max_concurrent or slots))


def check_gpus(resources: Resources) -> None:
    """Make sure that a trial's PyTorch finds the GPU that Ray gives it.

    Raises:
        UserError: it does not.
    """

    def finds_gpu() -> bool:
        import torch  # noqa: PLC0415  # on the node, and not in the driver

        return torch.cuda.is_available()

    if not resources.gpus:
        return
    task: Any = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus)(finds_gpu)
    try:
        found = ray.get(task.remote(), timeout=SECONDS_FOR_GPU)
    except ray.exceptions.GetTimeoutError:
        return  # the cluster is busy; each trial looks again
    if not found:
        raise UserError(
            f"PyTorch finds no GPU on a node where Ray gives {resources.gpus:g} of one; install PyTorch with CUDA "
            "there, or give --gpus-per-trial 0."
        )


@contextmanager
def connected(address: str | None, insecure: bool = False) -> Iterator[None]:
    """A connection to the cluster at `address`, or a Ray of its own while it lasts.

    Args:
        address: `auto`, `host:port`, or None for a Ray of its own.
        insecure: whether a cluster may be joined that asks nobody for a token.

    Raises:
        UserError: no Ray answers there, or it is open to all.
    """
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=_cpus_if_fewer(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            _make_token_private()
        else:
            _join(address, insecure)
        yield
    finally:
        ray.shutdown()


def _cpus_if_fewer() -> int | None:
    """CPUs that this process may use, where that is not all; else Ray counts, and heeds a container's quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return usable if usable != os.cpu_count() else None


def _join(address: str, insecure: bool) -> None:
    """Join after asking, since joining waits for minutes where nobody answers."""
    if address != "auto":
        _check_port(address)
    where = "on this machine (--address auto)" if address == "auto" else f"at --address {address}"
    # Side by side: each takes two seconds to start.
    asked, asked_without_token = _ask_health(address, os.environ), _ask_health(address, _without_token())
    try:
        _check_answer(asked, where)
        if not insecure:
            _check_closed(asked_without_token, where)
    finally:
        for process in (asked, asked_without_token):
            process.kill()
            process.communicate()
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise UserError(_NO_ANSWER.format(where)) from error
    except RuntimeError as error:  # another version of Ray or Python
        raise UserError(f"the Ray {where} cannot be joined: {' '.join(str(error).split())}") from error


_NO_ANSWER = "no Ray answers {}; start one with `ray start --head`, or leave --address out."


def _ask_health(address: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check"]
    command += [] if address == "auto" else ["--address", address]
    return subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _without_token() -> dict[str, str]:
    names = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    return {name: value for name, value in os.environ.items() if name not in names} | {"RAY_AUTH_MODE": "disabled"}


def _check_answer(asked: "subprocess.Popen[str]", where: str) -> None:
    try:
        _, stderr = asked.communicate(timeout=SECONDS_TO_ANSWER)
    except subprocess.TimeoutExpired as error:
        raise UserError(_NO_ANSWER.format(where)) from error
    if "InvalidAuthToken" in stderr:
        raise UserError(
            f"the Ray {where} asks for a token and was given none or another; put its token into {TOKEN_FILE}, "
            "readable by you alone."
        )
    if asked.returncode:
        raise UserError(_NO_ANSWER.format(where))


def _check_closed(asked_without_token: "subprocess.Popen[str]", where: str) -> None:
    """Refuse a Ray that obeys whoever reaches it: its ports are open on all interfaces of its machines."""
    try:
        answers = asked_without_token.wait(timeout=SECONDS_TO_ANSWER) == 0
    except subprocess.TimeoutExpired:
        answers = False
    if answers:
        raise UserError(
            f"the Ray {where} asks for no token, so whoever reaches its ports runs code as you; start it with one "
            "(see cluster/README.md), or give --insecure if nobody else can reach it."
        )


def _check_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--address {address} is not an address; give auto or host:port, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER / 2).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"no Ray answers at --address {address}; check host and port, or leave --address out."
        ) from error


def _make_token_private() -> None:
    """Ray writes the token of a local cluster where every user of the machine can read it."""
    path = TOKEN_FILE.expanduser()
    if path.exists() and path.stat().st_uid == os.getuid():
        path.chmod(0o600)


def _slots(node: dict[str, float], cpus: float, gpus: float) -> int:
    by_cpu = node.get("CPU", 0) / cpus
    # Ray gives out shares of a single GPU, or whole ones: two halves of different GPUs are no GPU.
    by_gpu = node.get("GPU", 0) * int(1 / gpus) if 0 < gpus <= 1 else node.get("GPU", 0) / gpus if gpus else by_cpu
    return int(min(by_cpu, by_gpu) + 1e-9)
