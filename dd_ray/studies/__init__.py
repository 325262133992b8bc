"""The studies that there are, a module each with its `STUDY`: its question, axes and presets.

A script of `sweeps/` runs each, and so do `dd-ray NAME` and `dd_ray.run("NAME")`.
"""

from importlib import import_module
from pkgutil import iter_modules

from dd_ray.sweep import Study


def study_names() -> list[str]:
    """Names of all studies."""
    return sorted(module.name for module in iter_modules(__path__))


def study_named(name: str) -> Study:
    """The study of a name that is among `study_names`."""
    study: Study = import_module(f"{__name__}.{name}").STUDY
    return study
