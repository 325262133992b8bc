"""The plan of a sweep: its trials, how far each goes, and when it is evaluated."""

import math
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dd_ray.command_line import counted
from dd_ray.config import TrialConfig
from dd_ray.config.labels import label_of
from dd_ray.config.options import Axes, option_name, product, shown, without_effect
from dd_ray.config.trial_fields import defaults
from dd_ray.errors import UserError
from dd_ray.metrics import FURTHER, REPORTED, applicable_to, reported_by, why_not_applicable
from dd_ray.storage.arrays import with_contents
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.starts import Start, start_of
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import Outcome, TrialFolder
from dd_ray.sweep import costs
from dd_ray.sweep.checks import check_effects, check_metric, check_number, check_options, ranks
from dd_ray.sweep.exclusions import kept_by
from dd_ray.sweep.existing import as_existing
from dd_ray.sweep.memory import has_gpu
from dd_ray.sweep.options import SweepOptions
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.plateau import Plateau
from dd_ray.sweep.sampling import sampled
from dd_ray.sweep.schedulers import SCHEDULERS, SchedulerSpec
from dd_ray.sweep.source import Listed, Source
from dd_ray.sweep.study import Study
from dd_ray.sweep.warm_start import with_start


@dataclass(frozen=True, repr=False)
class Plan:
    """A sweep that has been asked for, and checked as far as possible without a cluster."""

    study: Study
    options: SweepOptions
    axes: Axes
    """The values of all fields: first those that the preset sweeps, last the seed."""
    trials: tuple[PlannedTrial, ...]
    idle_exclusions: tuple[str, ...] = field(default=(), kw_only=True)
    """The combinations among those to be left out that no trial has."""

    came_out = "dd_ray.results.came_out:TrialsCameOut"
    """Class that shows the results, a `dd_ray.results.came_out.CameOut`."""
    _seeds_compared = (
        "each seed is compared for itself, so of a cell some may be stopped; those that finish flatter its mean"
    )
    """How seeds are compared, where there are several."""

    def __repr__(self) -> str:
        """Tell what it is in a line, as a notebook shows it."""
        return f"<{type(self).__name__} of {self.location}: {self.contents()[0]}>"

    @property
    def location(self) -> str:
        """Folder or URL of the sweep."""
        return sweep_location(self.options.storage, self.options.name)

    @property
    def swept(self) -> tuple[str, ...]:
        """Config fields that have more than one value."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)

    @property
    def runs_on_these_cpus(self) -> bool:
        """True if its trials run on the CPUs of this machine, as far as is known before Ray is asked."""
        return self.options.address is None and (self.options.gpus_per_trial == 0 or not has_gpu())

    @property
    def evaluate_at(self) -> tuple[int, ...]:
        """Iterations at which a trial is evaluated: 0, without training, and evenly spaced ones up to the last."""
        total = self.options.iterations
        asked = self.options.evaluations
        count = min(asked, total) if asked else costs.affordable_evaluations(self.examples, total)
        return tuple(sorted({round(total * i / count) for i in range(count + 1)}))

    @property
    def final_metrics(self) -> tuple[str, ...]:
        """The costly scores of the last evaluation, those of them that mean something of the factors of any trial."""
        asked = self.options.final_metrics
        if not any(config.traits.encodes for config in self.examples):
            return ()  # these have no code to score
        known = {name for config in self.examples for name in applicable_to(config, tuple(FURTHER))}
        if "auto" in asked:
            of_outcomes = [name for name in known if FURTHER[name].all_columns.keys() & {*self.study.outcomes}]
            asked = (*of_outcomes, *costs.affordable_scores(self.examples, self.options.iterations, known))
        return tuple(name for name in FURTHER if name in (known if "all" in asked else known & {*asked}))

    @property
    def reported(self) -> tuple[str, ...]:
        """The metrics that any of its trials reports, at every evaluation or at the last one."""
        columns = {column for name in self.final_metrics for column in FURTHER[name].columns}
        return tuple(sorted(columns.union(*map(reported_by, self.examples))))

    @property
    def scheduler(self) -> SchedulerSpec:
        """The scheduler, which may stop trials early."""
        return SCHEDULERS[self.options.scheduler]

    @property
    def grace_period(self) -> int:
        """Iterations before a trial may be stopped early."""
        share = self.study.presets[self.options.preset].grace_share
        return self.options.grace_period or max(1, round(self.options.iterations * share))

    @property
    def first_comparison(self) -> int | None:
        """The first evaluation at which a trial may be stopped; None if there is none before the last."""
        return next((i for i in self.evaluate_at[:-1] if i >= self.grace_period), None)

    @property
    def plateau(self) -> Plateau | None:
        """The rule that ends a trial that does not improve; None where none is asked for."""
        options = self.options
        better = REPORTED[options.metric].better
        if options.stop_at_plateau is None or better is None:
            return None
        return Plateau(
            metric=options.metric,
            better=better,
            patience=options.stop_at_plateau,
            min_delta=options.min_delta,
            since=self.grace_period,
        )

    def is_ended(self, trial: TrialFolder) -> bool:
        """Return whether a trial needs no more work, by its records."""
        return self.has_ended(trial.outcome(), trial.sound_evaluations)

    def has_ended(
        self, outcome: Outcome | None, evaluations: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    ) -> bool:
        """Return whether a trial needs no more work.

        Failed trials are tried again, finished ones go on to more iterations, stopped ones where nothing stops, those
        out of time where they have more of it, and those at a plateau where that is none by this plan.

        Args:
            outcome: how it ended; None if it has not.
            evaluations: returns its recorded evaluations, which are read where they decide.
        """
        if outcome is None or outcome.state == "failed":
            return False
        if outcome.state == "finished":
            return outcome.iteration >= self.options.iterations
        if outcome.state == "out_of_time":
            return (outcome.seconds or 0) >= (self.options.trial_time_budget or math.inf)
        if outcome.state == "at_plateau":
            return self.plateau is not None and self.plateau.is_reached(evaluations())
        return outcome.state == "diverged" or self.scheduler.compares

    def is_done(self, sweep: SweepFolder) -> bool:
        """Return whether nothing is left to do, as far as is known while another command may run the sweep."""
        return not self.trials_left(sweep, ())

    def source(self, sweep: SweepFolder, ended: Collection[str] = ()) -> Source:
        """Return the source of the trials that are left. The caller must hold the lock of the sweep.

        Args:
            sweep: the sweep that has them.
            ended: keys of trials that this command is done with, including failed ones, which it does not try again.
        """
        return Listed(self.trials, self.trials_left(sweep, ended))

    def kept(self, num_left: int) -> str:
        """Say what ended earlier and is kept, if so much of its `source` is left; empty if nothing is."""
        if num_left == len(self.trials):
            return ""
        return f"Trials that have ended before and are kept: {len(self.trials) - num_left}; to run: {num_left}."

    def trials_left(self, sweep: SweepFolder, ended: Collection[str]) -> list[PlannedTrial]:
        """Return the trials that have not ended, or that go on under this plan; none of those whose key is in `ended`.

        Those that were never begun are among them.
        """
        trials = [trial for trial in self.trials if trial.key not in ended]
        ended_before = in_parallel(lambda trial: self.is_ended(sweep.trial(trial.key)), trials)
        return [trial for trial, is_ended in zip(trials, ended_before, strict=True) if not is_ended]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of its trials."""
        return tuple(trial.key for trial in self.trials)

    @property
    def start(self) -> Start | None:
        """The weights that its trials begin with; None where these are of their seeds."""
        return start_of(self.axes)

    @property
    def num_trials(self) -> int:
        """Number of its trials."""
        return len(self.trials)

    @property
    def examples(self) -> tuple[TrialConfig, ...]:
        """Configs with the same mean cost as its trials."""
        return tuple(trial.config for trial in self.trials)

    @property
    def total_iterations(self) -> int:
        """Iterations of all trials together, if none is stopped early."""
        return self.num_trials * self.options.iterations

    def contents(self) -> list[str]:
        """Describe its trials in lines."""
        axes = " × ".join(f"{len(self.axes[name])} {option_name(name)}" for name in self.swept)
        count = counted(self.num_trials, "trial") + (f" = {axes}" if axes else "")
        if self.options.sample is not None:
            without = f" without {'; '.join(self.options.exclude)}" if self.options.exclude else ""
            drawn = f"{self.options.sample} of the cells of {axes}{without}"
            count = f"{self.num_trials} trials: {drawn}, drawn evenly (--sample {self.options.sample})"
        elif self.options.exclude:
            count = f"{self.num_trials} trials of {axes}, without {'; '.join(self.options.exclude)}"
        elif self.num_trials < math.prod(len(values) for values in self.axes.values() if values):
            count = f"{self.num_trials} trials of {axes}, since where an axis has no effect its trials are one"
        values = [f"  {option_name(name)}: {' '.join(map(shown, self.axes[name]))}" for name in self.swept]
        return [count, *values, *self.without_values(), *self._left_out_nothing()]

    def without_values(self) -> list[str]:
        """Say in lines which options of the preset are given without a value, and so have their default."""
        usual, idle = defaults(), without_effect(self.axes)
        values = self.study.defaults(self.options.preset)
        told = [
            (name, usual[name])
            for name in values
            if name not in self.axes and name not in idle and usual[name] is not None and values[name] != (usual[name],)
        ]
        return [f"{option_name(name)} is given no value, so it is {shown(value)}, its default" for name, value in told]

    def _left_out_nothing(self) -> list[str]:
        """Say in lines which of the combinations that a user leaves out no trial has."""
        if self.options.exclude == self.study.presets[self.options.preset].exclude:
            return []
        told = "leaves out nothing, since no trial has these values"
        return [f"--exclude {shlex.quote(text)} {told}" for text in self.idle_exclusions]

    def compared_by(self) -> list[str]:
        """Describe in lines how trials are stopped early."""
        return [*self._stopped_at_plateau(), *self._stopped_by_scheduler()]

    def _stopped_at_plateau(self) -> list[str]:
        if self.plateau is None:
            return []
        enough = self.plateau.can_be_reached(self.evaluate_at)
        return [f"{self.plateau}{'' if enough else ', of which there are too few for that (--evaluations)'}"]

    def _stopped_by_scheduler(self) -> list[str]:
        if not self.scheduler.compares:
            return []
        first = self.first_comparison
        when = f"from iteration {first:,} on" if first else "of which there are too few for that (--evaluations)"
        stops = f"{self.scheduler.name} stops trials that fall behind in {self.options.metric} at an evaluation, {when}"
        return [stops, *([self._seeds_compared] if len(self.axes["seed"]) > 1 else [])]

    def record(self) -> dict[str, Any]:
        """Return what its manifest holds beside options and axes."""
        return {}

    def core_seconds(self, cores: int | None = None) -> float:
        """Estimate the seconds of one core of this machine that all trials take, while so many cores are busy.

        All are where `cores` is not given, or as many as there are trials.
        """
        busy = min(costs.available_cores(), self.num_trials) if cores is None else cores
        return costs.core_seconds(self.examples, self.total_iterations, busy)

    def gpu_hours(self) -> float:
        """Estimate the hours of a GPU that all trials take at most, as if each was alone on it."""
        return costs.gpu_hours(self.examples, self.total_iterations)


