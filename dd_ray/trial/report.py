"""The report of a trial in training to its scheduler and the sweep."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from dd_ray.storage.files import Trouble
from dd_ray.storage.records import State

_KEY = "report"
"""The key in a result of Ray Tune that holds the report."""


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """The iteration that a trial has reached, and its metrics there."""

    iteration: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of an evaluation at this iteration, which is durable; empty between evaluations, and after divergence."""
    state: State | None = None
    """The state in which the trial ended; None while it goes on."""
    notes: tuple[str, ...] = ()
    """Messages for the user, each reported once."""
    storage: Trouble | None = None
    """What is wrong with the storage, which ends the sweep and not the trial."""

    def to_tune(self) -> dict[str, Any]:
        """Return the result for Ray Tune: schedulers read the metrics, and `done` ends the trial."""
        done = self.state is not None
        return {**self.metrics, "iteration": self.iteration, "done": done, _KEY: asdict(self)}

    @classmethod
    def from_tune(cls, result: Mapping[str, Any] | None) -> Self:
        """Return the report in a result of Ray Tune; one of iteration 0 if the trial has no result yet."""
        return cls(**result[_KEY]) if result and _KEY in result else cls(iteration=0)
