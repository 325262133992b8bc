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
from numpy.typing import NDArray

from dd_ray import results
from dd_ray.config import field_names
from dd_ray.config.options import option_name, shown, shown_apart
from dd_ray.config.symbols import plain, symbol
from dd_ray.errors import UserError
from dd_ray.figures.colour_scale import ColourScale, halves_of, readable_on
from dd_ray.figures.common import MARKS
from dd_ray.metrics import REPORTED, described, with_untrained
from dd_ray.report.about import about
from dd_ray.report.digits import (
    DIGITS,
    DIGITS_OF_DIFFERENCES,
    DIGITS_OF_INTERVALS,
    DIGITS_OF_TRIALS,
    rounded,
    with_digits,
)
from dd_ray.report.explained import explained_effects, explained_search
from dd_ray.report.timeline import page_timeline
from dd_ray.results import suggestions as search_results
from dd_ray.results.averages import COMPLETE
from dd_ray.results.joining import SWEEP
from dd_ray.results.layout import Layout, with_zero
from dd_ray.results.summary import Evaluations, Summary
from dd_ray.results.timeline import GOES_ON
from dd_ray.results.tradeoffs import pairs_of, points
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.suggestions import TRIALS

REFERENCES = ("gamma", "lam")
"""Fields whose 0 cells are compared with: without inertia, without a penalty on prediction."""
REFERENCE_MARK = {"name": "reference", "letter": "0", "meaning": "what the others are compared with"}
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
    _check_kinds(sweeps)
    manifest = results.manifest_of(path, *more)
    table = results.load(path, *more) if table is None else table
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
    evaluations = Evaluations.of(table, manifest, **shape)
    # Where all trials have ended before it, their last evaluation is the sweep's end, at which none is complete.
    moments = iterations if table["state"].isin(GOES_ON).any() else [*iterations[:-1], None]
    layout, summaries = evaluations.layout, [evaluations.at(moment) for moment in moments]
    differences = _differences(evaluations, summaries[-1], moments)
    of_metrics = _metrics(metrics, summaries, differences)
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


def _differences(evaluations: Evaluations, last: Summary, moments: Sequence[int | None]) -> dict[str, list[Summary]]:
    """Return the differences to 0 of each field that has it, at each iteration; None is the sweep's end."""
    fields = with_zero(last.trials, [name for name in REFERENCES if name in evaluations.layout.axes])
    return {field: [evaluations.differences(field, at, marks=True) for at in moments] for field in fields}


