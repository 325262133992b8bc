"""Takes one trial from its stored state to its next evaluation, and stores the results.

Ray workers run this, but it does not depend on Ray; it needs PyTorch only if no pack trains its network.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from dd_ray.metrics import further_scores
from dd_ray.storage.records import State
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_attempts import TrialAttempt, begin_attempt, end_attempt
from dd_ray.storage.trial_records import Outcome, TakenOverError
from dd_ray.trial.report import TrialReport
from dd_ray.trial.trainer import Progress, Snapshot, Trainer, Work

SECONDS_PER_REPORT = 3.0
"""The longest time between two reports."""
SECONDS_PER_STATE = 60.0
"""The longest time between two saved states, which is the most training that a kill can lose."""


class TrialRun:
    """A trial that continues from its latest stored state, and stores the next ones.

    Args:
        work: the trial, and what to do.
        trainer: makes the trainer of its network; by default one in this process.
    """

    def __init__(self, work: Work, trainer: Callable[[Work], Trainer] | None = None) -> None:
        self.work = work
        self.folder = SweepFolder.open(work.sweep).trial(work.key)
        self.evaluations = self.folder.evaluations()
        self._attempt: TrialAttempt | None = begin_attempt(self.folder.files, _device_of(work), self.evaluated_at)
        self._reached = max(self.evaluated_at, 0)
        with self._recording_errors():
            self.trainer = (trainer or _local)(work)
            self._token = self.folder.take()
            self.evaluations = self.folder.evaluations()  # none if the trainer has begun it anew
        self.notes = self.trainer.notes
        self.clock = Clock.after(self.evaluations[-1] if self.evaluations else {})
        self._state_at = self.trainer.began_at
        self._saved = time.perf_counter()
        self._closed = self._ended = False
        self._reached = self.trainer.began_at

    @property
    def evaluated_at(self) -> int:
        """Iteration of the last recorded evaluation; -1 before the first."""
        return self.evaluations[-1]["iteration"] if self.evaluations else -1

    def advance(self, seconds: float = SECONDS_PER_REPORT) -> TrialReport:
        """Train until the next evaluation, or for some seconds, and report how far it came."""
        with self._recording_errors():
            report = self._advance(seconds)
        self._reached = report.iteration
        notes, self.notes = tuple(self.notes), []
        return replace(report, notes=notes)

    def close(self) -> None:
        """Save the latest state and close the files. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._ended:  # its state is that of its end, and a pack may have gone on since
                with suppress(TakenOverError, FileNotFoundError):  # another worker has the trial, or it was removed
                    self._save_latest_state()
                self._end_attempt("left")
        finally:
            self.trainer.close(self.evaluations[-1] if self.evaluations else None)

    def _advance(self, seconds: float) -> TrialReport:
        if self._has_diverged:  # before a kill, or a power cut that took the outcome
            return self._end("diverged", self.evaluated_at)
        if self._is_at_plateau:  # by what was recorded before, which a larger patience has let go on, or a kill
            return self._end("at_plateau", self.evaluated_at)
        progress = self.trainer.train(max(0.0, min(seconds, self._seconds_left)))
        self.clock.add(progress)
        if progress.diverged:
            return self._end("diverged", progress.iteration)
        if progress.snapshot is None:
            return self._between_evaluations(progress.iteration)
        return self._at_evaluation(progress.snapshot)

    def _between_evaluations(self, iteration: int) -> TrialReport:
        out_of_time = self._seconds_left <= 0
        if out_of_time or time.perf_counter() - self._saved > SECONDS_PER_STATE:
            self._save_latest_state()
        return self._end("out_of_time", iteration) if out_of_time else TrialReport(iteration=iteration)

    def _at_evaluation(self, snapshot: Snapshot) -> TrialReport:
        metrics = self._evaluate(snapshot)
        if not math.isfinite(snapshot.held_out.means["loss"]):
            return self._end("diverged", snapshot.iteration)
        if snapshot.iteration >= self.work.evaluate_at[-1]:
            return self._end("finished", snapshot.iteration, metrics)
        if self._is_at_plateau or self._seconds_left <= 0:
            return self._end("at_plateau" if self._is_at_plateau else "out_of_time", snapshot.iteration, metrics)
        return TrialReport(iteration=snapshot.iteration, metrics=metrics)

    @property
    def _has_diverged(self) -> bool:
        """True if the last recorded evaluation ends it, whose loss is then recorded as None."""
        return bool(self.evaluations) and self.evaluations[-1].get("loss", math.nan) is None

    @property
    def _is_at_plateau(self) -> bool:
        """True if its recorded evaluations end it before the last one."""
        rule = self.work.plateau
        return rule is not None and self.evaluated_at < self.work.evaluate_at[-1] and rule.is_reached(self.evaluations)

    @property
    def _seconds_left(self) -> float:
        """Of its time budget. Of an earlier run, what came after its last evaluation is not known, and not counted."""
        return math.inf if self.work.time_budget is None else self.work.time_budget - self.clock.total

    def _evaluate(self, snapshot: Snapshot) -> dict[str, float]:
        """Score a snapshot; then save its state, show the evaluation and record it, in this order.

        A kill in between leaves a state without its evaluation, which is then repeated, and points of TensorBoard
        without a record are purged. In another order, a state or a point could be lost.

        Returns:
            The metrics that are not NaN, since NaN cannot be compared.
        """
        with self.clock.evaluating():
            metrics = snapshot.held_out.metrics() | self._final_scores(snapshot.iteration)
        metrics |= self.clock.speeds(self.trainer.frames_per_step)
        with self.clock.evaluating():
            self._save_state(snapshot.iteration, snapshot.state)
            self.folder.check_owner(self._token)
            if snapshot.iteration > self.evaluated_at:
                row = {"iteration": snapshot.iteration, **self.clock.times(), **metrics}
                self.trainer.show(snapshot.iteration, metrics)
                self.evaluations.append(self.folder.record(row))
        self.clock.next_lap()
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    def _final_scores(self, iteration: int) -> dict[str, float]:
        """Compute the costly scores at the last evaluation, and add those of the untrained network to the first one.

        If a kill before the record makes them be computed again, they come out the same.
        """
        names = self.work.final_metrics
        if not names or iteration < self.work.evaluate_at[-1] or iteration <= self.evaluated_at:
            return {}
        code = self.trainer.code()
        if code is None:
            return {}
        scores, untrained = further_scores(names, code), self.trainer.untrained_scores(names)
        if not untrained.keys() <= self.folder.scores().get(0, {}).keys():
            self.folder.check_owner(self._token)
            self.folder.add_scores(0, untrained)
        return scores

    @contextmanager
    def _recording_errors(self) -> Iterator[None]:
        """Let an error of the block end the attempt."""
        try:
            yield
        except Exception as error:  # raised again; whatever it is, it is what ended the attempt
            self._end_attempt("error", f"{type(error).__name__}: {error}")
            raise

    def _end_attempt(self, how: str, error: str | None = None) -> None:
        """Record the end of this attempt, the first that there is."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            end_attempt(self.folder.files, attempt, how, self._reached, error)

    def _save_latest_state(self) -> None:
        latest = self.trainer.state(recorded=self.evaluated_at)
        if latest is not None and latest[0] != self._state_at:
            self._save_state(*latest)

    def _save_state(self, iteration: int, state: bytes) -> None:
        self.folder.check_owner(self._token)
        self.folder.save_state(iteration, state)
        self._state_at = iteration
        self._saved = time.perf_counter()

    def _end(self, state: State, iteration: int, metrics: Mapping[str, float] | None = None) -> TrialReport:
        self.folder.check_owner(self._token)
        seconds = self.clock.total if state == "out_of_time" else None
        self.folder.finish(Outcome(state=state, iteration=iteration, seconds=seconds))
        self._ended = True
        self._reached = iteration
        self._end_attempt(state)
        return TrialReport(iteration=iteration, metrics=metrics or {}, state=state)


def _local(work: Work) -> Trainer:
    # Not at the top, since a trial in a pack needs no PyTorch.
    from dd_ray.trial.local_trainer import LocalTrainer  # noqa: PLC0415

    return LocalTrainer(work)


def _device_of(work: Work) -> str:
    """Name the device of a trial: that which CUDA lets this process see, also where a pack trains it there."""
    if work.device == "cpu":
        return "cpu"
    return f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES', '')}".strip()


@dataclass
class Clock:
    """The times that a trial has taken, in seconds, summed over all runs that worked on it."""

    total: float = 0.0
    training_total: float = 0.0
    iterations: int = 0
    """Number of iterations since the last evaluation, and the seconds that they took."""
    lap: float = 0.0

    @classmethod
    def after(cls, evaluation: Mapping[str, Any]) -> Self:
        """Return the clock of a trial that continues after a recorded evaluation."""
        return cls(total=evaluation.get("seconds", 0.0), training_total=evaluation.get("training_seconds", 0.0))

    def add(self, progress: Progress) -> None:
        """Add the times of what a trainer did."""
        self.total += progress.training_seconds + progress.evaluating_seconds
        self.training_total += progress.training_seconds
        self.lap += progress.training_seconds
        self.iterations += progress.steps

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Count the time of the block as evaluation."""
        started = time.perf_counter()
        yield
        self.total += time.perf_counter() - started

    def next_lap(self) -> None:
        """Begin to count iterations from this evaluation on."""
        self.iterations, self.lap = 0, 0.0

    def times(self) -> dict[str, float]:
        """Return the times that are recorded with an evaluation, including its own except for writing the record."""
        return {"seconds": self.total, "training_seconds": self.training_total}

    def speeds(self, frames_per_step: int) -> dict[str, float]:
        """Return the speeds of training since the last evaluation."""
        if not self.iterations:
            return {}
        rate = self.iterations / self.lap
        return {"speed/iterations_per_second": rate, "speed/frames_per_second": rate * frames_per_step}
