"""Makes the plan of a study from the options that it is given, in Python or on the command line."""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from dd_ray.command_line import checked_value
from dd_ray.config import TrialConfig, field_names
from dd_ray.config.extensions import instances_of, load_files, own_code_of
from dd_ray.config.options import axes_of, option_name, options_class, told_in_options
from dd_ray.config.trial_fields import TrialFields
from dd_ray.errors import UserError, did_you_mean, printable
from dd_ray.figures import check_figures
from dd_ray.metrics import FURTHER
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.studies import study_named, study_names
from dd_ray.sweep import Study
from dd_ray.sweep.checks import check_study, check_types
from dd_ray.sweep.data import has_data_of
from dd_ray.sweep.manifest import goes_on, naming_extensions
from dd_ray.sweep.memory import bytes_of, bytes_of_this_machine
from dd_ray.sweep.options import options_of
from dd_ray.sweep.plan import Plan, check_final_metrics, make_plan
from dd_ray.sweep.search_plan import make_search_plan
from dd_ray.sweep.value_file import ValueFile, known_option, no_such_option


def wanted_plan(study: Study | str, preset: str | None, options: Mapping[str, Any]) -> Plan:
    """Make the plan of the given options. With `confirm`, it is of the sweep whose cells are to be confirmed."""
    config = checked_value("config", options.get("config"), str | None)
    file = ValueFile.read(config) if config else ValueFile("", {})
    extensions = checked_value("extension", options.get("extension", file.words("extension")), tuple[str, ...])
    load_files(extensions)
    study = _study_of(study)
    check_types(study)
    extensions = tuple(dict.fromkeys((*study.extensions, *extensions)))
    load_files(study.extensions)
    check_study(study)
    by_file = " ".join(file.words("preset"))
    usual = by_file if by_file in study.presets else study.default_preset
    preset = usual if preset is None else checked_value("preset", preset, str)
    if preset not in study.presets:
        raise UserError(f"{study.name} has no preset {preset!r}; give one of {', '.join(study.presets)}.")
    own = [field.name for field in fields(options_of(study, preset))]
    given = {name: value for name, value in options.items() if name != "extension"}
    with naming_extensions(study, preset, {**file.entries, **given}):
        values = _by_name(given, own, study.name)
        asked = as_it_goes_on(study, lambda each: _asked(each, preset, extensions, values, file))
    check_own_code(asked)
    return asked


def _asked(study: Study, preset: str, extensions: tuple[str, ...], given: Mapping[str, Any], file: ValueFile) -> Plan:
    """Make the plan of a study with a preset, the given options, and those of a file that are not given."""
    of_sweep = options_of(study, preset, extensions)
    of_trials = options_class(study.defaults(preset))
    of_file = file.values(study, (of_sweep, of_trials), {*given, "preset"})
    values = {**of_file, **given} | {"preset": preset}
    sweep_values, trial_values = (
        {field.name: values[field.name] for field in fields(kind) if field.name in values}
        for kind in (of_sweep, of_trials)
    )
    with file.named(of_file):
        return plan_of(
            study, _checked(of_sweep, sweep_values), _checked(of_trials, trial_values), of_file.keys() | given.keys()
        )


def as_it_goes_on(study: Study, asked: Callable[[Study], Plan]) -> Plan:
    """Return the plan of a study, or of an earlier version of it where that continues a sweep that exists.

    Args:
        study: the study as it is today.
        asked: makes the plan of a study.
    """
    now, before = asked(study), study.as_before()
    if before is None or now.options.preset not in study.earlier or goes_on(now):
        return now
    try:
        earlier = asked(before)
    except UserError:  # the earlier version refuses it, so the sweep is not one of that version
        return now
    return earlier if goes_on(earlier) else now


