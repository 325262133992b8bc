"""The shell around a sweep's trial in a worker's process."""

import errno
import logging
import os
from collections.abc import Iterator

import pytest

from dd_ray.trial.report import TrialReport
from dd_ray.tune.trial_trainable import TrialTrainable


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Ray's logger of checkpoints, as a worker has it."""
    logger, storage = logging.getLogger("ray.train"), logging.getLogger("ray.train._internal.storage")
    level = logger.level
    logger.setLevel(logging.INFO)
    yield storage
    logger.setLevel(level)


def test_a_worker_tells_of_no_checkpoint_since_they_are_empty(logger: logging.Logger) -> None:
    TrialTrainable.setup(TrialTrainable.__new__(TrialTrainable), {})
    assert not logger.isEnabledFor(logging.INFO)
    assert logger.isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(("number", "storage"), [(errno.ENOSPC, "storage full"), (errno.EROFS, "storage read-only")])
def test_a_storage_that_cannot_be_written_is_reported_and_is_no_failure_of_the_trial(
    monkeypatch: pytest.MonkeyPatch, number: int, storage: str
) -> None:
    def take_up(trial: TrialTrainable) -> None:
        raise OSError(number, os.strerror(number), "state.npz")

    monkeypatch.setattr(TrialTrainable, "_take_up", take_up)
    trial = TrialTrainable.__new__(TrialTrainable)
    trial.setup({})
    assert TrialReport.from_tune(trial.step()).storage == storage
