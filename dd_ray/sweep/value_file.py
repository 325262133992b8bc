"""Reads the options of a sweep from a YAML file, `--config FILE`, and writes them into one, `--save-config FILE`.

A file has a line for each option, by the name that it has on the command line or in Python, with one value or a list:

    study: inertia_grid
    gamma: [0, 0.5, 0.9]
    lambda: 0
    seeds: 3

Values are read as the words of a command line are, and not as YAML guesses their types, to which `on` would be true and
`1e-4` a text. They pass the same checks. PyYAML's safe loader reads them, which makes no objects of what tags name; and
since only a list may stand within the file's mapping, aliases cannot multiply what it holds.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

import yaml

from dd_ray.command_line import LEAN, checked_value, read_first
from dd_ray.config import BETAS
from dd_ray.config.options import field_named, option_name, options_class
from dd_ray.config.trial_fields import field_names
from dd_ray.config.urls import check_regular, own_path
from dd_ray.errors import UserError, did_you_mean, first_line, printable
from dd_ray.storage.exports import export
from dd_ray.sweep.checks import idle_options
from dd_ray.sweep.options import options_of
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.study import Study

LARGEST = 30_000
"""The most bytes of a file. One that holds all options has 3,000."""
DEEPEST = 4
"""The deepest nesting that is read: the values of lists in the file's mapping, and one level more to say where."""
STUDY = "study"
"""The key of the study that a file is for; it may be left out."""
EXTENSION = "extension"
"""The key of files that are loaded before options are known."""
NOT_IN_A_FILE = ("config", "save_config", "dry_run")
"""Options of a command and not of what it runs."""
INSTEAD = ({*BETAS}, {"seed", "seeds"})
"""Options of which one replaces the other."""

READERS: Mapping[type, Callable[[str], Any]] = {
    bool: lambda text: {"true": True, "false": False}[text.lower()],
    int: int,
    float: float,
}
"""Functions that read a text, by the type of the option."""
Value = str | list[str] | None


