"""The suggestions of a search: keeps Optuna's study beside the sweep, and tells it the results of trials.

A suggestion is a point of the space, and a trial of the Optuna study; with each seed it is a trial of the sweep. Its
value is the mean over these trials. Optuna is told one of these states once all of them have ended:

    finished, all of them                       COMPLETE, with the mean of each objective at the last iteration
    one failed, diverged, or has no score       FAIL; TPE leaves it out
    else, one was stopped early or out of time  PRUNED; with one objective, TPE ranks it by the mean of the last
                                                evaluation that its trials share; with two, as worse than all others

With asha, the first seed of a suggestion decides: it alone is compared, with the first seeds of the others. The other
seeds start when it has finished, and are not stopped. If each seed was stopped by itself, few suggestions would keep
all of their seeds and so have a mean, and fewer the more seeds there are.

Everything that Optuna is told is read from the trials' files, so a kill at any moment loses nothing: what it has not
been told is read again. The study is `optuna.log` in the sweep's folder, in Optuna's journal format, with a line for
each change. This works on network file systems, unlike SQLite's locks, and `optuna-dashboard` can open it.
"""

import io
import json
import math
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dd_ray.config.code import resolve
from dd_ray.errors import printable
from dd_ray.storage.files import LocalFiles
from dd_ray.storage.records import DamagedError, damaged, lines_before_damage, read_lines
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.samplers import SAMPLERS
from dd_ray.sweep.search_plan import SearchPlan
from dd_ray.sweep.space import as_optuna

LOG = "optuna.log"
SECONDS_TO_A_STALE_LOCK = 10
"""After so many seconds, a lock of the log counts as left by a killed command, since writing a line takes less."""
TRIALS = "cells"
"""Attribute of an Optuna trial, and column of the table of suggestions: keys of its trials."""
RETRY_OF = "retry_of"
"""Attribute of an Optuna trial: number of an earlier one at the same point, of which a trial failed."""

_SETS_STATE, _SETS_INTERMEDIATE_VALUE = 6, 7
"""Codes of lines in Optuna's journal format."""

Ended = Callable[[TrialFolder], bool]
WITH_VALUES = {"finished", "at_plateau"}
"""States of trials whose last evaluation is the value of their suggestion."""
Evaluations = list[dict[str, Any]]


@dataclass
class _Open:
    """A suggestion whose value is not known yet."""

    number: int
    trials: tuple[PlannedTrial, ...]
    queue: list[PlannedTrial]
    """Its trials that have not been handed out yet."""
    running: set[str]
    """Keys of its trials that have been handed out and have not ended."""


