"""Keeps the held-out data for the trials of a process."""

from typing import Any

from dd_ray.config import TrialConfig, data_config
from dd_ray.data import Batch, Dataset

_rendered: dict[tuple[Any, ...], tuple[Batch, Batch | None]] = {}
MOST_RENDERED = 4
"""Number of datasets whose held-out sets are kept; a pack may train on a few at a time."""


def held_out_sets(config: TrialConfig, dataset: Dataset) -> tuple[Batch, Batch | None]:
    """Return the held-out set and the seen one, rendered once for all trials of this process that share their data."""
    key = (data_config(config.data), config.num_test)
    if key not in _rendered:
        if len(_rendered) == MOST_RENDERED:
            del _rendered[next(iter(_rendered))]
        _rendered[key] = dataset.test_set(), dataset.seen_set()
    return _rendered[key]
