"""Checks of a sweep's options, and of the metrics that its trials are compared by."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from dd_ray.config import TrialConfig, field_names
from dd_ray.config.field import FINITE, Within
from dd_ray.config.options import check_no_value_twice, option_name
from dd_ray.config.urls import check_address
from dd_ray.errors import UserError, did_you_mean
from dd_ray.metrics import ASKED_SCORES, FURTHER, REPORTED, is_computed_once, reported_by
from dd_ray.storage.files.locations import check_name, parse_location
from dd_ray.sweep.options import SMALLEST_SHARE, SearchOptions, SweepOptions
from dd_ray.sweep.samplers import QMC, RANDOM
from dd_ray.sweep.schedulers import MEDIAN, NONE, SCHEDULERS
from dd_ray.sweep.space import Choice, Uniform
from dd_ray.sweep.study import Preset, Search, Study

MOST_TRIALS = 100_000
"""The most trials of a sweep: a hundred times as many as anybody trains, and few enough to list within minutes."""
OF_FACTORS = ("linear_r2", "mcc", "mig", "sap")
"""Metrics of every evaluation that compare a code with factors, if the data have any."""


def check_types(study: Study) -> None:
    """Make sure that what a study holds is of the right types, before its extensions are loaded.

    Raises:
        UserError: it is not.
    """
    _check_kind("a study's name", study.name, str, "text")
    where = f"study {study.name}"
    if not study.presets:
        raise UserError(f"{where} has no presets; give it one, such as presets={{'quick': Preset(...)}}.")
    for name in ("question", "metric"):
        _check_kind(f"{where}: {name}", getattr(study, name), str, "text")
    for name in ("axes", "extensions", "figures", "tells", "outcomes"):
        _check_several(f"{where}: {name}", getattr(study, name))
    for name in ("fixed", "presets", "earlier"):
        _check_kind(f"{where}: {name}", getattr(study, name), Mapping, "a dictionary")
    if study.search is not None:
        _check_search(f"{where}: search", study.search)
    for name, preset in (*study.presets.items(), *study.earlier.items()):
        _check_kind(f"{where}: the name of a preset", name, str, "text")
        of_preset = f"{where}, preset {name}"
        _check_kind(of_preset, preset, Preset, "a Preset(...)")
        _check_kind(f"{of_preset}: about", preset.about, str, "text")
        _check_kind(f"{of_preset}: axes", preset.axes, Mapping, "a dictionary")
        for number in ("grace_share", "reduction_factor"):
            _check_kind(f"{of_preset}: {number}", getattr(preset, number), int | float, "a number")


def _check_search(where: str, search: Search) -> None:
    _check_kind(where, search, Search, "a Search(...), or None for a grid")
    _check_several(f"{where}, objectives", search.objectives)
    _check_kind(f"{where}, space", search.space, Mapping, "a dictionary")
    for name, distribution in search.space.items():
        _check_kind(f"{where}, {name}", distribution, Uniform | Choice, "a Uniform, LogUniform or Choice")


def _check_kind(where: str, value: Any, kind: Any, says: str) -> None:
    if not isinstance(value, kind):
        raise UserError(f"{where} = {value!r} is of the wrong type; give {says}.")


def check_study(study: Study) -> None:
    """Make sure that a study, which may be a user's own, names what there is, once its extensions are loaded.

    Raises:
        UserError: it does not.
    """
    where = f"study {study.name}"
    fields = field_names()
    _check_known(f"{where}: axes", study.axes, fields)
    _check_known(f"{where}: fixed", study.fixed, fields)
    _check_known(f"{where}: space", study.search.space if study.search else (), fields)
    for name in ("tells", "outcomes"):
        _check_known(f"{where}: {name}", getattr(study, name), tuple(REPORTED))
    for name, value in study.fixed.items():
        if isinstance(value, tuple | list | set | frozenset):
            raise UserError(f"{where}: fixed gives {name} several values, {value}; give one, or sweep it in a preset.")
    for name, preset in (*study.presets.items(), *study.earlier.items()):
        _check_preset(f"{where}, preset {name}", preset, fields)


def _check_preset(where: str, preset: Preset, fields: Sequence[str]) -> None:
    _check_known(f"{where}: axes", preset.axes, fields)
    if "seed" in preset.axes:
        raise UserError(f"{where}: axes has seed; give the number of them, seeds={len(preset.axes['seed'])}.")
    for name, values in preset.axes.items():
        _check_several(f"{where}: {name}", values)
        if not tuple(values):
            raise UserError(f"{where}: {name} = {values!r} has no value; give one, or leave {name} out.")
    for name in ("final_metrics", "exclude"):
        _check_several(f"{where}: {name}", getattr(preset, name))
    _check_known(f"{where}: scheduler", (preset.scheduler,), tuple(SCHEDULERS))
    _check_known(f"{where}: final_metrics", preset.final_metrics, (*ASKED_SCORES, *FURTHER))
    for name, least in (("iterations", 1), ("seeds", 1), ("suggestions", 0)):
        value = getattr(preset, name)
        if type(value) is not int or value < least:
            raise UserError(f"{where}: {name} = {value!r}; give a whole number of at least {least}.")
    if not 0 <= preset.grace_share <= 1:
        raise UserError(f"{where}: grace_share = {preset.grace_share!r}; give a number in [0, 1].")


def _check_several(where: str, values: Any) -> None:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise UserError(f"{where} = {values!r} is no tuple; write ({values!r},), with the comma.")
    if isinstance(values, set | frozenset | Mapping | Iterator):
        raise UserError(f"{where} = {values!r} is a {type(values).__name__}; give a tuple.")


def _check_known(where: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Make sure that names are known, such as fields of a config."""
    for name in names:
        if name not in known:
            instead = did_you_mean(name, known, f"give {', '.join(known)}.")
            raise UserError(f"{where} names {name!r}, which does not exist; {instead}")


