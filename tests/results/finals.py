"""Tables of finished trials, as `dd_ray.results.table.final` gives them, made without a sweep."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from dd_ray.config.labels import label_of
from dd_ray.config.options import product


def finals(
    grids: Sequence[Mapping[str, Sequence[Any]]], measure: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> pd.DataFrame:
    """A row for each trial of some grids, with what `measure` makes of its config."""
    swept = list(dict.fromkeys(name for grid in grids for name in grid))
    configs = {config.key: config for grid in grids for config in product({k: tuple(v) for k, v in grid.items()})}
    rows = []
    for key, config in configs.items():
        values = config.to_dict()
        label = label_of(values, swept)
        rows.append({"key": key, "label": label, **values, "state": "finished", "iteration": 300.0, **measure(values)})
    return pd.DataFrame(rows)
