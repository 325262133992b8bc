"""Chooses the training stream of a sweep's trials.

Seeds vary the data, too: a trial's stream is that of its own seed, which all cells of the seed share, so that an
interval over seeds covers other data as well. `--dataset-seed N` gives all trials one stream, as sweeps of earlier
versions had; such sweeps keep theirs.
"""

from dd_ray.config.options import Axes
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.options import SweepOptions


def with_stream(axes: Axes, options: SweepOptions) -> Axes:
    """Add `dataset_seed` to axes: the one given, else that of the sweep, else None, which is each trial's seed."""
    if axes.get("dataset_seed"):
        return axes
    return {**axes, "dataset_seed": _before(options) or (None,)}


def _before(options: SweepOptions) -> tuple[int | None, ...]:
    """Return the seed that an existing sweep was given. Sweeps on an object store are not read: give it again there."""
    if "://" in options.storage:
        return ()
    sweep = SweepFolder.at(sweep_location(options.storage, options.name))
    try:
        manifest = sweep.manifest()
    except DamagedError:  # the command sets it aside, and trials have configs of their own
        return _of_trials(sweep)
    return tuple(manifest["axes"].get("dataset_seed", ())) if manifest else ()


def _of_trials(sweep: SweepFolder) -> tuple[int | None, ...]:
    """Return what the first readable trial has; empty if there is none."""
    for trial in sweep.trials():
        try:
            return (trial.describe()["config"].get("dataset_seed", 0),)
        except (DamagedError, FileNotFoundError):
            continue
    return ()