def check_options(options: SweepOptions) -> None:
    """Make sure that each option is within its range.

    Raises:
        UserError: an option is out of range.
    """
    for name, hint in get_type_hints(_declared(type(options)), include_extras=True).items():
        value = getattr(options, name)
        if value == "" and name != "name":  # which is checked below
            raise UserError(f"--{option_name(name)} '' is empty; give a value, or leave it out.")
        for within in (*([FINITE] if isinstance(value, float) else []), *get_args(hint)):
            if isinstance(within, Within) and value is not None and value not in within:
                raise UserError(f"--{option_name(name)} {value} is out of range; {within.says}.")
    for name in ("final_metrics", "exclude"):
        check_no_value_twice(name, getattr(options, name))
    if "none" in options.final_metrics and len(options.final_metrics) > 1:
        scores = " ".join(options.final_metrics)
        raise UserError(f"--final-metrics {scores} asks for none and for others; leave out none, or the others.")
    if options.confirm is not None and options.stop_at_plateau is not None:
        raise UserError(
            f"--confirm {options.confirm} compares networks after equally many iterations, before which "
            f"--stop-at-plateau {options.stop_at_plateau} ends some; leave one out."
        )
    if _stops(options) and (options.grace_period or 1) > options.iterations:
        raise UserError(
            f"--grace-period {options.grace_period} is more than --iterations {options.iterations}; give less."
        )
    if 0 < (options.gpus_per_trial or 0) < SMALLEST_SHARE:
        raise UserError(
            f"--gpus-per-trial {options.gpus_per_trial} is out of range; give 0, or a number from {SMALLEST_SHARE:g} "
            "on, which is the least that Ray counts."
        )
    if options.address is not None:
        check_address(options.address)
    parse_location(options.storage)
    check_name(options.name, options.storage)


def check_effects(study: Study, options: SweepOptions) -> None:
    """Make sure that no option is given that has no effect beside the others.

    Raises:
        UserError: one is, with another value than its default.
    """
    usual = {each.name: each.default for each in fields(_declared(type(options)))}
    usual["reduction_factor"] = study.presets[options.preset].reduction_factor
    for name in idle_options(options):
        if (value := getattr(options, name)) != usual[name]:
            raise UserError(f"--{option_name(name)} {value} has no effect without {NEEDS[name][0]}; give both.")


def idle_options(options: SweepOptions) -> list[str]:
    """Return the options that have no effect beside the others, whatever their values."""
    return [name for name, (_, has_effect) in NEEDS.items() if hasattr(options, name) and not has_effect(options)]


def _stops(options: SweepOptions) -> bool:
    """Return whether something may stop trials early."""
    return SCHEDULERS[options.scheduler].compares or options.stop_at_plateau is not None


NEEDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "sample_seed": ("--sample N", lambda options: options.sample is not None),
    "min_delta": ("--stop-at-plateau N", lambda options: options.stop_at_plateau is not None),
    "grace_period": ("a --scheduler that stops trials, or --stop-at-plateau N", _stops),
    "reduction_factor": (
        "--scheduler asha or hyperband",
        lambda options: options.scheduler not in (NONE.name, MEDIAN.name),
    ),
    "startup": ("a --sampler that learns", lambda options: options.sampler not in (QMC.name, RANDOM.name)),
}
"""Options that have no effect without another: that one in words, and whether options have it."""


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
    rankable = set(filter(ranks, REPORTED))
    common = rankable.intersection(*(reported_by(config) for config in configs))
    if name not in common:
        none = f"they have none in common; leave some out{', or give --scheduler none' if option == 'metric' else ''}"
        remedy = f"choose one of {', '.join(sorted(common))}" if common else none
        raise UserError(f"--{option} {name} cannot rank these trials, since {_why_not(name)}; {remedy}.")


def _why_not(name: str) -> str:
    """Return why trials cannot be ranked by a metric while they are trained."""
    if name not in REPORTED:
        return "there is no such metric"
    if is_computed_once(name):
        return "it is a score of their last evaluation alone"
    return "not all of them report it" if ranks(name) else "neither more nor less of it makes a better network"
