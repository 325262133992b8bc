"""Records of the extensions that a sweep was run with, which are read without running them."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass, replace
from itertools import repeat
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dd_ray.config.code import ABSENT
from dd_ray.config.declarations import CODE, KINDS, OPTION_TYPES, is_of, is_recalled, kind_of, taken_beside
from dd_ray.config.extensions import Extension, declared_by, loaded
from dd_ray.config.field import Option, Within, option_of, type_of
from dd_ray.config.specs import Spec
from dd_ray.config.trial_fields import REGISTRIES, defaults, field_names
from dd_ray.errors import UserError

_ABOUT = ("symbol", "free", "of_data", "in_key")
_FUNCTIONS = ("check", "applies")
_LARGEST = 2**63


def record() -> list[dict[str, Any]]:
    """Return the loaded extensions and their declarations as values of JSON."""
    return [
        {"file": each.name, "digest": each.digest, "declares": [_recorded(spec) for spec in declared_by(each)]}
        for each in loaded()
    ]


def recall(recorded: Sequence[Mapping[str, Any]]) -> None:
    """Declare what a sweep recorded of its extensions, except what is declared already. Runs none of their code.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: a declaration is none, or has a value of a wrong type.
    """
    for extension in recorded:
        for values in extension["declares"]:
            registry = REGISTRIES.get(values["kind"])  # kinds that are not imported are not needed
            if registry is None:
                continue
            if values["name"] not in registry or is_recalled(registry[values["name"]]):
                registry.declare(_recalled(values, extension["file"]))


def changed_since(recorded: Sequence[Mapping[str, Any]]) -> str:
    """Name, in words, the loaded extensions whose text differs from what a sweep recorded; empty if none does.

    They are known by what they declare, since a file may have another name than it had.
    """
    texts = {(spec["kind"], spec["name"]): each["digest"] for each in recorded for spec in each["declares"]}

    def changed(extension: Extension) -> bool:
        was = {texts.get((kind_of(spec), spec.name)) for spec in declared_by(extension)}
        return not was <= {None, extension.digest}

    return " and ".join(each.name for each in loaded() if changed(each))


def not_loaded(recorded: Sequence[Mapping[str, Any]], names: Collection[str]) -> str:
    """Say of which recorded extension one of some names is that no loaded one declares; empty if there is none."""
    for extension in recorded:
        for spec in extension["declares"]:
            own = (spec["name"], *(option["name"] for option in spec["options"]))
            if spec["name"] not in REGISTRIES.get(spec["kind"], own) and (found := [n for n in own if n in names]):
                return f"{found[0]} is of {extension['file']}; give --extension {extension['file']}"
    return ""


def changed_defaults(recorded: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return the options whose defaults differ from those that a sweep recorded: what each was, and what it is.

    A key leaves defaults out, so that with another one it would be that of other trials.
    """
    usual = defaults()
    options = [option for extension in recorded for spec in extension["declares"] for option in spec["options"]]
    before = {option["name"]: _number(option["default"]) for option in options if option["in_key"]}
    return {name: (was, usual[name]) for name, was in before.items() if name in usual and usual[name] != was}


def check_recorded_options(recorded: Sequence[Mapping[str, Any]], location: str) -> None:
    """Make sure that loaded extensions still have the options that a sweep recorded of them: its trials' configs do.

    Raises:
        UserError: one is gone; the message names it, its file and the sweep at `location`.
    """
    known, files = {*field_names()}, {each.name for each in loaded()}
    options = [(each["file"], option) for each in recorded for spec in each["declares"] for option in spec["options"]]
    gone = [f"{option['name']} of {file}" for file, option in options if file in files and option["name"] not in known]
    if gone:
        raise UserError(
            f"{location} has trials with option {' and '.join(gone)}, which is not in the file that is loaded; give it "
            "back there, or read the sweep without --extension."
        )


def _recorded(spec: Spec) -> dict[str, Any]:
    plain = {each.name: getattr(spec, each.name) for each in fields(spec)}
    for name in ("options", *CODE, *_FUNCTIONS):
        plain.pop(name, None)
    if "columns" in plain:
        plain["columns"] = {
            name: [m.label, m.short, m.better, m.count, [*m.within]] for name, m in plain["columns"].items()
        }
    if callable(plain.get("factors")):  # a function of the config, whose result is in the trials' own records
        del plain["factors"]
    own = () if spec.options is None else fields(spec.options)
    return {"kind": kind_of(spec), **plain, "options": [_recorded_option(option) for option in own]}


