"""One cell in training: from its stored state to its next evaluation, and back to the storage.

This is what a Ray worker runs; it knows nothing of Ray.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch

from dd_ray.config import TrialConfig
from dd_ray.data import Batch, Dataset
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate, model_scores, untrained_scores
from dd_ray.sweep.board import Board
from dd_ray.sweep.states import latest_state
from dd_ray.sweep.store import Outcome, State, SweepFolder
from dd_ray.training import Stack, dump_state, keep_freed_memory

SECONDS_PER_REPORT = 3.0
"""Longest time without a sign of life to whoever watches."""
SECONDS_PER_STATE = 60.0
"""Longest training that is done again after a kill."""
MOST_PICTURED = 5
"""Evaluations of a cell that TensorBoard has pictures of; their sum is most of what it has to load."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker is to do: one cell, how far, and on what."""

    sweep: str
    """Folder or URL."""
    key: str
    evaluate_at: Sequence[int]
    device: str
    threads: int
    hparams: Sequence[str]
    """Config fields that TensorBoard lists runs by."""
    final_metrics: Sequence[str] = ()
    """Scores of `dd_ray.metrics.FURTHER` that the last evaluation has beside its own."""


class CellRun:
    """A cell that goes on from its latest state, and leaves the next ones behind."""

    def __init__(self, work: Work) -> None:
        keep_freed_memory()
        torch.set_num_threads(work.threads)
        sweep = SweepFolder.open(work.sweep)
        self.work = work
        self.folder = sweep.cell(work.key)
        state, self.notes = latest_state(self.folder)
        """The latter: what whoever watches should know, once."""
        self._token = self.folder.take()
        description = self.folder.describe()
        self.config = TrialConfig.from_dict(description["config"])
        self.stack = Stack(device=_device(work.device))
        self.trial = self.stack.add(self.config, state)  # without one, the cell begins anew, and comes to the same
        self.evaluations = self.folder.evaluations()
        self.clock = Clock.after(self.evaluations[-1] if self.evaluations else {})
        self._state_at: int | None = self.trial.iteration
        self._saved = time.perf_counter()
        hparams = {name: description["config"][name] for name in work.hparams}
        runs = sweep.files.at("tensorboard", description["label"])
        self.board = Board(runs, hparams, first_step=self.evaluated_at + 1)

    @property
    def evaluated_at(self) -> int:
        """Iteration of the last recorded evaluation; -1 before the first."""
        return self.evaluations[-1]["iteration"] if self.evaluations else -1

    def advance(self, seconds: float = SECONDS_PER_REPORT) -> dict[str, Any]:
        """Train until the next evaluation, or for some seconds, and say how far it came.

        Returns:
            `iteration` and `done`; at an evaluation also its metrics, which are durable by then; at the end
            the `state` that the cell ended in.
        """
        last = self.work.evaluate_at[-1]
        target = next((i for i in self.work.evaluate_at if i > self.evaluated_at), last)
        self._train(target, seconds)
        if self.trial.diverged:
            return self._end("diverged")
        if self.trial.iteration < target:
            if time.perf_counter() - self._saved > SECONDS_PER_STATE:
                self._save_state()
            return {"iteration": self.trial.iteration, "done": False}
        metrics = self._evaluate()
        if "loss" not in metrics:
            return self._end("diverged")
        if self.trial.iteration >= last:
            return metrics | self._end("finished")
        return metrics | {"iteration": self.trial.iteration, "done": False}

    def close(self) -> None:
        """Leave the latest state behind, and let go of the files."""
        if self._state_at not in (None, self.trial.iteration) and not self.trial.diverged:
            self._save_state()
        if self.evaluations:
            self.board.write_hparams(self.evaluations[-1])
        self.board.close()

    def _train(self, target: int, seconds: float) -> None:
        deadline = time.perf_counter() + seconds
        saved_at, self._state_at = self._state_at, None  # a step that raises leaves no state to save
        with self.clock.training():
            while self.trial.iteration < target and time.perf_counter() < deadline:
                self.stack.step()
                self.clock.iterations += 1
        self._state_at = saved_at

    def _evaluate(self) -> dict[str, float]:
        """Evaluate; then save the state, show the evaluation and record it, in this order.

        A kill in between leaves a state without its evaluation, which is then made up, and what TensorBoard
        has beyond the record is purged. The other way round would lose a state, or a point.

        Returns:
            The metrics that are numbers: NaN compares with nothing.
        """
        iteration = self.trial.iteration
        with self.clock.evaluating():
            result = evaluate(self.trial.model, self.config, _test_set(self.stack.dataset))
            scores = self._final_scores()
        metrics = result.metrics | scores | self.clock.speeds(self.config)
        with self.clock.evaluating():
            self._save_state()
            self.folder.check_owner(self._token)
            if iteration > self.evaluated_at:
                row = {"iteration": iteration, **self.clock.times(), **metrics}
                pictured = iteration in _pictured(self.work.evaluate_at)
                self.board.write(iteration, metrics, result.pictures if pictured else {})
                self.evaluations.append(self.folder.record(row))
        self.clock.next_lap()
        return {name: value for name, value in metrics.items() if math.isfinite(value)}

    def _final_scores(self) -> dict[str, float]:
        """The costly scores, at the last evaluation; those before training are added to the first one.

        What is computed a second time, after a kill before the evaluation was recorded, comes to the same.
        """
        names, iteration = self.work.final_metrics, self.trial.iteration
        if not names or iteration < self.work.evaluate_at[-1] or iteration <= self.evaluated_at:
            return {}
        scores = model_scores(self.trial.model, self.config, names)
        untrained = untrained_scores(self.config, names, self.stack.device)
        if scores and not untrained.keys() <= self.folder.scores().get(0, {}).keys():
            self.folder.check_owner(self._token)
            self.folder.add_scores(0, untrained)
        return scores

    def _save_state(self) -> None:
        self.folder.save_state(self.trial.iteration, dump_state(self.trial.state()))
        self._state_at = self.trial.iteration
        self._saved = time.perf_counter()

    def _end(self, state: State) -> dict[str, Any]:
        self.folder.check_owner(self._token)
        self.folder.finish(Outcome(state=state, iteration=self.trial.iteration))
        return {"iteration": self.trial.iteration, "done": True, "state": state}


