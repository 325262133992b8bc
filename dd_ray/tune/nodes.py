"""Asks every node of a cluster whether a trial can run there: before anything starts, and when it joins later."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.errors import UserError, first_line
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import difference, versions

SECONDS_TO_ANSWER = 90
SECONDS_TO_LEAVE = 15
"""Seconds after which Ray counts a node that has died as dead."""
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_OF_A_MOMENT = 0.5
SECONDS_TO_END = 2.0
_INSTALL = "install the same software on all nodes (cluster/requirements.txt)"


class _SilentNodeError(UserError):
    """A node has not answered, which it may do later."""


def check_nodes(sweep: SweepFolder) -> tuple[str, ...]:
    """Make sure that all nodes have this process's software, and see the same storage.

    Returns:
        Their IDs.

    Raises:
        UserError: a node does not, or does not answer; with its address and the remedy.
    """
    nodes = _alive_nodes()
    _check(sweep, nodes)
    return tuple(nodes)


@contextmanager
def looking_at_newcomers(
    sweep: SweepFolder,
    checked: Collection[str],
    leave_out: Callable[[str, str], None],
    say: Callable[[str], None],
    check_more: Callable[[str, Callable[[], bool]], None] = lambda node, is_over: None,
) -> Iterator[None]:
    """During the block, check nodes that join the cluster.

    Args:
        sweep: the sweep, which all nodes have to see.
        checked: IDs of the nodes that need not be checked.
        leave_out: is called, in a thread of its own, with the ID of a node on which no trial can run, and why.
        say: is called, in that thread, with a sentence about a node that does not answer, once for each.
        check_more: is called, in that thread, with the ID of a node that has the software and the storage, and with a
            function that returns True once the block has ended. It raises a UserError if no trial can run there.
    """
    ended = threading.Event()
    known, silent = set(checked), set[str]()

    def look() -> None:
        for node, address in _alive_nodes().items():
            if node in known or ended.is_set():
                continue
            try:
                _check(sweep, {node: address}, ended.is_set)
                check_more(node, ended.is_set)
            except _SilentNodeError as error:
                if node not in silent and not ended.is_set():
                    say(f"{error} It is asked again.")
                silent.add(node)
                continue
            except UserError as error:
                leave_out(node, str(error))
            known.add(node)

    def look_again_and_again() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            # Whatever Ray or the storage raises where it does not answer, which others notice.
            with suppress(Exception):
                look()

    thread = threading.Thread(target=look_again_and_again, name="newcomers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(SECONDS_TO_END)  # a question that is in flight when Ray is left would find it half gone


def _alive_nodes() -> dict[str, str]:
    """Return the addresses of the nodes by their IDs."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


def _check(sweep: SweepFolder, nodes: Mapping[str, str], is_over: Callable[[], bool] = lambda: False) -> None:
    token = uuid4().hex
    marker, replies = f".marker-{token}", {node: f".reply-{token}-{node}" for node in nodes}
    try:
        sweep.files.write(marker, token.encode())
        for node, answer in _ask(nodes, sweep.location, marker, replies, is_over).items():
            _check_answer(nodes[node], answer, sweep.location)
            if not sweep.files.exists(replies[node]):
                raise UserError(_not_shared(nodes[node], sweep.location))
    finally:
        for name in (marker, *replies.values()):
            sweep.files.remove(name)


def _ask(
    nodes: Mapping[str, str], location: str, marker: str, replies: Mapping[str, str], is_over: Callable[[], bool]
) -> dict[str, dict[str, Any]]:
    """Return what the nodes answer to `_question`, without those that have left the cluster since or are leaving."""
    task: Any = ray.remote(num_cpus=0, max_retries=0)(_question(location, marker))
    pending = {
        node: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(replies[node])
        for node in nodes
    }
    _wait_for_all(pending, nodes, is_over)
    answers = {node: _answer_of(node, nodes[node], reply) for node, reply in pending.items()}
    return {node: answer for node, answer in answers.items() if answer is not None}


def _question(location: str, marker: str) -> Callable[[str], dict[str, Any]]:
    """Return a function that tells of the node it runs on its software, and whether it sees the marker of a sweep.

    It is sent by value, and so without the module's imports, since it runs where dd_ray may be missing.
    """

    def answer(reply: str) -> dict[str, Any]:
        try:
            from dd_ray.errors import UserError  # noqa: PLC0415
            from dd_ray.storage.files import open_files  # noqa: PLC0415
            from dd_ray.storage.versions import versions  # noqa: PLC0415

            found = versions()
        except ImportError as error:
            return {"missing": str(error)}
        try:
            files = open_files(location)
            if not files.exists(marker):
                return {"versions": found, "sees": False}
            files.write(reply, b"")
        except (UserError, OSError) as error:
            return {"versions": found, "storage": str(error)}
        return {"versions": found, "sees": True}

    return answer


def _wait_for_all(pending: Mapping[str, Any], nodes: Mapping[str, str], is_over: Callable[[], bool]) -> None:
    """Wait until all nodes have answered.

    Raises:
        _SilentNodeError: one has not when time is up or the sweep is over.
    """
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    ready: list[Any] = []
    while len(ready) < len(pending) and time.monotonic() < deadline and not is_over():
        ready, _ = ray.wait(list(pending.values()), num_returns=len(pending), timeout=SECONDS_OF_A_MOMENT)
    silent = [nodes[node] for node, reply in pending.items() if reply not in ready]
    if silent:
        raise _SilentNodeError(
            f"node {silent[0]} starts no worker within {SECONDS_TO_ANSWER} s; look at its load and at the logs of its "
            "Ray, or take it out of the cluster."
        )


def _answer_of(node: str, address: str, reply: Any) -> dict[str, Any] | None:
    """Return a node's answer; None if it has left the cluster, or is about to leave and takes no more work.

    Raises:
        _SilentNodeError: the node is there, and its task was lost.
    """
    try:
        return ray.get(reply)  # type: ignore[no-any-return]
    except ray.exceptions.TaskUnschedulableError:
        return None
    except ray.exceptions.RayError as error:
        if _stays(node):
            raise _SilentNodeError(
                f"node {address} lost the worker that was to look at it ({first_line(error)}); look at its memory "
                "and at the logs of its Ray, or take it out of the cluster."
            ) from error
        return None


def _stays(node: str) -> bool:
    """Return whether a node whose task was lost stays in the cluster. If it died, Ray may learn that only later."""
    deadline = time.monotonic() + SECONDS_TO_LEAVE
    while any(each["NodeID"] == node and each["Alive"] for each in ray.nodes()):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.5)
    return False


def _check_answer(address: str, answer: Mapping[str, Any], location: str) -> None:
    if "missing" in answer:
        raise UserError(f"node {address} lacks software ({answer['missing']}); {_INSTALL}.")
    if differs := difference(answer["versions"], versions()):
        raise UserError(f"node {address} has {differs}; {_INSTALL}.")
    if "storage" in answer:
        raise UserError(f"node {address} cannot use --storage as this machine does: {answer['storage']}")
    if not answer["sees"]:
        raise UserError(_not_shared(address, location))


def _not_shared(address: str, location: str) -> str:
    return (
        f"node {address} and this machine do not see the same {location}; give a --storage that all nodes share: a "
        "mounted folder, or a URL such as s3://bucket/folder."
    )
