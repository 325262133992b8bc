"""Names of config fields in words and symbols, for figures, tables and sentences."""

import re
from collections.abc import Mapping
from typing import Any

from dd_ray.config.field import option_of
from dd_ray.config.options import option_name, shown
from dd_ray.config.trial_fields import config_fields


def symbol(field: str) -> str:
    """Return the text that stands for a config field, or a factor, on an axis."""
    known = next((option_of(each).symbol for each in config_fields() if each.name == field), None)
    return known or option_name(field).replace("-", " ")


def plain(text: str) -> str:
    """Remove the markup of formulas from a text, for output that cannot typeset them."""
    return re.sub(r"\$_\{(?:\\mathrm\{)?(\w+)\}?\}\$", r"_\1", text).replace(r"\$", "$")


def written(value: Any) -> str:
    """Write a config value, or a text, as Matplotlib reads it, in which a dollar sign begins no formula."""
    return shown(value).replace("$", r"\$")


def setting(values: Mapping[str, Any]) -> str:
    """Write config values in words: `β = 0.1, γ = 0.5, seed 0`."""
    return ", ".join(
        f"{symbol(field)}{' ' if field == 'seed' else ' = '}{written(value)}" for field, value in values.items()
    )
