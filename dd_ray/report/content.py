"""Collects the numbers of a report: a sweep as one dictionary that JSON can hold.

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
from dd_ray.config.options import option_name, shown, shown_apart
from dd_ray.config.symbols import plain, symbol
from dd_ray.errors import UserError
from dd_ray.figures.colour_scale import readable_on
from dd_ray.figures.common import MARKS
from dd_ray.metrics import REPORTED
from dd_ray.report.about import about
from dd_ray.report.digits import DIGITS_OF_TRIALS, rounded
from dd_ray.report.explained import explained_effects, explained_search
from dd_ray.report.metrics import REFERENCE_MARK, metrics_of
from dd_ray.report.timeline import page_timeline
from dd_ray.results import suggestions as search_results
from dd_ray.results.joining import SWEEP
from dd_ray.results.layout import Layout, with_zero
from dd_ray.results.summary import Evaluations, Summary
from dd_ray.results.table import GOES_ON
from dd_ray.results.tradeoffs import pairs_of, points
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.suggestions import TRIALS

REFERENCES = ("gamma", "lam")
"""Fields whose 0 cells are compared with: without inertia, without a penalty on prediction."""
MOST_ITERATIONS = 40
"""Evaluations that a report shows; of more, some evenly spaced, with the first and the last."""
COLOUR_STOPS = 33
MOST_NOTED = 50_000
"""Characters of the notes that a report shows."""


def collect(
    path: str | Path,
    *more: str | Path,
    metrics: Sequence[str] = (),
    places: Mapping[str, str | None] | None = None,
    table: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return everything that a report says of a sweep but the pictures.

    Args:
        path: folder or URL of a sweep.
        more: further sweeps, shown with it as one; grids only.
        metrics: columns of the table; those of `dd_ray.metrics.REPORTED` that it has, where none is given.
        places: config fields for x, y and columns, see `dd_ray.results.summary.summarise`; not for a search.
        table: what `dd_ray.results.load` has made of these sweeps; loaded where it is not given.

    Raises:
        UserError: there is no such sweep, metric or axis, or nothing was evaluated.
    """
    sweeps = results.open_all(path, *more)
    _check_kinds(sweeps, places or {})
    manifest = results.manifest_of(path, *more)
    table = results.load(path, *more) if table is None else table
    metrics = list(dict.fromkeys(metrics)) or [m for m in REPORTED if m in table and table[m].notna().any()]
    is_search = "search" in manifest
    drawn: dict[str, str] = {}
    shape: dict[str, Any] = {"metrics": metrics, "places": places}
    if is_search:
        table, drawn = _with_suggestions(path, table)
        shape["axes"] = ["suggestion"]  # the product of all values that were drawn would be mostly absent cells
        manifest |= {"options": {"iterations": manifest["search"]["iterations"]}}
    iterations = shown_iterations(table)
    evaluations = Evaluations.of(table, manifest, **shape)
    moments = _moments(iterations, goes_on=bool(table["state"].isin(GOES_ON).any()))
    layout, summaries = evaluations.layout, [evaluations.at(**moment) for moment in moments]
    differences = _differences(evaluations, summaries[-1], moments)
    of_metrics = metrics_of(metrics, summaries, differences)
    pairs = [] if is_search else [pair for pair in pairs_of(table) if {*pair} <= {*metrics}]
    found = {
        "study": manifest["study"],
        "about": about(*sweeps.values()),
        "notes": "\n".join(filter(None, (sweep.notes() for sweep in sweeps.values())))[:MOST_NOTED],
        "kind": "search" if is_search else "grid",
        "iterations": iterations,
        "last": summaries[-1].last,
        "thinned": table["iteration"].nunique() > len(iterations),
        "layout": _layout(layout) if not is_search else {"x": None, "y": None, "slices": [], "rest": []},
        "axes": _axes_of_search(table, drawn) if is_search else _axes_of_grid(summaries[-1]),
        "metrics": of_metrics,
        "references": [_named(field) for field in differences],
        "tradeoffs": _tradeoffs(summaries, pairs),
        "cells": _cells(summaries[-1], table, _curves(evaluations, iterations), drawn),
        "common": {name: _plain(table[name].iloc[0]) for name in _common(table)},
        "states": {str(s): int(n) for s, n in summaries[-1].trials["state"].value_counts().items()},
    }
    found["timeline"] = page_timeline([path, *more], table, found["cells"])
    found["effects"] = None if is_search else explained_effects(summaries[-1])
    found["found"] = explained_search(path) if is_search else None
    return found | _looks(of_metrics)


