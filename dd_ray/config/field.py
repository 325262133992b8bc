"""The annotation of a config field, which says what is known of it beside its type."""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin

Need = Mapping[str, tuple[Any, ...]]
"""Values of other fields that a field needs to have an effect; if several fields are named, one of them suffices."""


@dataclass(frozen=True)
class Within:
    """The numbers that a field takes: finite ones from `low` to `high`."""

    says: str
    """End of the message that refuses other numbers: `give a finite number of at least 1`."""
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """True if `low` itself is excluded."""

    def __contains__(self, value: Any) -> bool:
        least = self.low < value if self.above else self.low <= value
        return bool(least and value <= self.high and -math.inf < value < math.inf)


def at_least(bound: int) -> Within:
    """Accept finite numbers from a bound on."""
    return Within(f"give a finite number of at least {bound}", low=bound)


def at_most(bound: int) -> Within:
    """Accept numbers up to a bound; larger ones are surely mistakes, and computing with them might never end."""
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
    """Facts about a config field.

    An extension annotates the fields of its own options with it as well: `Annotated[float, Option(...)]`.
    """

    within: tuple[Within, ...] = ()
    """Ranges that a number must lie in."""
    choices: str | None = None
    """Kind of the declarations whose names are its values: model, network, dataset, objective, optimizer."""
    symbol: str | None = None
    """Symbol on the axes of figures; by default the field's name."""
    option: str | None = None
    """Name of its option where it differs from the field's, as `lambda` is a keyword of Python."""
    free: bool = False
    """True if trials that are trained in one stack may differ in it. A model then keeps it in a buffer, as all else of
    a stack is made from the config of one of its trials."""
    of_data: bool = False
    """True if the data depend on it, as on each option of a dataset."""
    in_key: bool = True
    """True if it is part of a trial's key. A file's path is not, since another field has the file's checksum."""
    needs: tuple[Need, ...] = ()
    """Needs without which it has no effect, besides a model, dataset or objective that reads it."""


_PLAIN = Option()


@cache
def option_of(field: "Field[Any]") -> Option:
    """Return the annotation of a config field."""
    found = [each for each in get_args(field.type)[1:] if isinstance(each, Option)] if _is_annotated(field) else []
    return found[0] if found else _PLAIN


@cache
def type_of(field: "Field[Any]") -> Any:
    """Return the type of a config field without its annotation."""
    return get_args(field.type)[0] if _is_annotated(field) else field.type


def _is_annotated(field: "Field[Any]") -> bool:
    return get_origin(field.type) is Annotated