class _Texts(yaml.SafeLoader):
    """PyYAML's safe loader, to which all plain values are texts, except for those that stand for nothing."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in found if tag.endswith(":null")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read a node, and refuse one that is nested deeper than options are, which may take minutes to read."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=self.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


@dataclass(frozen=True)
class ValueFile:
    """The values of options that a file gives, as they are written."""

    path: str
    entries: Mapping[str, Value]
    """By the names that the file has for them; None for what it leaves empty."""

    @classmethod
    def read(cls, path: str) -> Self:
        """Read a file.

        Raises:
            UserError: it cannot be read, or is no YAML of one value or list for each option.
        """
        text = _text_of(path)
        try:
            node = yaml.compose(text, Loader=_Texts)
        except yaml.MarkedYAMLError as error:
            line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise UserError(f"--config {path} is no YAML{line}: {error.problem or error.context}.") from error
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"--config {path} is no YAML: {printable(first_line(error))}.") from error
        if not isinstance(node, yaml.MappingNode) or not node.value:
            raise UserError(f"--config {path} holds no options; give lines such as `gamma: [0, 0.5]`.")
        entries: dict[str, Value] = {}
        for key, value in node.value:
            name = _scalar(key, f"--config {path}, line {key.start_mark.line + 1}: a name")
            where = f"--config {path}, line {key.start_mark.line + 1}: {name}"
            if name in entries:
                raise UserError(f"{where} is given twice; give it once.")
            entries[str(name)] = _value(value, where)
        return cls(path, entries)

    @classmethod
    def named_in(cls, args: Sequence[str]) -> Self:
        """Read the file that a command line names as `--config`; without one, there are no values.

        Raises:
            UserError: it cannot be read, see `read`.
        """
        path, _ = read_first(args, "--config")
        return cls("", {}) if path is None else cls.read(path)

    def words(self, name: str) -> tuple[str, ...]:
        """Return the values of an option that is read before the others, as texts; none if the file has none."""
        value = self.entries.get(name)
        return () if value is None else (value,) if isinstance(value, str) else tuple(value)

    def values(self, study: Study, kinds: Iterable[type], given: Collection[str]) -> dict[str, Any]:
        """Return the values of the options that a command does not give itself, with their types, without extensions.

        Args:
            study: the study that is run.
            kinds: the dataclasses of its options.
            given: the options that the command gives, which override the file's.

        Raises:
            UserError: the file is for another study, or an option does not exist or is of another type.
        """
        if self.words(STUDY) not in ((), (study.name,)):
            raise UserError(f"--config {self.path} is for {' '.join(self.words(STUDY))}, and not for {study.name}.")
        hints = {name: hint for kind in kinds for name, hint in get_type_hints(kind).items()}
        overridden = {*given, *(name for pair in INSTEAD if pair & {*given} for name in pair)}
        values: dict[str, Any] = {}
        for key, value in self.entries.items():
            if key == STUDY:
                continue
            name = _known(key, hints, f"--config {self.path}: {study.name}")
            if name in values:
                raise UserError(f"--config {self.path} gives {option_name(name)} twice, as {key} too; give it once.")
            with self.named([name]):
                values[name] = checked_value(option_name(name), typed(value, hints[name]), hints[name])
        return {name: value for name, value in values.items() if name not in overridden | {EXTENSION}}

    @contextmanager
    def named(self, names: Collection[str]) -> Iterator[None]:
        """Name the file, and the options that an error of the block is about if it gives them."""
        try:
            yield
        except UserError as error:
            about = [option_name(name) for name in names if f"--{option_name(name)} " in str(error)]
            if not about:
                raise
            raise UserError(f"{self.path}, {', '.join(about)}: {error}") from error


def typed(value: Value, kind: Any) -> Any:
    """Read texts as a command line does: numbers where an option takes numbers, true and false where it takes these.

    A text that is none stays one, for `checked_value` to refuse.
    """
    if get_origin(kind) is Literal or value is None:
        return value
    kinds = get_args(kind) or (kind,)
    if isinstance(value, list):
        return [typed(each, kinds[0]) for each in value]
    if get_origin(kind) is tuple:
        return typed(value, kinds[0])
    readers = [reader for each, reader in READERS.items() if each in kinds]
    try:
        return readers[0](value) if readers else value
    except (ValueError, LookupError):
        return value


def with_defaults(kind: type, values: Mapping[str, Any]) -> type:
    """Return a dataclass of options with other defaults, of which those that it has no field for are left out."""
    if not (own := _own(kind, values)):
        return kind
    hints = get_type_hints(kind, include_extras=True)
    changed = [(each.name, hints[each.name], field(default=values[each.name])) for each in own]
    return make_dataclass(kind.__name__, changed, bases=(kind,), **LEAN)


def known_option(name: str, own: Collection[str]) -> str | None:
    """Return the name of an option as its dataclass spells it; None if there is none."""
    spelled = name.replace("-", "_")
    return spelled if spelled in own else field_named(name)


def no_such_option(study: str, name: str, own: Collection[str]) -> UserError:
    """Return the error for an option that does not exist, with the one that may be meant."""
    meant = did_you_mean(name, [*own, *field_names()])
    return UserError(f"{study} has no option {name}{f'; {meant}' if meant else '.'}")


def save_values(plan: Plan) -> str | None:
    """Write all that a plan asks for into its `--save-config`, and return a line that says so; None if it has none.

    Raises:
        UserError: the file cannot be written, or holds something else.
    """
    if plan.options.save_config is None:
        return None
    path, content = own_path(plan.options.save_config), text_of(plan).encode()
    try:
        is_other = path.exists() and (not path.is_file() or path.read_bytes() != content)
    except OSError as error:
        raise UserError(f"--save-config {path} cannot be opened ({error.strerror}); choose another name.") from error
    if is_other:
        raise UserError(f"--save-config {path} is there already, and holds something else; choose another name.")
    export(path.parent, {path.name: content}, "--save-config")
    return f"options saved: {path} (--config runs by them)"


def text_of(plan: Plan) -> str:
    """Return the content of a file that asks for what a plan asks for, also where defaults change later."""
    preset = plan.options.preset
    kinds = (options_of(plan.study, preset), options_class(plan.study.defaults(preset)))
    usual = {each.name: each.default for kind in kinds for each in fields(kind)}
    values = {name: value for name, value in _values_of(plan).items() if value != () or usual[name] != ()}
    changed = {name: value for name, value in values.items() if value != usual[name]}
    rest = {name: value for name, value in values.items() if name not in changed}
    return "".join(
        [
            "# For the command of this study: --config FILE. What the command line gives overrides it.\n",
            _lines({STUDY: plan.study.name, "preset": preset}),
            f"\n# What differs from the preset {preset}\n{_lines(changed)}" if changed else "",
            f"\n# All else, which is as by default\n{_lines(rest)}",
        ]
    )


def _values_of(plan: Plan) -> dict[str, Any]:
    """Return the values of all options that have an effect, by field; a preset's that a plan does without are empty."""
    options = {each.name: getattr(plan.options, each.name) for each in fields(plan.options)}
    left_out = (*NOT_IN_A_FILE, "preset", *idle_options(plan.options))
    options = {name: value for name, value in options.items() if name not in left_out}
    axes = {name: tuple(each for each in values if each is not None) for name, values in plan.axes.items()}
    if options["seeds"] is not None:
        del axes["seed"]
    replaced = {other for pair in INSTEAD for name in pair if axes.get(name) for other in pair - {name}}
    dropped = {name for name, values in plan.study.defaults(plan.options.preset).items() if values} - {*axes}
    empty: dict[str, Any] = dict.fromkeys(dropped - replaced - {"seed"}, ())
    return {name: value for name, value in (options | axes | empty).items() if value is not None}


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(_line(option_name(name), _plain(value)) for name, value in values.items())