class Suggestions:
    """Asks Optuna for suggestions, hands out their trials, and tells Optuna their results.

    First come the suggestions that an earlier command left without a value, whose trials go on; then those of which a
    trial had failed; and then new ones until there are as many as the plan asks for. The draws of the n-th suggestion
    depend on the sampler's seed, on n, and on the results until then, but not on interruptions.

    Args:
        plan: plan of the search.
        sweep: the sweep that has the trials.
        folder: folder of the sweep, which has the log.
        has_ended: returns whether a trial needs no more work under this plan, or gets none from this command.
    """

    def __init__(self, plan: SearchPlan, sweep: SweepFolder, folder: Path, has_ended: Ended) -> None:
        self._plan = plan
        self._sweep = sweep
        self._has_ended = has_ended
        self._distributions = {name: as_optuna(name, d) for name, d in plan.space.items()}
        self._storage = open_storage(folder)
        self._study = self._create_study()
        self._open: dict[int, _Open] = {}
        self._live: set[str] = set()
        self._first: set[str] = set()
        self._ending = False
        self._carry_over()
        self._retry()
        for asked in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._adopt(asked)

    @property
    def num_trials(self) -> int:
        """Number of trials that the plan will have."""
        return self._plan.num_trials

    @property
    def known(self) -> Sequence[PlannedTrial]:
        """An empty list, since the next trials depend on the results of others."""
        return ()

    @property
    def waits(self) -> bool:
        """True if there will be trials to hand out when others have ended."""
        return not self._ending and any(s.queue and s.running for s in self._open.values())

    def decides(self, key: str) -> bool:
        """Return whether asha compares this trial, which is so for the first of each suggestion."""
        return key in self._first

    def next_trial(self) -> PlannedTrial | None:
        """Return a trial to be trained, or None if there is none now."""
        while not self._ending:
            for suggestion in list(self._open.values()):
                trial = self._take(suggestion)
                if trial is not None:
                    return trial
            if not self._wants_more():
                break
            self._adopt(self._ask())
        return None

    def trial_evaluated(self, key: str) -> None:
        """Take note of an evaluation. The dashboard shows the means of those that all seeds have."""
        for suggestion in self._with_running(key):
            self._report(suggestion, [self._sweep.trial(trial.key).sound_evaluations() for trial in suggestion.trials])

    def trial_ended(self, key: str) -> None:
        """Take note of an outcome, which has been stored. If there is none, the whole run is being ended."""
        outcome = self._sweep.trial(key).outcome()
        if outcome is None:
            self._ending = True
            return
        self._live.discard(key)
        for suggestion in self._with_running(key):
            suggestion.running.discard(key)
            if outcome.state not in WITH_VALUES:
                suggestion.queue.clear()  # it will have no mean, so its other seeds need not start
            self._tell_if_known(suggestion)

    @property
    def num_left(self) -> int:
        """Number of suggestions that have work left, of as many as the plan asks for."""
        return max(0, self._plan.options.suggestions - self._made()) + self._retries() + len(self._open)

    def keys(self) -> set[str]:
        """Return the keys of the trials of all suggestions."""
        return {key for asked in current_trials(self._study) for key in asked.user_attrs.get(TRIALS, [])}

    def deciding_keys(self) -> set[str]:
        """Return the keys of the trials that asha has compared or will compare, as far as they are known."""
        return {asked.user_attrs[TRIALS][0] for asked in current_trials(self._study)}

    def _create_study(self) -> optuna.Study:
        name = self._plan.optuna_study
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = [StudyDirection[direction.upper()] for direction in self._plan.directions]
        study = optuna.create_study(storage=self._storage, study_name=name, directions=directions, load_if_exists=True)
        if not study.user_attrs:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(list(self._plan.options.objectives))
            study.set_user_attr("fixed", self._plan.fixed_text)
        return study

    def _carry_over(self) -> None:
        """If this is a new study, begin with the points of the study before it, whose trials exist and go on.

        So more iterations or more seeds under the same name extend a search, as they do a grid.
        """
        if self._study.user_attrs.get("carried_over"):
            return
        names = [study.study_name for study in self._storage.get_all_studies()]
        for name in reversed(names[: names.index(self._study.study_name)]):
            before = optuna.load_study(study_name=name, storage=self._storage)
            points = [asked.params for asked in current_trials(before) if self._fits(asked.params)]
            if points and before.user_attrs.get("fixed") == self._plan.fixed_text:
                for point in points[: self._plan.options.suggestions]:
                    self._study.enqueue_trial(point, skip_if_exists=True)
                break
        self._study.set_user_attr("carried_over", True)

    def _fits(self, point: Mapping[str, Any]) -> bool:
        space = self._plan.space
        return set(point) == set(space) and all(value in space[name] for name, value in point.items())

    def _retry(self) -> None:
        """Suggest again the points of which a trial failed, with the same trials, which go on from their states."""
        all_asked = self._study.get_trials(deepcopy=False)
        retried = {asked.user_attrs.get(RETRY_OF) for asked in all_asked}
        for asked in all_asked:
            if asked.state == TrialState.FAIL and asked.number not in retried and self._fits(asked.params):
                folders = [self._sweep.trial(trial.key) for trial in self._plan.trials_of(asked.params)]
                failed = [each for each in folders if (outcome := each.outcome()) and outcome.state == "failed"]
                if failed and not any(map(self._has_ended, failed)):
                    self._study.enqueue_trial(asked.params, user_attrs={RETRY_OF: asked.number})

    def _made(self) -> int:
        all_asked = self._study.get_trials(deepcopy=False)
        return sum(RETRY_OF not in asked.user_attrs and self._fits(asked.params) for asked in all_asked)

    def _wants_more(self) -> bool:
        return self._retries() > 0 or self._made() < self._plan.options.suggestions

    def _retries(self) -> int:
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return sum(RETRY_OF in asked.user_attrs for asked in waiting)

    def _ask(self) -> FrozenTrial:
        options = self._plan.options
        number = len(self._study.get_trials(deepcopy=False))
        # A generator for each draw, since a single one would start over in each command and draw the same points again.
        seed = int(np.random.SeedSequence([options.sampler_seed, number]).generate_state(1)[0])
        self._study.sampler = resolve(SAMPLERS[options.sampler].build)(seed, options.startup)
        asked = self._study.ask(self._distributions)
        return self._storage.get_trial(self._id(asked.number))

    def _adopt(self, asked: FrozenTrial) -> None:
        """Take up a suggestion, and find out which of its trials have work left."""
        if not self._fits(asked.params):
            self._draw_again(asked)
            return
        trials = self._plan.trials_of(asked.params)
        if TRIALS not in asked.user_attrs:
            self._storage.set_trial_user_attr(self._id(asked.number), TRIALS, [trial.key for trial in trials])
        queue = [trial for trial in trials if not self._has_ended(self._sweep.trial(trial.key))]
        ended = [self._sweep.trial(trial.key).outcome() for trial in trials if trial not in queue]
        if any(outcome and outcome.state not in WITH_VALUES for outcome in ended):
            queue = [trial for trial in queue if self._sweep.trial(trial.key).sound_evaluations()]
        self._first.add(trials[0].key)
        self._open[asked.number] = suggestion = _Open(asked.number, trials, queue, set())
        self._tell_if_known(suggestion)

    def _draw_again(self, asked: FrozenTrial) -> None:
        """Give up a suggestion that a kill cut short while it was drawn. An enqueued point is enqueued again."""
        point = asked.system_attrs.get("fixed_params")
        if point:
            self._study.enqueue_trial(point, user_attrs=asked.user_attrs)
        self._study.tell(asked.number, state=TrialState.FAIL)

    def _take(self, suggestion: _Open) -> PlannedTrial | None:
        """Return the next of a suggestion's trials that no other suggestion of the same point has handed out."""
        if self._plan.scheduler.compares and suggestion.trials[0].key in suggestion.running:
            return None
        while suggestion.queue:
            trial = suggestion.queue.pop(0)
            if trial.key in self._live:
                suggestion.running.add(trial.key)
                if self._plan.scheduler.compares:
                    return None
            elif not self._has_ended(self._sweep.trial(trial.key)):
                suggestion.running.add(trial.key)
                self._live.add(trial.key)
                return trial
        self._tell_if_known(suggestion)
        return None

    def _with_running(self, key: str) -> list[_Open]:
        return [suggestion for suggestion in self._open.values() if key in suggestion.running]

    def _tell_if_known(self, suggestion: _Open) -> None:
        if suggestion.queue or suggestion.running:
            return
        del self._open[suggestion.number]
        folders = [self._sweep.trial(trial.key) for trial in suggestion.trials]
        states = [outcome.state if outcome else None for outcome in (folder.outcome() for folder in folders)]
        evaluations = [self._asked_for(folder.sound_evaluations()) for folder in folders]
        self._report(suggestion, [rows for rows in evaluations if rows])
        if set(states) <= WITH_VALUES:
            means = [mean([rows[-1].get(name) for rows in evaluations]) for name in self._plan.options.objectives]
            if not any(map(math.isnan, means)):
                self._study.tell(suggestion.number, means)
                return
        pruned = {"stopped_early", "out_of_time"} & set(states) and not {"failed", "diverged"} & set(states)
        self._study.tell(suggestion.number, state=TrialState.PRUNED if pruned else TrialState.FAIL)

    def _report(self, suggestion: _Open, evaluations: Sequence[Evaluations]) -> None:
        """Report means of the objective at iterations that all of some trials have and that are not reported yet.

        Optuna has no intermediate values for two objectives.
        """
        if len(self._plan.options.objectives) > 1 or not evaluations:
            return
        trial_id = self._id(suggestion.number)
        last = self._storage.get_trial(trial_id).last_step
        (objective,) = self._plan.options.objectives
        for iteration in common_iterations([self._asked_for(rows) for rows in evaluations]):
            if last is None or iteration > last:
                scores = [row.get(objective) for rows in evaluations for row in rows if row["iteration"] == iteration]
                if not math.isnan(mean(scores)):
                    self._storage.set_trial_intermediate_value(trial_id, iteration, mean(scores))

    def _asked_for(self, evaluations: Evaluations) -> Evaluations:
        """Drop evaluations beyond this plan's iterations, of a command that asked for more."""
        return [row for row in evaluations if row["iteration"] <= self._plan.options.iterations]

    def _id(self, number: int) -> int:
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)


