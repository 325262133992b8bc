"""What a report says in numbers: a sweep as one JSON-able dictionary.

Its `cells` are combinations of the axes' values (or the suggestions of a search), each with its trials, one for each
seed. Numbers of a cell come from `dd_ray.results.summary`, iteration by iteration, and are the same as
those of a map; those of `differences` as those of a map of differences. Pareto fronts are
those of `dd_ray.results.tradeoffs`.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from dd_ray import results
from dd_ray.config import field_names
from dd_ray.config.options import shown
from dd_ray.config.symbols import plain, symbol
from dd_ray.errors import UserError
from dd_ray.figures.common import MARKS
from dd_ray.figures.maps import Scale, readable_on, untrained_of
from dd_ray.metrics import REPORTED
from dd_ray.report.about import about
from dd_ray.results import suggestions as search_results
from dd_ray.results.summary import Layout, Summary, described, summarise, with_zero
from dd_ray.results.tradeoffs import pairs_of, points
from dd_ray.storage.sweep_folder import SweepFolder

REFERENCES = ("gamma", "lam")
"""Fields whose 0 cells are compared with: without inertia, without a penalty on prediction."""
REFERENCE_MARK = {"name": "reference", "letter": "0", "meaning": "what the others are compared with"}
MOST_ITERATIONS = 40
"""Evaluations that a report shows; of more, some evenly spaced, with the first and the last."""
COLOUR_STOPS = 33


def collect(
    path: str | Path, *, metrics: Sequence[str] = (), places: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Everything that a report says of a sweep but the pictures.

    Args:
        path: folder or URL of a sweep.
        metrics: columns of the table; those of `dd_ray.metrics.REPORTED` that it has, where none is given.
        places: config fields for x, y and columns, see `dd_ray.results.summary.summarise`; not for a search.

    Raises:
        UserError: there is no such sweep, metric or axis, or nothing was evaluated.
    """
    sweep = SweepFolder.open(path)
    manifest, table = sweep.manifest() or {}, results.load(path)
    metrics = list(dict.fromkeys(metrics)) or [m for m in REPORTED if m in table and table[m].notna().any()]
    is_search = "search" in manifest
    drawn: dict[str, str] = {}
    shape: dict[str, Any] = {"metrics": metrics, "places": places}
    if is_search:
        if any((places or {}).values()):
            raise UserError("--x, --y and --columns place the axes of a grid; this is a search, so leave them away.")
        table, drawn = _with_suggestions(path, table)
        shape["axes"] = ["suggestion"]  # the product of all values that were drawn would be mostly absent cells
        manifest |= {"options": {"iterations": manifest["search"]["iterations"]}}
    iterations = shown_iterations(table)
    summaries = [summarise(table, manifest, iteration=i, **shape) for i in iterations]
    layout = summaries[-1].layout
    differences = {
        field: [summarise(table, manifest, iteration=i, reference=field, **shape) for i in iterations]
        for field in with_zero(summaries[-1].trials, [name for name in REFERENCES if name in layout.axes])
    }
    of_metrics = [_metric(name, summaries, differences) for name in metrics]
    pairs = [] if is_search else [pair for pair in pairs_of(table) if {*pair} <= {*metrics}]
    found = {
        "study": manifest["study"],
        "about": about(sweep),
        "kind": "search" if is_search else "grid",
        "iterations": iterations,
        "last": summaries[-1].last,
        "thinned": table["iteration"].nunique() > len(iterations),
        "layout": _layout(layout) if not is_search else {"x": None, "y": None, "slices": []},
        "axes": _axes_of_search(table, drawn) if is_search else _axes_of_grid(summaries[-1]),
        "metrics": of_metrics,
        "references": [_named(field) for field in differences],
        "tradeoffs": _tradeoffs(summaries, pairs),
        "cells": _cells(summaries[-1], table, {name: _curves(table, name, iterations) for name in metrics}, drawn),
        "common": {name: _plain(table[name].iloc[0]) for name in _settings(table) if name not in _differing(table)},
        "states": {str(s): int(n) for s, n in summaries[-1].trials["state"].value_counts().items()},
    }
    marks = [{"name": name, "letter": letter, "meaning": text} for name, (letter, text) in MARKS.items()]
    maps = ["viridis", *(look["colours"] for m in of_metrics for look in (m, *m["differences"].values()))]
    return found | {"marks": [*marks, REFERENCE_MARK], "colours": {name: _colours(name) for name in sorted({*maps})}}


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


def _settings(table: pd.DataFrame) -> list[str]:
    """Columns that are config fields, other than the seed."""
    return [name for name in field_names() if name in table and name != "seed"]


def _differing(table: pd.DataFrame) -> list[str]:
    """Config fields, other than the seed, that are not the same in all cells."""
    return [name for name in _settings(table) if table[name].nunique(dropna=False) > 1]


def _in_reading_order(layout: Layout) -> list[str]:
    return [field for field in (layout.y, layout.x, layout.columns, *layout.rest) if field]


def _layout(layout: Layout) -> dict[str, Any]:
    return {"x": layout.x, "y": layout.y, "slices": [f for f in (layout.columns, *layout.rest) if f]}


