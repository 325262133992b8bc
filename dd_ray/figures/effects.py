"""Effects of a sweep's axes, as a table in the terminal and as a file: `python analysis/effects.py PATH`.

It has a row for each value of an axis but its lowest, and for each two such values together, with 95% intervals;
`dd_ray.results.effects` defines them. Effects that differ from 0, by Holm's test over all effects of a metric, have a
star.
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from dd_ray import results
from dd_ray.command_line import Column, console, optional, print_table
from dd_ray.config.options import shown_apart
from dd_ray.config.symbols import plain, symbol
from dd_ray.figures.common import FigureOptions, folder_of, run_command, write
from dd_ray.metrics import described
from dd_ray.results.comparisons import LEVEL
from dd_ray.results.effects import effects
from dd_ray.results.summary import summarise

NO_EFFECT = "–"
"""Stands for an effect that no two trials with the metric tell."""


@dataclass(frozen=True, kw_only=True)
class Options(FigureOptions):
    """Options of the command line."""

    metrics: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    """Columns of the table. Reconstruction error (or factor error), linear R², MCC and active units where none
    is given."""
    iteration: Annotated[int | None, optional("N")] = None
    """Effects at this iteration, or at the last evaluation before it. The end of the sweep where it is not given."""


def write_effects(options: Options) -> list[Path]:
    """Print the effects of a sweep's axes and write them as effects.csv.

    Raises:
        UserError: there is no such sweep, metric or iteration, no axis has two values, or the folder cannot be written.
    """
    manifest = results.manifest_of(*options.paths)
    table = results.load(*options.paths)
    found = effects(summarise(table, manifest, metrics=options.metrics, iteration=options.iteration))
    print_effects(found)
    return write(folder_of(options.path, options.out, options.more), {}, {"effects": found})


def print_effects(found: pd.DataFrame) -> None:
    """Print a table of `dd_ray.results.effects.effects`."""
    texts: dict[str, dict[str, str]] = {}
    for name, row in zip(names_of(found), found.to_dict("records"), strict=True):
        texts.setdefault(row["metric"], {})[name] = text_of(row)
    # A metric that some trials lack has fewer effects than others; that with the most tells their order.
    names = list(dict.fromkeys(itertools.chain(*sorted(texts.values(), key=len, reverse=True))))
    columns = [Column(header="effect", texts=names, words=True, least=18)]
    for rank, (metric, of_metric) in enumerate(texts.items(), 1):
        cells = [of_metric.get(name, NO_EFFECT) for name in names]
        columns.append(Column(header=described(metric).short, texts=cells, rank=rank, name=metric))
    print_table(columns, console(), title_of(found))


def title_of(found: pd.DataFrame) -> str:
    """Return the title of a table of effects, which speaks of intervals only if some effect has one."""
    if found["ci_low"].isna().all():
        return "Effects, mean differences"
    return "Effects, mean [95% interval], seeds as blocks (*: not 0, for all effects of the metric at once)"


def names_of(found: pd.DataFrame) -> list[str]:
    """Name each effect: `γ: 0 → 0.5`, or `γ: 0 → 0.5, with λ: 0 → 10` for an interaction."""
    rows = found.to_dict("records")
    changes = [
        [(row[f"{which}axis"], row[f"{which}lowest"], row[f"{which}value"]) for which in ("", "other_")] for row in rows
    ]
    values: dict[str, dict[Any, None]] = {}
    for axis, *ends in itertools.chain(*changes):
        values.setdefault(axis, {}).update(dict.fromkeys(ends))
    texts = {axis: dict(zip(of_axis, shown_apart([*of_axis]), strict=True)) for axis, of_axis in values.items()}
    return [
        ", with ".join(
            f"{plain(symbol(axis))}: {texts[axis][lowest]} → {texts[axis][value]}"
            for axis, lowest, value in of_row
            if axis
        )
        for of_row in changes
    ]


def text_of(row: dict[Any, Any]) -> str:
    """Return an effect with its interval, and a star if it differs from 0."""
    if math.isnan(row["effect"]):
        return NO_EFFECT
    interval = "" if math.isnan(row["ci_low"]) else f" [{row['ci_low']:+.2g}, {row['ci_high']:+.2g}]"
    return f"{row['effect']:+.3g}{interval}{' *' if row['p_holm'] <= LEVEL else ''}".replace("-", "−")


def draw_sweep(location: str, folder: Path) -> list[Path]:
    """Print a sweep's effects and write them into a folder; see `write_effects`."""
    return write_effects(Options(path=location, out=folder))


def main(args: list[str] | None = None) -> None:
    """Print the effects of a sweep's axes: main effects and interactions with intervals. Prints the file it writes."""
    run_command(Options, write_effects, main.__doc__, args)
