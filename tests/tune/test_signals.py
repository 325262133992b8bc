"""Requests to end are neither lost nor answered with a trace."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dd_ray.tune import signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EACH = pytest.mark.parametrize("number", SIGNALS)


@pytest.fixture(autouse=True)
def as_before():
    """Handlers and memory of this process as they were."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which is ignored where `nohup` runs the tests
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signals._asked.clear()
    signals._requests.forget()


@EACH
def test_a_request_is_an_interrupt(number):
    signals.expect_signals()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@EACH
def test_signals_that_come_together_are_one_request(number):
    """As where a batch system tells all processes, and one of them tells another once more."""
    signals.expect_signals()
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), number)
    assert asked == [1]


@EACH
def test_the_first_request_ends_in_order_and_the_second_at_once(number, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: now[0]))
    signals.expect_signals()
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        os.kill(os.getpid(), number)
        assert asked == [1]
        now[0] = signals.SECONDS_TOGETHER
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
        signals._requests.forget()
        with pytest.raises(KeyboardInterrupt):  # it is the second request, then
            os.kill(os.getpid(), signal.SIGINT)
    assert asked == [1]


def test_a_command_under_nohup_goes_on_when_its_terminal_is_closed():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signals.expect_signals()
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)
    assert not asked


def test_without_a_request_nothing_ends():
    asked = []
    with signals.ending_on_signals(lambda: asked.append(1)):
        pass
    assert not asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_children_do_not_heed_a_request_to_terminate(number):
    with signals.not_for_children():
        child = subprocess.Popen(["sleep", "60"])
    other = subprocess.Popen(["sleep", "60"])
    for process in (child, other):
        process.send_signal(number)
    assert other.wait(10) == -number
    assert child.poll() is None
    child.kill()
    assert child.wait(10) == -signal.SIGKILL


SAYS = "from dd_ray.tune.last_words import last_words; import os\nwith last_words('Farewell.'):"


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        (" os._exit(1)", 1, "\nFarewell.\n"),
        (" os.kill(os.getpid(), 9)", -9, "\nFarewell.\n"),
        (" os.killpg(0, 15)", -15, "\nFarewell.\n"),
        (" pass\nos._exit(3)", 3, ""),
        (" raise SystemExit(2)", 2, ""),
    ],
)
def test_the_last_words_of_a_process_that_is_ended_are_said(ends, code, said):
    done = subprocess.run(
        [sys.executable, "-c", SAYS + ends],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, said)
