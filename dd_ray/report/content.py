"""What a report says in numbers: a sweep as one JSON-able dictionary.

Its `cells` are combinations of the axes' values (or the suggestions of a search), each with its trials, one for each
seed. Numbers of a cell come from `dd_ray.summary`, iteration by iteration, and are the same as those of a map.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from dd_ray import results, search_results
from dd_ray.config import TrialConfig
from dd_ray.config_options import option_name
from dd_ray.errors import UserError
from dd_ray.figures import MARKS
from dd_ray.metrics import REPORTED, Metric
from dd_ray.summary import Layout, Summary, summarise
from dd_ray.sweep.store import SweepFolder

SYMBOLS = {"beta": "β", "beta_norm": "β_norm", "gamma": "γ", "lam": "λ", "alpha": "α"}
COLOURS = {"min": ("viridis", True), "max": ("viridis", False), None: ("cividis", False)}
"""Colour map and whether it is reversed, by which values are better: brighter is better."""
MOST_ITERATIONS = 40
"""Evaluations that a report shows; of more, some evenly spaced, with the first and the last."""
COLOUR_STOPS = 33
_FIELDS = [name for name in TrialConfig.__dataclass_fields__ if name != "seed"]


def collect(
    path: str | Path, *, metrics: Sequence[str] = (), places: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Everything that a report says of a sweep but the pictures.

    Args:
        path: folder or URL of a sweep.
        metrics: columns of the table; those of `dd_ray.metrics.REPORTED` that it has, where none is given.
        places: config fields for x, y and columns, see `dd_ray.summary.summarise`; not for a search.

    Raises:
        UserError: there is no such sweep, metric or axis, or nothing was evaluated.
    """
    manifest, table = SweepFolder.open(path).manifest() or {}, results.load(path)
    metrics = list(dict.fromkeys(metrics)) or [m for m in REPORTED if m in table and table[m].notna().any()]
    is_search, shaped = "search" in manifest, table
    drawn: dict[str, str] = {}
    if is_search:
        if any((places or {}).values()):
            raise UserError("--x, --y and --columns place the axes of a grid; this is a search, so leave them away.")
        table, drawn = _with_suggestions(path, table)
        shaped, places = _suggestions_as_axis(table), {"x": "model"}
        manifest |= {"axes": {}, "options": {"iterations": manifest["search"]["iterations"]}}
    shown = shown_iterations(table)
    summaries = [summarise(shaped, manifest, metrics=metrics, places=places, iteration=i) for i in shown]
    layout = summaries[-1].layout
    found = {
        "study": manifest["study"],
        "kind": "search" if is_search else "grid",
        "iterations": shown,
        "last": summaries[-1].last,
        "thinned": table["iteration"].nunique() > len(shown),
        "layout": _layout(layout) if not is_search else {"x": None, "y": None, "slices": []},
        "axes": _axes_of_search(table, drawn) if is_search else _axes_of_grid(summaries[-1]),
        "metrics": [_metric(name, summaries) for name in metrics],
        "cells": _cells(summaries[-1], table, {name: _curves(table, name, shown) for name in metrics}, drawn),
        "common": {name: _plain(table[name].iloc[0]) for name in _FIELDS if name not in _differing(table)},
        "states": {str(s): int(n) for s, n in summaries[-1].trials["state"].value_counts().items()},
    }
    marks = [{"name": name, "letter": letter, "meaning": text} for name, (letter, text) in MARKS.items()]
    return found | {"marks": marks, "colours": {name: _colours(name) for name in ("viridis", "cividis")}}


def shown_iterations(table: pd.DataFrame) -> list[int]:
    """Iterations of a report: those of the evaluations, or some of them where they are many."""
    evaluated = sorted(int(i) for i in pd.to_numeric(table["iteration"]).dropna().unique())
    if not evaluated:
        raise UserError("no cell of this sweep has been evaluated yet, so there is nothing to report.")
    chosen = np.linspace(0, len(evaluated) - 1, min(len(evaluated), MOST_ITERATIONS)).round().astype(int)
    return [evaluated[i] for i in chosen]


