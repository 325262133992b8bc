"""A pack: a process that trains all trials of a GPU as one stack, for the processes of these trials.

One thread takes all steps and does everything that needs the device; each trial waits in a thread of its own. A pack
runs ahead: while a trial's process scores and records an evaluation, its network goes on to the next one, and waits
only there. So the networks stay together, and the device does not wait for disks or for Ray.
"""

import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray

from dd_ray.config import TrialConfig
from dd_ray.config.extensions import load_extensions
from dd_ray.evaluation import code_of, encode_stills, initial_digest, initial_model
from dd_ray.metrics import Code
from dd_ray.training import Stack, StackMethod, bytes_per_trial, keep_freed_memory, set_precision, shared_fields
from dd_ray.trial.devices import device_named
from dd_ray.trial.gpu_memory import check_memory
from dd_ray.trial.member import Member
from dd_ray.trial.trainer import CodeParts, Joined, Progress, Snapshot, Work

Result = TypeVar("Result")

SILENCE = 900.0
"""Seconds without a call after which a trial's process counts as lost; scoring a network takes a minute or two."""
STEPS_BETWEEN_CHECKS = 50
"""Number of steps between two checks for NaN, which wait for the device."""
PATIENCE = 0.02
"""The share of its iterations for which a trial may wait, in all, for trials a little behind. Trials join as their
processes start, and at the same iteration they share batches, which are then rendered once."""


@dataclass
class _Done:
    """The work done for a trial since its process last asked."""

    steps: int = 0
    training: float = 0.0
    evaluating: float = 0.0


class PackMember(Member):
    """A member of a pack's stack, with what its process has not fetched yet."""

    def __init__(self, work: Work, stack_for: Callable[[TrialConfig], Stack]) -> None:
        super().__init__(work, stack_for)
        self.snapshot: Snapshot | None = None
        """An evaluation that its process has not fetched yet."""
        self.fetched: Snapshot | None = None
        """The last evaluation that its process has fetched. Only that process knows whether it is recorded."""
        self.diverged = False
        self.patience = PATIENCE * self.targets[-1]
        """Number of steps that it may still wait."""
        self.heard = time.monotonic()
        self.done, self.done_until_snapshot = _Done(), _Done()

    @property
    def may_step(self) -> bool:
        """True if there is an evaluation ahead of it, and it is finite."""
        return super().may_step and not self.diverged

    @property
    def to_be_evaluated(self) -> bool:
        """True if it must be evaluated now, and the last evaluation has been fetched."""
        return self.at_target and self.snapshot is None and not self.diverged

    @property
    def has_news(self) -> bool:
        """True if there is something for its process to fetch."""
        return self.snapshot is not None or self.diverged

    def keep(self, snapshot: Snapshot) -> None:
        """Keep an evaluation until the process fetches it."""
        self.snapshot = snapshot
        self.done_until_snapshot, self.done = self.done, _Done()

    def progress(self) -> Progress:
        """Return what was done since the last call, up to the snapshot if there is one."""
        snapshot, self.snapshot = self.snapshot, None
        self.fetched = snapshot or self.fetched
        if snapshot is not None:
            done = self.done_until_snapshot
        else:
            done, self.done = self.done, _Done()
        return Progress(
            iteration=snapshot.iteration if snapshot else self.trial.iteration,
            steps=done.steps,
            training_seconds=done.training,
            evaluating_seconds=done.evaluating,
            diverged=self.diverged and snapshot is None,  # what came before is reported first
            snapshot=snapshot,
        )


