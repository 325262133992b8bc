"""Notices that the Ray under a sweep has died or hangs, since a call that waits for it would wait for ever."""

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

import ray

from dd_ray.tune.private import end_at_once, own_processes
from dd_ray.tune.stopped import is_stopped

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_QUESTIONS = 5.0
LOOKS_TO_ANSWER = 40
"""Looks, one a second, after which a control store that has not answered counts as dead; a busy one takes some seconds.
Looks are counted and not seconds, since on a machine so busy that it hardly answers, this process looks as seldom."""
SECONDS_REFUSED = 25.0
"""Seconds without an answer after which a control store counts as dead where its machine refuses connections to it. A
busy one accepts them, however late it answers, so that these are seconds and not looks."""
SECONDS_TO_CONNECT = 0.5
LOOKS_AT_STOPPED = 15
"""Looks, one a second, after which a process that is found stopped each time counts as standing still. They are so many
that a job which a batch system suspends, and lets go on, does not."""
SECONDS_TO_END = 4.0
"""Seconds that a call may still take after Ray has died, and in which Ray has to end when it is shut down."""
Result = TypeVar("Result")


class RayLost(Exception):
    """The Ray that a sweep runs on has died, or does not answer."""


def while_ray_lives(work: Callable[[], Result], is_over: Callable[[], bool] = lambda: False) -> Result:
    """Do work that waits for Ray, and return its result; stop waiting if Ray dies.

    The work is done in a thread of its own, since nothing interrupts a call of Ray's that gets no answer. So signals
    reach the main thread at once.

    Args:
        work: function that waits for Ray.
        is_over: called every second; if it returns true, the wait ends as if Ray had died.

    Raises:
        RayLost: a process of this sweep's own Ray has ended or stands still, the cluster's control store has ended,
            does not answer or has forgotten this process, or it is over.
        Exception: whatever the work raises.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # raised again where it is waited for
            outcome.set_exception(error)

    threading.Thread(target=run, name="tune", daemon=True).start()
    question, own = _Question(), _OwnRay()
    while not wait([outcome], SECONDS_BETWEEN_LOOKS).done:
        if own.has_died():
            wait([outcome], SECONDS_TO_END)
            break
        if is_over() or own.stands_still() or question.is_unanswered():
            break
    if not outcome.done():
        raise RayLost
    try:
        return outcome.result()
    except Exception as error:  # whatever Ray or Tune raises of a Ray that is no more
        if own.has_died():
            raise RayLost from error
        raise


def shut_down() -> None:
    """Leave Ray, and end the one that was started here. One that has died or hangs is not waited for, but killed."""
    started = own_processes()  # before they are forgotten
    end_at_once()
    leaving = threading.Thread(target=ray.shutdown, name="shutdown", daemon=True)
    leaving.start()
    leaving.join(SECONDS_TO_END)
    if leaving.is_alive() and started:
        for process in started:
            process.kill()
        leaving.join(SECONDS_TO_END)


class _Question:
    """Asks the control store for its nodes again and again, from a thread that may hang with it."""

    def __init__(self) -> None:
        self._asked = self._answered = time.monotonic()
        self._looks = 0
        self._address = ray.get_runtime_context().gcs_address if ray.is_initialized() else None
        self._thread: threading.Thread | None = None

    def is_unanswered(self) -> bool:
        """Return whether the last question has waited too long, and ask the next one when it is time."""
        now = time.monotonic()
        waits = self._thread is not None and self._thread.is_alive()
        if not waits and now - self._asked > SECONDS_BETWEEN_QUESTIONS:
            self._asked = now
            self._thread = threading.Thread(target=self._ask, name="pulse", daemon=True)
            self._thread.start()
        self._looks += 1
        return self._looks > LOOKS_TO_ANSWER or (now - self._answered > SECONDS_REFUSED and self._is_refused())

    def _is_refused(self) -> bool:
        """Return whether connections to the control store's port are refused; False if its machine does not answer."""
        host, _, port = (self._address or "").rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT).close()
        except ConnectionRefusedError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def _ask(self) -> None:
        # A cluster whose head came back knows nothing of this process, which it would leave waiting.
        try:
            here, nodes = ray.get_runtime_context().get_node_id(), ray.nodes()
        except Exception:  # whatever Ray raises where it does not answer
            return
        if any(node["Alive"] and node["NodeID"] == here for node in nodes):
            self._looks, self._answered = 0, time.monotonic()


class _OwnRay:
    """The processes of the Ray that this process has started, if it has."""

    def __init__(self) -> None:
        self._looks = 0

    def has_died(self) -> bool:
        """Return whether one of them has ended."""
        return any(process.poll() is not None for process in own_processes())

    def stands_still(self) -> bool:
        """Return whether one of them was found stopped at so many looks in a row."""
        stopped = any(is_stopped(process.pid) for process in own_processes())
        self._looks = self._looks + 1 if stopped else 0
        return self._looks >= LOOKS_AT_STOPPED
