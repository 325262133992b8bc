"""Imports the code that a declaration names."""

import importlib
from typing import Any

from dd_ray.config.specs import CodeOrName
from dd_ray.errors import UserError


class CodeMissingError(UserError):
    """The code of a declaration is missing: only a sweep's records of its extension are known."""


def resolve(code: CodeOrName) -> Any:
    """Import the class or function that a declaration names as `package.module:Name`, or return the one that it holds.

    Raises:
        CodeMissingError: it is of an extension that was not given.
    """
    if not isinstance(code, str):
        return code
    module, _, name = code.partition(":")
    if module == ABSENT:
        raise CodeMissingError(
            f"this needs the code of {name}, which a sweep's records do not have; give --extension {name}, or in "
            f"Python call dd_ray.config.extensions.load_files(['{name}']) before."
        )
    return getattr(importlib.import_module(module), name)


ABSENT = "absent"
"""Stands in place of the module, as in `absent:FILE`, if only a sweep's records of an extension's file are known."""
