"""Asks a cluster, before Ray is imported, whether it answers and whether it requires a token.

Ray reads its mode of authentication when it is imported, and it must be the cluster's: a cluster with a token refuses
clients without one, and a cluster without a token drops the actors of clients that offer one.
"""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dd_ray.config.urls import check_address
from dd_ray.errors import UserError
from dd_ray.tune.environment import TOKEN_FILE, has_token
from dd_ray.tune.private import INVALID_TOKEN, health_check, is_connected

SECONDS_TO_CONNECT = 5
SECONDS_TO_ANSWER = 60
"""Seconds to wait for an answer, mostly for the start of the asking process: 2 s on an idle machine, over 20 on a busy
one. Where nothing listens, the answer comes at once."""

_connected_for_a_sweep = threading.Lock()
"""Held while a sweep runs that connects this process: all its threads use the one connection, which ends with it."""


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Make sure that no other sweep connects this process during the block; those on the program's own Ray may meet.

    Raises:
        UserError: one does.
    """
    if is_connected() and not _connected_for_a_sweep.locked():
        yield
        return
    if not _connected_for_a_sweep.acquire(blocking=False):
        raise UserError(
            "this process runs another sweep, whose connection to Ray ends with it; run one after the other, "
            "or call ray.init() before both, which then share that Ray."
        )
    try:
        yield
    finally:
        _connected_for_a_sweep.release()


def prepare_to_join(address: str, insecure: bool) -> None:
    """Make sure that a cluster answers, and set the mode of authentication that it has.

    Args:
        address: `auto` or `host:port`.
        insecure: whether a cluster that requires no token may be joined.

    Raises:
        UserError: no Ray answers there, it refuses the token, or requires none; or this process has a Ray already.
    """
    if is_connected():
        raise UserError(
            f"--address {address} is given to a process that is connected to a Ray already; leave it out to run there, "
            "or call ray.shutdown() before."
        )
    if address != "auto":
        _check_port(address)
    where = "on this machine (--address auto)" if address == "auto" else f"at --address {address}"
    offer = os.environ | ({"RAY_AUTH_MODE": "token"} if has_token() else {})
    # In parallel, since each takes two seconds to start; joining itself would wait for minutes if nothing answers.
    offering, not_offering = _ask_health(address, offer), _ask_health(address, _without_token())
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    try:
        is_open = _answers(not_offering, deadline)
        if not is_open:
            _check_answer(offering, deadline, where)
    finally:
        for process in (offering, not_offering):
            process.kill()
            process.communicate()
    if is_open and not insecure:
        raise UserError(
            f"the Ray {where} asks for no token, so whoever reaches its ports runs code as you; start it with one "
            "(see cluster/README.md), or give --insecure if nobody else can reach it."
        )
    os.environ["RAY_AUTH_MODE"] = "disabled" if is_open else "token"


_NO_ANSWER = "no Ray answers {}; start one with `ray start --head`, or leave --address out."


def _ask_health(address: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        health_check(address), env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _without_token() -> dict[str, str]:
    names = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}
    return {name: value for name, value in os.environ.items() if name not in names} | {"RAY_AUTH_MODE": "disabled"}


def _check_answer(asked: "subprocess.Popen[str]", deadline: float, where: str) -> None:
    """Make sure that a Ray answered, and accepted the token."""
    try:
        _, stderr = asked.communicate(timeout=max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise UserError(_NO_ANSWER.format(where)) from error
    if INVALID_TOKEN in stderr:
        raise UserError(
            f"the Ray {where} asks for a token and was given none or another; put its token into {TOKEN_FILE}, "
            "readable by you alone."
        )
    if asked.returncode:
        raise UserError(_NO_ANSWER.format(where))


def _answers(asked: "subprocess.Popen[str]", deadline: float) -> bool:
    try:
        return asked.wait(timeout=max(0, deadline - time.monotonic())) == 0
    except subprocess.TimeoutExpired:
        return False


def _check_port(address: str) -> None:
    check_address(address)
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: the host cannot be a name
        raise UserError(
            f"no Ray answers at --address {address}; check host and port, or leave --address out."
        ) from error