def _line(name: str, value: Any) -> str:
    in_brackets = None if isinstance(value, list) else False  # as PyYAML has it: None writes its inmost lists in them
    kept = {"sort_keys": False, "allow_unicode": True, "width": 10**6}
    return str(yaml.safe_dump({name: value}, default_flow_style=in_brackets, **kept))


def _plain(value: Any) -> Any:
    """Return a value as YAML has it: one value without its list, and a time as a number."""
    if isinstance(value, tuple):
        return _plain(value[0]) if len(value) == 1 else [_plain(each) for each in value]
    return float(value) if isinstance(value, float) else value


def _own(kind: type, values: Mapping[str, Any]) -> list[Any]:
    return [each for each in fields(kind) if each.name in values]  # type: ignore[arg-type]


def _known(key: str, own: Collection[str], study: str) -> str:
    name = known_option(key, own)
    if name is None or name not in own:
        raise no_such_option(study, key, own)
    if name in NOT_IN_A_FILE[:2]:
        raise UserError(f"{study}: {key} is an option of a command, and of no file; leave it out.")
    return name


def _text_of(path: str) -> str:
    file = own_path(path, "--config")
    try:
        check_regular(file)
        if file.stat().st_size > LARGEST:
            raise UserError(f"--config {path} has more than {LARGEST:,} bytes; give a file of options.")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--config {path} cannot be read ({reason}); give the path of a YAML file.") from error


def _value(node: Any, where: str) -> Value:
    """Return a value of the file: a text, a list of texts, or None for nothing.

    Raises:
        UserError: it is something else, or has a tag.
    """
    if not isinstance(node, yaml.SequenceNode):
        return _scalar(node, where)
    _check_tag(node, where)
    return [str(_scalar(each, f"{where}: a value")) for each in node.value]


def _scalar(node: Any, where: str) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        raise UserError(f"{where} is a list or a mapping here; give one value, or a list of values.")
    _check_tag(node, where)
    return None if node.tag.endswith(":null") else str(node.value)


def _check_tag(node: Any, where: str) -> None:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in ("str", "seq", "null"):
        raise UserError(f"{where} has the tag {node.tag}; give values without tags.")
