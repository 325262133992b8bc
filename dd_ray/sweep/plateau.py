"""Says when a trial is at a plateau: it has not improved for some evaluations in a row."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """A rule that ends a trial, as EarlyStopping of Keras and of Lightning do.

    It follows from the recorded evaluations alone, so that a trial that goes on ends where an undisturbed one does.
    """

    metric: str
    better: Literal["min", "max"]
    patience: int
    """The number of evaluations in a row without an improvement that end a trial."""
    min_delta: float
    """An evaluation improves if it is better than the best one before it by more than this."""
    since: int
    """Iteration of the first evaluation that counts."""

    def is_reached(self, evaluations: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether a trial with these evaluations, in the order of iterations, has been at a plateau.

        An evaluation without a value of the metric does not improve.
        """
        best, waited = math.inf, 0
        for evaluation in evaluations:
            if evaluation["iteration"] < self.since:
                continue
            value = evaluation.get(self.metric)
            loss = math.nan if value is None else value if self.better == "min" else -value
            improves = loss + self.min_delta < best
            best, waited = (loss, 0) if improves else (best, waited + 1)
            if waited >= self.patience:
                return True
        return False

    def can_be_reached(self, evaluate_at: Iterable[int]) -> bool:
        """Return whether a trial with these evaluations can end before the last of them."""
        return sum(iteration >= self.since for iteration in evaluate_at) > self.patience + 1

    def __str__(self) -> str:
        number = "an evaluation" if self.patience == 1 else f"{self.patience} evaluations in a row"
        than = f" by more than {self.min_delta:g}" if self.min_delta else ""
        return (
            f"a trial ends at a plateau: after {number}, from iteration {self.since:,} on, without {self._better}{than}"
        )

    @property
    def _better(self) -> str:
        return f"{'lower' if self.better == 'min' else 'higher'} {self.metric}"
