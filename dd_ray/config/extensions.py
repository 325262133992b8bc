"""A user's own file that declares models, networks, datasets, objectives, metrics and more, which then count as ours.

An `Extension` is the text of such a file. The driver reads it, and sends it to every worker, so that machines share
nothing but the sweep's storage. `load_extensions` runs it, and declares each `Spec` at its top level. The sweep also
records these declarations as data; `recall` declares them again from there without running the file, which is enough to
read, label and draw results, but not to train a network.
"""

import ast
import hashlib
import linecache
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Self, TypeVar

from dd_ray.command_line import read_first
from dd_ray.config.declarations import check_declarations, kind_of
from dd_ray.config.specs import Spec
from dd_ray.config.trial import TrialConfig
from dd_ray.config.trial_fields import REGISTRIES, field_names
from dd_ray.config.urls import check_regular, own_path
from dd_ray.errors import UserError, did_you_mean, first_line

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
        file = own_path(path, "--extension")
        if file.suffix != ".py":
            raise UserError(f"--extension {path} is no Python file; give one such as my_models.py.")
        if not file.stem.isidentifier():
            raise UserError(
                f"--extension {path} has a name that Python does not import; rename it to letters, digits and _, such "
                "as my_models.py."
            )
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
    check_declarations(specs, partial(_declaration, extension))
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


def _line_of_spec(extension: Extension, name: str) -> int:
    for node in ast.walk(ast.parse(extension.text)):
        if isinstance(node, ast.Call) and any(_gives(keyword, name) for keyword in node.keywords):
            return node.lineno
    return 1


def _gives(keyword: ast.keyword, name: str) -> bool:
    return keyword.arg == "name" and isinstance(keyword.value, ast.Constant) and keyword.value.value == name
