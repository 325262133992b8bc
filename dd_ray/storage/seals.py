"""Checksums that bind what is kept of a trial to its key and to each other.

Each record has that of itself, of the key, and of all records before it, so that one that was changed, left out, or
comes from another trial is found; the seal of an ended trial says how many there were, so that those that were cut off
at the end are missed, too. Sweeps of earlier versions have none: of them is checked what can be.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CHECK = "check"
"""Name of the checksum in a record."""


def checksum(*parts: Any) -> str:
    """16 hexadecimal digits that stand for some values of JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def signed(values: Mapping[str, Any], *bound: str) -> dict[str, Any]:
    """Values with their checksum, and that of what they are bound to."""
    return {**values, CHECK: checksum(*bound, values)}


def unsigned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values without their checksum."""
    return {name: value for name, value in values.items() if name != CHECK}


def is_whole(values: Mapping[str, Any], *bound: str) -> bool:
    """Whether values are those that were signed; those that never were count as such."""
    return CHECK not in values or values[CHECK] == checksum(*bound, unsigned(values))


def links(key: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The checksums of a trial's records, each of which stands for those before it as well."""
    found = [""]
    for row in rows:
        found.append(checksum(key, found[-1], unsigned(row)))
    return found[1:]


def first_wrong(rows: Sequence[Mapping[str, Any]], chain: Sequence[str]) -> int | None:
    """Index of the first record that is not the one that was written there; None where all are.

    Args:
        rows: the records.
        chain: their `links`.
    """
    is_signed = False
    iteration = -1
    for index, (row, link) in enumerate(zip(rows, chain, strict=True)):
        # Once a record has a checksum, those after it have one, too.
        if row.get(CHECK, "" if is_signed else link) != link or row["iteration"] <= iteration:
            return index
        is_signed, iteration = CHECK in row, row["iteration"]
    return None
