"""The shell around a sweep's trial in a worker's process."""

import logging
from collections.abc import Iterator

import pytest

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
