"""Labels, which name a trial and its TensorBoard run: `beta=0.1,gamma=0.5,seed=0`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dd_ray.config import fields_with, has_effect
from dd_ray.config.options import option_name, shown


def label_of(values: Mapping[str, Any], naming: Sequence[str]) -> str:
    """Return the label of a trial, made of those of the given fields that have an effect in it, with the seed last.

    Args:
        values: the values of all fields of its config.
        naming: the fields that may be part of the label.
    """
    unnamed = ("seed", *fields_with(in_key=False))
    named = [name for name in naming if name not in unnamed and has_effect(name, values)]
    return with_parts({option_name(name).replace("-", "_"): shown(values[name]) for name in [*named, "seed"]})


def parts_of(label: str) -> dict[str, str]:
    """Split a label into values, as text, by the names of options with underscores; empty if it names no value."""
    named = (part.partition("=") for part in label.split(","))
    return {name: value for name, _, value in named}


def with_parts(parts: Mapping[str, str]) -> str:
    """Join values by the names of options into a label."""
    return ",".join(f"{name}={value}" for name, value in parts.items())
