"""The space of a search: config fields, and the distributions that their values are drawn from."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dd_ray.config import config_fields
from dd_ray.config.field import type_of
from dd_ray.config.options import Axes, check_no_value_twice, option_name
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MOST_CORNERS = 4096
"""The most corners of a space that are checked before a search starts."""


@dataclass(frozen=True)
class Uniform:
    """A uniform distribution from `low` to `high`; of integers if the field is one."""

    low: float
    high: float

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values at the corners of a space."""
        return (self.low, self.high)

    def __contains__(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        return f"uniform from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class LogUniform(Uniform):
    """A distribution from `low` to `high` that is uniform in the logarithm."""

    def __str__(self) -> str:
        return f"log-uniform from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """A choice of one of some values."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values at the corners of a space."""
        return self.values

    def __contains__(self, value: Any) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return f"one of {' '.join(map(str, self.values))}"


Distribution = Uniform | Choice
Space = Mapping[str, Distribution]
"""Distributions of config fields, by name."""


def split_axes(axes: Axes, usual: Space) -> tuple[dict[str, Distribution], dict[str, Any]]:
    """Split the values of config fields into distributions that a search draws from, and fixed values.

    For a field of the study's space, one value fixes it, and two are the ends of its range. For any other field, one
    value fixes it, and several are a choice. `beta_norm` is drawn as `beta` is.

    Args:
        axes: values by field, without the seed.
        usual: the study's space.

    Returns:
        Distributions of the fields that are drawn, and values of the others.

    Raises:
        UserError: values do not form a range, or nothing is drawn.
    """
    space: dict[str, Distribution] = {}
    fixed: dict[str, Any] = {}
    for name, values in axes.items():
        kind = usual.get("beta" if name == "beta_norm" else name)
        if len(values) == 1:
            fixed[name] = values[0]
        elif isinstance(kind, Uniform):
            space[name] = _range(name, values, type(kind))
        else:
            space[name] = _choice(name, values)
    if not space:
        names = " ".join(f"--{option_name(name)} LOW HIGH" for name in usual)
        raise UserError(f"every field is fixed, so there is nothing to search; give a range, such as {names}.")
    return space, fixed


def corners(space: Space) -> list[dict[str, Any]]:
    """Return the corners of a space, but no more than `MOST_CORNERS`."""
    points = itertools.product(*(distribution.ends for distribution in space.values()))
    return [dict(zip(space, point, strict=True)) for point in itertools.islice(points, MOST_CORNERS)]


def as_optuna(name: str, distribution: Distribution) -> "BaseDistribution":
    """Convert the distribution of a field to Optuna's."""
    # Not at the top: --help and wrong options need no Optuna.
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: PLC0415

    if isinstance(distribution, Choice):
        return CategoricalDistribution(distribution.values)
    log = isinstance(distribution, LogUniform)
    if any(field.name == name and type_of(field) is int for field in config_fields()):
        return IntDistribution(int(distribution.low), int(distribution.high), log=log)
    return FloatDistribution(distribution.low, distribution.high, log=log)


def _range(name: str, values: tuple[Any, ...], kind: type[Uniform]) -> Uniform:
    given = f"--{option_name(name)} {' '.join(f'{value:g}' for value in values)}"
    if len(values) != 2:
        raise UserError(f"{given} is no range; give LOW HIGH to draw from, or one value that fixes it.")
    low, high = values
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{given} is no range; give LOW HIGH with LOW less than HIGH, both finite.")
    if kind is LogUniform and low <= 0:
        raise UserError(
            f"{given} is drawn log-uniformly, so LOW must be more than 0; give a small positive LOW, or one value."
        )
    return kind(low, high)


def _choice(name: str, values: tuple[Any, ...]) -> Choice:
    check_no_value_twice(name, values)
    return Choice(values)
