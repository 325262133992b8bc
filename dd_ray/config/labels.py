"""Labels, which name a trial and its TensorBoard run: `beta=0.1,gamma=0.5,seed=0`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dd_ray.config import fields_with, has_effect
from dd_ray.config.options import option_name, shown


def label_of(values: Mapping[str, Any], naming: Sequence[str]) -> str:
    """The label of a trial, from those of some fields that have an effect in it, seed last.

    Args:
        values: of all fields of its config.
        naming: the fields.
    """
    unnamed = ("seed", *fields_with(in_key=False))
    named = [name for name in naming if name not in unnamed and has_effect(name, values)]
    return with_parts({option_name(name).replace("-", "_"): shown(values[name]) for name in [*named, "seed"]})


def parts_of(label: str) -> dict[str, str]:
    """What a label says, as text: values by the names of options, with underscores; none where it names no value."""
    named = (part.partition("=") for part in label.split(","))
    return {name: value for name, _, value in named}


def with_parts(parts: Mapping[str, str]) -> str:
    """The label that says this."""
    return ",".join(f"{name}={value}" for name, value in parts.items())
