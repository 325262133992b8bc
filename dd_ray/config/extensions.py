"""A user's own file that declares models, networks, datasets, objectives, metrics and more, which then count as ours.

An `Extension` is the text of such a file. The driver reads it, and sends it to every worker, so that machines share
nothing but the sweep's storage. `load_extensions` runs it, and declares each `Spec` at its top level. The sweep also
records these declarations as data; `recall` declares them again from there without running the file, which is enough to
read, label and draw results, but not to train a network.
"""

import ast
import hashlib
import linecache
import math
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TypeVar, get_origin, get_type_hints

from dd_ray.command_line import read_first
from dd_ray.config.code import ABSENT
from dd_ray.config.field import Option, Within, option_of, type_of
from dd_ray.config.specs import KEPT, DatasetSpec, ModelSpec, NetworkSpec, ObjectiveSpec, OptimizerSpec, Spec
from dd_ray.config.trial import TrialConfig
from dd_ray.config.trial_fields import REGISTRIES, TrialFields, field_names
from dd_ray.config.urls import check_regular, own_path
from dd_ray.errors import UserError, did_you_mean, first_line

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

Declared = TypeVar("Declared")


@dataclass(frozen=True)
class Extension:
    """A user's file, as it is sent to workers."""

    name: str
    """Name of the file, without its folder."""
    text: str
    path: str = field(default="", compare=False)
    """Whole path of the file where the command ran, so that it finds files beside it by `__file__`."""

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a file.

        Raises:
            UserError: it cannot be read, or is no Python file.
        """
        file = own_path(path)
        if file.suffix != ".py" or not file.stem.isidentifier():
            raise UserError(f"--extension {path} is no Python file; give one such as my_models.py.")
        try:
            check_regular(file)
            return cls(file.name, file.read_text(encoding="utf-8-sig"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"--extension {path} cannot be read ({reason}); give the path of a Python file.") from error

    @property
    def digest(self) -> str:
        """A hash of the text, of 16 hexadecimal digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def module(self) -> str:
        """Name of its module in this process."""
        return f"dd_ray_extensions.{Path(self.name).stem}"


@dataclass(frozen=True)
class _Loaded:
    extension: Extension
    specs: tuple[Spec, ...]


_loaded: dict[str, _Loaded] = {}
"""The files that this process has run, by name."""


def loaded() -> tuple[Extension, ...]:
    """Return the extensions that this process has run, to send them to others."""
    return tuple(each.extension for each in _loaded.values())


def instances_of(kind: type[Declared]) -> list[Declared]:
    """Return instances of a class, such as `Study`, at the top level of loaded extensions."""
    modules = (sys.modules[each.extension.module] for each in _loaded.values())
    return [value for module in modules for value in vars(module).values() if isinstance(value, kind)]


def declared_by(extension: Extension) -> tuple[Spec, ...]:
    """Return the specs that a loaded extension declares."""
    return _loaded[extension.name].specs


def load_extensions(extensions: Iterable[Extension]) -> None:
    """Run the files that have not been run yet, and register their declarations.

    Raises:
        UserError: a file does not import, declares nothing, declares a name that is taken, or reads an option that
            there is not; with file and line.
    """
    extensions, earlier = list(extensions), {*_loaded}
    for extension in extensions:
        _load(extension)
    try:
        for extension in extensions:
            _check_reads(extension)
    except UserError:
        for name in {*_loaded} - earlier:
            unload(name)
        raise


def _load(extension: Extension) -> None:
    before = _loaded.get(extension.name)
    if before is not None and before.extension == extension:
        return
    if before is not None:
        raise UserError(
            f"another {extension.name} is loaded already; give extensions different names, or, where it was edited "
            "since, restart Python."
        )
    had_ray = "ray" in sys.modules
    values = vars(_run(extension)).values()
    found = [value for value in values if isinstance(value, Spec)]
    if "ray" in sys.modules and not had_ray:
        raise UserError(
            f"{extension.name} imports ray when it is loaded, before a cluster is joined, and Ray reads how when "
            "it is imported; import it in the function that needs it."
        )
    if not any(type(value).__module__.startswith("dd_ray.") for value in values):
        raise UserError(f"{extension.name} declares nothing; give it a ModelSpec, a Study or the like.")
    # What it has only imported is declared already.
    specs = tuple(spec for spec in found if not _is_declared(spec))
    _check(extension, specs)
    for spec in specs:
        REGISTRIES[kind_of(spec)].declare(spec)
    _loaded[extension.name] = _Loaded(extension, specs)


