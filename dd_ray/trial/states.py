"""Loads the states of a trial, and goes back to an earlier one if the latest is damaged."""

from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.storage.files import NoFileError
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.training import TrialState, load_state


def latest_state(trial: TrialFolder) -> tuple[TrialState | None, list[str]]:
    """Return a trial's latest sound state, None if there is none; and why later states were not used."""
    notes: list[str] = []
    for iteration in trial.states():
        try:
            return state_at(trial, iteration), notes
        except UserError as error:
            notes.append(f"the state of iteration {iteration} is not used, but the one before it: {error}")
    return None, notes


def state_at(trial: TrialFolder, iteration: int) -> TrialState:
    """Load the state of a trial at an iteration.

    Raises:
        UserError: it is damaged, belongs to another trial or iteration, or was removed meanwhile.
    """
    try:
        state = load_state(trial.state(iteration))
    except FileNotFoundError as error:
        raise UserError("it was removed meanwhile.") from error
    except NoFileError as error:
        raise UserError(f"{error}; move it away.") from error
    if not _is_of(trial, state.config) or state.iteration != iteration:
        raise UserError(f"it is that of iteration {state.iteration} of trial {state.config.key}.")
    return state


def _is_of(trial: TrialFolder, config: TrialConfig) -> bool:
    """Return whether a config is the trial's: by its key or, where a default was edited since, which keys leave out,
    by the values that were recorded.
    """
    return config.key == trial.key or config.key == TrialConfig.from_dict(trial.describe()["config"]).key
