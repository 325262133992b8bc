"""The studies, each a module with a `STUDY`: its question, axes and presets.

Each can be run by its script in `sweeps/`, by `dd-ray NAME`, and by `dd_ray.run("NAME")`.
"""

from importlib import import_module
from pkgutil import iter_modules

from dd_ray.sweep import Study


def study_names() -> list[str]:
    """Return the names of all studies."""
    return sorted(module.name for module in iter_modules(__path__))


def study_named(name: str) -> Study:
    """Import the study of a name that is among `study_names`."""
    study: Study = import_module(f"{__name__}.{name}").STUDY
    return study
