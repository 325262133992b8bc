"""A plugin of pytest for a sitting: `-p tests.benchmarks.gpu.each_test --out DIR` tells of each test as it ends.

So what has passed or failed is known where the tests are ended by the clock, and those that have passed are not run
again. A process whose GPU is lost, in which all further tests would fail, ends; pytest-xdist starts another.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.gpu.record import tell, told

TEST = "test "
"""Before a test's name, in that of its result."""
PASSED = pytest.StashKey[list[str]]()
"""Those that had passed in earlier sittings."""
LINES = 12
"""Of a failure that are told: the last ones."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the folder of the results."""
    parser.addoption("--out", type=Path, required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Tell in the one process that hears of all tests; what had passed before is the same for all of them."""
    given, out = getattr(config, "workerinput", None), config.getoption("--out")
    config.stash[PASSED] = given[TEST] if given else [result["case"] for result in told(out) if result.get("passed")]
    config.pluginmanager.register(_EndsWithoutGpu() if given else _Tells(out))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process, also one that takes the place of another, what had passed."""
    node.workerinput[TEST] = node.config.stash[PASSED]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what had passed."""
    passed = set(config.stash[PASSED])
    config.hook.pytest_deselected(items=[item for item in items if TEST + item.nodeid in passed])
    items[:] = [item for item in items if TEST + item.nodeid not in passed]


class _Tells:
    def __init__(self, out: Path) -> None:
        self._out = out

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            said = report.longreprtext.splitlines()[-LINES:]
            tell(self._out, TEST + report.nodeid, passed=False, when=report.when, said=said)
        elif report.passed and report.when == "call":
            tell(self._out, TEST + report.nodeid, passed=True, seconds=round(report.duration, 2))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """That none is left to run is no failure, where all have passed before."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash[PASSED]:
            session.exitstatus = pytest.ExitCode.OK


class _EndsWithoutGpu:
    def __init__(self) -> None:
        self._is_lost = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._is_lost |= report.failed and _is_lost()

    def pytest_runtest_logfinish(self) -> None:
        if self._is_lost:
            os._exit(1)


def _is_lost() -> bool:
    """Return whether the GPU has become unusable for this process."""
    import torch

    try:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
