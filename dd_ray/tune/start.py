"""Starts a Ray, or joins one, in a thread of its own, so that the main thread hears signals and need not wait for ever.

What Ray has begun in C++ must not be interrupted: that ended with a segmentation fault.
"""

import logging
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

import ray

from dd_ray.errors import UserError
from dd_ray.tune.private import processes_started
from dd_ray.tune.signals import end_the_process, not_for_children, raise_if_asked

SECONDS_TO_START = 180.0
"""Ray itself gives up after 30 s at several places; what has not started after so many hangs."""
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_TO_END = 5.0


class NotStartedError(UserError):
    """Ray has not started, which is no fault of what the user has asked for."""

    exit_code = 1


class RayStart:
    """A start of Ray, which begins at once. Its thread lives until `leave`: Linux ends what it has started with it.

    Args:
        options: arguments of `ray.init`.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._over, self._left = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._run, name="start", daemon=True)
        self._thread.start()

    @property
    def is_under_way(self) -> bool:
        """True as long as Ray has neither started nor failed."""
        return not self._over.is_set()

    def wait(self) -> None:
        """Wait until Ray has started.

        Raises:
            NotStartedError: it takes too long, and is still under way.
            KeyboardInterrupt: a signal asks to end. In a command, which ends then, it may still be under way.
            Exception: whatever Ray raises. The processes that it had started are ended.
        """
        deadline = time.monotonic() + SECONDS_TO_START
        try:
            while not self._over.wait(SECONDS_BETWEEN_LOOKS):
                raise_if_asked()
                if time.monotonic() > deadline:
                    raise NotStartedError(f"no answer within {SECONDS_TO_START:.0f} s")
        except KeyboardInterrupt:
            if not end_the_process():
                self._over.wait(SECONDS_TO_START)
            raise
        if self._error is not None:
            self._end_processes()
            raise self._error

    def leave(self) -> None:
        """End the thread, once Ray has been shut down."""
        self._left.set()
        self._thread.join(SECONDS_TO_END)

    def _run(self) -> None:
        # It warns that it sets no handlers of signals in this thread, which nobody misses.
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            with processes_started(self._processes), not_for_children():
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **self._options)
        except BaseException as error:  # raised again where it is waited for
            self._error = error
        self._over.set()
        self._left.wait()

    def _end_processes(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(SECONDS_TO_END)
