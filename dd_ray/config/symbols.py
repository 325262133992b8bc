"""Names of config fields in words and symbols, for figures, tables and sentences."""

import itertools
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from dd_ray.config.field import option_of
from dd_ray.config.options import option_name, shown, shown_apart
from dd_ray.config.trial_fields import config_fields


def symbol(field: str) -> str:
    """Return the text that stands for a config field, or a factor, on an axis."""
    known = next((option_of(each).symbol for each in config_fields() if each.name == field), None)
    return known or option_name(field).replace("-", " ")


def plain(text: str) -> str:
    """Remove the markup of formulas from a text, for output that cannot typeset them."""
    return re.sub(r"\$_\{(?:\\mathrm\{)?(\w+)\}?\}\$", r"_\1", text).replace(r"\$", "$")


def written(value: Any, among: Collection[Any] = ()) -> str:
    """Write a config value, or a text, as Matplotlib reads it, in which a dollar sign begins no formula.

    Args:
        value: one of `among`, if these are given.
        among: values that it can be told from.
    """
    known = [*dict.fromkeys(among)]
    text = dict(zip(known, shown_apart(known), strict=True))[value] if known else shown(value)
    return text.replace("$", r"\$")


def values_of(settings: Collection[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values that each field has in some settings: those `among` which `setting` tells its own apart."""
    return {field: [each[field] for each in settings if field in each] for field in {*itertools.chain(*settings)}}


def setting(values: Mapping[str, Any], among: Mapping[str, Collection[Any]] = MappingProxyType({})) -> str:
    """Write config values in words: `β = 0.1, γ = 0.5, seed 0`; those of fields in `among` as `written` does."""
    return ", ".join(
        f"{symbol(field)}{' ' if field == 'seed' else ' = '}{written(value, among.get(field, ()))}"
        for field, value in values.items()
    )
