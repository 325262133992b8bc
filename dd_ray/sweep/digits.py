"""Keeps the values of sweeps that were given as numbers of 32 bits, such as NumPy's float32.

`np.float32(0.1)` means 0.1. Earlier versions took it as 0.10000000149011612, which is in the keys of their sweeps.
"""

from typing import Any

import numpy as np

from dd_ray.config.options import Axes
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.options import SweepOptions


def with_digits(axes: Axes, options: SweepOptions) -> Axes:
    """Replace values by what an existing sweep has for them. Sweeps on an object store are not read."""
    if "://" in options.storage:
        return axes
    try:
        before = SweepFolder.at(sweep_location(options.storage, options.name)).manifest()
    except DamagedError:  # the command sets it aside
        before = None
    known = before["axes"] if before else {}
    return {name: tuple(_as_known(value, known.get(name, ())) for value in values) for name, values in axes.items()}


def _as_known(value: Any, known: list[Any]) -> Any:
    if not isinstance(value, float) or value in known:
        return value
    stored = np.float32(value).item()
    return stored if stored in known else value
