"""Trains a trial's network in this process."""

import time
from collections.abc import Mapping, Sequence

import torch

from dd_ray.evaluation import untrained_scores
from dd_ray.metrics import Code
from dd_ray.training import Stack, keep_freed_memory, set_precision
from dd_ray.trial.devices import device_named
from dd_ray.trial.member import Member
from dd_ray.trial.trainer import Progress, Work


class LocalTrainer:
    """A trainer that trains one trial in this process."""

    def __init__(self, work: Work) -> None:
        keep_freed_memory()
        torch.set_num_threads(work.threads)
        device = device_named(work.device)
        set_precision(work.precision, device)
        self.member = Member(work, lambda config: Stack(device=device))
        self.notes, self.began_at = self.member.notes, self.member.trial.iteration
        self.frames_per_step = self.member.config.batch_size * self.member.config.frames
        self._broken = False

    def train(self, seconds: float) -> Progress:
        """Train until the next evaluation, or for some seconds."""
        member, trial = self.member, self.member.trial
        started, steps = time.perf_counter(), 0
        self._broken = True  # until all steps are complete
        while member.may_step and time.perf_counter() < started + seconds:
            member.stack.step()
            steps += 1
        diverged = trial.diverged  # this waits for the device
        self._broken = diverged
        trained = time.perf_counter()
        snapshot = member.begin_snapshot()() if member.at_target and not diverged else None
        return Progress(
            iteration=trial.iteration,
            steps=steps,
            training_seconds=trained - started,
            evaluating_seconds=time.perf_counter() - trained,
            diverged=diverged,
            snapshot=snapshot,
        )

    def state(self, recorded: int) -> tuple[int, bytes] | None:  # it is never ahead of `recorded`
        """Return iteration and state; None after a step that was not finished, or diverged."""
        return None if self._broken else (self.member.trial.iteration, self.member.state(recorded))

    def code(self) -> Code | None:
        """Return the network's code of held-out still pictures."""
        return self.member.code()

    def untrained_scores(self, names: Sequence[str]) -> dict[str, float]:
        """Compute the scores of the untrained network, once for trials that begin alike."""
        return untrained_scores(self.member.config, names, self.member.stack.device)

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Write an evaluation for TensorBoard."""
        self.member.show(iteration, metrics)

    def close(self, final: Mapping[str, float | None] | None) -> None:
        """Close the event file."""
        self.member.close(final)
