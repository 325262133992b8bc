"""Labels, which name a trial and its TensorBoard run: `beta=0.1,gamma=0.5,seed=0`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dd_ray.config import field_names, fields_with, has_effect
from dd_ray.config.options import field_named, option_name, shown

_IN_NO_NAME = re.compile(r"[^\w.+-]+")
"""What a text may hold that has another meaning in a label, or in the name of a folder."""
LONGEST_TEXT = 32
"""Characters that a label has of a text."""
LONGEST_LABEL = 240
"""Bytes of a label: names of folders have 255 at most, and a part of the key may be added."""


def label_of(values: Mapping[str, Any], naming: Sequence[str]) -> str:
    """Return the label of a trial, made of those of the given fields that have an effect in it, with the seed last.

    It can name a folder: texts, which options of extensions may be, come without slashes and the like, and shortened;
    where it would be too long, the last fields before the seed are left out.

    Args:
        values: the values of all fields of its config.
        naming: the fields that may be part of the label.
    """
    unnamed = ("seed", *fields_with(in_key=False))
    named = [name for name in naming if name not in unnamed and has_effect(name, values)]
    parts = {option_name(name).replace("-", "_"): in_a_name(values[name]) for name in [*named, "seed"]}
    while len(with_parts(parts).encode()) > LONGEST_LABEL:
        del parts[list(parts)[-2]]
    return with_parts(parts)


def in_a_name(value: Any) -> str:
    """Write a config value as a part of the name of a file or folder."""
    return _IN_NO_NAME.sub("_", value)[:LONGEST_TEXT] if isinstance(value, str) else shown(value)


def joined_labels(trials: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Return new labels of the trials of several sweeps, made of what any of their labels names and of what varies.

    Args:
        trials: by key, the label of a trial in its own sweep and the values of all fields, with β in both its forms.

    Returns:
        The labels by key. Where two trials would have the same, a part of the key is added.
    """
    named = [field for label, _ in trials.values() for part in parts_of(label) if (field := field_named(part))]
    naming = _with_one_beta(list(dict.fromkeys([*named, *_varied([values for _, values in trials.values()])])), named)
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for key, (_, values) in trials.items():
        label = label_of(values, naming)
        labels[key] = f"{label},key={key[:6]}" if label in taken else label
        taken.add(labels[key])
    return labels


def _varied(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fields that have an effect and more than one value."""
    of_field = {name: {trial[name] for trial in trials if has_effect(name, trial)} for name in field_names()}
    return [name for name, values in of_field.items() if len(values) > 1]


def _with_one_beta(naming: list[str], named: Sequence[str]) -> list[str]:
    """Leave out the form of β that no label names, or beta_norm where labels name both or neither."""
    idle = "beta" if "beta_norm" in named and "beta" not in named else "beta_norm"
    return [name for name in naming if name != idle]


def parts_of(label: str) -> dict[str, str]:
    """Split a label into values, as text, by the names of options with underscores; empty if it names no value."""
    named = (part.partition("=") for part in label.split(","))
    return {name: value for name, _, value in named}


def with_parts(parts: Mapping[str, str]) -> str:
    """Join values by the names of options into a label."""
    return ",".join(f"{name}={value}" for name, value in parts.items())
