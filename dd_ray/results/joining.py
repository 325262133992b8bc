"""Joins the trials of several sweeps: one that two sweeps have counts once, and what differs between them is told.

A trial is its config and its seed, so sweeps share a trial where they agree in all fields; a field that one sweep does
not know has the default there. Of a shared trial, the records of one sweep count and are never mixed with the other's:
of the one that went furthest, then one that finished, then one with more scores, then one that is named first.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dd_ray.config import BETAS, fields_with, rounded_in_key
from dd_ray.config.labels import joined_labels
from dd_ray.config.options import option_name, shown
from dd_ray.metrics import REPORTED
from dd_ray.storage.files.locations import name_of
from dd_ray.sweep.manifest import joined_axes

SWEEP = "sweep"
"""Column that names the sweep that a trial is from, in a table of several."""
ALIKE = 1e-4
"""The largest relative difference of a metric that rounding on another machine explains."""
_NO_HELD_OUT = ("network", "dataset_seed")
"""Fields of the data on which no held-out picture depends."""

Row = Mapping[str, Any]
Rows = Sequence[Row]
"""Rows of a table of evaluations, of one sweep or of one trial."""
Manifest = Mapping[str, Any]


def names_of(locations: Sequence[str]) -> list[str]:
    """Return names that tell sweeps apart: the last parts of their locations, or whole ones where these are equal."""
    names = [name_of(location) for location in locations]
    return names if len(set(names)) == len(names) else list(locations)


def join(sweeps: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """Join the rows of several sweeps, by the sweeps' names; a column `sweep` says where each is from.

    Labels are made anew of all that varies, since what is one value in each sweep may vary over all of them.
    """
    counts = _which_count(sweeps)
    rows = [{**row, **_betas(row), SWEEP: name} for name, of_sweep in sweeps.items() for row in of_sweep]
    kept = [row for row in rows if counts[row["key"]] == row[SWEEP]]
    labels = joined_labels({row["key"]: (row["label"], row) for row in kept})
    return [{**row, "label": labels[row["key"]]} for row in kept]


def joined_manifest(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Return what a figure needs to know of several sweeps as of one: their studies, axes and last iteration."""
    studies = dict.fromkeys(manifest["study"] for manifest in manifests)
    return {
        **{name: manifests[0][name] for name in ("tells",) if name in manifests[0]},
        **_confirmations(manifests),
        "study": " and ".join(studies),
        "axes": joined_axes([manifest["axes"] for manifest in manifests]),
        "options": {**manifests[0]["options"], "iterations": max(map(iterations_of, manifests))},
    }


