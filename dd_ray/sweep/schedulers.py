"""Schedulers: what gives up trials early, or lets all finish. Each is declared here once, without Ray."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """A rule by which trials are given up early."""

    name: str
    build: str
    """`package.module:function` from a plan and recorded evaluations, by key, to a scheduler of Ray Tune."""
    compares: bool
    """Whether it compares trials at their evaluations and stops some, and so needs a metric and a grace period."""


ASHA = Scheduler(name="asha", build="dd_ray.tune.rungs:asha", compares=True)
NONE = Scheduler(name="none", build="dd_ray.tune.rungs:no_scheduler", compares=False)
SCHEDULERS = {scheduler.name: scheduler for scheduler in (ASHA, NONE)}
