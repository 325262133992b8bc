"""Handles requests to end: Ctrl-C, the SIGTERM of batch systems and containers, and the SIGHUP of a closed terminal."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SENT_TO_ALL = {signal.SIGTERM, signal.SIGHUP}
"""Signals that batch systems, containers or the end of a login send to all processes at once."""
_asked = threading.Event()
SECONDS_TOGETHER = 2.0
"""Signals within so many seconds are one request: batch systems tell every process, and programs that have started this
one, such as `timeout`, tell it once more."""


class _Requests:
    """Tells new requests from more signals of the last one."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Take the next signal for a new request."""
        self._heeded = -math.inf

    def is_new(self) -> bool:
        """Return whether a signal that has just come is a new request."""
        now = time.monotonic()
        if now - self._heeded < SECONDS_TOGETHER:
            return False
        self._heeded = now
        return True


_requests = _Requests()


def expect_signals() -> None:
    """Raise KeyboardInterrupt on each, and remember it, since an import or a callback may swallow the exception."""
    if threading.current_thread() is threading.main_thread():
        for number in _heeded():
            signal.signal(number, _interrupt)


def _heeded() -> list[signal.Signals]:
    """Return the signals that are requests to end: not SIGHUP, where `nohup` has this process go on after it."""
    return [each for each in _SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]


def end_the_process() -> bool:
    """Return whether a request to end is one for the whole process, which is a command."""
    return signal.getsignal(signal.SIGINT) is _interrupt


def raise_if_asked() -> None:
    """Raise KeyboardInterrupt if there was a request to end whose exception was swallowed."""
    if _asked.is_set():
        raise KeyboardInterrupt


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore the handlers of signals after the block, in which Ray and Tune may set others."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # A handler that Python did not set cannot be restored, and Python has not replaced it.
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


@contextmanager
def not_for_children() -> Iterator[None]:
    """Make the processes that are started during the block, and those that these start, ignore SIGTERM and SIGHUP.

    All processes may get them at once, and a Ray that ends before its sweep takes the sweep's process along. SIGINT Ray
    keeps from its processes itself.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SENT_TO_ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def ending_on_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` at the first request during the block, and raise at a second. One that was swallowed before counts.

    Signals that come together, within `SECONDS_TOGETHER`, are one request.

    It does nothing in other threads than the main one, since they get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    asked = False

    def end_in_order(number: int, frame: Any) -> None:
        nonlocal asked
        if not _requests.is_new():
            return
        if asked:
            restore()
            _requests.forget()  # for the handler that is there again
            signal.raise_signal(number)
        else:
            asked = True
            end()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, end_in_order) for number in _heeded()}
    try:
        if _asked.is_set():
            asked = True
            end()
        yield
    finally:
        restore()


def _interrupt(number: int, frame: Any) -> None:
    _asked.set()
    if _requests.is_new():
        raise KeyboardInterrupt
