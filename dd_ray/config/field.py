"""What is known of a config field beside its type: an annotation that each field carries itself."""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass
from typing import Any, get_args, get_origin

Need = Mapping[str, tuple[Any, ...]]
"""Values of other fields that a field needs to have an effect; where several fields are named, of one of them."""


@dataclass(frozen=True)
class Within:
    """Which numbers a field takes: finite ones from `low` to `high`."""

    says: str
    """The end of a sentence that refuses others: `give a finite number of at least 1`."""
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """Whether `low` itself is none of them."""

    def __contains__(self, value: Any) -> bool:
        least = self.low < value if self.above else self.low <= value
        return bool(least and value <= self.high and -math.inf < value < math.inf)


def at_least(bound: int) -> Within:
    """Finite numbers from a bound on."""
    return Within(f"give a finite number of at least {bound}", low=bound)


def at_most(bound: int) -> Within:
    """Numbers up to a bound, beyond which nothing is asked for in earnest, and much would never end."""
    return Within(f"give at most {bound:,}", high=bound)


class _PositiveValue:
    """Stands for every number above 0 among the values of a `Need`."""

    def __eq__(self, other: object) -> bool:
        return other is self or (isinstance(other, int | float) and other > 0)

    def __hash__(self) -> int:
        return hash(type(self))

    def __str__(self) -> str:
        return "a positive number"


ABOVE_0 = _PositiveValue()
SHARE = Within("give a number in [0, 1]", low=0, high=1)
POSITIVE = Within("give a positive number", low=0, above=True)
FINITE = Within("give a finite number")


@dataclass(frozen=True, kw_only=True)
class Option:
    """What is known of a config field.

    A dataclass of an extension's own options annotates its fields with it, too: `Annotated[float, Option(...)]`.
    """

    within: tuple[Within, ...] = ()
    """Ranges that a number is in."""
    choices: str | None = None
    """Kind of the declarations whose names are its values: model, network, dataset, objective, optimizer."""
    symbol: str | None = None
    """How it is written on an axis, where not by its name."""
    option: str | None = None
    """Name of its option, where that is not its own: `lambda` is a Python word."""
    free: bool = False
    """Whether trials of one stack may differ in it."""
    of_data: bool = False
    """Whether it decides what a sample of the data is."""
    in_key: bool = True
    """Whether it is part of a trial's key; not, if it says where something is, and another field says what."""
    needs: tuple[Need, ...] = ()
    """What it needs to have an effect, beside a model, dataset or objective that reads it."""


_PLAIN = Option()


def option_of(field: "Field[Any]") -> Option:
    """The annotation of a config field."""
    found = [each for each in get_args(field.type)[1:] if isinstance(each, Option)] if _is_annotated(field) else []
    return found[0] if found else _PLAIN


def type_of(field: "Field[Any]") -> Any:
    """The type of a config field without its annotation."""
    return get_args(field.type)[0] if _is_annotated(field) else field.type


def _is_annotated(field: "Field[Any]") -> bool:
    return hasattr(field.type, "__metadata__") and get_origin(field.type) is not None
