"""Hands out the trials of a search: asks Optuna for suggestions, and tells it the results of their trials.

Optuna is told one of these states of a suggestion once all of its trials have ended:

    finished, all of them                       COMPLETE, with the mean of each objective at the last iteration
    one failed, diverged, or has no score       FAIL; TPE leaves it out
    else, one was stopped early or out of time  PRUNED; with one objective, TPE ranks it by the mean of the last
                                                evaluation that its trials share; with two, as worse than all others

With asha, the first seed of a suggestion decides: it alone is compared, with the first seeds of the others. The other
seeds start when it has finished, and are not stopped. If each seed was stopped by itself, few suggestions would keep
all of their seeds and so have a mean, and fewer the more seeds there are.

Everything that Optuna is told is read from the trials' files, so a kill at any moment loses nothing: what it has not
been told is read again.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dd_ray.config.code import resolve
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.samplers import SAMPLERS
from dd_ray.sweep.space import as_optuna
from dd_ray.sweep.suggestions import (
    RETRY_OF,
    TRIALS,
    WITH_VALUES,
    Evaluations,
    common_iterations,
    current_trials,
    mean,
    open_storage,
)

if TYPE_CHECKING:  # it makes this source
    from dd_ray.sweep.search_plan import SearchPlan

Ended = Callable[[TrialFolder], bool]


@dataclass
class _Open:
    """A suggestion whose value is not known yet."""

    number: int
    trials: tuple[PlannedTrial, ...]
    queue: list[PlannedTrial]
    """Its trials that have not been handed out yet."""
    running: set[str]
    """Keys of its trials that have been handed out and have not ended."""


class Suggested:
    """Asks Optuna for suggestions, hands out their trials, and tells Optuna their results.

    First come the suggestions that an earlier command left without a value, whose trials go on; then those of which a
    trial had failed; and then new ones until there are as many as the plan asks for. The draws of the n-th suggestion
    depend on the sampler's seed, on n, and on the results until then, but not on interruptions.

    Args:
        plan: plan of the search.
        sweep: the sweep that has the trials, and the log.
        has_ended: returns whether a trial needs no more work under this plan, or gets none from this command.
    """

    def __init__(self, plan: "SearchPlan", sweep: SweepFolder, has_ended: Ended) -> None:
        self._plan = plan
        self._sweep = sweep
        self._has_ended = has_ended
        self._distributions = {name: as_optuna(name, d) for name, d in plan.space.items()}
        self._storage = open_storage(sweep.folder)
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
        """Return the keys of the trials of all suggestions, those of points that wait to be suggested among them."""
        return {key for keys in self._keys_by_suggestion() for key in keys}

    def deciding_keys(self) -> set[str]:
        """Return the keys of the trials that asha has compared or will compare, as far as they are known.

        Those of points that wait are among them, since an earlier command may have trained them.
        """
        return {keys[0] for keys in self._keys_by_suggestion()}

    def _keys_by_suggestion(self) -> list[list[str]]:
        """Return the keys of each suggestion's trials, and of those of points that wait to be suggested."""
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        points = [point for asked in waiting if self._fits(point := asked.system_attrs["fixed_params"])]
        known = [asked.user_attrs[TRIALS] for asked in current_trials(self._study)]
        return [*known, *([trial.key for trial in self._plan.trials_of(point)] for point in points)]

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
