"""What a trial in training tells whoever watches it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from dd_ray.storage.sweep_folder import State

_KEY = "report"
"""Of a result of Ray Tune, what `TrialReport.from_tune` reads."""


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """How far a trial came, and what it found there."""

    iteration: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of an evaluation at this iteration, which is durable by now; empty between evaluations, and where it diverged."""
    state: State | None = None
    """How the trial ended; None while it goes on."""
    notes: tuple[str, ...] = ()
    """What whoever watches should know, said once."""
    storage_full: str | None = None
    """The error of a storage without space, which ends the sweep and not the trial."""
    storage_blocked: str | None = None
    """The error of a storage that does not answer, which does so too."""

    def to_tune(self) -> dict[str, Any]:
        """The result that Ray Tune gets: schedulers read the metrics, and `done` ends the trial."""
        done = self.state is not None
        return {**self.metrics, "iteration": self.iteration, "done": done, _KEY: asdict(self)}

    @classmethod
    def from_tune(cls, result: Mapping[str, Any] | None) -> Self:
        """The report that a result of Ray Tune holds; one of iteration 0 where a trial has none yet."""
        return cls(**result[_KEY]) if result and _KEY in result else cls(iteration=0)
