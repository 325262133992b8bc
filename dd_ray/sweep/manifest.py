"""Makes `sweep.json`, which records what a sweep was asked for, and checks that a new plan agrees with it."""

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from dd_ray.config import config_fields, fields_with
from dd_ray.config.field import option_of
from dd_ray.config.options import option_name, without_effect
from dd_ray.config.recorded import changed_defaults, changed_since, check_recorded_options, not_loaded, record
from dd_ray.config.trial_fields import defaults
from dd_ray.errors import UserError
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.records import DamagedError
from dd_ray.storage.starts import PLACE, WEIGHTS
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import commit, difference, machine, versions
from dd_ray.sweep.options import options_of
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.study import Study


def make_manifest(plan: Plan, before: Mapping[str, Any]) -> dict[str, Any]:
    """Make the manifest of a plan, including the values that the sweep had before."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "study": plan.study.name,
        "tells": list(plan.study.tells),
        "question": plan.study.question,
        "began": before.get("began", now),
        "asked": now,
        "machine": machine(),
        "axes": _axes(before["axes"] if before else {}, plan.axes),
        **plan.record(),
        "options": asdict(plan.options),
        "evaluate_at": list(plan.evaluate_at),
        "command": sys.argv,
        "versions": versions(),
        "commit": commit(),
        "extensions": _extensions(before.get("extensions", [])),
    }


def _extensions(earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the records of all commands' extensions, since the trials of each are read by them; the latest of each."""
    now = record()
    files = {each["file"] for each in now}
    return [*(each for each in earlier if each["file"] not in files), *now]


def check_agrees(plan: Plan, sweep: SweepFolder) -> None:
    """Make sure that a plan continues or extends what a sweep has.

    Fields that a study or a command sweeps may get other values, which adds trials. All others must keep their values,
    unless the old value is among several new ones, or the field has no effect on the trials of one of the two.

    Raises:
        UserError: the sweep belongs to another study, differs in a field that neither sweeps, or was made with other
            defaults, a wider range or further options of an extension; the message names it.
    """
    before = sweep.manifest()
    if not before:
        return
    if before["study"] != plan.study.name:
        raise UserError(
            f"{sweep.location} holds a sweep of study {before['study']}, not {plan.study.name}; choose another --name."
        )
    check_recorded_options(before.get("extensions", []), sweep.location)
    if changed := changed_defaults(before.get("extensions", [])):
        told = "; ".join(f"{option_name(name)} was {was} and is now {now}" for name, (was, now) in changed.items())
        raise UserError(
            f"{sweep.location} has trials of an extension with other defaults: {told}. Keys of trials leave defaults "
            "out, so they would be taken for others; choose another --name, or give the old defaults back."
        )
    if refused := _refused_now(before["axes"]):
        raise UserError(
            f"{sweep.location} has trials of {'; '.join(refused)}. They could not be read any more; give the old range "
            "back, or choose another --name."
        )
    idle = without_effect(before["axes"]) | without_effect(plan.axes)
    differing = [
        name
        for name in sorted({*before["axes"], *plan.axes})
        if name not in (*plan.study.axes, "seed", *fields_with(in_key=False), *idle)
        and _contradict(_values(before["axes"], name), _values(plan.axes, name))
    ]
    if "data_contents" in differing:
        raise UserError(
            f"{sweep.location} holds a sweep of other images or factors than --data-file has now; choose another "
            "--name, or give the file as it was."
        )
    if differing:
        was, now = ({n: _text(axes.get(n, ())) for n in (*differing, PLACE)} for axes in (before["axes"], plan.axes))
        # Weights are named by where they come from, as --from does, unless that has others now.
        named = [PLACE if name == WEIGHTS and was[PLACE] != now[PLACE] else name for name in differing]
        told = "; ".join(f"{option_name(name)} was {was[name]} and is now {now[name]}" for name in named)
        too = "" if WEIGHTS in differing else " too"  # a sweep begins with the weights of one trial
        raise UserError(
            f"{sweep.location} holds a sweep of something else: {told}. Choose another --name, or give the old values"
            f"{too}."
        )


def _refused_now(axes: Mapping[str, Sequence[Any]]) -> list[str]:
    """Name the values of a sweep that are out of range since an extension was edited, with what the range says."""
    return [
        f"{option_name(field.name)} {value}, which is out of range now ({within.says})"
        for field in config_fields()
        for within in option_of(field).within
        for value in axes.get(field.name, ())
        if isinstance(value, int | float) and value not in within
    ]


