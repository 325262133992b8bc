"""Holds the network of a trial in the process that trains it."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dd_ray.command_line import as_called
from dd_ray.config import TrialConfig
from dd_ray.evaluation import begin_evaluation, code_of
from dd_ray.metrics import Code
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.training import Stack, dump_state
from dd_ray.trial.board import Board
from dd_ray.trial.held_out_sets import held_out_sets
from dd_ray.trial.states import latest_state
from dd_ray.trial.trainer import Snapshot, Work
from dd_ray.trial.warm_start import first_state

MOST_PICTURED = 5
"""The most evaluations of a trial with pictures in TensorBoard; pictures are most of what it has to load."""


class Member:
    """The network of a trial, which continues from its latest state as a member of a stack.

    Attributes:
        config: config of the trial.
        trial: the trial in the stack.
        targets: iterations at which it is still to be evaluated.
        notes: reasons why stored states were not used.
    """

    def __init__(self, work: Work, stack_for: Callable[[TrialConfig], Stack]) -> None:
        sweep = SweepFolder.open(work.sweep)
        folder = sweep.trial(work.key)
        state, self.notes = latest_state(folder)
        description = folder.describe()
        self.config = TrialConfig.from_dict(description["config"])
        done = _last_recorded(folder)
        if state is not None and state.recorded is not None and state.recorded > done:
            self.notes.append(_begun_anew(sweep, folder, state.recorded))
            state, done = None, -1
        self.targets = deque([i for i in work.evaluate_at if i > done] or work.evaluate_at[-1:])
        self._pictured = _pictured(work.evaluate_at)
        self._pictures: dict[int, dict[str, NDArray[np.uint8]]] = {}
        hparams = {name: description["config"][name] for name in work.hparams}
        self._board = Board(sweep.board(description["label"]), hparams, done + 1, work.reported)
        if done < 0:
            manifest = sweep.manifest()
            command = as_called(manifest.get("command", []))
            self._board.write_about(manifest.get("question", ""), command, description["config"])
        self._recorded = done
        self.stack = stack_for(self.config)
        # Last, so that no error leaves it in the stack. Without a state it begins anew, if asked with others' weights.
        self.trial = self.stack.add(self.config, state or first_state(self.config, sweep))

    @property
    def at_target(self) -> bool:
        """True if it must be evaluated before it goes on."""
        return bool(self.targets) and self.trial.iteration >= self.targets[0]

    @property
    def may_step(self) -> bool:
        """True if there is an evaluation ahead of it."""
        return bool(self.targets) and self.trial.iteration < self.targets[0]

    def begin_snapshot(self) -> Callable[[], Snapshot]:
        """Start its evaluation on the device. The returned function waits for it, and lets training go on."""
        test_set, seen_set = held_out_sets(self.config, self.stack.dataset)
        iteration = self.trial.iteration
        fetch = begin_evaluation(self.trial.model, self.config, test_set, iteration, seen_set)

        def snapshot() -> Snapshot:
            evaluation = fetch()
            if iteration in self._pictured:
                self._pictures[iteration] = evaluation.pictures
            self.targets.popleft()
            state = self.state(self._recorded)
            self._recorded = max(iteration, self._recorded)  # it will be, when the next state is saved
            return Snapshot(iteration=iteration, held_out=evaluation.held_out, state=state)

        return snapshot

    def state(self, recorded: int) -> bytes:
        """Return the state, as `load_state` reads it, after the evaluation of an iteration was recorded."""
        return dump_state(replace(self.trial.state(), recorded=recorded if recorded >= 0 else None))

    def code(self) -> Code | None:
        """Return the network's code of held-out still pictures; None if it is not finite."""
        return code_of(self.trial.model, self.config)

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Write an evaluation for TensorBoard, with its pictures if it is one of a few."""
        self._board.write(iteration, metrics, self._pictures.pop(iteration, {}))

    def close(self, final: Mapping[str, float | None] | None) -> None:
        """Leave the stack and close the event file."""
        self.stack.remove(self.config.key)
        if final is not None:
            self._board.write_hparams(final)
        self._board.close()


def _last_recorded(folder: TrialFolder) -> int:
    """Return the iteration of the last recorded evaluation; -1 before the first."""
    evaluations = folder.evaluations()
    return evaluations[-1]["iteration"] if evaluations else -1


def _begun_anew(sweep: SweepFolder, folder: TrialFolder, recorded: int) -> str:
    """Set aside the files of a trial that has lost evaluations, and return a note that says so."""
    description = folder.describe()
    now = sweep.set_aside(f"cells/{folder.key}")
    folder.create(**description)
    return (
        f"the evaluations up to iteration {recorded} were recorded, and not all are there any more; the trial is "
        f"trained again, and what there was of it is in {now} now."
    )


def _pictured(evaluate_at: Sequence[int]) -> set[int]:
    """Choose a few of the evaluations, evenly spaced, including the first and the last."""
    last = len(evaluate_at) - 1
    return {evaluate_at[round(i * last / (MOST_PICTURED - 1))] for i in range(MOST_PICTURED)}
