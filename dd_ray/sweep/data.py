"""The data of a plan: its files are opened or checked before anything starts, and what a reader should know is said."""

from dd_ray.config import TrialConfig
from dd_ray.config.options import told_in_options
from dd_ray.metrics import ENOUGH_POINTS, FURTHER, applicable, share_lost_to_fitting
from dd_ray.storage.dsprites import check_dsprites_file, fetching, has_dsprites, open_dsprites
from dd_ray.sweep.checks import OF_FACTORS
from dd_ray.sweep.plan import Plan

MOST_LOST = 0.025
"""A plan warns if few videos make R² too low by more than this share of the unexplained variance."""


def open_data(plan: Plan) -> None:
    """Open the files of the data, and make sure that they hold what is expected.

    Raises:
        UserError: a file is missing, or another one.
    """
    for file, md5 in _dsprites_of(plan):
        with fetching(), told_in_options():
            open_dsprites(file, md5)


def check_data(plan: Plan) -> None:
    """Make sure that the files of the data are those that are expected, without unpacking or fetching one.

    Raises:
        UserError: as of `open_data`.
    """
    for file, md5 in _dsprites_of(plan):
        with told_in_options():
            check_dsprites_file(file, md5)


def has_data_of(config: TrialConfig) -> bool:
    """Return whether the data of a trial is on this machine. Images of a URL are not before they are trained on."""
    return not config.dsprites_file or has_dsprites(config.dsprites_file, config.dsprites_md5)


def _dsprites_of(plan: Plan) -> set[tuple[str, str]]:
    return {(config.dsprites_file, config.dsprites_md5) for config in plan.examples if config.dsprites_file}


def scored_on(plan: Plan) -> list[str]:
    """Say in lines what a reader should know about the first weights, and the data that scores are computed on."""
    lines = [*_started_from(plan), *_of_own_data(plan), *_never_trained(plan)]
    more = _what_brings_more(plan)
    scored = [config for config in plan.examples if config.traits.encodes and config.factor_names]
    points = min((c.num_tested * c.num_latents_in_time for c in scored), default=ENOUGH_POINTS)
    if points < ENOUGH_POINTS:
        lines.append(f"MIG of {points:,} held-out frames is biased; {ENOUGH_POINTS:,} are enough ({more})")
    worst = max(scored, key=_lost_to_fitting, default=None)
    if worst and (lost := _lost_to_fitting(worst)) > MOST_LOST:
        much = f"by up to {lost:.2g} × (1 − R²)" if lost < 1 else "by more than it can say"
        samples = "videos" if worst.of_videos else "still pictures"
        lines.append(f"linear R² of {worst.num_tested:,} held-out {samples} is too low {much}; use more ({more})")
    if plan.final_metrics:
        names = " ".join(plan.final_metrics)
        own = any(config.contents for config in plan.examples)
        stills = "the held-out frames as" if own else "10,000"
        lines.append(f"at the end, of {stills} still pictures: {names}")
    return lines


def _what_brings_more(plan: Plan) -> str:
    """Return what brings more held-out samples: no option does where all that a file has are used."""
    used_up = any(c.contents and c.num_tested == c.contents.num_held_out for c in plan.examples)
    return "a larger --data-file" if used_up else "--num-test"


def _started_from(plan: Plan) -> list[str]:
    return [f"each trial begins with {plan.start}, and not from scratch"] if plan.start else []


def _never_trained(plan: Plan) -> list[str]:
    """Say of which factors a part is not in the data that are trained on, where combinations are held out."""
    configs = [config for config in plan.examples if config.split == "combinations"]
    if not configs:
        return []
    from dd_ray.data import fetched_dataset  # noqa: PLC0415  # PyTorch, which no other plan needs

    lacking = dict.fromkeys(name for config in configs for name in fetched_dataset(config).never_trained)
    told = f"a half, or a category, of {', '.join(lacking)} is in no combination that is trained on"
    remedy = "so that held-out ones ask for more than combining; train on more (--train-share)"
    return [f"{told}, {remedy}"] if lacking else []


def _of_own_data(plan: Plan) -> list[str]:
    """Describe in lines the file that is trained on, if there is one, and the scores that it lacks."""
    config = next((config for config in plan.examples if config.contents), None)
    if config is None or config.contents is None:
        return []
    contents, factors = config.contents, ", ".join(config.factor_names) or "none"
    lines = [f"{contents.in_words}, of which {contents.num_held_out:,} are held out; factors: {factors}"]
    if not config.factor_names:
        return [*lines, f"without factors there is no {', '.join(dict.fromkeys((*OF_FACTORS, *FURTHER)))}"]
    asking = [name for name in applicable(tuple(FURTHER), config.factor_names) if FURTHER[name].asks]
    return [*lines, f"without pictures of other factors than the file's there is no {', '.join(asking)}"]


def _lost_to_fitting(config: TrialConfig) -> float:
    """Return by how much the R² of a trial that encodes is too low, see `share_lost_to_fitting`."""
    size = config.num_latents if config.traits.has_latents else len(config.factor_names)
    return share_lost_to_fitting(size, config.num_tested)
