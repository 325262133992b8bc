"""What options of a sweep may not be, and which metrics its trials report."""

import math
from collections.abc import Sequence

from dd_ray.config import TrialConfig
from dd_ray.config.options import option_name
from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED, reported_by
from dd_ray.storage.files.locations import check_name, parse_location
from dd_ray.sweep.options import SweepOptions
from dd_ray.sweep.schedulers import SCHEDULERS

OF_FACTORS = ("linear_r2", "mcc", "mig", "sap")
"""Metrics of every evaluation that compare a code with factors, where the data have any."""


def check_options(options: SweepOptions) -> None:
    """Make sure that each option is within its range.

    Raises:
        UserError: one is not.
    """
    lowest = {"iterations": 1, "seeds": 1, "confirm": 1, "grace_period": 1, "evaluations": 1, "max_concurrent": 1}
    for name, bound in lowest.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise UserError(f"--{option_name(name)} {value} is out of range; give {bound} or more.")
    for name in ("gpus_per_trial", "max_failures", "price_per_gpu_hour"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < math.inf:
            raise UserError(f"--{option_name(name)} {value} is out of range; give 0 or more.")
    if options.cpus_per_trial is not None and not 0 < options.cpus_per_trial < math.inf:
        raise UserError(f"--cpus-per-trial {options.cpus_per_trial} is out of range; give a positive number.")
    if not 1 < options.reduction_factor < math.inf:
        raise UserError(f"--reduction-factor {options.reduction_factor} is out of range; give more than 1.")
    if SCHEDULERS[options.scheduler].compares and (options.grace_period or 1) > options.iterations:
        raise UserError(
            f"--grace-period {options.grace_period} is more than --iterations {options.iterations}; give less."
        )
    if (options.gpus_per_trial or 0) > 1:
        raise UserError(f"--gpus-per-trial {options.gpus_per_trial} is out of range; a trial uses one GPU at most.")
    parse_location(options.storage)
    check_name(options.name, options.storage)


def check_metric(option: str, name: str, configs: Sequence[TrialConfig]) -> None:
    """Make sure that trials can be ranked by a metric: where one does not report it, asha stops nothing, and is silent.

    Raises:
        UserError: they cannot; `option` is the one that gave the metric.
    """
    rankable = {known for known, metric in REPORTED.items() if metric.better}
    common = rankable.intersection(*(reported_by(config) for config in configs))
    if name not in common:
        raise UserError(f"--{option} {name} cannot rank these trials; choose one of {', '.join(sorted(common))}.")
