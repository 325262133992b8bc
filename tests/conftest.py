"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The networks are small, and tests may run beside each other: more threads only get in each other's way. PyTorch and
# scikit-learn read when they are loaded how many they may have.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings
from tqdm import tqdm

from dd_ray.config.extensions import loaded, unload
from tests.storage.object_store import object_store

__all__ = ["object_store"]

# No power is cut during a test, so that it need not wait for a disk; a file that is closed is an error as ever.
os.fsync = os.fstat

# A thread of tqdm looks at all bars every 10 s, and fails if one is made or dropped meanwhile: whatever test runs then.
tqdm.monitor_interval = 0

# Tables are as wide as in a pipe, also where whoever runs the tests says how wide his terminal is.
os.environ.pop("COLUMNS", None)

settings.register_profile("seeded", derandomize=True, deadline=None, database=None)
settings.load_profile("seeded")

LEFT_OUT = pytest.StashKey[int]()
"""How many slow tests a process has left out of those that it found."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests, unless they are asked for by their marker or by name; those on a Ray come first.

    So that of several processes the first one runs them, with one Ray for all of them, and the others take over from
    the end of what it has.
    """
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)
    asked_for = "slow" in config.option.markexpr or any("::" in argument for argument in config.args)
    left_out = [] if asked_for else [item for item in items if item.get_closest_marker("slow")]
    config.stash[LEFT_OUT] = len(left_out)
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of several processes, each tells the first one what it has left out."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """All of several processes find the same tests, so that one of them tells for all."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line what was left out, and how it is run."""
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{count} slow tests were left out; `python -m pytest -m slow` runs them")


@pytest.fixture(autouse=True)
def extensions_of_a_test() -> Iterator[None]:
    """What a test declares by a file of its own is withdrawn after it, or all later tests would have it."""
    before = {extension.name for extension in loaded()}
    yield
    for extension in loaded():
        if extension.name not in before:
            unload(extension.name)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What draws from PyTorch's own generator draws the same each time.

    `torch.manual_seed` also keeps a traceback for GPUs that are not there, which takes a millisecond.
    """
    import torch  # not above: the process that only hands out tests, before it starts the others, need not have it

    torch.default_generator.manual_seed(0)


@pytest.fixture
def few_stills() -> Iterator[None]:
    """Scores of 500 still pictures, which take a fraction of the time of 10,000; this process alone knows."""
    from dd_ray.evaluation import scores, stills

    with pytest.MonkeyPatch.context() as patch:  # of its own, since a test may undo what it has patched itself
        patch.setattr(stills, "NUM_STILLS", 500)
        patch.setattr(stills, "_test_stills", stills._test_stills.__wrapped__)
        patch.setattr(scores, "_untrained", {})
        yield


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder with the original study's images, outputs, checkpoints and numbers."""
    folder = os.environ.get("DD_RAY_REFERENCE")
    if not folder:
        pytest.skip("needs the original's numbers: set DD_RAY_REFERENCE to the folder with model_outputs.npz")
    return Path(folder)
