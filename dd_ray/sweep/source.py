"""Where the trials of a sweep come from while it runs: a grid's list here, a search's suggestions in `suggestions`."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from dd_ray.sweep.planned import PlannedTrial


class Source(Protocol):
    """Hands out the trials that are left, one by one, and hears what becomes of them."""

    @property
    def num_left(self) -> int:
        """How much is left to do: trials of a grid, suggestions of a search."""
        ...

    @property
    def num_trials(self) -> int:
        """How many trials it may hand out."""
        ...

    @property
    def known(self) -> Sequence[PlannedTrial]:
        """Trials that it will hand out and that are known before anything has ended."""
        ...

    @property
    def waits(self) -> bool:
        """Whether there will be trials to hand out when others have ended."""
        ...

    def next_trial(self) -> PlannedTrial | None:
        """A trial to be trained, or None when there is none now."""
        ...

    def keys(self) -> set[str]:
        """Keys of the trials that it has, ended ones among them."""
        ...

    def deciding_keys(self) -> set[str]:
        """Keys of those that a scheduler compares with each other."""
        ...

    def decides(self, key: str) -> bool:
        """Whether a scheduler compares this trial, and may stop it."""
        ...

    def trial_evaluated(self, key: str) -> None:
        """Take note of an evaluation, which is on disk by now."""
        ...

    def trial_ended(self, key: str) -> None:
        """Take note of an outcome, which is on disk by now."""
        ...


class Listed:
    """The trials of a grid, in their order.

    Args:
        trials: all of them.
        left: those that are to be trained.
    """

    waits = False

    def __init__(self, trials: Sequence[PlannedTrial], left: Sequence[PlannedTrial]) -> None:
        self.known = tuple(left)
        self._keys = {trial.key for trial in trials}
        self._queue = deque(left)

    @property
    def num_left(self) -> int:
        """How many trials are to be trained."""
        return len(self.known)

    @property
    def num_trials(self) -> int:
        """As `num_left`."""
        return len(self.known)

    def next_trial(self) -> PlannedTrial | None:
        """The next of the list."""
        return self._queue.popleft() if self._queue else None

    def keys(self) -> set[str]:
        """Those of the whole grid."""
        return self._keys

    def deciding_keys(self) -> set[str]:
        """Those of the whole grid."""
        return self._keys

    def decides(self, key: str) -> bool:
        """Each does."""
        return True

    def trial_evaluated(self, key: str) -> None:
        """Nothing follows from it."""

    def trial_ended(self, key: str) -> None:
        """Nothing follows from it."""
