"""The code that a declaration names."""

import importlib
from typing import Any

from dd_ray.config.specs import Code
from dd_ray.errors import UserError


class CodeMissingError(UserError):
    """Something is of an extension of which only a sweep's records are known."""


def resolve(code: Code) -> Any:
    """The class or function that a declaration names as `package.module:Name`, imported; or the one that it holds.

    Raises:
        CodeMissingError: it is of an extension that was not given.
    """
    if not isinstance(code, str):
        return code
    module, _, name = code.partition(":")
    if module == ABSENT:
        raise CodeMissingError(
            f"this needs the code of {name}, which a sweep's records do not have; give --extension {name}."
        )
    return getattr(importlib.import_module(module), name)


ABSENT = "absent"
"""In the place of the module, where only what a sweep recorded of an extension's file is known: `absent:FILE`."""
