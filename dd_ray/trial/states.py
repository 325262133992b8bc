"""The states of a trial, with a way back from a damaged one."""

from dd_ray.errors import UserError
from dd_ray.storage.files import NoFileError
from dd_ray.storage.sweep_folder import TrialFolder
from dd_ray.training import TrialState, load_state


def latest_state(trial: TrialFolder) -> tuple[TrialState | None, list[str]]:
    """The latest state of a trial that is whole and its own, and why later ones were not used; None for no state."""
    notes: list[str] = []
    for iteration in trial.states():
        try:
            return state_at(trial, iteration), notes
        except UserError as error:
            notes.append(f"the state of iteration {iteration} is not used, but what was before: {error}")
    return None, notes


def state_at(trial: TrialFolder, iteration: int) -> TrialState:
    """The state of a trial at an iteration.

    Raises:
        UserError: it is damaged, or that of another trial or iteration.
    """
    try:
        state = load_state(trial.state(iteration))
    except NoFileError as error:
        raise UserError(f"{error}; move it away.") from error
    if (state.config.key, state.iteration) != (trial.key, iteration):
        raise UserError(f"it is that of iteration {state.iteration} of trial {state.config.key}.")
    return state
