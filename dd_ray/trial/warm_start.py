"""Makes the first state of a trial that begins with the weights of another one."""

from collections.abc import Iterable
from dataclasses import replace

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.storage.starts import Start, read_start, start_of
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.training import Trial, TrialState, load_state, shared_fields


def first_state(config: TrialConfig, sweep: SweepFolder) -> TrialState | None:
    """Return the state at iteration 0 of a trial of a sweep; None if it begins with the weights of its seed.

    Only weights are taken. The optimiser begins anew, and data, noise and schedules are those of iteration 0.

    Raises:
        UserError: the weights are gone or damaged, or those of another network.
    """
    start = start_of(config.to_dict())
    return None if start is None else _with_weights(config, start, load_state(read_start(start, sweep)))


def check_starts(configs: Iterable[TrialConfig], sweep: SweepFolder) -> None:
    """Make sure that the networks of all trials of a sweep take the weights that they begin with.

    Raises:
        UserError: one does not.
    """
    for config in {shared_fields(config): config for config in configs}.values():
        first_state(config, sweep)


def _with_weights(config: TrialConfig, start: Start, taken: TrialState) -> TrialState:
    own = Trial(config).state()
    shapes, theirs = (
        {name: tuple(tensor.shape) for name, tensor in weights.items()} for weights in (own.weights, taken.weights)
    )
    if shapes != theirs:
        differ = next(name for name in {**shapes, **theirs} if shapes.get(name) != theirs.get(name))
        raise UserError(
            f"{start} do not fit this network: {differ} is {_shape(theirs.get(differ))} there and "
            f"{_shape(shapes.get(differ))} here; give the same model, network and sizes, or leave out --from."
        )
    if not all(bool(weights.isfinite().all()) for weights in taken.weights.values()):
        raise UserError(f"{start} are not all finite; take those of another trial.")
    return replace(own, weights=taken.weights)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else "×".join(map(str, shape)) or "one number"
