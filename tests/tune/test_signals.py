"""Requests to end are neither lost nor answered with a trace."""

import os
import signal

import pytest

from dd_ray.tune import signals

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture(autouse=True)
def as_before():
    """Handlers and memory of this process as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._asked.clear()


@BOTH
def test_a_request_is_an_interrupt(number):
    signals.expect_signals()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@BOTH
def test_the_first_request_ends_in_order_and_the_second_at_once(number):
    signals.expect_signals()
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        os.kill(os.getpid(), number)
        assert asked == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert asked == [1]


def test_a_request_that_was_swallowed_counts_later():
    signals.expect_signals()
    with pytest.raises(KeyboardInterrupt):  # as an import may
        os.kill(os.getpid(), signal.SIGINT)
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        assert asked == [1]


def test_without_a_request_nothing_ends():
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        pass
    assert not asked
