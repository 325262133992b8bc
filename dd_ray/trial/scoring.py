"""Further scores of the trials of a sweep, from their stored networks: any of `dd_ray.metrics.FURTHER`, at any time.

A score is added to a trial's folder as soon as it is computed, for the network of its last evaluation and for the
one before training, and `dd_ray.results.table` shows it in their rows. What is there is not computed again.
"""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits

from dd_ray.config import DATASETS, TrialConfig
from dd_ray.config.extensions import Extension, load_extensions, loaded
from dd_ray.errors import UserError
from dd_ray.evaluation import model_scores, untrained_scores
from dd_ray.metrics import FURTHER, applicable
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder, TrialFolder, TrialRecords
from dd_ray.training import Trial, TrialState
from dd_ray.trial.states import state_at


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What became of a trial."""

    key: str
    label: str
    left_out: str | None = None
    """Why it has no scores; None where it has them."""


def trials_to_score(location: str, names: Sequence[str]) -> list[str]:
    """Keys of the trials of a sweep, after making sure that scores can be asked of it.

    Args:
        location: folder or URL of the sweep.
        names: keys of `FURTHER`.

    Raises:
        UserError: there is no such sweep or score, or it has no trials.
    """
    if unknown := [name for name in names if name not in FURTHER]:
        raise UserError(f"--metrics {unknown[0]} is not a score; choose from {', '.join(FURTHER)}.")
    if keys := [trial.key for trial in SweepFolder.open(location).trials()]:
        return keys
    raise UserError(f"{location} holds a sweep without trials; run its command first.")


def score_trials(location: str, keys: Sequence[str], names: Sequence[str], processes: int) -> Iterator[Scored]:
    """Add scores to trials that have been evaluated, several at a time.

    Args:
        location: folder or URL of the sweep.
        keys: of its trials.
        names: keys of `FURTHER`.
        processes: how many trials at a time, each in a process of its own; 1 takes none but this.

    Yields:
        What became of a trial, in the order in which they are done.
    """
    if processes == 1:
        yield from (score_trial(location, key, names) for key in keys)
        return
    with _pool(min(processes, len(keys))) as pool:
        tasks = [pool.submit(score_trial, location, key, names) for key in keys]
        yield from (task.result() for task in as_completed(tasks))


def score_trial(location: str, key: str, names: Sequence[str]) -> Scored:
    """Add those of the scores that a trial does not have yet.

    A trial is left out if its network is not that of an evaluation, as while it is in training, or is not finite, and
    if its files are damaged.
    """
    trial = SweepFolder.open(location).trial(key)
    try:
        return _score(trial, trial.read(), names)
    except DamagedError as error:
        return Scored(key=key, label=key, left_out=f"is left out: {error}")


def _score(trial: TrialFolder, records: TrialRecords, names: Sequence[str]) -> Scored:
    key = trial.key
    label, config = records.label, TrialConfig.from_dict(records.config)
    evaluations, there = records.evaluations, records.scores
    names = applicable(names, config.factor_names, DATASETS[config.dataset].drawn)
    if not names:
        return Scored(key=key, label=label, left_out=_why_not(config))
    if not evaluations:
        return Scored(key=key, label=label, left_out="has not been evaluated yet")
    last = evaluations[-1]["iteration"]
    # What the last evaluation itself has counts as well.
    at_last = {**evaluations[-1], **there.get(last, {})}
    before = there.get(0, {}) | (evaluations[0] if evaluations[0]["iteration"] == 0 else {})
    missing = [name for name in names if not FURTHER[name].all_columns.keys() <= at_last.keys()]
    missing_before = [name for name in names if not FURTHER[name].all_columns.keys() <= before.keys()]
    if not missing and not missing_before:
        return Scored(key=key, label=label)
    try:
        state = _state_at(trial, last)
    except UserError as error:
        return Scored(key=key, label=label, left_out=str(error))
    if missing:
        scores = _scores_of(state, missing)
        if not scores:
            left_out = "has diverged" if state.config.traits.encodes else "has no code to score"
            return Scored(key=key, label=label, left_out=left_out)
        trial.add_scores(last, scores)
    if missing_before:
        trial.add_scores(0, untrained_scores(state.config, missing_before))
    return Scored(key=key, label=label)


def _why_not(config: TrialConfig) -> str:
    if not config.factor_names:
        return "has data without factors, and these scores are of factors"
    if not DATASETS[config.dataset].drawn:
        return "has the pictures of a file, and these scores are of factors, or ask for pictures, that it has not"
    return f"has factors that these scores are not of ({config.factor_names[0]}, ...)"


def _state_at(trial: TrialFolder, iteration: int) -> TrialState:
    if iteration not in trial.states():
        raise UserError(f"is in training, and its state of iteration {iteration} is gone; score it when it has ended")
    return state_at(trial, iteration)


def _scores_of(state: TrialState, names: Sequence[str]) -> dict[str, float]:
    trial = Trial(state.config)
    trial.restore(state)
    return model_scores(trial.model.eval(), state.config, names)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each. They end with an error or an interrupt here: a line is appended or it is not."""
    # Not forked, which threads of PyTorch do not survive.
    context = multiprocessing.get_context("spawn")
    before = multiprocessing.active_children()
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(loaded(),)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise UserError("a process was killed, perhaps for lack of memory; give fewer --processes.") from error
        except BaseException:  # also an interrupt: leaving the pool would wait for what is in work
            for process in multiprocessing.active_children():
                if process not in before:
                    process.kill()
            raise


def _start(extensions: Sequence[Extension]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    torch.set_num_threads(1)
    threadpool_limits(1)
    load_extensions(extensions)
