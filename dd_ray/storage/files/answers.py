"""Limits the wait for a file system, since one whose server is gone blocks for ever."""

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any, TypeVar

SECONDS_TO_ANSWER = 40.0
"""A disk that writes back what others wrote takes some seconds; a server that changes over to another one, up to 30."""
Result = TypeVar("Result")


class BlockedError(OSError):
    """A storage does not answer. What it was asked to write may still be written later."""

    def __init__(self, location: str, seconds: float) -> None:
        super().__init__(errno.ETIMEDOUT, f"no answer within {seconds:.0f} s", location)
        self._made_of = location, seconds

    def __reduce__(self) -> tuple[type["BlockedError"], tuple[str, float]]:
        """Let it be raised in another process: an OSError is otherwise made again of what this one gives it."""
        return type(self), self._made_of


class Answers:
    """Calls of one storage that are waited for, each in a thread of its own, since nothing else can be given up.

    While one that was given up is still not answered, all others fail at once.

    Args:
        seconds: after which a call is given up; `SECONDS_TO_ANSWER` where they are not given.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._given_up: list[Future[Any]] = []

    def wait_for(self, call: Callable[[], Result], location: str) -> Result:
        """Call it, and return what it returns.

        Raises:
            BlockedError: it has not, or one before it has not yet.
            Exception: whatever the call raises.
        """
        seconds = SECONDS_TO_ANSWER if self._seconds is None else self._seconds
        self._given_up = [earlier for earlier in self._given_up if not earlier.done()]
        if self._given_up:
            raise BlockedError(location, seconds)
        outcome: Future[Result] = Future()
        threading.Thread(target=_do, args=(call, outcome), name="storage", daemon=True).start()
        try:
            wait([outcome], seconds)
        except BaseException:  # an interrupt, after which the caller may take away what is being written
            wait([outcome], seconds)
            raise
        if not outcome.done():
            self._given_up.append(outcome)
            raise BlockedError(location, seconds)
        return outcome.result()


def _do(call: Callable[[], Result], outcome: "Future[Result]") -> None:
    try:
        result = call()
    except BaseException as error:  # raised again where it is waited for
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


def is_blocked(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, is a storage that does not answer."""
    return any(isinstance(each, BlockedError) for each in with_causes(error))


def with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and then those that led to it, the latest first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
