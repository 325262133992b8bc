"""Rules for which config fields have an effect, given the values of the others.

A field without effect is refused in a single config; in a grid, it takes its default in the combinations where it has
no effect. The rules follow from what models, datasets and objectives declare that they read, and from what the field
itself needs.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dd_ray.config.datasets import DATASETS
from dd_ray.config.field import Need, option_of
from dd_ray.config.models import MODELS
from dd_ray.config.networks import NETWORKS
from dd_ray.config.objectives import OBJECTIVES
from dd_ray.config.optimizers import OPTIMIZERS
from dd_ray.config.specs import Registry, cached_until_change
from dd_ray.config.trial_fields import TrialFields, config_fields

_OURS = frozenset(field.name for field in fields(TrialFields))
"""The fields that no extension has declared."""


@cached_until_change
def needs() -> Mapping[str, tuple[Need, ...]]:
    """Return all needs of each field that has no effect beside some values of others."""
    found = {field.name: (*_of_declarations(field.name), *option_of(field).needs) for field in config_fields()}
    return {name: of_field for name, of_field in found.items() if of_field}


@cached_until_change
def deciding() -> frozenset[str]:
    """Return the fields that decide whether others have an effect."""
    return frozenset(name for of_field in needs().values() for need in of_field for name in need)


def _of_declarations(name: str) -> list[Need]:
    """Return the needs that follow from which declarations read a field."""
    models, objectives = _reading(MODELS, name), _reading(OBJECTIVES, name)
    if objectives and not models:
        models = tuple(dict.fromkeys((*MODELS.reading("objective"), *MODELS.reading(name))))
    found: list[Need] = [{"model": models}] if models else []
    if any(name in spec.idle_in_original for spec in MODELS.values()):
        others = tuple(each for each in models if name not in MODELS[each].idle_in_original)
        found.append({"compat": ("none",)} | ({"model": others} if others else {}))
    by_kind = {"dataset": _reading(DATASETS, name), "objective": objectives, "network": _reading(NETWORKS, name)}
    by_kind["optimizer"] = _reading(OPTIMIZERS, name)
    return found + [{kind: names} for kind, names in by_kind.items() if names]


def _reading(registry: Registry[Any], name: str) -> tuple[str, ...]:
    """Return the names of the declarations of a kind that read a field, if others of the kind may not; else none.

    A field of ours that none of ours names, such as the seed, is for all of a kind, also where a user's file names it.
    """
    names = registry.reading(name)
    return names if name not in _OURS or not registry.ours.isdisjoint(names) else ()


def has_effect(name: str, values: Mapping[str, Any]) -> bool:
    """Return whether a field has an effect beside the values of all fields, which must be valid ones."""
    return _unmet(name, values) is None


def takes(model: str, name: str) -> bool:
    """Return whether a field can have an effect on a model, with some values of the other fields."""
    return all(model in need["model"] for need in needs().get(name, ()) if need.keys() == {"model"})


def refusal(name: str, values: Mapping[str, Any], default: Any) -> str | None:
    """Return a sentence that says why a field's value has no effect; None if it has one."""
    need = _unmet(name, values)
    if need is None:
        return None
    others = {field: (values[field],) for field in need}
    given = f"on {values[next(iter(need))]}" if _are_names(need) else f"with {_text(others, ' and ')}"
    # A dataset without the field may well have something else than its default, such as a file's videos of 8 frames.
    instead = "leave it out" if default is None or "dataset" in need else f"give {default}"
    needed = " or ".join(next(iter(need.values()))) if _are_names(need) else _text(need, " or ")
    return f"{name} = {values[name]} has no effect {given}; {instead}, or use {needed}."


def _unmet(name: str, values: Mapping[str, Any]) -> Need | None:
    for need in needs().get(name, ()):
        if not any(values[field] in choices for field, choices in need.items()):
            return need
    return None


def _are_names(need: Need) -> bool:
    """Return whether the values are names that need no explanation, as those of models and datasets."""
    return len(need) == 1 and not need.keys().isdisjoint(("model", "dataset"))


def _text(need: Need, joint: str) -> str:
    """List fields with their values, grouping fields that have the same values."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for field, choices in need.items():
        alike.setdefault(choices, []).append(field)
    return joint.join(f"{joint.join(names)} = {' or '.join(map(str, choices))}" for choices, names in alike.items())