def _with_suggestions(path: str | Path, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """A search's table with the number of each cell's suggestion, and the drawn fields with their distributions."""
    suggestions = search_results.load(path)
    numbers = {key: row["suggestion"] for row in suggestions.to_dict("records") for key in row["cells"].split()}
    front = set(suggestions.loc[suggestions["on_front"], "suggestion"])
    table = table[table["key"].isin(numbers)]
    number = table["key"].map(numbers)
    drawn = search_results.search_of(SweepFolder.open(path))["space"]
    return table.assign(suggestion=number, on_front=number.isin(front)).reset_index(drop=True), drawn


def _suggestions_as_axis(table: pd.DataFrame) -> pd.DataFrame:
    """A table in which only the suggestion tells cells apart, so that seeds are averaged as in a grid.

    The product of all values that were drawn would be a grid of mostly absent cells.
    """
    constant = {name: table[name].iloc[0] for name in _differing(table)}
    return table.assign(**{**constant, "model": table["suggestion"]})


def _differing(table: pd.DataFrame) -> list[str]:
    """Config fields, other than the seed, that are not the same in all cells."""
    return [name for name in _FIELDS if table[name].nunique(dropna=False) > 1]


def _in_reading_order(layout: Layout) -> list[str]:
    return [field for field in (layout.y, layout.x, layout.columns, *layout.rest) if field]


def _layout(layout: Layout) -> dict[str, Any]:
    return {"x": layout.x, "y": layout.y, "slices": [f for f in (layout.columns, *layout.rest) if f]}


def _axes_of_grid(summary: Summary) -> list[dict[str, Any]]:
    axes = []
    for field in _in_reading_order(summary.layout):
        values = [_plain(value) for value in sorted(summary.trials[field].unique())]
        axes.append(_named(field) | {"values": values, "text": [_shown(value) for value in values], "log": False})
    return axes


def _axes_of_search(table: pd.DataFrame, drawn: Mapping[str, str]) -> list[dict[str, Any]]:
    axes = []
    for field, distribution in drawn.items():
        values = [_plain(value) for value in sorted(table[field].unique())]
        text = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
        axes.append(_named(field) | {"values": values, "text": text, "log": distribution.startswith("log-uniform")})
    return axes


def _named(field: str) -> dict[str, str]:
    return {"field": field, "symbol": SYMBOLS.get(field, option_name(field).replace("-", " "))}


def _metric(name: str, summaries: Sequence[Summary]) -> dict[str, Any]:
    """A metric's look, its scale, and its numbers: a list for each iteration, with an entry for each cell."""
    of_all = [summary.cells[summary.cells["metric"] == name] for summary in summaries]
    frames = [frame[frame["seeds_in_cell"] > 0] for frame in of_all]  # without what the sweep does not have
    known = REPORTED.get(name, Metric(name.replace("_", " "), name.replace("_", " "), None))
    untrained = summaries[-1].untrained.get(name) if name in results.WITH_UNTRAINED else None
    low, high = _range(name, frames[-1], summaries[-1], untrained)
    colours, reverse = COLOURS[known.better]
    marks = list(MARKS)
    return {
        **{"name": name, "label": known.label, "short": known.short, "better": known.better},
        **{"min": _number(low), "max": _number(high), "untrained": _number(untrained)},
        **{"colours": colours, "reverse": reverse, "count": name == "active_units"},
        "mean": [[_number(value) for value in frame["mean"]] for frame in frames],
        "half": [[_number(value) for value in frame["ci_high"] - frame["mean"]] for frame in frames],
        "seeds": [frame["seeds"].tolist() for frame in frames],
        "mark": [[marks.index(mark) for mark in frame["mark"]] for frame in frames],
        "at": [[_whole(at) for at in frame["mark_iteration"]] for frame in frames],
    }


def _range(name: str, last: pd.DataFrame, summary: Summary, untrained: float | None) -> tuple[float, float]:
    """The ends of a metric's scale: those of all cells at the last iteration, for every iteration.

    The errors of early training would use up a scale that had to hold them as well.
    """
    if name == "active_units":
        return 0.0, float(summary.trials["num_latents"].max())
    ends = [*last["mean"].dropna(), *([] if untrained is None else [untrained])] or [0.0, 1.0]
    low, high = min(ends), max(ends)
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        low, high = low - (abs(low) or 1) / 100, high + (abs(high) or 1) / 100
    return float(low), float(high)


def _cells(
    summary: Summary,
    table: pd.DataFrame,
    curves: Mapping[str, Mapping[str, list[float | None]]],
    drawn: Mapping[str, str],
) -> list[dict[str, Any]]:
    """What each cell is, and its trials: one for each seed, with their curves."""
    fields = _in_reading_order(summary.layout)
    places = summary.cells[summary.cells["seeds_in_cell"] > 0].drop_duplicates(fields)[fields].to_dict("records")
    trials, configs, differing = summary.trials.groupby(fields), table.drop_duplicates("key"), _differing(table)
    configs, found = configs.set_index("key"), []
    for place in places:
        rows = trials.get_group(tuple(place.values())).sort_values("seed").to_dict("records")
        config = {str(name): _plain(value) for name, value in configs.loc[rows[0]["key"]].items()}
        cell: dict[str, Any] = {
            "at": {name: config[name] for name in drawn} or {str(name): _plain(at) for name, at in place.items()},
            "config": {name: config[name] for name in differing},
            "trials": [_trial(row, curves) for row in rows],
        }
        found.append(cell | {name: config[name] for name in ("suggestion", "on_front") if drawn})
    return found


def _trial(row: Mapping[Any, Any], curves: Mapping[str, Mapping[str, list[float | None]]]) -> dict[str, Any]:
    said = {name: _plain(row[name]) for name in ("key", "label", "seed", "state", "error", "iteration")}
    return said | {"curves": {name: of_keys[row["key"]] for name, of_keys in curves.items()}}


def _curves(table: pd.DataFrame, metric: str, shown: Sequence[int]) -> dict[str, list[float | None]]:
    numbers = table.assign(**{metric: pd.to_numeric(table[metric], errors="coerce")})
    wide = numbers.pivot_table(metric, "key", "iteration", dropna=False)
    wide = wide.reindex(index=table["key"].unique(), columns=list(shown))
    return {str(key): [_number(value) for value in row] for key, row in zip(wide.index, wide.to_numpy(), strict=True)}


def _colours(name: str) -> dict[str, Any]:
    """A colour map as plotly takes it, and the place on it from which black is better to read than white."""
    places = np.linspace(0, 1, COLOUR_STOPS)
    stops = [[float(place), mpl.colors.to_hex(mpl.colormaps[name](place))] for place in places]
    fine = np.linspace(0, 1, 256)
    bright = [place for place in fine if _luminance(mpl.colormaps[name](place)[:3]) > 0.179]
    return {"stops": stops, "black_from": float(min(bright))}


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def _number(value: float | None) -> float | None:
    """A number of six digits, as JSON can hold it."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def _plain(value: Any) -> Any:
    """A value of a data frame as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
