"""Checks of a sweep's options, and of the metrics that its trials are compared by."""

from collections.abc import Sequence
from typing import get_args, get_type_hints

from dd_ray.config import TrialConfig
from dd_ray.config.field import Within
from dd_ray.config.options import option_name
from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED, reported_by
from dd_ray.storage.files.locations import check_name, parse_location
from dd_ray.sweep.options import SMALLEST_SHARE, SearchOptions, SweepOptions
from dd_ray.sweep.schedulers import SCHEDULERS

MOST_TRIALS = 100_000
"""The most trials of a sweep: a hundred times as many as anybody trains, and few enough to list within minutes."""
OF_FACTORS = ("linear_r2", "mcc", "mig", "sap")
"""Metrics of every evaluation that compare a code with factors, if the data have any."""


def check_options(options: SweepOptions) -> None:
    """Make sure that each option is within its range.

    Raises:
        UserError: an option is out of range.
    """
    for name, hint in get_type_hints(_declared(type(options)), include_extras=True).items():
        value = getattr(options, name)
        for within in get_args(hint):
            if isinstance(within, Within) and value is not None and value not in within:
                raise UserError(f"--{option_name(name)} {value} is out of range; {within.says}.")
    if options.min_delta and options.stop_at_plateau is None:
        raise UserError(f"--min-delta {options.min_delta:g} has no effect without --stop-at-plateau N; give both.")
    if options.confirm is not None and options.stop_at_plateau is not None:
        raise UserError(
            f"--confirm {options.confirm} compares networks after as many iterations, before which --stop-at-plateau "
            f"{options.stop_at_plateau} ends some; leave one out."
        )
    stops = SCHEDULERS[options.scheduler].compares or options.stop_at_plateau is not None
    if stops and (options.grace_period or 1) > options.iterations:
        raise UserError(
            f"--grace-period {options.grace_period} is more than --iterations {options.iterations}; give less."
        )
    if 0 < (options.gpus_per_trial or 0) < SMALLEST_SHARE:
        raise UserError(
            f"--gpus-per-trial {options.gpus_per_trial} is out of range; give 0, or a number from {SMALLEST_SHARE:g} "
            "on, which is the least that Ray counts."
        )
    parse_location(options.storage)
    check_name(options.name, options.storage)


def check_number(num_trials: int) -> None:
    """Make sure that a sweep does not have too many trials, each of which is checked and named before it starts.

    Raises:
        UserError: it has too many.
    """
    if num_trials > MOST_TRIALS:
        raise UserError(
            f"{num_trials:,} trials are more than the {MOST_TRIALS:,} that a sweep may have; give fewer values or "
            "seeds."
        )


def _declared(options: type[SweepOptions]) -> type[SweepOptions]:
    """Return the class whose annotations have the ranges. A study's options are made of it, with other defaults."""
    return SearchOptions if issubclass(options, SearchOptions) else SweepOptions


def ranks(name: str) -> bool:
    """Return whether a metric of this name exists and ranks trials."""
    return name in REPORTED and REPORTED[name].better is not None


def check_metric(option: str, name: str, configs: Sequence[TrialConfig]) -> None:
    """Make sure that trials can be ranked by a metric: if one does not report it, asha silently stops nothing.

    Raises:
        UserError: they cannot; the message names `option`, which gave the metric.
    """
    rankable = {known for known, metric in REPORTED.items() if metric.better}
    common = rankable.intersection(*(reported_by(config) for config in configs))
    if name not in common:
        raise UserError(f"--{option} {name} cannot rank these trials; choose one of {', '.join(sorted(common))}.")