def open_storage(folder: Path) -> JournalStorage:
    """Open Optuna's storage in a sweep's folder, for the command that runs the search.

    A line that a kill or a full disk cut short is removed, since Optuna would append the next one to it and read
    neither. The lock of a killed command is removed after a while.

    Raises:
        DamagedError: the log is damaged.
    """
    path, files = folder / LOG, LocalFiles(folder)
    read_lines(files, LOG)
    files.drop_cut_line(LOG)
    lock = JournalFileOpenLock(str(path), grace_period=SECONDS_TO_A_STALE_LOCK)
    return _understood(files, JournalFileBackend(str(path), lock_obj=lock))


def read_storage(folder: Path) -> JournalStorage:
    """Return what Optuna's storage in a sweep's folder holds now, for those who look at it.

    The file stays as it is: a last line without an end may be one that the search's command is writing.

    Raises:
        DamagedError: the log is damaged.
    """
    files = LocalFiles(folder)
    return _understood(files, _Lines(read_lines(files, LOG)))


class _Lines(BaseJournalBackend):
    """Lines of a log that were read, to which none can be added."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Return the lines from one on."""
        return self._lines[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to add lines."""
        raise io.UnsupportedOperation(f"{LOG} was opened to be read")


def _understood(files: LocalFiles, log: BaseJournalBackend) -> JournalStorage:
    try:
        return JournalStorage(log)
    except Exception as error:  # Optuna may raise any error for lines that it does not understand
        raise damaged(files, LOG, f"Optuna reads it not: {type(error).__name__} {error}") from error


def mend_log(sweep: SweepFolder) -> None:
    """Set a damaged log aside, and go on with the lines before the damage. For the command that runs the search.

    Suggestions that are lost are drawn again, and their values read again: no trial is lost, and trials of a point that
    is drawn again need no training. A suggestion that the damage cut short while it was drawn is drawn anew at another
    point, as after a kill.
    """
    try:
        open_storage(sweep.folder)
    except DamagedError as error:
        now = sweep.set_aside(LOG)
        print(f"{printable(error)} It is in {now} now.", file=sys.stderr)
        _keep_what_is_before(sweep, Path(now))


def open_again(sweep: SweepFolder, keys: Collection[str]) -> list[int]:
    """Take back what Optuna was told of suggestions that had some trials, which are to be removed from the sweep.

    Their points and all other suggestions stay. For Optuna they run, as after a kill, so that the search's command
    trains what they lack and tells their values anew.

    Args:
        sweep: a search. The caller holds its lock.
        keys: keys of the trials.

    Returns:
        The numbers of the suggestions in Optuna's log, over all of its studies.

    Raises:
        DamagedError: the log is damaged.
    """
    open_storage(sweep.folder)  # refuses a damaged log, which `mend_log` is for
    lines = read_lines(sweep.files, LOG)
    having = [line["trial_id"] for line in lines if {*keys} & {*line.get("user_attr", {}).get(TRIALS, [])}]
    kept = [line for line in lines if not (line.get("trial_id") in having and _tells(line))]
    if len(kept) < len(lines):
        sweep.files.write(LOG, b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in kept))
    return having


def _tells(line: Mapping[str, Any]) -> bool:
    """Return whether a line of the log has a value of a suggestion, or how it ended."""
    ended = line["op_code"] == _SETS_STATE and TrialState(line["state"]).is_finished()
    return ended or line["op_code"] == _SETS_INTERMEDIATE_VALUE


def _keep_what_is_before(sweep: SweepFolder, damaged_log: Path) -> None:
    try:
        whole = lines_before_damage(LocalFiles(damaged_log.parent), damaged_log.name, LOG)
    except DamagedError:  # it is not a file
        return
    sweep.files.write(LOG, whole)
    try:
        open_storage(sweep.folder)
    except DamagedError:
        sweep.files.remove(LOG)


def current_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of a study, without those that were replaced by another suggestion of their point."""
    all_asked = [asked for asked in study.get_trials(deepcopy=False) if TRIALS in asked.user_attrs]
    retried = {asked.user_attrs.get(RETRY_OF) for asked in all_asked}
    return [asked for asked in all_asked if asked.number not in retried]


def common_iterations(evaluations: Sequence[Evaluations]) -> list[int]:
    """Return the iterations at which all of some trials were evaluated, in order."""
    return sorted(set.intersection(*({row["iteration"] for row in rows} for rows in evaluations)))


def mean(scores: Sequence[float | None]) -> float:
    """Average over seeds; NaN if one has no score, since leaving it out would flatter the others."""
    return float(np.mean([math.nan if score is None else score for score in scores])) if scores else math.nan