def _moments(iterations: Sequence[int], *, goes_on: bool) -> list[dict[str, Any]]:
    """Return the arguments of `Evaluations.at` for each iteration; the last ones are for the sweep as it stands.

    Where all trials have ended before the sweep's end, these are for that end, at which none is complete.
    """
    return [
        *({"iteration": at} for at in iterations[:-1]),
        {"iteration": iterations[-1] if goes_on else None, "now": True},
    ]


def _differences(
    evaluations: Evaluations, last: Summary, moments: Sequence[Mapping[str, Any]]
) -> dict[str, list[Summary]]:
    """Return the differences to 0 of each field that has it, at each iteration."""
    fields = with_zero(last.trials, [name for name in REFERENCES if name in evaluations.layout.axes])
    return {field: [evaluations.differences(field, **at, marks=True) for at in moments] for field in fields}


def _looks(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the marks of cells, and the colours of all maps."""
    marks = [{"name": name, "letter": letter, "meaning": text} for name, (letter, text) in MARKS.items()]
    maps = ["viridis", *(look["colours"] for m in metrics for look in (m, *m["differences"].values()))]
    return {"marks": [*marks, REFERENCE_MARK], "colours": {name: _colours(name) for name in sorted({*maps})}}


def _check_kinds(sweeps: Mapping[str, SweepFolder], places: Mapping[str, str | None]) -> None:
    """Make sure that one page can show the sweeps, and as it is asked to.

    Raises:
        UserError: one of several is a search, whose suggestions are no cells of a grid; or the axes of a grid are
            placed, and it is a search.
    """
    searches = [sweep for sweep in sweeps.values() if "search" in sweep.manifest()]
    if searches and len(sweeps) > 1:
        raise UserError(f"{searches[0].location} holds a search, which has a page of its own; leave it out here.")
    if searches and any(places.values()):
        raise UserError("--x, --y and --columns place the axes of a grid; this is a search, so leave them away.")


def shown_iterations(table: pd.DataFrame) -> list[int]:
    """Return the iterations of a report: those of the evaluations, or some of them where they are many."""
    evaluated = sorted(int(i) for i in pd.to_numeric(table["iteration"]).dropna().unique())
    if not evaluated:
        raise UserError("no cell of this sweep has been evaluated yet, so there is nothing to report.")
    chosen = np.linspace(0, len(evaluated) - 1, min(len(evaluated), MOST_ITERATIONS)).round().astype(int)
    return [evaluated[i] for i in chosen]


def _with_suggestions(path: str | Path, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return a search's table with the number of each cell's suggestion, and distributions of the drawn fields."""
    suggestions = search_results.load(path)
    numbers = {key: row["suggestion"] for row in suggestions.to_dict("records") for key in row[TRIALS].split()}
    front = set(suggestions.loc[suggestions["on_front"], "suggestion"])
    table = table[table["key"].isin(numbers)]
    number = table["key"].map(numbers)
    drawn = search_results.search_of(SweepFolder.open(path))["space"]
    return table.assign(suggestion=number, on_front=number.isin(front)).reset_index(drop=True), drawn


def _settings(table: pd.DataFrame) -> list[str]:
    """Return the columns that are config fields, other than the seed."""
    return [name for name in field_names() if name in table and name != "seed"]


def _differing(table: pd.DataFrame) -> list[str]:
    """Return the config fields, other than the seed, that are not the same in all cells."""
    return [name for name in _settings(table) if table[name].nunique(dropna=False) > 1]


def _common(table: pd.DataFrame) -> list[str]:
    """Return the config fields, other than the seed, that are the same in all cells."""
    differing = _differing(table)
    return [name for name in _settings(table) if name not in differing]


def _in_reading_order(layout: Layout) -> list[str]:
    return [field for field in (layout.y, layout.x, layout.columns, *layout.rest) if field]


def _layout(layout: Layout) -> dict[str, Any]:
    slices = [f for f in (layout.columns, *layout.rest) if f]
    return {"x": layout.x, "y": layout.y, "slices": slices, "rest": list(layout.rest)}


def _axes_of_grid(summary: Summary) -> list[dict[str, Any]]:
    axes = []
    for field in _in_reading_order(summary.layout):
        values = [_plain(value) for value in sorted(summary.trials[field].unique())]
        axes.append(_named(field) | {"values": values, "text": shown_apart(values), "log": False})
    return axes


def _axes_of_search(table: pd.DataFrame, drawn: Mapping[str, str]) -> list[dict[str, Any]]:
    axes = []
    for field, distribution in drawn.items():
        values = [_plain(value) for value in sorted(table[field].unique())]
        text = [shown(value, digits=4) for value in values]
        axes.append(_named(field) | {"values": values, "text": text, "log": distribution.startswith("log-uniform")})
    return axes


def _named(field: str) -> dict[str, str]:
    return {"field": field, "option": option_name(field), "symbol": plain(symbol(field))}


def _tradeoffs(summaries: Sequence[Summary], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return pairs of metrics, with the cells that are on their Pareto front at each iteration."""
    fronts = [points(summary, pairs) for summary in summaries] if pairs else []
    found = []
    for x, y in pairs:
        of_pair = [cells[(cells["x_metric"] == x) & (cells["y_metric"] == y)] for cells in fronts]
        found.append({"x": x, "y": y, "front": [np.flatnonzero(cells["on_front"]).tolist() for cells in of_pair]})
    return found


def _cells(
    summary: Summary, table: pd.DataFrame, curves: Mapping[str, Mapping[str, Any]], drawn: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Describe each cell and its trials: one for each seed, with their curves."""
    fields, differing = _in_reading_order(summary.layout), _differing(table)
    of_trial = ["key", "label", "seed", "state", "error", "iteration", *([SWEEP] if SWEEP in table else [])]
    places = summary.cells.loc[summary.cells["seeds_in_cell"] > 0, fields].drop_duplicates().to_dict("records")
    trials = summary.trials[[*dict.fromkeys([*fields, *of_trial])]].sort_values("seed", kind="stable").groupby(fields)
    of_cell = ["suggestion", "on_front"] if drawn else []
    configs = table.drop_duplicates("key").set_index("key")[[*dict.fromkeys([*differing, *drawn, *of_cell])]]
    known, found = configs.to_dict("index"), []
    for place in places:
        rows = trials.get_group(tuple(place.values()))[of_trial].to_dict("records")
        config = {str(name): _plain(value) for name, value in known[rows[0]["key"]].items()}
        cell: dict[str, Any] = {
            "at": {name: config[name] for name in drawn} or {str(name): _plain(at) for name, at in place.items()},
            "config": {name: config[name] for name in differing},
            "trials": [
                {str(name): _plain(value) for name, value in row.items()} | {"curves": curves[row["key"]]}
                for row in rows
            ],
        }
        if SWEEP in table:
            cell[SWEEP] = ", ".join(dict.fromkeys(row[SWEEP] for row in rows))
        found.append(cell | {name: config[name] for name in of_cell})
    return found


def _curves(evaluations: Evaluations, shown: Sequence[int]) -> dict[str, dict[str, list[float | None]]]:
    """Return for each trial, by its key, its metrics at the iterations that are shown."""
    rows = evaluations.rows[:, np.searchsorted(evaluations.iterations, shown)]  # [trials, iterations]
    scores = np.where((rows >= 0)[..., None], evaluations.scores[rows], math.nan)  # [trials, iterations, metrics]
    return {
        str(key): {
            name: rounded(curve, DIGITS_OF_TRIALS) for name, curve in zip(evaluations.metrics, of_trial.T, strict=True)
        }
        for key, of_trial in zip(evaluations.keys, scores, strict=True)
    }


def _colours(name: str) -> dict[str, Any]:
    """Return a colour map as plotly takes it, and for each stop whether black reads better on it than white."""
    places = np.linspace(0, 1, COLOUR_STOPS)
    colours = mpl.colormaps[name](places)[:, :3].tolist()
    stops = [[float(place), mpl.colors.to_hex(colour)] for place, colour in zip(places, colours, strict=True)]
    return {"stops": stops, "black": [readable_on(colour) == "black" for colour in colours]}


def _plain(value: Any) -> Any:
    """Return a value of a data frame as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