class Pack:
    """Trains the trials that join it. Those that can share a stack are trained as one.

    All methods may be called from any thread.

    Args:
        device: cpu or cuda.
        threads: number of PyTorch's threads on a CPU.
        method: method of its stacks.
    """

    def __init__(self, device: str, threads: int, method: StackMethod = "auto") -> None:
        keep_freed_memory()
        torch.set_num_threads(threads)
        self._device = device_named(device)
        self._method: StackMethod = method
        self._stacks: dict[tuple[Any, ...], Stack] = {}
        self._members: dict[str, PackMember] = {}
        self._tasks: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._changed = threading.Condition()
        self._broken: BaseException | None = None
        self._steps = 0
        threading.Thread(target=self._run, daemon=True, name="pack").start()

    def join(self, work: Work) -> Joined:
        """Take in a trial at its latest state.

        Raises:
            UserError: the device has no memory for another trial.
        """

        def join() -> Joined:
            for name, member in list(self._members.items()):
                if member.config.key == work.key:  # its former process was lost without leaving
                    self._leave(name, None)
            load_extensions(work.extensions)
            set_precision(work.precision, self._device)  # the same for all trials of a sweep
            joined = PackMember(work, self._stack_for)
            name = uuid.uuid4().hex
            self._members[name] = joined
            frames = joined.config.batch_size * joined.config.frames
            return Joined(member=name, notes=joined.notes, began_at=joined.trial.iteration, frames_per_step=frames)

        return self._do(join)

    def train(self, member: str, seconds: float) -> Progress:
        """Wait until a member's next evaluation, or for some seconds."""
        known = self._heard(member)
        with self._changed:
            self._changed.wait_for(lambda: known.has_news or self._broken is not None, timeout=seconds)
            self._check()
            progress = known.progress()
            self._changed.notify_all()
        return progress

    def state(self, member: str, recorded: int) -> tuple[int, bytes] | None:
        """Return iteration and state to resume from: those of the first evaluation without a record, or the present
        ones."""

        def state() -> tuple[int, bytes] | None:
            known = self._heard(member)
            for snapshot in (known.fetched, known.snapshot):
                if snapshot is not None and snapshot.iteration > recorded:
                    return snapshot.iteration, snapshot.state
            trial = known.trial
            return None if known.diverged or trial.diverged else (trial.iteration, known.state(recorded))

        return self._do(state)

    def code(self, member: str, untrained: bool) -> CodeParts | None:
        """Return a network's code of the held-out still pictures, now or before its training."""

        def code() -> CodeParts | None:
            made = self._code(member, untrained)
            if made is None:
                return None
            return CodeParts(
                latents=made.latents,
                factors=made.factors,
                factor_names=made.factor_names,
                can_be_asked=made.encode is not None,
            )

        return self._do(code)

    def encode(self, member: str, untrained: bool, factors: NDArray[Any]) -> NDArray[Any]:
        """Encode further pictures, which are given by their factors."""
        config = self._members[member].config
        return self._do(lambda: encode_stills(self._model(member, untrained), config, factors))

    def initial_digest(self, member: str) -> str:
        """Return a digest that is equal for trials that begin with the same weights."""
        return self._do(lambda: initial_digest(self._members[member].config))

    def show(self, member: str, iteration: int, metrics: Mapping[str, float]) -> None:
        """Write an evaluation for TensorBoard. It needs no device."""
        self._heard(member).show(iteration, metrics)

    def leave(self, member: str, final: Mapping[str, float | None] | None) -> None:
        """Remove a trial."""
        self._do(lambda: self._leave(member, final))

    def is_whole(self) -> bool:
        """Return whether it still trains. It does not after an error that concerns all trials."""
        return self._broken is None

    def _leave(self, member: str, final: Mapping[str, float | None] | None) -> None:
        gone = self._members.pop(member, None)
        if gone is not None:
            gone.close(final)
            self._stacks = {shared: stack for shared, stack in self._stacks.items() if len(stack)}

    def _stack_for(self, config: TrialConfig) -> Stack:
        if self._device.type == "cuda":
            self._check_memory(config)
        return self._stacks.setdefault(shared_fields(config), Stack(device=self._device, method=self._method))

    def _check_memory(self, config: TrialConfig) -> None:
        trials = [*(member.config for member in self._members.values()), config]
        need = max(_bytes_per_trial(trial, self._method, self._device) for trial in trials)
        check_memory(len(trials), need, torch.cuda.get_device_properties(self._device).total_memory)

    def _model(self, member: str, untrained: bool) -> Any:
        known = self._heard(member)
        return initial_model(known.config, self._device) if untrained else known.trial.model

    def _heard(self, member: str) -> PackMember:
        """Return a member, and note that its process has just called."""
        known = self._members[member]
        known.heard = time.monotonic()
        return known

    def _code(self, member: str, untrained: bool) -> Code | None:
        config = self._members[member].config
        if untrained and config.warm_start_weights is not None:
            return None  # it never was untrained
        return code_of(self._model(member, untrained), config)

    def _do(self, task: Callable[[], Result]) -> Result:
        """Let the pack's thread run a task between two steps, and return its result."""
        future: Future[Result] = Future()
        with self._changed:
            self._check()
            self._tasks.append((task, future))
            self._changed.notify_all()
        return future.result()

    def _check(self) -> None:
        if self._broken is not None:
            raise RuntimeError(f"the pack has ended: {self._broken}") from self._broken

    def _run(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(self._has_work, timeout=SILENCE)
                    tasks, self._tasks = self._tasks, []
                for task in tasks:
                    _perform(*task)
                self._leave_for_the_silent()
                self._evaluate([member for member in self._members.values() if member.to_be_evaluated])
                self._step([member for member in self._members.values() if member.may_step])
        except BaseException as error:  # whatever it is, all waiting trials must learn of it
            with self._changed:
                self._broken = error
                for _, future in self._tasks:
                    future.set_exception(error)
                self._changed.notify_all()

    def _has_work(self) -> bool:
        return bool(self._tasks) or any(m.to_be_evaluated or m.may_step for m in self._members.values())

    def _leave_for_the_silent(self) -> None:
        """Remove trials whose process was lost, since another pack may train them by now."""
        for name, member in list(self._members.items()):
            if time.monotonic() - member.heard > SILENCE:
                _perform(partial(self._leave, name, None), Future())

    def _evaluate(self, members: Sequence[PackMember]) -> None:
        """Take the snapshots that are due, and check whether the networks are still finite.

        All evaluations are started on the GPU before the first is waited for.
        """
        started = time.perf_counter()
        diverged = [member.trial.diverged for member in members]
        begun = [
            None if gone else self._with_memory(member.begin_snapshot)
            for member, gone in zip(members, diverged, strict=True)
        ]
        for member, fetch in zip(members, begun, strict=True):
            snapshot = None if fetch is None else self._with_memory(fetch)
            with self._changed:
                member.diverged = snapshot is None
                member.done.evaluating += time.perf_counter() - started
                if snapshot is not None:
                    member.keep(snapshot)
                self._changed.notify_all()

    def _with_memory(self, task: Callable[[], Result]) -> Result:
        """Run a task. If memory is short, free what captured steps hold, and run it again."""
        with suppress(torch.OutOfMemoryError):
            return task()
        for stack in self._stacks.values():
            stack.release()
        return task()

    def _step(self, members: Sequence[PackMember]) -> None:
        """Step the networks, except for those that wait for others."""
        started = time.perf_counter()
        stepped = [_stepped(stack, members) for stack in self._stacks.values()]
        for stack, of_stack in zip(self._stacks.values(), stepped, strict=True):
            stack.step_trials([member.trial for member in of_stack])
        members = [member for of_stack in stepped for member in of_stack]
        self._steps += 1
        look = self._steps % STEPS_BETWEEN_CHECKS == 0
        diverged = [look and member.trial.diverged for member in members]
        with self._changed:
            for member, has in zip(members, diverged, strict=True):
                member.done.steps += 1
                member.done.training += time.perf_counter() - started
                member.diverged = has
            if any(diverged):
                self._changed.notify_all()


def _stepped(stack: Stack, members: Sequence[PackMember]) -> list[PackMember]:
    """Return the members of a stack that take the next step."""
    ready = [member for member in members if member.stack is stack]
    if not stack.fused:  # there is little to share
        return ready
    iterations = sorted({member.trial.iteration for member in ready})
    behind = dict(zip(iterations[1:], iterations, strict=False))
    stepped = []
    for member in ready:
        iteration = member.trial.iteration
        if iteration - behind.get(iteration, -math.inf) <= member.patience:
            member.patience -= 1
        else:
            stepped.append(member)
    return stepped


_bytes_per_trial = cache(bytes_per_trial)


def _perform(task: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        future.set_result(task())
    except Exception as error:  # the error belongs to the trial that asked
        future.set_exception(error)