@dataclass
class Clock:
    """Where a cell's time goes, in seconds, up to its last evaluation of every run that worked on it."""

    total: float = 0.0
    training_total: float = 0.0
    iterations: int = 0
    """Iterations since the last evaluation, and the time they took."""
    lap: float = 0.0

    @classmethod
    def after(cls, evaluation: Mapping[str, Any]) -> Self:
        """The clock of a cell that goes on after a recorded evaluation."""
        return cls(total=evaluation.get("seconds", 0.0), training_total=evaluation.get("training_seconds", 0.0))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Counts as training."""
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self.total += seconds
        self.training_total += seconds
        self.lap += seconds

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Counts as evaluation."""
        started = time.perf_counter()
        yield
        self.total += time.perf_counter() - started

    def next_lap(self) -> None:
        """Count iterations anew, from this evaluation on."""
        self.iterations, self.lap = 0, 0.0

    def times(self) -> dict[str, float]:
        """What is recorded with an evaluation: its own time but for writing the record."""
        return {"seconds": self.total, "training_seconds": self.training_total}

    def speeds(self, config: TrialConfig) -> dict[str, float]:
        """Speed of training since the last evaluation."""
        if not self.iterations:
            return {}
        rate = self.iterations / self.lap
        return {
            "speed/iterations_per_second": rate,
            "speed/frames_per_second": rate * config.batch_size * config.frames,
        }


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("this trial was given a share of a GPU, but its PyTorch finds none; install one with CUDA.")
    return torch.device(name)


def _pictured(evaluate_at: Sequence[int]) -> set[int]:
    """A few of the evaluations, evenly spaced, the first and the last among them."""
    last = len(evaluate_at) - 1
    return {evaluate_at[round(i * last / (MOST_PICTURED - 1))] for i in range(MOST_PICTURED)}


_test_sets: dict[bytes, Batch] = {}


def _test_set(dataset: Dataset) -> Batch:
    """The held-out set, rendered once for all trials of this process that share its factors."""
    key = dataset.test_factors().tobytes()
    if key not in _test_sets:
        _test_sets.clear()
        _test_sets[key] = dataset.test_set()
    return _test_sets[key]
