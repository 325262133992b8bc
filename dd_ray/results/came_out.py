"""What came out of a plan, as its command prints it: the trials of a grid here, of a search in `suggestions`."""

from collections.abc import Collection
from typing import Protocol

import pandas as pd

from dd_ray.results.sentences import sentences
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.plan import Plan


class CameOut(Protocol):
    """Made of a plan and its sweep once nothing runs any more; files beside the table of trials are written then."""

    @property
    def keys(self) -> Collection[str]:
        """Keys of the trials that the plan asked for."""
        ...

    def print_more(self, trials: pd.DataFrame) -> None:
        """Print what there is to say after the table of cells; `trials` are those of `keys`, a row each."""
        ...

    def left(self, trials: pd.DataFrame) -> str:
        """What is left to do, in words, empty where nothing is; `trials` are those of `keys`, a row each."""
        ...


class TrialsCameOut:
    """The trials of a grid."""

    def __init__(self, plan: Plan, sweep: SweepFolder) -> None:
        self.keys = plan.keys
        self._tells = plan.study.tells

    def print_more(self, trials: pd.DataFrame) -> None:
        """What came out, in sentences."""
        for sentence in sentences(trials, self._tells):
            print(sentence, flush=True)

    def left(self, trials: pd.DataFrame) -> str:
        """Those that were interrupted, or never begun."""
        return counted(int(trials["state"].isin(["unfinished", "missing"]).sum()), "trial")


def counted(number: int, what: str) -> str:
    """`3 trials`; empty for none."""
    return f"{number} {what}{'s' if number != 1 else ''}" if number else ""
