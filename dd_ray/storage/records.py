"""Reads and makes the JSON files of a sweep, and refuses those that are damaged or of another shape.

A power cut leaves NULs, a disk flips bits, and anybody may put something else in a file's place. In each case the error
names the file, what is wrong with it, and what to do.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, get_args

from dd_ray.errors import UserError
from dd_ray.storage.files import Files, NoFileError
from dd_ray.storage.names import LOG, MANIFEST, PROGRESS

State = Literal["finished", "stopped_early", "out_of_time", "at_plateau", "diverged", "failed"]
"""Ways in which a trial ends."""
LARGEST_WHOLE = 2**63 - 1
"""The largest whole number that a column of a table holds."""
LATEST = 2**33
"""The year 2242 in seconds since 1970; pandas has none after 2262."""
LARGEST_OBJECT = 64 * 2**20
"""The most bytes of a file of JSON that is read. What grows in one are the values of axes, by about 20 bytes each."""
LONGEST_SHOWN = 60
"""The most characters of a wrong value that a message shows."""


class DamagedError(UserError):
    """A stored file is not what was written."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape that a value of JSON must have."""

    says: str
    """The shape in words that follow "not" in a message."""
    holds: Callable[[Any], bool]
    needed: Mapping[str, "Shape"] = field(default_factory=dict)
    """Keys that an object must have, with the shapes of their values."""
    known: Mapping[str, "Shape"] = field(default_factory=dict)
    """Keys that an object may have, with the shapes of their values."""
    each: "Shape | None" = None
    """The shape of all other entries."""


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_WHOLE


def _is_number(value: Any) -> bool:
    # JSON's whole numbers may have more digits than a float or a column of a table has room for.
    return abs(value) <= LARGEST_WHOLE if type(value) is int else isinstance(value, float) and math.isfinite(value)


def _is_time(value: Any) -> bool:
    return _is_number(value) and 0 <= value < LATEST


ANY = Shape(says="anything", holds=lambda value: True)
TEXT = Shape(says="a text", holds=lambda value: isinstance(value, str))
WHOLE = Shape(says="a whole number of 0 or more", holds=_is_whole)
REACHED = Shape(says="a whole number, or -1 before the first", holds=lambda value: value == -1 or _is_whole(value))
NUMBER = Shape(says="a number", holds=_is_number)
TIME = Shape(says="a time in seconds since 1970", holds=_is_time)
NUMBER_OR_NONE = Shape(says="a number or null", holds=lambda value: value is None or _is_number(value))
TEXT_OR_NONE = Shape(says="a text or null", holds=lambda value: value is None or isinstance(value, str))


