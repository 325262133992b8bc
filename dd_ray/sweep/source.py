"""Sources of the trials of a running sweep: a grid's list here, those that a search suggests in `suggested`."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from dd_ray.sweep.planned import PlannedTrial


class Source(Protocol):
    """Hands out the trials that are left, one by one, and is told how they end."""

    @property
    def num_left(self) -> int:
        """The number of trials of a grid, or of suggestions of a search, that are left to do."""
        ...

    @property
    def num_trials(self) -> int:
        """The most trials that it may hand out."""
        ...

    @property
    def known(self) -> Sequence[PlannedTrial]:
        """Trials that it will hand out, as far as they are known before any has ended."""
        ...

    @property
    def waits(self) -> bool:
        """True if there will be trials to hand out when others have ended."""
        ...

    def next_trial(self) -> PlannedTrial | None:
        """Return a trial to be trained, or None if there is none now."""
        ...

    def keys(self) -> set[str]:
        """Return the keys of its trials, including ended ones."""
        ...

    def deciding_keys(self) -> set[str]:
        """Return the keys of the trials that a scheduler compares with each other."""
        ...

    def decides(self, key: str) -> bool:
        """Return whether a scheduler compares this trial, and may stop it."""
        ...

    def trial_evaluated(self, key: str) -> None:
        """Take note of an evaluation, which has been stored."""
        ...

    def trial_ended(self, key: str) -> None:
        """Take note of an outcome, which has been stored."""
        ...


class Listed:
    """The trials of a grid, in their order.

    Args:
        trials: all of them.
        left: those that are still to be trained.
    """

    waits = False

    def __init__(self, trials: Sequence[PlannedTrial], left: Sequence[PlannedTrial]) -> None:
        self.known = tuple(left)
        self._keys = {trial.key for trial in trials}
        self._queue = deque(left)

    @property
    def num_left(self) -> int:
        """Number of trials that are still to be trained."""
        return len(self.known)

    @property
    def num_trials(self) -> int:
        """The same as `num_left`."""
        return len(self.known)

    def next_trial(self) -> PlannedTrial | None:
        """Return the next trial of the list."""
        return self._queue.popleft() if self._queue else None

    def keys(self) -> set[str]:
        """Return the keys of the whole grid."""
        return self._keys

    def deciding_keys(self) -> set[str]:
        """Return the keys of the whole grid."""
        return self._keys

    def decides(self, key: str) -> bool:
        """Return True for each trial."""
        return True

    def trial_evaluated(self, key: str) -> None:
        """Do nothing, as it changes no list."""

    def trial_ended(self, key: str) -> None:
        """Do nothing, as it changes no list."""
