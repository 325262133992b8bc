"""Checks of option values that come from Python, where they have types, and not from a command line."""

import os
import types
from typing import Any, Literal, Union, get_args, get_origin

from dd_ray.errors import UserError

_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


def checked_value(option: str, value: Any, kind: Any) -> Any:
    """Convert a value to what an option's field holds: NumPy's numbers to Python's, integers to floats, paths to text.

    Args:
        option: name of the option, for messages.
        value: the value given; for a tuple, one value or several. None means not given.
        kind: type of the field: bool, int, float, str or a `Literal`, a tuple of one of these, or one of these or None.

    Raises:
        UserError: the value is of another type.
    """
    if get_origin(kind) is tuple:
        return tuple(checked_value(option, each, get_args(kind)[0]) for each in _each(value))
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (each for each in get_args(kind) if each is not types.NoneType)
    value = _plain(value)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UserError(f"--{option} {value!r} is none of {', '.join(get_args(kind))}; give one.")
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UserError(f"--{option} {value!r} is of the wrong type; give {_KINDS[kind]}.")
    return value


def _each(value: Any) -> tuple[Any, ...]:
    """Return the values in a tuple, whether one, several or none are given."""
    if value is None:
        return ()
    several = hasattr(value, "__iter__") and not isinstance(value, str | dict)
    return tuple(value) if several and getattr(value, "ndim", None) != 0 else (value,)


def _plain(value: Any) -> Any:
    """Convert a number of NumPy, or an array without dimensions, to Python's number, and a path to text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if getattr(value, "ndim", None) == 0 else value
