"""The states of a trial, with a way back from a damaged one."""

from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import TrialFolder
from dd_ray.training import TrialState, load_state


def latest_state(trial: TrialFolder) -> tuple[TrialState | None, list[str]]:
    """The latest state of a trial that is whole, and why later ones were not used; None where there is none."""
    notes: list[str] = []
    for iteration in trial.states():
        try:
            return load_state(trial.state(iteration)), notes
        except UserError as error:
            notes.append(f"the state of iteration {iteration} is not used, but what was before: {error}")
    return None, notes
