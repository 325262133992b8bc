"""Unpacks the numbers of a page, by what the docstring of `dd_ray.report.packing` says."""

import base64
import gzip
import json
import re
from typing import Any

import numpy as np


def unpacked(content: bytes) -> Any:
    """What was packed, from its bytes after decompression."""
    length, count = np.frombuffer(content[:8], "<u4").tolist()
    tree = json.loads(content[8 : 8 + length])
    planes = np.frombuffer(content[8 + length :], np.uint8).reshape(4, count)
    steps = planes.T.copy().view("<u4").ravel().astype(np.int64)
    steps = (steps >> 1) ^ -(steps & 1)

    def numbers(first: int, digits: int, number: int) -> list[float | int | None]:
        codes = np.cumsum(steps[first : first + number]).astype(np.int32).tolist()
        return [None if code == -(2**31) else decimal(code, digits) if digits else code for code in codes]

    def decimal(code: int, digits: int) -> float:
        power, above = divmod(abs(code) - 1, 9 * 10 ** (digits - 1))
        return float(f"{'-' if code < 0 else ''}{above + 10 ** (digits - 1)}e{power - 30}") if code else 0.0

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "~" not in value:
            return {key: read(part) for key, part in value.items()}
        first, digits, rows, columns, *names = value["~"]
        flat = numbers(first, digits, max(rows, 1) * columns)
        if names:
            lists = [flat[row * columns :][:columns] for row in range(rows)]
            return dict(zip(tree["names"][names[0]], lists, strict=True))
        return [flat[row::rows] for row in range(rows)] if rows else flat

    return read(tree["content"])


def block(content: str) -> bytes:
    """What a packed element of a page holds: base85, with commas for `<`, of gzip."""
    return gzip.decompress(base64.b85decode(content.replace(",", "<")))


def numbers_of(page: str) -> Any:
    """What a page holds, from its text."""
    (content,) = re.findall(r'<script[^>]* id="data"[^>]*>([^<]+)</script>', page)
    return unpacked(block(content))