def make_plan(study: Study, options: SweepOptions, axes: Axes) -> Plan:
    """Make the plan of a sweep.

    Raises:
        UserError: an option is out of range, or a trial is not a valid config.
    """
    check_options(options)
    check_effects(study, options)
    axes = completed(axes, options)
    check_number(math.prod(len(values) for values in axes.values() if values))
    naming = [name for name, values in axes.items() if name in study.axes or len(values) > 1]
    kept = kept_by(options.exclude)
    grid = product(axes)
    configs = [config for config in grid if kept(config)]
    if not configs:
        raise UserError(f"--exclude {shlex.join(options.exclude)} leaves no trial; exclude less.")
    if options.sample is not None:
        configs = sampled(configs, axes, options.sample, options.sample_seed)
    trials = tuple(PlannedTrial(config, label_of(config.to_dict(), naming)) for config in configs)
    idle = tuple(text for text in options.exclude if all(map(kept_by([text]), grid)))
    plan = Plan(study, options, axes, trials, idle_exclusions=idle)
    check_compared(plan)
    return plan


def completed(axes: Axes, options: SweepOptions) -> Axes:
    """Add what follows from files, from an existing sweep and from the other options, and put the seeds last.

    Raises:
        UserError: a file, or the weights to begin with, are missing or not as asked for.
    """
    axes = with_start(with_contents(as_existing(axes, options)), options)
    seeds = axes.pop("seed", (0,))
    return {**axes, "seed": seeds if options.seeds is None else tuple(range(options.seeds))}


def check_compared(plan: Plan) -> None:
    """Make sure that trials can be stopped by the plan's metric, if anything stops them.

    Raises:
        UserError: they cannot.
    """
    name = plan.options.metric
    if plan.scheduler.compares or not ranks(name) or plan.options.stop_at_plateau is not None:
        check_metric("metric", name, plan.examples)


def check_final_metrics(plan: Plan) -> None:
    """Make sure that scores at the end that a user asks for are meaningful for the factors.

    Raises:
        UserError: a score is not.
    """
    for name in plan.options.final_metrics if any(config.traits.encodes for config in plan.examples) else ():
        if name in FURTHER and not any(applicable_to(config, [name]) for config in plan.examples):
            raise UserError(f"--final-metrics {name} {why_not_applicable(plan.examples[0], name)}; leave it out.")
