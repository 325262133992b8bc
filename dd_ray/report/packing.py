"""Packs the numbers of a report, so that the page of a large sweep stays a small file; `js/packed.js` unpacks them.

Nothing is lost: what is unpacked equals what was packed. A list of numbers, a list of such lists of one length, and a
dictionary of them become columns of whole numbers, equal ones stored once. A number of a column with up to d ≤ 6
digits, ±m · 10^k with 10^(d−1) ≤ m < 10^d, is stored as ±(9 · 10^(d−1) (k + 30) + m − 10^(d−1) + 1): numbers that are
near have codes that are near. Of each column the differences from code to code are stored, 4 bytes each, first the
lowest byte of all, then the next: bytes that are nearly always 0 stand together, and vanish when compressed. What does
not fit remains as it is.

    packed    gzip of: length of JSON, number of codes N (4 bytes each, the lowest first), JSON, 4 · N bytes
    in JSON   {"~": [first code, d, rows, columns]} for a list, rows being 0 for a list without lists in it, and d being
              0 for whole numbers, whose codes are these themselves;
              {"~": [first code, d, rows, columns, names]} for a dictionary, by the place of its keys in a list
"""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dd_ray.errors import as_bytes

WHOLE = 0
"""In place of the digits of a column of whole numbers."""
MOST_DIGITS = 6
NONE = -(2**31)
"""The code of what is no number."""
LARGEST_WHOLE = 2**30
LEAST_PACKED = 16
"""Numbers of a list that is packed; a shorter one is as short in JSON."""
MARK = "~"
LOWEST_POWER, HIGHEST_POWER = -22, 22
"""Powers of ten that a double holds exactly, so that m · 10^k and m / 10^-k are the doubles nearest to the decimal."""
FIRST_POWER = -30
LEVEL = 6


def pack(value: Any) -> bytes:
    """Pack what JSON can hold.

    Raises:
        ValueError: JSON cannot hold it, or a dictionary in it looks like a packed column.
    """
    columns = _Columns()
    tree = {"content": _without_columns(value, columns), "names": columns.names}
    text = as_bytes(json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    codes = columns.codes()
    head = np.array([len(text), len(codes)], "<u4").tobytes()
    planes = codes.view(np.uint8).reshape(-1, 4).T.tobytes()
    return gzip.compress(head + text + planes, LEVEL, mtime=0)


def as_text(content: bytes) -> str:
    """Write bytes in base85, which takes 5 signs for 4 bytes where base64 takes 5.3.

    A comma, which base85 does not use, stands for `<`, so that nothing in the text can end an element of a page.
    """
    return base64.b85encode(content).decode().replace("<", ",")


class _Columns:
    """Columns of codes, equal ones once."""

    def __init__(self) -> None:
        self.names: list[list[str]] = []
        self._places: dict[bytes, int] = {}
        self._columns: list[NDArray[np.int64]] = []
        self._length = 0

    def place_of(self, codes: NDArray[np.int64]) -> int:
        """Return where a column begins, after adding it if there is none like it."""
        content = codes.tobytes()
        if content not in self._places:
            self._places[content] = self._length
            self._columns.append(codes)
            self._length += codes.size
        return self._places[content]

    def named(self, names: list[str]) -> int:
        """Return the place of a list of names, after adding it if it is a new one."""
        if names not in self.names:
            self.names.append(names)
        return self.names.index(names)

    def codes(self) -> NDArray[np.uint32]:
        """Return what is stored of all columns: differences between neighbours, even if positive and odd if not."""
        steps = [np.diff(codes, prepend=0) for codes in self._columns]
        if not steps:
            return np.zeros(0, np.dtype("<u4"))
        wrapped = np.concatenate(steps).astype(np.int32).astype(np.int64)  # modulo 2³²
        return ((wrapped << 1) ^ (wrapped >> 63)).astype(np.dtype("<u4"))


def _without_columns(value: Any, columns: _Columns) -> Any:
    """Return a tree with references in place of its columns."""
    if isinstance(value, dict):
        if MARK in value:
            raise ValueError(f"a key named {MARK!r} cannot be packed.")
        return _packed_table(value, columns) or {key: _without_columns(part, columns) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return _packed_list(value, columns) or [_without_columns(part, columns) for part in value]
    return value


def _packed_list(value: Sequence[Any], columns: _Columns) -> dict[str, Any] | None:
    if value and all(isinstance(part, list) and len(part) == len(value[0]) for part in value):
        # Codes of what stands in the same place of neighbouring lists are next to each other.
        rows, flat = len(value), [number for column in zip(*value, strict=True) for number in column]
    else:
        rows, flat = 0, list(value)
    coded = _coded(flat)
    if coded is None:
        return None
    digits, codes = coded
    return {MARK: [columns.place_of(codes), digits, rows, len(flat) // max(rows, 1)]}


def _packed_table(value: dict[str, Any], columns: _Columns) -> dict[str, Any] | None:
    """Return the reference of a dictionary of lists of one length."""
    lists = list(value.values())
    if not lists or not all(isinstance(part, list) and len(part) == len(lists[0]) for part in lists):
        return None
    coded = _coded([number for part in lists for number in part])
    if coded is None:
        return None
    digits, codes = coded
    return {MARK: [columns.place_of(codes), digits, len(lists), len(lists[0]), columns.named(list(value))]}


def _coded(numbers: Sequence[Any]) -> tuple[int, NDArray[np.int64]] | None:
    """Return the digits and the codes of numbers, None where they cannot be packed or are too few."""
    kinds = {*map(type, numbers)}
    if len(numbers) < LEAST_PACKED or not kinds <= {int, float, type(None)}:
        return None
    if float not in kinds:
        if any(number is not None and abs(number) > LARGEST_WHOLE for number in numbers):
            return None
        return WHOLE, np.array([NONE if number is None else number for number in numbers], np.int64)
    return _decimal_codes(np.array(numbers, float))


def _decimal_codes(numbers: NDArray[np.float64]) -> tuple[int, NDArray[np.int64]] | None:
    """Return the digits that suffice, and the codes, with NaN for None; None if a number has more or another power."""
    known = np.isfinite(numbers) & (numbers != 0)
    sizes = np.where(known, np.abs(numbers), 1.0)
    powers = np.floor(np.log10(sizes)).astype(np.int64) - (MOST_DIGITS - 1)
    if powers.min() < LOWEST_POWER or powers.max() > HIGHEST_POWER or np.isinf(numbers).any():
        return None
    whole = np.rint(_scaled(sizes, -powers)).astype(np.int64)
    over = whole == 10**MOST_DIGITS
    whole, powers = np.where(over, whole // 10, whole), powers + over
    if (_scaled(whole, powers) != sizes).any() or powers.max() > HIGHEST_POWER:
        return None
    unused = max(n for n in range(MOST_DIGITS) if not (whole % 10**n).any())
    whole, powers, digits = whole // 10**unused, powers + unused, MOST_DIGITS - unused
    least = 10 ** (digits - 1)
    codes = 9 * least * (powers - FIRST_POWER) + whole - least + 1
    signed = np.where(known, np.where(numbers < 0, -codes, codes), 0)
    return digits, np.where(np.isnan(numbers), NONE, signed)


def _scaled(numbers: NDArray[Any], powers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return numbers times 10^powers, each rounded once."""
    tens = 10.0 ** np.abs(powers)
    return np.where(powers < 0, numbers / tens, numbers * tens)