def load_files(paths: Iterable[str | Path]) -> None:
    """Read and load files."""
    load_extensions([Extension.read(path) for path in paths])


def taken_from(
    args: Sequence[str], usual: Sequence[str] = (), otherwise: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[str]]:
    """Load the files that a command line names as `--extension`, and return them and the other words.

    This comes before the other options are parsed, since extensions bring options of their own.

    Args:
        args: the command line.
        usual: files that are loaded in any case.
        otherwise: files that are loaded if the command line names none.

    Raises:
        UserError: one cannot be loaded.
    """
    named, rest = named_in(args)
    found = tuple(dict.fromkeys((*usual, *(named or otherwise))))
    load_files(found)
    return found, rest


def named_in(args: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the files that a command line names as `--extension`, and the other words."""
    found, rest = read_first(args, "--extension", nargs="+", action="extend", default=[])
    return tuple(found), rest


def unload(name: str) -> None:
    """Forget a file, and withdraw what it declares."""
    gone = _loaded.pop(name)
    del sys.modules[gone.extension.module]
    for spec in gone.specs:
        REGISTRIES[kind_of(spec)].withdraw(spec.name)


def kind_of(spec: Spec) -> str:
    """Return the kind of the registry that a spec belongs to."""
    return next(kind for kind, each in KINDS.items() if isinstance(spec, each))


def _run(extension: Extension) -> ModuleType:
    module = ModuleType(extension.module)
    module.__file__ = extension.path or extension.name
    lines = extension.text.splitlines(keepends=True)
    # So that tracebacks show its lines, and docstrings of its options are found, also on workers without the file.
    for name in (extension.name, module.__file__):
        linecache.cache[name] = (len(extension.text), None, lines, name)
    sys.modules[extension.module] = module
    try:
        exec(compile(extension.text, extension.name, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # whatever it is, it is of the user's own file
        del sys.modules[extension.module]
        line = _line_of(error, extension.name)
        raise UserError(f"{extension.name}:{line} does not import: {type(error).__name__}: {error}.") from error
    return module


def own_code_of(config: TrialConfig, *kinds: str) -> str:
    """Name, in words, what a config chooses of a user's own; empty if that is nothing.

    Args:
        config: the config.
        kinds: the kinds to look at, such as `model`; all if none is given.
    """
    chosen = {kind: getattr(config, kind) for kind in kinds or REGISTRIES if kind in field_names()}
    own = [f"{kind} = {name}" for kind, name in chosen.items() if name not in REGISTRIES[kind].ours]
    return " or ".join(own)


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Turn an error that a user's own code raises in the block into a `UserError`.

    Its first line says what the code is of and what it raises; below it are the lines of loaded files that led there.

    Args:
        what: what the code is of, such as `model = blur_vae`; empty if it is ours, whose errors stay as they are.
    """
    try:
        yield
    except Exception as error:  # whatever it is, it is of the user's own code
        if isinstance(error, UserError) or not what:
            raise
        files = {each.name for each in loaded()}
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        place = f" in {lines[-1].name} ({lines[-1].filename}:{lines[-1].lineno})" if lines else ""
        told = [f"\n  {frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}" for frame in lines]
        raise UserError(
            f"{what} raises {type(error).__name__}{place}: {first_line(error)}; correct it.{''.join(told)}"
        ) from error


def _line_of(error: BaseException, name: str) -> int:
    if isinstance(error, SyntaxError):
        return error.lineno or 1
    at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return (at or [1])[-1] or 1


def _is_declared(spec: Spec) -> bool:
    return any(spec is each for each in REGISTRIES[kind_of(spec)].values())


def _check(extension: Extension, specs: Sequence[Spec]) -> None:
    taken: dict[Any, object] = dict.fromkeys(taken_beside(specs))
    for spec in specs:
        where = _declaration(extension, spec)
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


def _check_values(where: str, spec: Spec) -> None:
    """Make sure that numbers, texts, tuples and dictionaries are such, which a sweep records and recalls."""
    for each in fields(spec):
        value = getattr(spec, each.name)
        kinds, said = _PLAIN.get(get_origin(each.type) or each.type, (object, ""))
        if not isinstance(value, kinds):
            raise UserError(f"{where}, whose {each.name} is {value!r}; give {said}.")


def _is_found(module: str) -> bool:
    """Return whether there is a module of this name; what is above it is imported, and it is not."""
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _check_reads(extension: Extension) -> None:
    """Make sure that what an extension reads are options, once all files are loaded, which may name each other's."""
    for spec in declared_by(extension):
        for name in spec.reads:
            if name not in field_names():
                meant = did_you_mean(name, field_names(), "name fields of the config, or options of its own.")
                where = _declaration(extension, spec)
                raise UserError(f"{where}, which reads {name!r}, and there is no such option; {meant}")


def _declaration(extension: Extension, spec: Spec) -> str:
    """Return the beginning of a sentence about a declaration, with its place."""
    return f"{extension.name}:{_line_of_spec(extension, spec.name)} declares {kind_of(spec)} {spec.name}"


def _named(spec: Spec) -> Iterator[tuple[str, Any, object]]:
    """Yield all that a spec gives a name to: words for it, what nothing else may be called, and what may be."""
    yield "", (kind_of(spec), spec.name), spec
    for name in _own_names(spec.options):
        yield f" with option {name}", name, spec.options
    for name in getattr(spec, "all_columns", ()):
        yield f" with column {name}", name, spec


def taken_beside(specs: Sequence[Spec]) -> Iterator[Any]:
    """Yield the names that nothing in some specs may have; those that are recalled are declared anew by them.

    A config's properties are among them: an option of their name would take their place.
    """
    yield from (*TAKEN, *dir(TrialConfig), *_own_names(TrialFields))
    anew = {(kind_of(spec), spec.name) for spec in specs}
    for each in (each for registry in REGISTRIES.values() for each in registry.values()):
        if not is_recalled(each) or (kind_of(each), each.name) not in anew:
            yield from (name for _, name, _ in _named(each))


def _own_names(options: type[Any] | None) -> list[str]:
    """Return the names of options, as fields and as on a command line with underscores."""
    own = () if options is None else fields(options)
    return [name for each in own for name in (each.name, (option_of(each).option or each.name).replace("-", "_"))]


def _check_options(where: str, spec: Spec) -> None:
    """Make sure that the fields of a spec's options can be options of a command, after evaluating their types."""
    if spec.options is None:
        return
    if not isinstance(spec, _GIVEN_A_CONFIG):
        raise UserError(f"{where} with options, which have no effect, as its code gets no config; give none.")
    if not isinstance(spec.options, type) or not is_dataclass(spec.options):
        raise UserError(f"{where} with options that are no dataclass; give a class, @dataclass(frozen=True) above it.")
    _evaluate_types(where, spec.options)
    for option in fields(spec.options):
        _check_option(f"{where} with option {option.name}", option)
        _check_sharing(f"{where} with option {option.name}", spec, option_of(option))


def _check_columns(where: str, spec: Spec) -> None:
    for name, metric in getattr(spec, "columns", {}).items():
        if metric.better not in ("min", "max", None):
            raise UserError(
                f"{where} with column {name}, whose better is {metric.better!r}; give 'min', 'max' or None."
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


def is_of(kind: type, value: object) -> bool:
    """Return whether a value can stand in a config's field of a type; a whole number can for a float."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float) and -math.inf < value < math.inf if kind is float else isinstance(value, kind)


def codes_of(spec: Spec) -> list[Any]:
    """Return the code that a spec holds or names."""
    return [getattr(spec, name) for name in CODE if hasattr(spec, name)]


def is_recalled(spec: Spec | None) -> bool:
    """Return whether a spec comes from a sweep's records, without its code."""
    return spec is not None and any(isinstance(code, str) and code.startswith(f"{ABSENT}:") for code in codes_of(spec))


def _line_of_spec(extension: Extension, name: str) -> int:
    for node in ast.walk(ast.parse(extension.text)):
        if isinstance(node, ast.Call) and any(_gives(keyword, name) for keyword in node.keywords):
            return node.lineno
    return 1


def _gives(keyword: ast.keyword, name: str) -> bool:
    return keyword.arg == "name" and isinstance(keyword.value, ast.Constant) and keyword.value.value == name
