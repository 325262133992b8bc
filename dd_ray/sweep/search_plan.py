"""The plan of a search: what it draws, how often, and what the values of its suggestions mean."""

import functools
import hashlib
import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from dd_ray.command_line import counted
from dd_ray.config import TrialConfig
from dd_ray.config.labels import label_of
from dd_ray.config.options import Axes, check_no_value_twice, option_name, settled, without_effect
from dd_ray.config.trial_fields import defaults
from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.checks import check_effects, check_metric, check_number, check_options
from dd_ray.sweep.options import SearchOptions
from dd_ray.sweep.plan import Plan, check_compared, completed
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.samplers import MOST_OBJECTIVES, SAMPLERS
from dd_ray.sweep.schedulers import ASHA, NONE
from dd_ray.sweep.source import Source
from dd_ray.sweep.space import Space, corners, split_axes
from dd_ray.sweep.study import Study

ALWAYS_NAMED = frozenset(
    "model network width_factor image_size num_latents beta beta_norm gamma lam alpha learn_alpha stochastic "
    "likelihood delay decode compat objective capacity_max capacity_weight capacity_iterations "
    "capacity_schedule tc_sampling tc_num_data slowness_weight slowness_rate beta_schedule gamma_schedule "
    "lam_schedule schedule_iterations schedule_cycles dataset grid background num_circles motion moves "
    "num_frames dsprites_file dsprites_md5 dataset_seed split train_share num_test batch_size learning_rate "
    "seed".split()
)
"""Fields that the names of Optuna studies have always held, whatever their values. Add none, as names would change."""


@dataclass(frozen=True, repr=False)
class SearchPlan(Plan):
    """A search that has been asked for. Its trials arise while it runs: each suggestion has a trial for each seed."""

    options: SearchOptions
    space: Space
    fixed: Mapping[str, Any]
    """Values of the config fields that are not drawn, without the seed."""

    came_out = "dd_ray.results.suggestions:SuggestionsCameOut"
    _seeds_compared = (
        "of each suggestion the first seed is compared; the others start when it has finished, and all finish"
    )

    @functools.cached_property
    def _idle(self) -> set[str]:
        """Fields that have an effect in no trial."""
        return without_effect(self.axes)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that each suggestion is repeated with."""
        return self.axes["seed"]

    @property
    def num_trials(self) -> int:
        """Number of trials that it will have."""
        return self.options.suggestions * len(self.seeds)

    @property
    def examples(self) -> tuple[TrialConfig, ...]:
        """The corners of its space."""
        return tuple(self.config(point, self.seeds[0]) for point in corners(self.space))

    @property
    def directions(self) -> tuple[str, ...]:
        """Direction of each objective, as Optuna names it."""
        return tuple("minimize" if REPORTED[name].better == "min" else "maximize" for name in self.options.objectives)

    def config(self, point: Mapping[str, Any], seed: int) -> TrialConfig:
        """Return the config of a point of the space with a seed; fields without effect there have their defaults."""
        return TrialConfig.from_dict(settled({**self.fixed, **point, "seed": seed}, self._idle))

    def trials_of(self, point: Mapping[str, Any]) -> tuple[PlannedTrial, ...]:
        """Return the trials of a suggestion."""
        configs = [self.config({name: point[name] for name in self.space}, seed) for seed in self.seeds]
        return tuple(PlannedTrial(config, self._label(config)) for config in configs)

    def contents(self) -> list[str]:
        """Describe in lines what it draws and compares."""
        better = [
            f"{name} ({direction})" for name, direction in zip(self.options.objectives, self.directions, strict=True)
        ]
        return [
            f"{self.options.suggestions} suggestions × {counted(len(self.seeds), 'seed')} = {self.num_trials} trials, "
            f"drawn by {SAMPLERS[self.options.sampler].title} for " + " and ".join(better),
            *(f"  {option_name(name)}: {distribution}" for name, distribution in self.space.items()),
            *self.without_values(),
        ]

    def is_done(self, sweep: SweepFolder) -> bool:
        """Return False: Optuna's study tells what is left, and it is not opened without the lock."""
        return False

    def source(self, sweep: SweepFolder, ended: Collection[str] = ()) -> Source:
        """Return the source of the suggestions that have no value yet; those that failed before are suggested again."""
        # Not at the top: both import Optuna, which a dry run does not need.
        from dd_ray.sweep.suggested import Suggested  # noqa: PLC0415
        from dd_ray.sweep.suggestions import mend_log  # noqa: PLC0415

        mend_log(sweep)
        return Suggested(self, sweep, lambda trial: trial.key in ended or self.is_ended(trial))

    def kept(self, num_left: int) -> str:
        """Say that the search is complete, if no suggestion is left."""
        return "" if num_left else "All suggestions have ended before and are kept."

    def record(self) -> dict[str, Any]:
        """Return what the sweep's manifest records of the search."""
        return {
            "search": {
                "optuna_study": self.optuna_study,
                "objectives": list(self.options.objectives),
                "space": {name: str(distribution) for name, distribution in self.space.items()},
                "seeds": list(self.seeds),
                "iterations": self.options.iterations,
            }
        }

    @property
    def optuna_study(self) -> str:
        """Name of the Optuna study, which is the same for all commands whose values mean the same.

        A mean over other seeds, at another iteration, or of other objectives is another value, and a sampler must not
        confuse them.
        """
        meaning = [self.fixed_text, {name: str(d) for name, d in self.space.items()}, self.seeds, self._stops_by]
        digest = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:6]
        seeds = counted(len(self.seeds), "seed")
        return f"{' and '.join(self.options.objectives)} at {self.options.iterations} iterations, {seeds} ({digest})"

    @property
    def fixed_text(self) -> str:
        """The fixed fields as text, to compare: those of `ALWAYS_NAMED`, and others that differ from their defaults.

        So a search keeps its name when a later version adds fields.
        """
        usual = defaults()
        named = {name: value for name, value in self.fixed.items() if name in ALWAYS_NAMED or value != usual.get(name)}
        return json.dumps(named, sort_keys=True)

    @property
    def _stops_by(self) -> list[Any]:
        """Where trials are compared, out of time or at a plateau, what a suggestion has to outdo to get a value."""
        options = self.options
        compared: list[Any] = []
        if self.scheduler.compares:
            other = [] if self.scheduler.name == ASHA.name else [self.scheduler.name]
            compared = [options.metric, self.grace_period, options.reduction_factor, *other]
        plateau = [] if self.plateau is None else [repr(self.plateau)]
        return [*compared, *([] if options.trial_time_budget is None else [options.trial_time_budget]), *plateau]

    def _label(self, config: TrialConfig) -> str:
        naming = [name for name in self.axes if name in self.space or name in self.study.axes]
        values = config.to_dict()
        # Few digits, to be readable; if they are equal, the key distinguishes trials.
        drawn = {name: values[name] for name in self.space if isinstance(values[name], float)}
        return label_of({**values, **{name: float(f"{value:.4g}") for name, value in drawn.items()}}, naming)


