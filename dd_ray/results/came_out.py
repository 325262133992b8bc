"""The results of a plan, as its command prints them: the trials of a grid here, those of a search in `suggestions`."""

from collections.abc import Collection
from typing import Protocol

import pandas as pd

from dd_ray.command_line import counted
from dd_ray.results.sentences import sentences
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.plan import Plan


class CameOut(Protocol):
    """The results of a plan, made when nothing runs any more. Making it writes files beside the table of trials.

    It is made of the plan, its sweep, and the rows of `dd_ray.results.table.load` of that sweep.
    """

    @property
    def keys(self) -> Collection[str]:
        """Keys of the trials that the plan asked for."""
        ...

    def print_more(self, trials: pd.DataFrame) -> None:
        """Print what follows the table of cells; `trials` are those of `keys`, a row each."""
        ...

    def left(self, trials: pd.DataFrame) -> str:
        """Say in words what is left to do, empty if nothing is; `trials` are those of `keys`, a row each."""
        ...


class TrialsCameOut:
    """The results of a grid."""

    def __init__(self, plan: Plan, sweep: SweepFolder, table: pd.DataFrame) -> None:
        self.keys = plan.keys
        self._plan, self._sweep = plan, sweep

    def print_more(self, trials: pd.DataFrame) -> None:
        """Print the results in sentences."""
        for sentence in sentences(trials, self._plan.study.tells):
            print(sentence, flush=True)

    def left(self, trials: pd.DataFrame) -> str:
        """Count the trials that the same command would train, other than those that failed."""
        failed = {*trials.loc[trials["state"] == "failed", "key"]}
        left = len(self._plan.trials_left(self._sweep, failed))
        return counted(left, "trial") if left else ""
