"""Requests to end: Ctrl-C, and the SIGTERM of batch systems and containers."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_asked = threading.Event()


def expect_signals() -> None:
    """Raise KeyboardInterrupt on either of them, and remember it: an import or a callback may swallow the exception."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, _interrupt)


@contextmanager
def ending_on_signals(end: Callable[[], None]) -> Iterator[None]:
    """While it lasts, the first request calls `end`, and a second one raises. One that was swallowed before counts."""

    def end_in_order(number: int, frame: Any) -> None:
        restore()
        end()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, end_in_order) for number in _SIGNALS}
    try:
        if _asked.is_set():
            end()
        yield
    finally:
        restore()


def _interrupt(number: int, frame: Any) -> None:
    _asked.set()
    raise KeyboardInterrupt
