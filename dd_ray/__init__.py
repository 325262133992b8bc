"""Hyperparameter sweeps on Ray for the study of disentangled dynamics.

`run` runs a study and returns its table, `plan` says what it would do, and `UserError` is what they raise.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Preset", "Study", "UserError", "plan", "run"]

_HOME = {"run": "api", "plan": "api", "UserError": "errors", "Study": "sweep", "Preset": "sweep"}
"""The module of each name that the package offers. It is imported on first use, since workers need few of them."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
