"""Begins the trials of a sweep with the weights of a trial of another one, in place of those of their seeds."""

from dd_ray.config.options import Axes
from dd_ray.errors import UserError
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.starts import PLACE, WEIGHTS, start_named
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.options import SweepOptions


def with_start(axes: Axes, options: SweepOptions) -> Axes:
    """Add `warm_start_weights` to axes that have `warm_start`, and put that into its full form; leave other axes alone.

    Raises:
        UserError: several places are given, or there are no such weights there.
    """
    places = axes.get(PLACE, ())
    if not places:
        return axes
    if len(places) > 1:
        raise UserError(f"{PLACE} = {' '.join(places)}: a sweep begins with the weights of one trial; give one.")
    start = start_named(places[0], SweepFolder.at(sweep_location(options.storage, options.name)))
    if axes.get(WEIGHTS, (start.weights,)) not in ((), (start.weights,)):
        raise UserError(f"{PLACE} = {places[0]} has the weights {start.weights}, not {' '.join(axes[WEIGHTS])}.")
    return {**axes, PLACE: (start.place,), WEIGHTS: (start.weights,)}
