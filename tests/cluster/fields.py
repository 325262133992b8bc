"""Whether a file says only what its reader knows, by a short list of the fields that it uses."""

from collections.abc import Iterator
from typing import Any


def faults(value: Any, schema: Any, path: str) -> Iterator[str]:
    """Where a value differs from a schema.

    Args:
        value: what YAML or JSON says.
        schema: a type, a set of the allowed values, a list with the schema of its items, or a dict of the schemas of
            fields, where a field named by the type `str` stands for all others.
        path: what to call the value.
    """
    if isinstance(schema, set):
        if value not in schema:
            yield f"{path}: {value!r} is not one of {sorted(schema)}"
    elif isinstance(schema, list):
        for i, item in enumerate(value):
            yield from faults(item, schema[0], f"{path}[{i}]")
    elif isinstance(schema, dict):
        for name, below in value.items():
            known = schema.get(name, schema.get(str))
            if known is None:
                yield f"{path}.{name}: unknown"
            else:
                yield from faults(below, known, f"{path}.{name}")
    elif type(value) is not schema:
        yield f"{path}: {value!r} is not a {schema.__name__}"