def plan_of(study: Study, options: Any, config: Any, given: Collection[str]) -> Plan:
    """Make the plan of a study from parsed options.

    Args:
        study: the study to plan.
        options: `options_of` it and its preset.
        config: `options_class` of the preset's defaults.
        given: names of the options that the user gave.

    Raises:
        UserError: an option is out of range, or a trial is not a valid config.
    """
    check_figures(study.figures)
    if {"seed", "seeds"} <= set(given):
        raise UserError(f"both --seeds {options.seeds} and --seed {' '.join(map(str, config.seed))}; give one.")
    with told_in_options():
        axes = axes_of(config, study.defaults(options.preset), given)
        made = make_search_plan(study, options, axes, given) if study.search else make_plan(study, options, axes)
        if "final_metrics" in given:  # of those of a preset, the meaningless are left out
            check_final_metrics(made)
        _check_start(made)
    return made


def _check_start(plan: Plan) -> None:
    if plan.start is not None:
        # Not at the top: it takes PyTorch, which other plans do without.
        from dd_ray.trial.warm_start import check_starts  # noqa: PLC0415

        check_starts(plan.examples, SweepFolder.at(plan.location))


def check_own_code(plan: Plan) -> None:
    """Try the user's own code that a plan uses, on the CPU: each combination of models, data and the like in its first
    trial, and in its last where an own option has another value there.

    Notes on stderr say where scores of stills would not be of a model's latents, or scores would be left out.

    Trials that this machine has not the memory or the data for, such as those of a cluster, are passed over, and so are
    errors that name a device where trials may run on GPUs.

    Raises:
        UserError: the code raises an error, or returns something that it should not.
    """
    configs = [config for config in plan.examples if own_code_of(config)]
    first, last = ({_combination(each): each for each in some} for some in (reversed(configs), configs))
    own_options = set(field_names()) - {each.name for each in fields(TrialFields)}
    own = {
        (_combination(each), *(getattr(each, name) for name in sorted(own_options))): each
        for each in (*last.values(), *first.values())
    }
    scores = [name for name in plan.final_metrics if name not in FURTHER.ours]
    if not own and not scores:
        return
    # Not at the top: it takes PyTorch, which other plans do without.
    from dd_ray.trial.own_code import try_own_code, try_own_scores  # noqa: PLC0415

    fitting = [config for config in own.values() if bytes_of(config) < bytes_of_this_machine() and has_data_of(config)]
    notes = [try_own_code(config, on_gpus=not plan.runs_on_these_cpus) for config in fitting]
    for note in dict.fromkeys(filter(None, notes)):
        print(printable(note, lines=True), file=sys.stderr)
    if scores and has_data_of(plan.examples[0]):
        try_own_scores(scores, plan.examples[0])


def _combination(config: TrialConfig) -> tuple[str, ...]:
    return config.model, config.network, config.dataset, config.objective, config.optimizer


def all_studies() -> dict[str, Study]:
    """Return all studies by name: ours, and those of loaded extensions.

    Raises:
        UserError: an extension declares a study whose name is taken.
    """
    found = {name: study_named(name) for name in study_names()}
    for study in instances_of(Study):
        if found.setdefault(study.name, study) is not study:
            raise UserError(f"an extension declares a study {study.name}, which there is already; rename it.")
    return found


def _study_of(study: Study | str) -> Study:
    if isinstance(study, Study):
        return study
    known = all_studies()
    if not isinstance(study, str) or study not in known:
        meant = did_you_mean(str(study), known, f"give one of {', '.join(known)}.")
        raise UserError(f"there is no study {study!r}; {meant}")
    return known[study]


def _by_name(given: Mapping[str, Any], own: Sequence[str], study: str) -> dict[str, Any]:
    """Return the values of options by their names as the dataclass spells these, to be read as often as is needed.

    Raises:
        UserError: there is no such option, or one is given by two of its names.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        known = known_option(name, own)
        if known is None:
            raise no_such_option(study, name, own)
        if known in values:
            raise UserError(f"{option_name(known)} is given twice, as {name} too; give it once.")
        values[known] = tuple(value) if isinstance(value, Iterator) else value
    return values


def _checked(kind: type, values: dict[str, Any]) -> Any:
    """Check the types of the values, and return an instance of a dataclass of options."""
    hints = get_type_hints(kind)
    return kind(**{name: checked_value(option_name(name), value, hints[name]) for name, value in values.items()})