def _confirmations(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Join the cells that sweeps confirm, by outcome and arm; empty if one of the sweeps confirms nothing."""
    confirms = [manifest["confirms"] for manifest in manifests if "confirms" in manifest]
    if len(confirms) < len(manifests):
        return {}
    chosen: dict[str, dict[str, list[str]]] = {}
    cells: dict[str, dict[str, str]] = {}
    for each in confirms:
        for outcome, arms in each["chosen"].items():
            cells[outcome] = {**each["cells"][outcome], **cells.get(outcome, {})}
            of_outcome = chosen.setdefault(outcome, {})
            for arm, keys in arms.items():
                of_outcome[arm] = list(dict.fromkeys([*of_outcome.get(arm, []), *keys]))
    return {"confirms": {"chosen": chosen, "cells": cells}}


def iterations_of(manifest: Manifest) -> int:
    """Return the iterations that a sweep's trials go to; 0 where it does not say."""
    asked = manifest.get("search", manifest["options"])
    return int(asked.get("iterations", 0))


def differences(sweeps: Mapping[str, Rows], manifests: Mapping[str, Manifest]) -> Iterator[str]:
    """Say in sentences what a reader of several sweeps in one table should know, see the module's docstring."""
    yield from _shared(sweeps)
    goes_to = {name: iterations_of(manifest) for name, manifest in manifests.items()}
    if len(set(goes_to.values())) > 1:
        each = ", ".join(f"{name} to {iterations:,}" for name, iterations in goes_to.items())
        yield f"these sweeps go to different iterations ({each}); seeds at different iterations are never averaged"
    fields = [*fields_with(of_data=True), "num_test"]
    for field in (f for f in fields if f not in (*_NO_HELD_OUT, *fields_with(in_key=False))):
        values = {name: {row[field] for row in rows} for name, rows in sweeps.items()}
        if len(set(map(frozenset, values.values()))) > 1:
            each = ", ".join(f"{_listed(of)} in {name}" for name, of in values.items())
            yield f"held-out data differ, and scores with them: {option_name(field)} is {each}"
    yield from _of_metrics(sweeps)
    yield from _of_extensions(manifests)


def disagreement(one: Rows, other: Rows) -> str | None:
    """Say in which metric two sweeps' evaluations of the same trial differ by more than rounding; None if in none."""
    by_iteration = {row["iteration"]: row for row in other}
    for row in one:
        for name in REPORTED:
            here, there = row.get(name), by_iteration.get(row["iteration"], {}).get(name)
            if here is None or there is None or name in ("seconds", "training_seconds"):
                continue
            if not math.isclose(here, there, rel_tol=ALIKE, abs_tol=ALIKE):
                return f"{name} {here:.4g} and {there:.4g} at iteration {row['iteration']:,}"
    return None


def by_trial(rows: Rows) -> dict[str, list[Row]]:
    """Group rows by the key of their trial."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(row)
    return found


def progress_of(rows: Rows) -> tuple[int, bool, int]:
    """Return how far a trial went, to compare: its last iteration, if it has finished, and the number of its scores."""
    last = rows[-1]
    known = [name for name in REPORTED if last.get(name) is not None]
    return (-1 if last["iteration"] is None else last["iteration"], last["state"] == "finished", len(known))


def _betas(row: Row) -> dict[str, float]:
    """Return β in both its forms as far as a trial's key looks at it: one computed from the other has rounding."""
    return {name: rounded_in_key(row[name]) for name in BETAS}


def _which_count(sweeps: Mapping[str, Rows]) -> dict[str, str]:
    """Return by key the name of the sweep whose records of the trial count."""
    best: dict[str, tuple[tuple[int, bool, int], str]] = {}
    for name, rows in sweeps.items():
        for key, of_trial in by_trial(rows).items():
            progress = progress_of(of_trial)
            if key not in best or progress > best[key][0]:
                best[key] = progress, name
    return {key: name for key, (_, name) in best.items()}


def _shared(sweeps: Mapping[str, Rows]) -> Iterator[str]:
    grouped = {name: by_trial(rows) for name, rows in sweeps.items()}
    having: dict[str, list[str]] = {}
    for name, trials in grouped.items():
        for key in trials:
            having.setdefault(key, []).append(name)
    shared = {key: names for key, names in having.items() if len(names) > 1}
    if not shared:
        return
    counts = _which_count(sweeps)
    taken = [counts[key] for key in shared]
    each = ", ".join(f"{taken.count(name)} from {name}" for name in sweeps if name in taken)
    are = "1 trial is" if len(shared) == 1 else f"{len(shared)} trials are"
    yield f"{are} in several of these sweeps and count once, where they went furthest: {each}"
    for key, (first, *others) in shared.items():
        wrong = [(name, found) for name in others if (found := disagreement(grouped[first][key], grouped[name][key]))]
        if wrong:
            label = grouped[first][key][0]["label"]
            yield f"trial {label} came out otherwise in {first} than in {wrong[0][0]}: {wrong[0][1]}"
            return


def _of_metrics(sweeps: Mapping[str, Rows]) -> Iterator[str]:
    has = {
        name: {metric for metric in REPORTED if any(row.get(metric) is not None for row in rows)}
        for name, rows in sweeps.items()
    }
    everywhere = set.intersection(*has.values())
    some = [metric for metric in REPORTED if any(metric in of for of in has.values()) and metric not in everywhere]
    lacking = {name: [metric for metric in some if metric not in of] for name, of in has.items()}
    for name, metrics in lacking.items():
        if metrics:
            yield f"{name} has no {', '.join(metrics)}, which others of these sweeps have"


def _of_extensions(manifests: Mapping[str, Manifest]) -> Iterator[str]:
    for file, of_sweeps in unlike_extensions(manifests).items():
        yield f"{file} is another file in each of {', '.join(of_sweeps)}, so its names may mean different things"


def unlike_extensions(manifests: Mapping[str, Manifest]) -> dict[str, list[str]]:
    """Return the files of extensions whose texts differ between sweeps, with the names of the sweeps that have them."""
    digests: dict[str, dict[str, str]] = {}
    for name, manifest in manifests.items():
        for each in manifest.get("extensions", []):
            digests.setdefault(each["file"], {})[name] = each["digest"]
    return {file: list(of_sweeps) for file, of_sweeps in digests.items() if len(set(of_sweeps.values())) > 1}


def _listed(values: set[Any]) -> str:
    return " ".join(map(shown, sorted(values, key=lambda value: (str(type(value)), value))))
