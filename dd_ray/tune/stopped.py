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
SECONDS_TO_ANSWER = 15.0
"""Seconds that a round waits for the nodes it has asked. One that answers later is heard by a later round: a node that
has died is known as such only after half a minute, for which no other may wait."""
SECONDS_OF_A_MOMENT = 0.5
LOOKS, SECONDS_BETWEEN_LOOKS = 3, 4.0
"""Number of looks at a process before it counts as stopped, and the seconds between them. A batch system that suspends
a job stops its processes one after another, and lets them go on so: this one is then never awake for long beside one
that is stopped."""


@contextmanager
def ending_stopped_workers(watcher: Watcher) -> Iterator[None]:
    """During the block, end workers of this sweep that were stopped. Tune tries their trials again elsewhere."""
    ended = threading.Event()
    lookout = Lookout(watcher, ended)

    def look_again_and_again() -> None:
        while not ended.wait(SECONDS_BETWEEN_ROUNDS):
            # Whatever Ray raises where it does not answer; if it has died, others notice.
            with suppress(Exception):
                lookout.look()

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


class Lookout:
    """Looks for stopped workers of a sweep, on all nodes; a node that does not answer keeps none from being asked."""

    def __init__(self, watcher: Watcher, ended: threading.Event) -> None:
        self._watcher, self._ended = watcher, ended
        self._asked: dict[Any, Worker] = {}
        """Questions that are not answered yet, with a worker of the node that each asks."""

    def look(self) -> None:
        """End the stopped workers of this node, and of those nodes where a trial has said nothing for long."""
        here = ray.get_runtime_context().get_node_id()
        nodes = self._suspects(here)
        waits = {worker.node for worker in self._asked.values()}
        for node in nodes.keys() - waits - {here}:
            self._asked[self._ask(nodes[node])] = nodes[node][0]
        if here in nodes:
            self._say(end_stopped([worker.pid for worker in nodes[here]]), nodes[here][0])
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while self._asked and not self._ended.is_set() and time.monotonic() < deadline:
            self._hear()

    def _hear(self) -> None:
        """Take the answers that come within a moment: a longer wait could still be one when Ray is left."""
        answers, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=SECONDS_OF_A_MOMENT)
        for answer in answers:
            worker = self._asked.pop(answer)
            with suppress(ray.exceptions.RayError):  # of a node that has just ended
                self._say(ray.get(answer), worker)

    def _suspects(self, here: str) -> dict[str, list[Worker]]:
        """Return the workers to look at, by their nodes."""
        silent = self._watcher.silent_at(SECONDS_OF_SILENCE)
        nodes: dict[str, list[Worker]] = {}
        for worker in workers():
            if worker.node == here or worker.address in silent or None in silent:
                nodes.setdefault(worker.node, []).append(worker)
        return nodes

    def _ask(self, there: Sequence[Worker]) -> Any:
        task: Any = ray.remote(num_cpus=0, max_retries=0)(end_stopped)
        at_node = NodeAffinitySchedulingStrategy(there[0].node, soft=False)
        return task.options(scheduling_strategy=at_node).remote([worker.pid for worker in there])

    def _say(self, ended: Sequence[int], worker: Worker) -> None:
        for pid in ended:
            self._watcher.say(
                f"Process {pid} on {worker.address} was stopped by a signal, and is ended; its trials are tried again."
            )
