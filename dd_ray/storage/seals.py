"""Checksums that bind the stored parts of a trial to its key and to each other.

Each record has a checksum of itself, of the key and of all records before it, so that a record that was changed, left
out or taken from another trial is found. The seal of an ended trial holds the number of its records, so that records
cut off at the end are noticed, too. Sweeps of earlier versions have no checksums; they are checked as far as possible.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CHECK = "check"
"""Key of the checksum in a record."""


def checksum(*parts: Any) -> str:
    """Return a checksum of values of JSON, of 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def signed(values: Mapping[str, Any], *bound: str) -> dict[str, Any]:
    """Add to values the checksum of them and of what they are bound to."""
    return {**values, CHECK: checksum(*bound, values)}


def unsigned(values: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the checksum from values."""
    return {name: value for name, value in values.items() if name != CHECK}


def is_whole(values: Mapping[str, Any], *bound: str) -> bool:
    """Return whether values are unchanged since they were signed; values that were never signed count as unchanged."""
    return CHECK not in values or values[CHECK] == checksum(*bound, unsigned(values))


def links(key: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Compute the checksums of a trial's records, each of which covers those before it as well."""
    found = [""]
    for row in rows:
        found.append(checksum(key, found[-1], unsigned(row)))
    return found[1:]


def first_wrong(rows: Sequence[Mapping[str, Any]], chain: Sequence[str]) -> int | None:
    """Return the index of the first record that is not as it was written; None if all are.

    Args:
        rows: the records.
        chain: the `links` of the records.
    """
    is_signed = False
    iteration = -1
    for index, (row, link) in enumerate(zip(rows, chain, strict=True)):
        # After a record with a checksum, all records have one.
        if row.get(CHECK, "" if is_signed else link) != link or row["iteration"] <= iteration:
            return index
        is_signed, iteration = CHECK in row, row["iteration"]
    return None
