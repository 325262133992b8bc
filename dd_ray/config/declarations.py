"""The declarations that a user's own file may make: their kinds, the names that are taken, and what each may hold."""

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib.util import find_spec
from numbers import Real
from typing import Any, get_origin, get_type_hints

from dd_ray.config.code import ABSENT
from dd_ray.config.field import Option, Within, option_of, type_of
from dd_ray.config.specs import KEPT, DatasetSpec, ModelSpec, NetworkSpec, ObjectiveSpec, OptimizerSpec, Spec
from dd_ray.config.trial import TrialConfig
from dd_ray.config.trial_fields import REGISTRIES, TrialFields
from dd_ray.errors import UserError

KINDS: dict[str, type[Spec]] = {
    "model": ModelSpec,
    "network": NetworkSpec,
    "dataset": DatasetSpec,
    "objective": ObjectiveSpec,
    "optimizer": OptimizerSpec,
}
"""Specs by the kind of their registry; `dd_ray.metrics` and `dd_ray.sweep` add theirs."""
CODE = ("build", "features", "decoder", "make", "painter", "stills", "pictures", "penalty", "update", "compute")
"""Fields of specs that hold or name code."""
_GIVEN_A_CONFIG = (ModelSpec, NetworkSpec, DatasetSpec, ObjectiveSpec)
"""The specs whose code is called with a config, and so can read options of its own."""
_IN_WORDS = {float: "a finite number", int: "a whole number", bool: "True or False", str: "text"}
OPTION_TYPES = tuple(_IN_WORDS)
_PLAIN: dict[Any, tuple[Any, str]] = {
    int: (Real, "a number"),
    float: (Real, "a number"),
    str: (str, "text"),
    tuple: ((tuple, list), "a tuple, such as ('beta',)"),
    Mapping: (Mapping, "a dictionary"),
    dict: (Mapping, "a dictionary"),
}
"""What may stand in a field of a spec, by the type that it declares, and how that is called."""
TAKEN: set[Any] = {
    *("key label state error sweep iteration seconds training_seconds".split()),
    *("effective_lambda suggestion cells on_front help".split()),
}
"""Names that no option and no column of an extension may have, since tables or commands have them, and pairs of a kind
and a name that it may not declare; the modules of further ones add them."""
_NAME = re.compile(r"[\w.+-]+")


def check_declarations(specs: Sequence[Spec], where_of: Callable[[Spec], str]) -> None:
    """Make sure that specs of a file have names that are free, values of the right types, and code that there is.

    Args:
        specs: all that the file declares.
        where_of: returns the beginning of a sentence about a spec, with its place.

    Raises:
        UserError: one does not.
    """
    taken: dict[Any, object] = dict.fromkeys(taken_beside(specs))
    for spec in specs:
        where = where_of(spec)
        if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
            raise UserError(f"{where}; give it a name of letters, digits, _, - and dots.")
        _check_values(where, spec)
        _check_options(where, spec)
        _check_columns(where, spec)
        _check_kept(where, spec)
        for said, name, owner in _named(spec):
            if taken.setdefault(name, owner) is not owner:
                raise UserError(f"{where}{said}, which there is already; choose another name.")
        for code in codes_of(spec):
            if ":" not in code if isinstance(code, str) else not (code is None or callable(code)):
                raise UserError(f"{where} by {code!r}; name the class or function itself, or module:Name.")
            if isinstance(code, str) and not _is_found(code.partition(":")[0]):
                raise UserError(f"{where} by {code!r}, whose module is not found; install it, or correct its name.")


def kind_of(spec: Spec) -> str:
    """Return the kind of the registry that a spec belongs to."""
    return next(kind for kind, each in KINDS.items() if isinstance(spec, each))


def codes_of(spec: Spec) -> list[Any]:
    """Return the code that a spec holds or names."""
    return [getattr(spec, name) for name in CODE if hasattr(spec, name)]


def is_recalled(spec: Spec | None) -> bool:
    """Return whether a spec comes from a sweep's records, without its code."""
    return spec is not None and any(isinstance(code, str) and code.startswith(f"{ABSENT}:") for code in codes_of(spec))


