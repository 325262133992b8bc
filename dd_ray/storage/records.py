"""The JSON that a sweep keeps, read in one place: whole and of the shape that it is to have, or refused by name.

A power cut leaves NULs, a disk flips bits, and anybody may put something else in a file's place. Whatever it is, who
reads it is told the file, what is wrong with it, and what to do.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dd_ray.errors import UserError
from dd_ray.storage.files import Files, NoFileError

LONGEST_SHOWN = 60
"""Characters of a wrong value that a message shows."""


class DamagedError(UserError):
    """What is stored is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a value of JSON is to be."""

    says: str
    """In words, after "not"."""
    holds: Callable[[Any], bool]
    needed: Mapping[str, "Shape"] = field(default_factory=dict)
    """Of an object, what it has in any case."""
    known: Mapping[str, "Shape"] = field(default_factory=dict)
    """Of an object, what it may have."""
    each: "Shape | None" = None
    """What everything else in it is."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


ANY = Shape(says="anything", holds=lambda value: True)
TEXT = Shape(says="a text", holds=lambda value: isinstance(value, str))
WHOLE = Shape(says="a whole number of 0 or more", holds=_is_whole)
REACHED = Shape(says="a whole number, or -1 before the first", holds=lambda value: value == -1 or _is_whole(value))
NUMBER = Shape(says="a number", holds=_is_number)
NUMBER_OR_NONE = Shape(says="a number or null", holds=lambda value: value is None or _is_number(value))
TEXT_OR_NONE = Shape(says="a text or null", holds=lambda value: value is None or isinstance(value, str))


def _list_of(each: Shape) -> Shape:
    return Shape(says="a list", holds=lambda value: isinstance(value, list), each=each)


def _object(
    needed: Mapping[str, Shape] | None = None, known: Mapping[str, Shape] | None = None, each: Shape = ANY
) -> Shape:
    is_object: Callable[[Any], bool] = lambda value: isinstance(value, dict)  # noqa: E731
    return Shape(says="an object", holds=is_object, needed=needed or {}, known=known or {}, each=each)


def _one_of(*values: str) -> Shape:
    return Shape(says=f"one of {', '.join(values)}", holds=lambda value: isinstance(value, str) and value in values)


_SEARCH = _object(
    {"optuna_study": TEXT, "objectives": _list_of(TEXT), "space": _object(each=TEXT), "iterations": WHOLE}
)
_EXTENSION = _object(
    {
        "file": TEXT,
        "digest": TEXT,
        "declares": _list_of(_object({"kind": TEXT, "name": TEXT, "options": _list_of(ANY)})),
    }
)
_EVALUATION = _object({"iteration": WHOLE}, {"check": TEXT}, NUMBER_OR_NONE)
_AGAIN = "the sweep's command sets the trial aside and trains it again"
SHAPES: Mapping[str, tuple[Shape, str]] = {
    "sweep.json": (
        _object(
            {"study": TEXT, "axes": _object(each=_list_of(ANY)), "options": _object()},
            {
                "search": _SEARCH,
                "evaluate_at": _list_of(WHOLE),
                "command": _list_of(TEXT),
                "versions": _object(each=TEXT),
                "commit": TEXT_OR_NONE,
                "extensions": _list_of(_EXTENSION),
            },
        ),
        "the sweep's command sets it aside and writes it anew",
    ),
    "progress.json": (
        _object(
            {
                "time": NUMBER,
                "running": _list_of(TEXT),
                "iterations_per_second": NUMBER,
                "seconds_left": NUMBER_OR_NONE,
            }
        ),
        "the sweep's command writes it anew",
    ),
    "config.json": (_object({"config": _object(), "label": TEXT}, {"check": TEXT}), _AGAIN),
    "metrics.jsonl": (_EVALUATION, _AGAIN),
    "scores.jsonl": (_EVALUATION, "`python -m dd_ray.evaluation` adds the scores again"),
    "outcome.json": (
        _object(
            {
                "state": _one_of("finished", "stopped_early", "out_of_time", "diverged", "failed"),
                "iteration": REACHED,
            },
            {"error": TEXT_OR_NONE, "trace": TEXT_OR_NONE, "seconds": NUMBER},
        ),
        "the sweep's command finds out again how the trial ended",
    ),
    "seal.json": (
        _object({"key": TEXT, "evaluations": WHOLE, "last": TEXT, "outcome": TEXT}),
        "the sweep's command finds out again how the trial ended",
    ),
    "optuna.log": (
        _object({"op_code": WHOLE, "worker_id": TEXT}),
        "the search's command sets it aside and goes on with what is before it",
    ),
}
"""What is in each file, or in each of its lines, and what to do where it is not."""