KEY = Shape(
    says="a trial's key", holds=lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None
)


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
    {"optuna_study": TEXT, "objectives": _list_of(TEXT), "space": _object(each=TEXT), "iterations": WHOLE},
    {"seeds": _list_of(WHOLE)},
)
_OPTIONS = _object(known={"iterations": WHOLE, "suggestions": WHOLE})
_EXTENSION = _object(
    {
        "file": TEXT,
        "digest": TEXT,
        "declares": _list_of(_object({"kind": TEXT, "name": TEXT, "options": _list_of(ANY)})),
    }
)
_CONFIRMS = _object(
    {"chosen": _object(each=_object(each=_list_of(TEXT))), "cells": _object(each=_object(each=TEXT))}, {"sweep": TEXT}
)
_MACHINE = _object({"name": TEXT_OR_NONE, "processor": TEXT_OR_NONE, "cores": NUMBER_OR_NONE, "gpus": _list_of(TEXT)})
_EVALUATION = _object({"iteration": WHOLE}, {"check": TEXT}, NUMBER_OR_NONE)
_ATTEMPT = _object(
    {"attempt": TEXT, "began": TIME, "host": TEXT, "pid": WHOLE, "device": TEXT, "recorded": REACHED},
    {"ended": TIME, "iteration": REACHED, "how": TEXT, "error": TEXT},
)
_LOGGED = _object(
    {"op_code": WHOLE, "worker_id": TEXT},
    {
        "user_attr": _object(known={"cells": _list_of(KEY)}),
        "param_value_internal": NUMBER,
        "values": Shape(says="a list or null", holds=lambda value: isinstance(value, list | None), each=NUMBER),
    },
)
_AGAIN = "the sweep's command sets the trial aside and trains it again"
SHAPES: Mapping[str, tuple[Shape, str]] = {
    MANIFEST: (
        _object(
            {"study": TEXT, "axes": _object(each=_list_of(ANY)), "options": _OPTIONS},
            {
                "search": _SEARCH,
                "question": TEXT_OR_NONE,
                "tells": _list_of(TEXT),
                "began": TEXT_OR_NONE,
                "asked": TEXT_OR_NONE,
                "machine": _MACHINE,
                "evaluate_at": _list_of(WHOLE),
                "command": _list_of(TEXT),
                "versions": _object(each=TEXT),
                "commit": TEXT_OR_NONE,
                "extensions": _list_of(_EXTENSION),
                "confirms": _CONFIRMS,
            },
        ),
        "the sweep's command sets it aside and writes it anew",
    ),
    PROGRESS: (
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
                "state": _one_of(*get_args(State)),
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
    "attempts.jsonl": (_ATTEMPT, "it is left out, and nothing depends on it"),
    LOG: (
        _LOGGED,
        "the search's command sets it aside and goes on with the lines before the damage",
    ),
}
"""The shape of each file, or of each of its lines, and what to do if it has another."""


_WITH_THE_TRIAL = ("scores.jsonl", "outcome.json", "seal.json")
"""Files that are made again if they are damaged, unless something that cannot be overwritten has their name."""


def read_object(files: Files, name: str) -> dict[str, Any]:
    """Read a file of JSON.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: it is damaged or too large, or something else has its name.
    """
    try:
        # Ranges of extensions' options, which sweep.json records, may be infinite; no number of a trial is.
        constants = float if name == MANIFEST else _refuse
        value = _parsed(_content(files, name, LARGEST_OBJECT), SHAPES[name][0], constants)
    except ValueError as error:
        raise damaged(files, name, str(error)) from error
    return value


def read_lines(files: Files, name: str, notes: list[str] | None = None) -> list[dict[str, Any]]:
    """Read the lines of a file, each of JSON; none if there is no file. A last line that a kill cut short is left out.

    Args:
        files: the files of which it is one.
        name: name of the file.
        notes: receives what is wrong with damaged lines, which are left out; without it, they raise.

    Raises:
        DamagedError: a line is damaged and `notes` is None, or something else has the file's name.
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
    """Return the lines of a file before the first damaged one, unchanged.

    Args:
        files: the files of which it is one.
        name: present name of the file, which may have been set aside.
        kind: name that the file had, which decides its shape.

    Raises:
        DamagedError: something else has the file's name.
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


def json_file(value: Any) -> bytes:
    """Return the content of a file of JSON, with numbers of NumPy's as numbers, and what else JSON lacks as text."""
    return (json.dumps(value, indent=1, default=_plain) + "\n").encode()


def _plain(value: object) -> int | float | str:
    return int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real) else str(value)


def damaged(files: Files, name: str, why: str, kind: str | None = None) -> DamagedError:
    """Return the error for a damaged file; `kind` is its former name if it was set aside under another."""
    return DamagedError(f"{files.at(name).location} is damaged ({why}); {SHAPES[kind or name][1]}.")


def _content(files: Files, name: str, most: int | None = None) -> bytes:
    try:
        return files.read(name, most)
    except NoFileError as error:
        raise damaged(files, name, str(error), "config.json" if name in _WITH_THE_TRIAL else name) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _parsed(content: bytes, shape: Shape, constants: Callable[[str], Any] = _refuse) -> dict[str, Any]:
    """Parse a text of JSON, and check its shape.

    Raises:
        ValueError: it is not JSON, or has another shape.
    """
    try:
        value = json.loads(content, parse_constant=constants)
        wrong = _wrong(value, shape, "it")
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is no text") from error
    if wrong:
        raise ValueError(wrong)
    return value  # type: ignore[no-any-return]


def _wrong(value: Any, shape: Shape, at: str) -> str:
    """Say in words where a value differs from its shape; empty if it does not."""
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
    found = (_wrong(each, of, name) for name, each, of in parts if of is not None and not _is_plainly_right(each, of))
    return next(filter(None, found), "")


def _is_plainly_right(value: Any, shape: Shape) -> bool:
    """Return whether nothing in a value need be looked at, which holds for nearly all of a million numbers."""
    return shape is ANY or (not isinstance(value, dict | list) and shape.holds(value))


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
