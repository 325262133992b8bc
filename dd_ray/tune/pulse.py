"""Noticing that the Ray under a sweep has died or hangs: what waits for it would wait for ever."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

import ray

from dd_ray.tune.private import own_processes

SECONDS_BETWEEN_LOOKS = 1.0
SECONDS_BETWEEN_QUESTIONS = 5.0
SECONDS_TO_ANSWER = 40.0
"""After which a control store that has not told its nodes is taken for dead; a busy one takes some."""
SECONDS_TO_END = 4.0
"""That what waits for Ray may still take after Ray has died, and that Ray has to end in order."""
Result = TypeVar("Result")


class RayLost(Exception):
    """The Ray that a sweep runs on has died, or does not answer."""


def while_ray_lives(work: Callable[[], Result]) -> Result:
    """The result of what waits for Ray, which is waited for no longer than Ray lives.

    Work goes on in a thread of its own, since nothing interrupts a call of Ray's that gets no answer. So signals reach
    the main thread at once.

    Raises:
        RayLost: a process of this sweep's own Ray has ended, or the cluster's control store does not answer.
        Exception: whatever the work raises.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # raised again where it is waited for
            outcome.set_exception(error)

    threading.Thread(target=run, name="tune", daemon=True).start()
    question = _Question()
    while not wait([outcome], SECONDS_BETWEEN_LOOKS).done:
        if _own_ray_has_died() or question.is_unanswered():
            wait([outcome], SECONDS_TO_END)
            break
    if not outcome.done():
        raise RayLost
    try:
        return outcome.result()
    except Exception as error:  # whatever Ray or Tune raises of a Ray that is no more
        if _own_ray_has_died():
            raise RayLost from error
        raise


def shut_down() -> None:
    """Leave Ray, and end the one that was started here. One that has died or hangs is not waited for, but killed."""
    started = own_processes()  # before they are forgotten
    leaving = threading.Thread(target=ray.shutdown, name="shutdown", daemon=True)
    leaving.start()
    leaving.join(SECONDS_TO_END)
    if leaving.is_alive():
        for process in started:
            process.kill()
        leaving.join(SECONDS_TO_END)


class _Question:
    """Asks the control store for its nodes again and again, from a thread that may hang with it."""

    def __init__(self) -> None:
        self._asked = self._answered = time.monotonic()
        self._thread: threading.Thread | None = None

    def is_unanswered(self) -> bool:
        """Whether the last question has waited too long; asks the next one when it is time."""
        now = time.monotonic()
        waits = self._thread is not None and self._thread.is_alive()
        if not waits and now - self._asked > SECONDS_BETWEEN_QUESTIONS:
            self._asked = now
            self._thread = threading.Thread(target=self._ask, name="pulse", daemon=True)
            self._thread.start()
        return now - self._answered > SECONDS_TO_ANSWER

    def _ask(self) -> None:
        try:
            nodes = ray.nodes()
        except Exception:  # whatever Ray raises where it does not answer
            return
        if any(node["Alive"] for node in nodes):
            self._answered = time.monotonic()


def _own_ray_has_died() -> bool:
    return any(process.poll() is not None for process in own_processes())
