"""Which training stream the trials of a sweep see.

Seeds vary the data too: a trial's stream is that of its own seed, all cells of a seed sharing it, so that an interval
over seeds says something of other data as well. `--dataset-seed N` gives all trials one stream, as sweeps had before
streams followed the seed; these keep theirs.
"""

from dd_ray.config.options import Axes
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.options import SweepOptions


def with_stream(axes: Axes, options: SweepOptions) -> Axes:
    """The axes with a `dataset_seed`: the one that is given, the one that the sweep has, or None, each trial's seed."""
    if axes.get("dataset_seed"):
        return axes
    return {**axes, "dataset_seed": _before(options) or (None,)}


def _before(options: SweepOptions) -> tuple[int | None, ...]:
    """What a sweep that goes on was given. One on an object store is not asked: it has to be given it again."""
    if "://" in options.storage:
        return ()
    sweep = SweepFolder.at(sweep_location(options.storage, options.name))
    try:
        manifest = sweep.manifest()
    except DamagedError:  # the command sets it aside; the trials themselves say what they are
        return _of_trials(sweep)
    return tuple(manifest["axes"].get("dataset_seed", ())) if manifest else ()


def _of_trials(sweep: SweepFolder) -> tuple[int | None, ...]:
    """What the first trial says that can be read; nothing where there is none."""
    for trial in sweep.trials():
        try:
            return (trial.describe()["config"].get("dataset_seed", 0),)
        except (DamagedError, FileNotFoundError):
            continue
    return ()