def is_of(kind: type, value: object) -> bool:
    """Return whether a value can stand in a config's field of a type; a whole number can for a float."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) and -math.inf < value < math.inf if kind is float else isinstance(value, kind)


def taken_beside(specs: Sequence[Spec]) -> Iterator[Any]:
    """Yield the names that nothing in some specs may have; those that are recalled are declared anew by them.

    A config's properties are among them: an option of their name would take their place.
    """
    yield from (*TAKEN, *dir(TrialConfig), *_own_names(TrialFields))
    anew = {(kind_of(spec), spec.name) for spec in specs}
    for each in (each for registry in REGISTRIES.values() for each in registry.values()):
        if not is_recalled(each) or (kind_of(each), each.name) not in anew:
            yield from (name for _, name, _ in _named(each))


def _named(spec: Spec) -> Iterator[tuple[str, Any, object]]:
    """Yield all that a spec gives a name to: words for it, what nothing else may be called, and what may be."""
    yield "", (kind_of(spec), spec.name), spec
    for name in _own_names(spec.options):
        yield f" with option {name}", name, spec.options
    for name in getattr(spec, "all_columns", ()):
        yield f" with column {name}", name, spec


def _own_names(options: type[Any] | None) -> list[str]:
    """Return the names of options, as fields and as on a command line with underscores."""
    own = () if options is None else fields(options)
    return [name for each in own for name in (each.name, (option_of(each).option or each.name).replace("-", "_"))]


def _is_found(module: str) -> bool:
    """Return whether there is a module of this name; what is above it is imported, and it is not."""
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _check_values(where: str, spec: Spec) -> None:
    """Make sure that numbers, texts, tuples and dictionaries are such, which a sweep records and recalls."""
    for each in fields(spec):
        value = getattr(spec, each.name)
        kinds, said = _PLAIN.get(get_origin(each.type) or each.type, (object, ""))
        if not isinstance(value, kinds):
            raise UserError(f"{where}, whose {each.name} is {value!r}; give {said}.")


def _check_options(where: str, spec: Spec) -> None:
    """Make sure that the fields of a spec's options can be options of a command, after evaluating their types."""
    if spec.options is None:
        return
    if not isinstance(spec, _GIVEN_A_CONFIG):
        raise UserError(f"{where} with options, which have no effect, as its code gets no config; give none.")
    if not isinstance(spec.options, type) or not is_dataclass(spec.options):
        raise UserError(f"{where} with options that are no dataclass; give a class, @dataclass(frozen=True) above it.")
    _evaluate_types(where, spec.options)
    for name, value in vars(spec.options).items():
        if isinstance(value, OPTION_TYPES) and not name.startswith("_") and name not in spec.options.__annotations__:
            kind = type(value).__name__
            raise UserError(f"{where} with option {name} without a type; write {name}: {kind} = {value!r}.")
    for option in fields(spec.options):
        _check_option(f"{where} with option {option.name}", option)
        _check_sharing(f"{where} with option {option.name}", spec, option_of(option))


def _check_columns(where: str, spec: Spec) -> None:
    for name, metric in getattr(spec, "columns", {}).items():
        if metric.better not in ("min", "max", None):
            raise UserError(
                f"{where} with column {name}, whose better is {metric.better!r}; give 'min', 'max' or None."
            )
        ends = metric.within if isinstance(metric.within, tuple | list) else ()
        if len(ends) != 2 or not all(isinstance(end, Real) for end in ends):
            raise UserError(
                f"{where} with column {name}, whose within is {metric.within!r}; give two numbers, such as (0, 1)."
            )


def _check_kept(where: str, spec: Spec) -> None:
    """Make sure that a trial's state has a place for what an optimiser keeps."""
    for name in getattr(spec, "keeps", ()):
        if name not in KEPT:
            raise UserError(f"{where}, which keeps {name!r}; name it {' or '.join(KEPT)}, as a trial's state does.")


def _evaluate_types(where: str, options: type) -> None:
    """Replace types that are text, as all are after `from __future__ import annotations`, by themselves."""
    if not any(isinstance(each.type, str) for each in fields(options)):
        return
    try:
        hints = get_type_hints(options, include_extras=True)
    except Exception as error:  # whatever the text raises
        raise UserError(f"{where} with options whose types are unknown ({error}); import them in the file.") from error
    for each in fields(options):
        each.type = hints[each.name]


def _check_option(where: str, option: "Field[Any]") -> None:
    kind, known, default = type_of(option), option_of(option), option.default
    if default is MISSING or kind not in OPTION_TYPES:
        kinds = ", ".join(each.__name__ for each in OPTION_TYPES)
        raise UserError(f"{where}; give it a default, and one of the types {kinds}.")
    if not is_of(kind, default):
        raise UserError(f"{where}, whose default is {default!r}; give {_IN_WORDS[kind]}.")
    if not isinstance(known.within, tuple) or not all(isinstance(each, Within) for each in known.within):
        raise UserError(f"{where}, whose within is no tuple of ranges; write within=(Within(...),), with the comma.")
    for within in known.within:
        if isinstance(default, str) or default not in within:
            raise UserError(f"{where}, whose default {default!r} is out of its own range; {within.says}.")
    if not _NAME.fullmatch(known.option or option.name):
        raise UserError(f"{where}, whose name is {known.option!r} on a command line; give letters, digits, _ and -.")


def _check_sharing(where: str, spec: Spec, known: Option) -> None:
    """Make sure that no trials share data, or are trained in one stack, that differ in an option which these read.

    All of a stack but the buffers of its models is made from the config of one of its trials.
    """
    if isinstance(spec, DatasetSpec) and not known.of_data:
        raise UserError(
            f"{where}, by which its data differ, and trials would share held-out data; annotate it with "
            "Option(of_data=True)."
        )
    if known.free and not isinstance(spec, ModelSpec):
        raise UserError(f"{where}, which is free, and trials in one stack share their {kind_of(spec)}; leave free out.")
