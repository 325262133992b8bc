"""Schedulers, which stop trials early or let all finish. Each is declared here once, without Ray."""

from dataclasses import dataclass

from dd_ray.config.declarations import KINDS
from dd_ray.config.specs import CodeOrName, Registry, Spec
from dd_ray.config.trial_fields import REGISTRIES


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec(Spec):
    """A rule that stops trials early."""

    build: CodeOrName
    """Makes a scheduler of Ray Tune from a plan and the recorded evaluations of its trials, by key."""
    compares: bool
    """True if it compares trials at their evaluations and stops some, and so needs a metric and a grace period."""


ASHA = SchedulerSpec(name="asha", build="dd_ray.tune.rungs:asha", compares=True)
HYPERBAND = SchedulerSpec(name="hyperband", build="dd_ray.tune.rungs:hyperband", compares=True)
MEDIAN = SchedulerSpec(name="median", build="dd_ray.tune.medians:median", compares=True)
NONE = SchedulerSpec(name="none", build="dd_ray.tune.rungs:no_scheduler", compares=False)
SCHEDULERS = Registry("scheduler", [ASHA, HYPERBAND, MEDIAN, NONE])

# Registered with extensions here, since the modules of these tables lie below this one and cannot import it.
REGISTRIES[SCHEDULERS.kind], KINDS[SCHEDULERS.kind] = SCHEDULERS, SchedulerSpec
