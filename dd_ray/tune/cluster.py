"""Connects to the Ray that a sweep runs on: a cluster's, or one of its own, in a folder that nobody else can enter."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import ray

from dd_ray.errors import UserError
from dd_ray.storage.private import PrivateFolder, make_private, make_private_file
from dd_ray.tune.environment import has_token, token_file
from dd_ray.tune.private import SOCKETS_BELOW
from dd_ray.tune.pulse import shut_down
from dd_ray.tune.start import NotStartedError, RayStart

SECONDS_OF_START = "5 to 10 seconds"
_NAME_A_FOLDER = ("RAY_TMPDIR", *(("TMPDIR",) if sys.platform.startswith("linux") else ()))
"""Variables that name the folder for Ray's files, as Ray takes them."""
_BELOW = "/r"


def say_nothing(*words: str, flush: bool = False) -> None:
    """Print nothing, in place of `print`."""


@contextmanager
def connected(address: str | None, say: Callable[..., None] = say_nothing) -> Iterator[bool]:
    """Connect to the cluster at `address` (`auto` or `host:port`), or start a Ray for the block.

    If this process is connected already, that connection is used and kept. `prepare_to_join` must be called first,
    before Ray is imported.

    Args:
        address: of the cluster, or None.
        say: prints what is being done.

    Yields:
        Whether the cluster outlasts the sweep.

    Raises:
        UserError: the cluster's Ray or Python is another version.
    """
    if ray.is_initialized():
        yield True
        return
    if address is None:
        with _own_ray(say):
            yield False
        return
    start = RayStart({"address": address})
    try:
        _wait_to_join(start, address)
        yield True
    finally:
        _leave(start)


@contextmanager
def _own_ray(say: Callable[..., None]) -> Iterator[None]:
    """Start a Ray in a folder that nobody else can enter, since Ray makes its files there writable to everyone."""
    asked = {name: os.environ[name] for name in _NAME_A_FOLDER if os.environ.get(name)}
    folder = PrivateFolder(asked, len(_BELOW) + SOCKETS_BELOW)
    if folder.refused:
        say(f"Ray's files are in {folder.path.parent}: {folder.refused}.")
    say(f"Starting Ray on this machine, which takes {SECONDS_OF_START}.", flush=True)
    with folder.for_a_while():
        _prepare_token()
        options = {"num_cpus": _cpus_if_fewer(), "include_dashboard": False, "_temp_dir": f"{folder.path}{_BELOW}"}
        start = RayStart({"address": "local", **options})
        try:
            if (why := _failed(start)) and not start.is_under_way:
                say(f"Ray has not started ({why}), as on a busy machine; trying once more.", flush=True)
                start.leave()
                start = RayStart({"address": "local", **options})
                why = _failed(start)
            if why:
                folder.keep()
                raise NotStartedError(
                    f"Ray has not started ({why}). The same command tries it again; where that does not help, its logs "
                    f"tell more: {folder.path}{_BELOW}/session_latest/logs."
                )
            yield
        finally:
            if start.is_under_way:
                folder.leave_to_the_end()
            _leave(start)


def _failed(start: RayStart) -> str:
    """Return why a start has failed; empty if Ray has started."""
    try:
        start.wait()
    except Exception as error:  # whatever Ray raises
        return _in_one_line(error)
    return ""


def _leave(start: RayStart) -> None:
    # What is under way cannot be left: it ends with the process.
    if not start.is_under_way:
        shut_down()
        start.leave()


def _wait_to_join(start: RayStart, address: str) -> None:
    try:
        start.wait()
    except ConnectionError as error:
        raise UserError(f"the Ray at --address {address} has gone while it was joined; start it again.") from error
    except NotStartedError as error:
        raise NotStartedError(f"the Ray at --address {address} does not let us join: {error}.") from error
    except RuntimeError as error:  # another version of Ray or Python
        raise UserError(f"the Ray at --address {address} cannot be joined: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _cpus_if_fewer() -> int | None:
    """Return the CPUs that this process may use if these are not all; else None, and Ray counts within a quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return usable if usable != os.cpu_count() else None


def _prepare_token() -> None:
    """Make a token before Ray does, since every user of the machine could read Ray's for a while.

    It is kept in the user's home; where that cannot be written, in the environment, which only this user can read.
    """
    path = token_file()
    with suppress(OSError):
        if path is not None:
            make_private(path)
            if not has_token() and _asks_for_token():
                make_private_file(path, _new_token())
    if not has_token() and _asks_for_token():
        os.environ["RAY_AUTH_TOKEN"] = _new_token()


def _asks_for_token() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "token") == "token"


@cache
def _new_token() -> str:
    """Return a token: always the same one, since Ray reads it once in the life of a process."""
    return secrets.token_hex(32)