def _looks(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the marks of cells, and the colours of all maps."""
    marks = [{"name": name, "letter": letter, "meaning": text} for name, (letter, text) in MARKS.items()]
    maps = ["viridis", *(look["colours"] for m in metrics for look in (m, *m["differences"].values()))]
    return {"marks": [*marks, REFERENCE_MARK], "colours": {name: _colours(name) for name in sorted({*maps})}}


def _check_kinds(sweeps: Mapping[str, SweepFolder]) -> None:
    """Make sure that one page can show the sweeps.

    Raises:
        UserError: one of several is a search, whose suggestions are no cells of a grid.
    """
    searches = [sweep for sweep in sweeps.values() if "search" in sweep.manifest()]
    if searches and len(sweeps) > 1:
        raise UserError(f"{searches[0].location} holds a search, which has a page of its own; leave it out here.")


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


def _metrics(
    names: Sequence[str], summaries: Sequence[Summary], differences: Mapping[str, Sequence[Summary]]
) -> list[dict[str, Any]]:
    """Return for each metric its look, scale and numbers, and those of its differences by the field they refer to."""
    places = _places(summaries[-1])
    cells = [_columns(summary, places) for summary in summaries]
    compared = {field: [_columns(summary, places) for summary in some] for field, some in differences.items()}
    found = []
    for i, name in enumerate(names):
        metric = _metric(name, summaries[-1], [_of_metric(columns, i) for columns in cells])
        of_fields = {
            field: _difference(name, differences[field][-1], [_of_metric(columns, i) for columns in compared[field]])
            for field in differences
        }
        found.append(metric | {"differences": of_fields})
    return found


def _places(summary: Summary) -> pd.DataFrame:
    """Return where the cells that the sweep has are, in the order of the report."""
    axes = list(summary.layout.axes)
    return summary.cells.loc[summary.cells["seeds_in_cell"] > 0, axes].drop_duplicates(ignore_index=True)


Columns = Mapping[str, NDArray[Any]]
"""Numbers of cells: [C] of one metric, or [C, M] of all. C cells of the report, M metrics."""
WITHOUT: Mapping[str, Any] = {
    "seeds": 0,
    "collapsed_seeds": 0,
    "marked_seeds": 0,
    "mark": "absent",
    "family": "",
    "differs": False,
}
"""What stands for a difference where there is none; for all else, NaN."""


def _columns(summary: Summary, places: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the columns of a summary's cells, [C, M], of the cells of the report."""
    axes, cells = list(summary.layout.axes), summary.cells
    number = cells["metric"].nunique()
    cells = cells.assign(marked_seeds=[*map(_marked, cells["mark"], cells["states"])])
    own = cells[axes].iloc[::number].itertuples(index=False, name=None)
    rows = {place: row for row, place in enumerate(own)}
    chosen = np.array([rows.get(place, -1) for place in places.itertuples(index=False, name=None)])
    names = [name for name in cells.columns if name not in (*axes, "metric", "states", "pooled")]
    found = {}
    for name in names:
        values = cells[name].to_numpy().reshape(-1, number)[chosen]
        found[name] = np.where((chosen >= 0)[:, None], values, WITHOUT.get(name, math.nan))
    if summary.reference:
        at_reference = (places[summary.reference] == 0).to_numpy()
        found["mark"][at_reference] = REFERENCE_MARK["name"]
    return found


def _marked(mark: str, states: str) -> int:
    """Return how many of a cell's seeds have a mark, 0 of complete ones, which need no count."""
    return 0 if mark == COMPLETE else sum(state.partition("@")[0] == mark for state in states.split())


def _of_metric(columns: Columns, metric: int) -> Columns:
    return {name: values[:, metric] for name, values in columns.items()}


def _metric(name: str, last: Summary, cells: Sequence[Columns]) -> dict[str, Any]:
    known, before, compared = described(name), cells[-1]["untrained"], name in with_untrained()
    return {
        **{"name": name, "label": known.label, "short": known.short, "better": known.better},
        **_scale(last, name),
        "count": known.count,
        "within": [_number(end) for end in known.within],
        **_numbers(cells),
        "untrained": rounded(before) if compared and not np.isnan(before).all() else None,
        "best": [np.flatnonzero(columns["best"]).tolist() for columns in cells],
        "luck": [[_number(columns["luck"][best]) for best in np.flatnonzero(columns["best"])] for columns in cells],
        "region": [np.flatnonzero(columns["in_best_region"]).tolist() for columns in cells],
    }


def _numbers(cells: Sequence[Columns], digits: int = DIGITS) -> dict[str, Any]:
    """Return a list for each iteration, with an entry for each cell; means have so many digits."""
    marks = {name: place for place, name in enumerate([*MARKS, REFERENCE_MARK["name"]])}
    return {
        "mean": [rounded(columns["mean"], digits) for columns in cells],
        "half": [rounded(halves_of(columns["mean"], columns["high"]), DIGITS_OF_INTERVALS) for columns in cells],
        "seeds": [columns["seeds"].tolist() for columns in cells],
        "mark": [[marks[mark] for mark in columns["mark"].tolist()] for columns in cells],
        "at": [[_whole(at) for at in columns["mark_iteration"].tolist()] for columns in cells],
        "marked": [columns["marked_seeds"].tolist() for columns in cells],
        "further": [[_whole(at) for at in _further(columns)] for columns in cells],
        "collapsed": [columns["collapsed_seeds"].tolist() for columns in cells],
    }


def _further(columns: Columns) -> list[float]:
    """Return the iteration of each cell's numbers where seeds with its mark did not get as far, and NaN elsewhere."""
    own, marked = (columns[name].astype(float) for name in ("iteration", "mark_iteration"))
    return np.where(own > marked, own, math.nan).tolist()


def _difference(name: str, last: Summary, cells: Sequence[Columns]) -> dict[str, Any]:
    """Return a metric less that at 0 of a field, of the same cells; `families` have the cells of each."""
    differs = [np.flatnonzero(columns["differs"]).tolist() for columns in cells]
    families = [
        {family: np.flatnonzero(columns["family"] == family).tolist() for family in sorted({*columns["family"]} - {""})}
        for columns in cells
    ]
    return {**_scale(last, name), **_numbers(cells, DIGITS_OF_DIFFERENCES), "differs": differs, "families": families}


def _tradeoffs(summaries: Sequence[Summary], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return pairs of metrics, with the cells that are on their Pareto front at each iteration."""
    fronts = [points(summary, pairs) for summary in summaries] if pairs else []
    found = []
    for x, y in pairs:
        of_pair = [cells[(cells["x_metric"] == x) & (cells["y_metric"] == y)] for cells in fronts]
        found.append({"x": x, "y": y, "front": [np.flatnonzero(cells["on_front"]).tolist() for cells in of_pair]})
    return found


def _scale(last: Summary, metric: str) -> dict[str, Any]:
    """Return the scale of a map of the last iteration, for every iteration.

    The errors of early training would use up a scale that had to hold them as well.
    """
    scale = ColourScale.of(last, metric)
    ends = {"min": _number(scale.norm.vmin), "max": _number(scale.norm.vmax)}
    writes = {"digits": scale.digits, "decimals": scale.decimals, "interval_decimals": scale.interval_decimals}
    return {**ends, **writes, "noise": _number(scale.noise), "colours": scale.cmap}


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
    colours = [mpl.colormaps[name](place)[:3] for place in places]
    stops = [[float(place), mpl.colors.to_hex(colour)] for place, colour in zip(places, colours, strict=True)]
    return {"stops": stops, "black": [readable_on(colour) == "black" for colour in colours]}


def _number(value: float | None) -> float | None:
    """Return a number as JSON can hold it."""
    return None if value is None else with_digits(value)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def _plain(value: Any) -> Any:
    """Return a value of a data frame as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
