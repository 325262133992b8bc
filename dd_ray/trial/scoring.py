"""Computes scores of `dd_ray.metrics.FURTHER` for the trials of a sweep, from their stored networks, at any time.

Each score is stored in the trial's folder as soon as it is computed, for the network of the last evaluation and for the
untrained one, and `dd_ray.results.table` shows it in their rows. Scores that exist are not computed again.
"""

import multiprocessing
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from threadpoolctl import threadpool_limits

from dd_ray.config import TrialConfig, resolve
from dd_ray.config.extensions import Extension, load_extensions, loaded
from dd_ray.errors import UserError, did_you_mean
from dd_ray.evaluation import model_scores, untrained_scores
from dd_ray.metrics import FURTHER, FewPointsWarning, applicable_to, why_not_applicable
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder, TrialRecords
from dd_ray.training import Trial, TrialState
from dd_ray.trial.states import state_at


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The outcome of scoring a trial."""

    key: str
    label: str
    left_out: str | None = None
    """Why it was not scored; None if it was."""
    without: Mapping[str, str] = field(default_factory=dict)
    """The scores that mean nothing of its data, each with the reason, of one that was scored."""
    biased: tuple[str, ...] = ()
    """Sentences about scores that were computed from too few points."""


def trials_to_score(location: str, names: Sequence[str]) -> list[str]:
    """Return the keys of a sweep's trials, after checking that they can be scored.

    Args:
        location: folder or URL of the sweep.
        names: keys of `FURTHER`.

    Raises:
        UserError: there is no such sweep or score, a score is of an extension that was not given, or the sweep has no
            trials.
    """
    sweep = SweepFolder.open(location)  # which declares the scores of its extensions
    if unknown := [name for name in names if name not in FURTHER]:
        meant = did_you_mean(unknown[0], FURTHER, f"choose from {', '.join(FURTHER)}.")
        raise UserError(f"--metrics {unknown[0]} is not a score; {meant}")
    for name in names:
        resolve(FURTHER[name].compute)
    if keys := [trial.key for trial in sweep.trials()]:
        return keys
    raise UserError(f"{location} holds a sweep without trials; run its command first.")


def score_trials(location: str, keys: Sequence[str], names: Sequence[str], processes: int) -> Iterator[Scored]:
    """Add scores to trials that have been evaluated, several at a time.

    Args:
        location: folder or URL of the sweep.
        keys: keys of its trials.
        names: keys of `FURTHER`.
        processes: number of trials that are scored at a time, each in its own process; 1 uses this process alone.

    Yields:
        The outcome of each trial, in the order in which they are done.
    """
    if processes == 1:
        yield from (score_trial(location, key, names) for key in keys)
        return
    with _pool(min(processes, len(keys))) as pool:
        tasks = [pool.submit(score_trial, location, key, names) for key in keys]
        yield from (task.result() for task in as_completed(tasks))


def score_trial(location: str, key: str, names: Sequence[str]) -> Scored:
    """Compute and store the scores that a trial does not have yet.

    A trial is left out if its stored network is not that of an evaluation, as during training, if it is not finite, if
    its files are damaged, or if it is removed meanwhile.

    Raises:
        UserError: a score cannot use a file of its own.
    """
    trial = SweepFolder.open(location).trial(key)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", FewPointsWarning)
        try:
            scored = _score(trial, trial.read(), names)
        except DamagedError as error:
            return Scored(key=key, label=key, left_out=f"is left out: {error}")
        except FileNotFoundError:
            return Scored(key=key, label=key, left_out="was removed meanwhile")
    few = [str(each.message) for each in warned if each.category is FewPointsWarning]
    for each in warned:
        said = str(each.message), each.filename, each.lineno
        if each.category is not FewPointsWarning and said not in _said:
            _said.add(said)
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return replace(scored, biased=tuple(dict.fromkeys(few)))


_said: set[tuple[str, str, int]] = set()
"""Warnings that were given, and from where: Python forgets its own list of them where warnings are recorded."""


def _score(trial: TrialFolder, records: TrialRecords, names: Sequence[str]) -> Scored:
    key = trial.key
    label, config = records.label, TrialConfig.from_dict(records.config)
    evaluations, there = records.evaluations, records.scores
    asked, names = names, applicable_to(config, names)
    without = {name: why_not_applicable(config, name) for name in asked if name not in names}
    if not names:
        reasons = "; or ".join(dict.fromkeys(without.values()))
        return Scored(key=key, label=label, left_out=f"gets none, since each {reasons}")
    if not evaluations:
        return Scored(key=key, label=label, left_out="has not been evaluated yet")
    last = evaluations[-1]["iteration"]
    # Scores that the last evaluation itself has count as well.
    at_last = {**evaluations[-1], **there.get(last, {})}
    before = there.get(0, {}) | (evaluations[0] if evaluations[0]["iteration"] == 0 else {})
    missing = [name for name in names if not FURTHER[name].all_columns.keys() <= at_last.keys()]
    begun_anew = config.warm_start_weights is None
    missing_before = [name for name in names if begun_anew and not FURTHER[name].all_columns.keys() <= before.keys()]
    scored = Scored(key=key, label=label, without=without)
    if not missing and not missing_before:
        return scored
    try:
        state = _state_at(trial, last)
    except UserError as error:
        return Scored(key=key, label=label, left_out=str(error))
    if missing:
        with _computing(label):
            scores = _scores_of(state, missing)
        if not scores:
            left_out = "has diverged" if state.config.traits.encodes else "has no code to score"
            return Scored(key=key, label=label, left_out=left_out)
        trial.add_scores(last, scores)
    with _computing(label):
        untrained = untrained_scores(state.config, missing_before) if missing_before else {}
    if untrained:
        trial.add_scores(0, untrained)
    return scored


def _state_at(trial: TrialFolder, iteration: int) -> TrialState:
    if iteration not in trial.states():
        raise UserError(
            f"is past its last evaluation, of iteration {iteration}, whose state is gone; score it after its next one"
        )
    try:
        return state_at(trial, iteration)
    except UserError as error:
        raise UserError(f"is left out: {error}") from error


@contextmanager
def _computing(label: str) -> Iterator[None]:
    """Tell a file that a score itself cannot use from the files of the sweep.

    Raises:
        UserError: there is one.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"a score of {label} cannot use a file of its own ({error}); put it there, or name it by a whole path."
        ) from error


def _scores_of(state: TrialState, names: Sequence[str]) -> dict[str, float]:
    trial = Trial(state.config)
    trial.restore(state)
    return model_scores(trial.model.eval(), state.config, names)


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes of one thread each. They are ended at an error or interrupt, which leaves no partial line."""
    # Not forked, since PyTorch's threads do not survive that.
    context = multiprocessing.get_context("spawn")
    before = multiprocessing.active_children()
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(loaded(),)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise UserError("a process was killed, perhaps for lack of memory; give fewer --processes.") from error
        except BaseException:  # also at an interrupt: leaving the pool would wait for running tasks
            for process in multiprocessing.active_children():
                if process not in before:
                    process.kill()
            raise


def _start(extensions: Sequence[Extension]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    torch.set_num_threads(1)
    threadpool_limits(1)
    load_extensions(extensions)
