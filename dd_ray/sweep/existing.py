"""Goes on with the values that a sweep of the same name has.

Seeds vary the data, too: a trial's training stream is that of its own seed, which all cells of the seed share, so that
an interval over seeds covers other data as well. `--dataset-seed N` gives all trials one stream, as sweeps of earlier
versions had; such sweeps keep theirs.

`np.float32(0.1)` means 0.1. Earlier versions took it as 0.10000000149011612, which is in the keys of their sweeps; such
sweeps keep it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dd_ray.config.options import Axes
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.options import SweepOptions


def as_existing(axes: Axes, options: SweepOptions) -> Axes:
    """Replace values by those that an existing sweep has for them, and add `dataset_seed` where it is not given.

    It is that of the sweep, else None, which is each trial's seed.
    """
    known = _axes_of_existing(options)
    kept = {name: tuple(_as_known(value, known.get(name, ())) for value in values) for name, values in axes.items()}
    return {**kept, "dataset_seed": kept.get("dataset_seed") or tuple(known.get("dataset_seed", ())) or (None,)}


def _axes_of_existing(options: SweepOptions) -> Mapping[str, Sequence[Any]]:
    """Return the values that an existing sweep has. Those on an object store are not read: give them again there."""
    if "://" in options.storage:
        return {}
    sweep = SweepFolder.at(sweep_location(options.storage, options.name))
    try:
        manifest = sweep.manifest()
    except DamagedError:  # the command sets it aside, and trials have configs of their own
        return {"dataset_seed": _stream_of_trials(sweep)}
    return manifest["axes"] if manifest else {}


def _stream_of_trials(sweep: SweepFolder) -> tuple[int | None, ...]:
    """Return the `dataset_seed` of the first readable trial; empty if there is none."""
    for trial in sweep.trials():
        try:
            return (trial.describe()["config"].get("dataset_seed", 0),)
        except (DamagedError, FileNotFoundError):
            continue
    return ()


def _as_known(value: Any, known: Sequence[Any]) -> Any:
    if not isinstance(value, float) or value in known:
        return value
    with np.errstate(over="ignore"):  # the largest numbers are none of its
        stored = np.float32(value).item()
    return stored if stored in known else value