def _axes_of_grid(summary: Summary) -> list[dict[str, Any]]:
    axes = []
    for field in _in_reading_order(summary.layout):
        values = [_plain(value) for value in sorted(summary.trials[field].unique())]
        axes.append(_named(field) | {"values": values, "text": [shown(value) for value in values], "log": False})
    return axes


def _axes_of_search(table: pd.DataFrame, drawn: Mapping[str, str]) -> list[dict[str, Any]]:
    axes = []
    for field, distribution in drawn.items():
        values = [_plain(value) for value in sorted(table[field].unique())]
        text = [shown(value, digits=4) for value in values]
        axes.append(_named(field) | {"values": values, "text": text, "log": distribution.startswith("log-uniform")})
    return axes


def _named(field: str) -> dict[str, str]:
    return {"field": field, "symbol": plain(symbol(field))}


def _metric(name: str, summaries: Sequence[Summary], differences: Mapping[str, Sequence[Summary]]) -> dict[str, Any]:
    """A metric's look, its scale, and its numbers; and those of its differences, by the field they refer to."""
    cells = [_cells_of(summary, name) for summary in summaries]
    known = described(name)
    return {
        **{"name": name, "label": known.label, "short": known.short, "better": known.better},
        **_scale(summaries[-1], name),
        "count": known.count,
        **_numbers(cells),
        "untrained": [_number(value) for value in cells[-1]["untrained"]] if untrained_of(cells[-1]) else None,
        "luck": [_number(frame["luck"].max()) for frame in cells],
        "best": [np.flatnonzero(frame["best"]).tolist() for frame in cells],
        "region": [np.flatnonzero(frame["in_best_region"]).tolist() for frame in cells],
        "differences": {field: _difference(name, of_field, cells[-1]) for field, of_field in differences.items()},
    }


def _cells_of(summary: Summary, metric: str) -> pd.DataFrame:
    """The cells that the sweep has, in the order of the report."""
    cells = summary.cells
    return cells[(cells["metric"] == metric) & (cells["seeds_in_cell"] > 0)].reset_index(drop=True)


def _numbers(frames: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """A list for each iteration, with an entry for each cell."""
    marks = [*MARKS, REFERENCE_MARK["name"]]
    return {
        "mean": [[_number(value) for value in frame["mean"]] for frame in frames],
        "half": [[_number(value) for value in frame["high"] - frame["mean"]] for frame in frames],
        "seeds": [frame["seeds"].tolist() for frame in frames],
        "mark": [[marks.index(mark) for mark in frame["mark"]] for frame in frames],
        "at": [[_whole(at) for at in frame["mark_iteration"]] for frame in frames],
        "collapsed": [frame["collapsed_seeds"].tolist() for frame in frames],
    }


def _difference(name: str, summaries: Sequence[Summary], cells: pd.DataFrame) -> dict[str, Any]:
    """A metric less that at 0 of a field, of the same cells."""
    field, axes = summaries[-1].reference, list(summaries[-1].layout.axes)
    frames = []
    for summary in summaries:
        of_metric = summary.cells[summary.cells["metric"] == name]
        frame = cells[axes].merge(of_metric, on=axes, how="left")
        counts = frame[["seeds", "collapsed_seeds"]].fillna(0).astype(int)
        frame = frame.assign(**counts, mark=frame["mark"].fillna("absent"))
        frames.append(frame.assign(mark=frame["mark"].mask(frame[field] == 0, REFERENCE_MARK["name"])))
    differs = [np.flatnonzero(frame["differs"] == True).tolist() for frame in frames]  # noqa: E712  # or NaN
    families = [next(iter(frame["family"].dropna()), "") for frame in frames]
    return {**_scale(summaries[-1], name), **_numbers(frames), "differs": differs, "families": families}


def _tradeoffs(summaries: Sequence[Summary], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Pairs of metrics, with the cells that are on their Pareto front at each iteration."""
    fronts = [points(summary, pairs) for summary in summaries] if pairs else []
    found = []
    for x, y in pairs:
        of_pair = [cells[(cells["x_metric"] == x) & (cells["y_metric"] == y)] for cells in fronts]
        found.append({"x": x, "y": y, "front": [np.flatnonzero(cells["on_front"]).tolist() for cells in of_pair]})
    return found


def _scale(last: Summary, metric: str) -> dict[str, Any]:
    """The scale of a map of the last iteration, for every iteration.

    The errors of early training would use up a scale that had to hold them as well.
    """
    scale = Scale.of(last, metric)
    ends = {"min": _number(scale.norm.vmin), "max": _number(scale.norm.vmax)}
    writes = {"decimals": scale.decimals} if scale.signed else {"digits": scale.digits}
    return {**ends, **writes, "noise": _number(scale.noise), "colours": scale.cmap}


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
    """A colour map as plotly takes it, and for each of its stops whether black is better to read on it than white."""
    places = np.linspace(0, 1, COLOUR_STOPS)
    colours = [mpl.colormaps[name](place)[:3] for place in places]
    stops = [[float(place), mpl.colors.to_hex(colour)] for place, colour in zip(places, colours, strict=True)]
    return {"stops": stops, "black": [readable_on(colour) == "black" for colour in colours]}


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
