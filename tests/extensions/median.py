"""A scheduler of one's own: Ray Tune's rule of the median (Golovin et al. 2017, section 3.2.1)."""

from dd_ray.metrics import REPORTED
from dd_ray.sweep import SchedulerSpec


def median(plan, recorded):
    """Stops a trial whose best value is worse than the median of the others' means at that iteration."""
    from ray.tune.schedulers import MedianStoppingRule  # Ray is imported once a cluster is joined

    options = plan.options
    return MedianStoppingRule(
        time_attr="iteration",
        metric=options.metric,
        mode=REPORTED[options.metric].better,
        grace_period=plan.grace_period,
        min_samples_required=2,
    )


MEDIAN = SchedulerSpec(name="own_median", build=median, compares=True)