def _recorded_option(option: Any) -> dict[str, Any]:
    known = option_of(option)
    ranges = [[within.says, within.low, within.high, within.above] for within in known.within]
    about = {name: getattr(known, name) for name in _ABOUT}
    return {"name": option.name, "type": type_of(option).__name__, "default": option.default, "within": ranges, **about}


def _recalled(values: Mapping[str, Any], file: str) -> Spec:
    kind = KINDS[values["kind"]]
    known = {each.name: each.type for each in fields(kind)}
    given: dict[str, Any] = {name: f"{ABSENT}:{file}" for name in CODE if name in known}
    if values["kind"] == "dataset":
        given["factors"] = ()
    # What a record says of code is not taken: it may be of anybody's, and the code that it names would be run.
    for name in (known.keys() & {*values}) - {"options", *CODE, *_FUNCTIONS}:
        value = _number(values[name]) if known[name] in (int, float) else values[name]
        _check(name, known[name], value)
        given[name] = _as_declared(known[name], value)
    return _beside_others(kind(**given), values["options"])


def _as_declared(kind: Any, value: Any) -> Any:
    """Return what a field has in place of JSON's lists, and of texts where keys are numbers."""
    if isinstance(value, dict) and get_args(kind)[0] is int:
        return {int(key): each for key, each in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _number(value: Any) -> Any:
    """Return the number that a text stands for: NumPy's were recorded as text before 28 November 2026."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _beside_others(spec: Spec, options: Sequence[Mapping[str, Any]]) -> Spec:
    """Return a spec with its options, and with those of its columns, whose names nothing else has.

    A config has each option once: what declares it first decides its default, and the others read it.
    """
    taken = {*taken_beside([spec])}
    columns = getattr(spec, "columns", {})
    own: dict[str, Any] = {"columns": {n: each for n, each in columns.items() if n not in taken}} if columns else {}
    return replace(
        spec,
        reads=(*spec.reads, *(each["name"] for each in options if each["name"] in taken)),
        options=_options([each for each in options if each["name"] not in taken]),
        **own,
    )


def _options(options: Sequence[Mapping[str, Any]]) -> type | None:
    made = [_option(each) for each in options]
    return make_dataclass("Options", made, frozen=True, kw_only=True) if made else None


def _option(recorded: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """Return the name, the type and the default of a recorded option, which the default suits."""
    for known in fields(Option):
        if known.name in ("within", *_ABOUT):
            _check(known.name, known.type, recorded[known.name])
    kind = {each.__name__: each for each in OPTION_TYPES}[recorded["type"]]
    _check("default", kind, recorded["default"])
    within, default = tuple(Within(*values) for values in recorded["within"]), recorded["default"]
    if not is_of(kind, default) or not all(default in each for each in within):
        raise TypeError(f"{recorded['name']} has the default {default!r}")
    about = Option(within=within, **{name: recorded[name] for name in _ABOUT})
    return recorded["name"], Annotated[kind, about], field(default=default)


def _check(name: str, kind: Any, value: object) -> None:
    if not _holds(kind, value):
        raise TypeError(f"{name} is {value!r}")


def _holds(kind: Any, value: Any) -> bool:
    """Return whether a value of JSON can stand for one of a field's type. Any number can for a bool, too."""
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_holds(each, value) for each in of)
    if origin is tuple and of[-1] is not ...:
        return isinstance(value, list) and len(value) == len(of) and all(map(_holds, of, value))
    if origin is tuple or is_dataclass(kind):  # a dataclass is recorded as its first values
        kinds = repeat(of[0]) if origin is tuple else (each.type for each in fields(kind))
        return isinstance(value, list) and all(map(_holds, kinds, value))
    if origin in (Mapping, dict):
        return isinstance(value, dict) and all(_holds(of[1], each) for each in value.values())
    if kind in (bool, int, float):
        return isinstance(value, int | float) and (abs(value) < _LARGEST or abs(value) == math.inf)
    return value in of if origin is Literal else kind in (str, NoneType) and isinstance(value, kind)