_WITH_THE_TRIAL = ("scores.jsonl", "outcome.json", "seal.json")
"""Files that are found out again where they are damaged, but not where they cannot be written over."""


def read_object(files: Files, name: str) -> dict[str, Any]:
    """What a file of JSON holds.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: it is damaged, or something else is in its place.
    """
    try:
        # Ranges of extensions' options, which sweep.json records, may be infinite; no number of a trial is.
        constants = float if name == "sweep.json" else _refuse
        value = _parsed(_content(files, name), SHAPES[name][0], constants)
    except ValueError as error:
        raise damaged(files, name, str(error)) from error
    return value


def read_lines(files: Files, name: str, notes: list[str] | None = None) -> list[dict[str, Any]]:
    """What the lines of a file hold; none where there is no file. A last line that a kill cut short is left out.

    Args:
        files: where it is.
        name: of the file.
        notes: gets what is wrong with lines, which are left out then.

    Raises:
        DamagedError: a line is damaged, and there are no notes to say so in; or something else is in the file's place.
    """
    try:
        content = _content(files, name)
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            rows.append(_parsed(line, SHAPES[name][0]))
        except ValueError as error:
            wrong = damaged(files, name, f"line {number}: {error}")
            if notes is None:
                raise wrong from error
            notes.append(str(wrong))
    return rows


def lines_before_damage(files: Files, name: str, kind: str) -> bytes:
    """The lines of a file before the first that is damaged, as they are there.

    Args:
        files: where it is.
        name: of the file, which may have been set aside.
        kind: the name that it had.

    Raises:
        DamagedError: something else is in the file's place.
    """
    try:
        content = files.read(name)
    except NoFileError as error:
        raise damaged(files, name, str(error), kind) from error
    whole = 0
    for line in content.splitlines(keepends=True):
        try:
            _parsed(line, SHAPES[kind][0])
        except ValueError:
            break
        if line.endswith(b"\n"):
            whole += len(line)
    return content[:whole]


def damaged(files: Files, name: str, why: str, kind: str | None = None) -> DamagedError:
    """What is said of a file that is not as it was written; `kind` is the name that it had where it has another."""
    return DamagedError(f"{files.at(name).location} is damaged ({why}); {SHAPES[kind or name][1]}.")


def _content(files: Files, name: str) -> bytes:
    try:
        return files.read(name)
    except NoFileError as error:
        raise damaged(files, name, str(error), "config.json" if name in _WITH_THE_TRIAL else name) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _parsed(content: bytes, shape: Shape, constants: Callable[[str], Any] = _refuse) -> dict[str, Any]:
    """The value that a text of JSON stands for.

    Raises:
        ValueError: it stands for none, or for one of another shape.
    """
    try:
        value = json.loads(content, parse_constant=constants)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is no text") from error
    if wrong := _wrong(value, shape, "it"):
        raise ValueError(wrong)
    return value  # type: ignore[no-any-return]


def _wrong(value: Any, shape: Shape, at: str) -> str:
    """What is not as it is to be, in words; empty where all is."""
    if not shape.holds(value):
        return f"{at} is {_shown(value)}, not {shape.says}"
    if isinstance(value, dict):
        if missing := [name for name in shape.needed if name not in value]:
            return f"{missing[0]} is missing"
        shapes = {**shape.known, **shape.needed}
        parts = [(str(name), each, shapes.get(name, shape.each)) for name, each in value.items()]
    elif isinstance(value, list):
        parts = [(f"{at}[{index}]", each, shape.each) for index, each in enumerate(value)]
    else:
        return ""
    found = (_wrong(each, of, name) for name, each, of in parts if of is not None and of is not ANY)
    return next(filter(None, found), "")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
