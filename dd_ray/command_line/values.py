"""Checks of option values that come from Python, where they have types, and not from a command line."""

import os
import re
import types
from typing import Any, Literal, Self, Union, get_args, get_origin

import numpy as np

from dd_ray.errors import UserError

_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_IN_UNITS = re.compile(r"(?:\d+(?:\.\d*)?[smhd])+")
_BY_CLOCK = re.compile(r"(?:\d+:[0-5]\d|\d+):[0-5]\d")

Format = Literal["png", "pdf", "svg"]
"""Formats that figures are written in."""
_SCHEME = re.compile(r"(s3|gs|file|https?):/")
"""Matches the beginning of a URL, of which a `Path` keeps one slash."""


class Seconds(float):
    """A time in seconds that may be written as `90m`, `1h30m`, `1:30:00` or `5400`."""

    @classmethod
    def read(cls, written: Any) -> Self:
        """Read a time.

        Args:
            written: a number of seconds, or a text such as `90m`, `1h30m` or `1:30:00`.

        Raises:
            ValueError: it is no time.
        """
        text = str(written).strip()
        if isinstance(written, bool):
            pass
        elif _BY_CLOCK.fullmatch(text):
            return cls(sum(float(part) * 60**place for place, part in enumerate(reversed(text.split(":")))))
        elif _IN_UNITS.fullmatch(text):
            return cls(sum(float(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"[\d.]+[smhd]", text)))
        else:
            try:
                return cls(text)
            except ValueError:
                pass
        raise ValueError(f"{written!r} is no time; give seconds, or such as 90m, 2h or 1:30:00")


def checked_value(option: str, value: Any, kind: Any) -> Any:
    """Convert a value to what an option's field holds: NumPy's numbers to Python's, integers to floats, paths to text.

    Args:
        option: its name, for messages.
        value: what is given: for a tuple one value or several, None for what is not given. Those of a set are sorted,
            since its own order is another in each process.
        kind: type of the field: bool, int, float, str, `Seconds`, a `Literal`, a tuple of one of them, or any of them
            or None.

    Raises:
        UserError: the value is of another type.
    """
    if get_origin(kind) is tuple:
        values = tuple(checked_value(option, each, get_args(kind)[0]) for each in _each(value))
        return tuple(sorted(values)) if isinstance(value, set | frozenset) else values
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (each for each in get_args(kind) if each is not types.NoneType)
    value = plain_value(value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UserError(f"--{option} {value!r} is none of {', '.join(get_args(kind))}; give one.")
        return value
    if kind is Seconds:
        try:
            return Seconds.read(value)
        except ValueError as error:
            raise UserError(f"--{option} {error}.") from error
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError as error:
            raise UserError(f"--{option} has a number of {value.bit_length()} bits; give a smaller one.") from error
    if type(value) is not kind:
        raise UserError(f"--{option} {value!r} is of the wrong type; give {_KINDS[kind]}.")
    return value


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether what is given as a path is a URL, which would become a folder named `s3:`."""
    return _SCHEME.match(os.fspath(path)) is not None


def _each(value: Any) -> tuple[Any, ...]:
    """Return the values in a tuple, whether one, several or none are given."""
    if value is None:
        return ()
    several = hasattr(value, "__iter__") and not isinstance(value, str | dict)
    return tuple(value) if several and getattr(value, "ndim", None) != 0 else (value,)


def plain_value(value: Any) -> Any:
    """Convert a number of NumPy, or an array without dimensions, to Python's number, and a path to text.

    Of numbers with fewer bits than Python's, it takes the digits that they are shown with: `np.float32(0.1)` is 0.1.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "ndim", None) != 0:
        return value
    number = value.item()
    if not isinstance(number, float):
        return number
    rounded = (float(f"{number:.{digits}g}") for digits in range(1, 18))
    with np.errstate(over="ignore"):  # the largest numbers of a type round to more than it holds
        return next((each for each in rounded if value == each), number)