def check_goes_on(plan: Plan) -> None:
    """Make sure, before anything starts, that a plan agrees with its sweep, if there is one.

    A sweep at a URL, or with a damaged record, is assumed to agree.

    Raises:
        UserError: as by `check_agrees`.
    """
    if "://" not in plan.options.storage:
        with contextlib.suppress(DamagedError):
            check_agrees(plan, SweepFolder.at(plan.location))


def what_changed(before: Mapping[str, Any]) -> list[str]:
    """Say in lines what has changed since a sweep was last run, of the software and of loaded extensions.

    Args:
        before: its manifest; empty if it has none.
    """
    lines: list[str] = []
    if software := difference(versions(), before.get("versions", {})):
        lines.append(f"Since the sweep was last run, the software has changed: {software}.")
        lines.append("Trials of before and after need not agree to the last digit.")
    if files := changed_since(before.get("extensions", [])):
        lines.append(f"Since the sweep was last run, {files} has changed; trials of before and after need not agree.")
    return lines


def known_manifest(location: str) -> Mapping[str, Any]:
    """Return the manifest that a sweep has before anything starts: none at a URL, or where it is damaged."""
    with contextlib.suppress(DamagedError):
        return {} if "://" in location else SweepFolder.at(location).manifest()
    return {}


@contextlib.contextmanager
def naming_extensions(study: Study, preset: str, given: Mapping[str, Any]) -> Iterator[None]:
    """Add to a refusal of options which of them are of an extension that the sweep recorded and that is not loaded.

    Args:
        study: the study that is run.
        preset: name of its preset.
        given: what the command gives, by option: texts or other values.
    """
    try:
        yield
    except UserError as error:
        if told := _of_an_extension(study, preset, given):
            raise UserError(f"{error} {told}") from error
        raise
    except SystemExit as error:
        if error.code and (told := _of_an_extension(study, preset, given)):  # code 0 is that of --help
            print(told, file=sys.stderr)
        raise


def _of_an_extension(study: Study, preset: str, given: Mapping[str, Any]) -> str:
    """Return a sentence on a word of a command that an extension of its sweep declares; empty if there is none."""
    usual, found = options_of(study, preset), re.findall(r"[\w.+-]+", str(given))
    words = {*found, *(word.strip("-").replace("-", "_") for word in found)}
    with contextlib.suppress(UserError, OSError, ValueError):  # where the place itself is refused
        location = sweep_location(*(str(given.get(name) or getattr(usual, name)) for name in ("storage", "name")))
        if told := not_loaded(known_manifest(location).get("extensions", []), words):
            return f"In {location}, {told}."
    return ""


def goes_on(plan: Plan) -> bool:
    """Return whether a plan agrees with its sweep, as `check_goes_on` finds."""
    try:
        check_goes_on(plan)
    except UserError:
        return False
    return True


def joined_axes(each: Sequence[Mapping[str, Sequence[Any]]]) -> dict[str, list[Any]]:
    """Return the values of several sweeps' axes as of one sweep; a field that one does not name has its default there.

    If one sweep gives β as beta and another as beta_norm, both have it as beta: tables hold it in both forms.
    """
    usual = {name: [value] for name, value in defaults().items() if value is not None}
    names = list(dict.fromkeys(name for axes in each for name in axes))
    joined: dict[str, Sequence[Any]] = {}
    for axes in each:
        joined = _axes(joined, {name: axes.get(name, usual.get(name, [])) for name in names})
    if joined.get("beta") and joined.get("beta_norm"):
        del joined["beta_norm"]
    return {name: list(values) for name, values in joined.items()}


def _axes(earlier: Mapping[str, Sequence[Any]], now: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Merge the values of all commands. A value without effect on the trials of its command is not counted."""
    idle_earlier, idle_now = without_effect(earlier), without_effect(now)
    axes = dict(earlier)
    for name, values in now.items():
        known = [] if name in idle_earlier else earlier.get(name, [])
        if not known or name not in idle_now:
            axes[name] = [*known, *_new(values, known)]
    return axes


def _values(axes: Mapping[str, Sequence[Any]], name: str) -> Sequence[Any]:
    """Return the values of a field. Weights that are not given are those of seeds, beside which no others may be."""
    return axes.get(name) or ((None,) if name == WEIGHTS else ())


def _contradict(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """Return whether neither list of values extends the other; a field that is not given has its default."""
    return len(old) <= 1 and not set(old) <= set(new)


def _new(values: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    return [value for value in values if value not in known]


def _text(values: Sequence[Any]) -> str:
    return " ".join(str(value) for value in values if value is not None) or "not given"
