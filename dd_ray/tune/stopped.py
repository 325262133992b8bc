"""Ends worker processes that a signal has stopped, since a trial whose worker is stopped would never end.

A slow worker is not a stopped one: only the state that the system gives for its process counts, and never how long it
has reported nothing. Linux alone gives this state; elsewhere no process counts as stopped.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.tune.private import Worker, workers
from dd_ray.tune.progress import Watcher

SECONDS_BETWEEN_ROUNDS = 8.0
SECONDS_OF_SILENCE = 15.0
"""Seconds without a report of a trial after which its node is asked, if that is another one. Working trials mostly
report every 3 s."""
SECONDS_TO_ANSWER = 60.0
LOOKS, SECONDS_BETWEEN_LOOKS = 3, 4.0
"""Number of looks at a process before it counts as stopped, and the seconds between them. A batch system that suspends
a job stops its processes one after another, and lets them go on so: this one is then never awake for long beside one
that is stopped."""


@contextmanager
def ending_stopped_workers(watcher: Watcher) -> Iterator[None]:
    """During the block, end workers of this sweep that were stopped. Tune tries their trials again elsewhere."""
    ended = threading.Event()

    def look_again_and_again() -> None:
        while not ended.wait(SECONDS_BETWEEN_ROUNDS):
            # Whatever Ray raises where it does not answer; if it has died, others notice.
            with suppress(Exception):
                _look(watcher)

    thread = threading.Thread(target=look_again_and_again, name="lookout", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:  # where Ray is lost, nobody answers the thread any more
        ended.set()
        raise
    ended.set()
    # A question that is in flight when Ray is left would find it half gone.
    thread.join(LOOKS * SECONDS_BETWEEN_LOOKS if watcher.ending is None else 1)


def is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process of this machine, and none has made it go on since."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:  # it has ended, or there is no /proc
        return False


def end_stopped(pids: Sequence[int]) -> list[int]:
    """Kill those of some worker processes of Ray on this machine that stay stopped, and return their numbers."""
    stopped = list(pids)
    for look in range(LOOKS):
        if look and stopped:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        stopped = [pid for pid in stopped if is_stopped(pid) and _is_worker(pid)]
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return stopped


def _is_worker(pid: int) -> bool:
    """Return whether a process has the title of Ray's workers; another process may have its number by now."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::")
    except OSError:
        return False


def _look(watcher: Watcher) -> None:
    here = ray.get_runtime_context().get_node_id()
    silent = watcher.silent_at(SECONDS_OF_SILENCE)
    nodes: dict[str, list[Worker]] = {}
    for worker in workers():
        if worker.node == here or worker.address in silent or None in silent:
            nodes.setdefault(worker.node, []).append(worker)
    asked: dict[Any, str] = {}
    for node, there in nodes.items():
        pids = [worker.pid for worker in there]
        if node == here:
            _say(watcher, end_stopped(pids), there[0].address)
        else:
            task: Any = ray.remote(num_cpus=0, max_retries=0)(end_stopped)
            at_node = task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
            asked[at_node.remote(pids)] = there[0].address
    answers, _ = ray.wait(list(asked), num_returns=len(asked), timeout=SECONDS_TO_ANSWER) if asked else ([], [])
    for answer in answers:
        with suppress(ray.exceptions.RayError):  # of a node that has just ended
            _say(watcher, ray.get(answer), asked[answer])


def _say(watcher: Watcher, ended: Sequence[int], address: str) -> None:
    for pid in ended:
        watcher.say(f"Process {pid} on {address} was stopped by a signal, and is ended; its trials are tried again.")