def make_search_plan(study: Study, options: SearchOptions, axes: Axes, given: Collection[str]) -> SearchPlan:
    """Make the plan of a search.

    Args:
        study: a study with a `search`.
        options: options of the command line, or their defaults.
        axes: values of config fields.
        given: names of the options that the command line gives. If it gives no metric, asha compares by the first
            objective. If it gives no scheduler, two objectives are searched without asha, which would cut off the end
            of the front that is worse in its metric.

    Raises:
        UserError: an option is out of range, or a corner of the space is not a valid config.
    """
    assert study.search
    options = _with_defaults_that_follow(options, given)
    check_options(options)
    check_effects(study, options)
    _check(options)
    axes = completed(axes, options)
    check_number(options.suggestions * len(axes["seed"]))
    check_no_value_twice("seed", axes["seed"])
    space, fixed = split_axes({name: v for name, v in axes.items() if name != "seed"}, study.search.space)
    plan = SearchPlan(study, options, axes, (), space, fixed)
    for name in options.objectives:
        check_metric("objectives", name, plan.examples)
    check_compared(plan)
    return plan


def _with_defaults_that_follow(options: SearchOptions, given: Collection[str]) -> SearchOptions:
    if "metric" not in given and options.objectives:
        options = replace(options, metric=options.objectives[0])
    if "scheduler" not in given and len(options.objectives) > 1:
        options = replace(options, scheduler=NONE.name)
    return options


def _check(options: SearchOptions) -> None:
    objectives = options.objectives
    if options.sample is not None:
        raise UserError(f"--sample {options.sample} is of a grid, and a search draws its values; give --suggestions.")
    if options.exclude:
        raise UserError(
            f"--exclude {shlex.join(options.exclude)} is of a grid, and a search draws its values; leave it out, and "
            "give the values to draw from, as --gamma LOW HIGH."
        )
    if not 0 < len(objectives) <= MOST_OBJECTIVES or len(set(objectives)) < len(objectives):
        raise UserError(f"--objectives {' '.join(objectives)}: give one reported metric, or two different ones.")
    sampler = SAMPLERS[options.sampler]
    if sampler.package is not None and find_spec(sampler.package) is None:
        raise UserError(
            f"--sampler {sampler.name} needs the package {sampler.package}, which is not installed here; run "
            f"`pip install {sampler.package}`, or choose one of "
            f"{', '.join(name for name, spec in SAMPLERS.items() if spec.package is None)}."
        )
    if len(objectives) > sampler.most_objectives:
        able = ", ".join(name for name, spec in SAMPLERS.items() if spec.most_objectives >= len(objectives))
        raise UserError(
            f"--sampler {sampler.name} searches for {sampler.most_objectives} objective at a time, and "
            f"{len(objectives)} are given; give fewer --objectives, or choose one of {able}."
        )
    if ":/" in str(options.storage):
        raise UserError(
            f"--storage {options.storage} is a URL, and a search keeps Optuna's study, which needs a folder; give a "
            "folder that all nodes see."
        )
