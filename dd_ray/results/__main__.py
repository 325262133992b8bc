"""Print the state of a sweep: `python -m dd_ray.results PATH`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd

from dd_ray.command_line import as_command, optional, parse_options
from dd_ray.errors import UserError, did_you_mean
from dd_ray.metrics import REPORTED
from dd_ray.results.joining import SWEEP
from dd_ray.results.paths import SweepPaths
from dd_ray.results.printing import print_best_cells, print_cells, print_counts, print_failed, print_progress
from dd_ray.results.sentences import sentences
from dd_ray.results.table import as_csv, final, load, manifest_of, open_all
from dd_ray.storage.files import LocalFiles
from dd_ray.sweep.checks import ranks
from dd_ray.sweep.study import TELLS


@dataclass(frozen=True, kw_only=True)
class Options(SweepPaths):
    """Options of the command line."""

    metric: Annotated[str | None, optional("NAME")] = None
    """Metric by which the best cells are chosen; by default the one that the sweep compares its trials by."""
    width: Annotated[int | None, optional("COLUMNS")] = None
    """Columns of the tables. Where it is not given, those of the terminal; in a pipe what COLUMNS says, or 160."""
    out: Annotated[Path | None, optional("FILE")] = None
    """Write the table of all evaluations to this file, .csv or .parquet."""


def main(args: list[str] | None = None) -> None:
    """Print the state of a sweep, or of several as one: its cells, what is left, and the best."""
    with as_command():
        options = parse_options(Options, args, main.__doc__, prog="python -m dd_ray.results")
        sweeps, table = open_all(*options.paths), load(*options.paths)
        trials = final(table)
        manifest = manifest_of(*options.paths)
        metric = options.metric or manifest.get("options", {}).get("metric", "loss")
        tells = (options.metric,) if options.metric else manifest.get("tells", TELLS)
        if options.metric is not None and not ranks(metric):
            known = list(filter(ranks, REPORTED))
            meant = did_you_mean(metric, known, f"give one of {', '.join(known)}.")
            raise UserError(f"--metric {metric} ranks no trials; {meant}")
        if options.width is not None and options.width < 1:
            raise UserError(f"--width {options.width} is out of range; give 1 or more.")
        if options.out:
            write_table(table, options.out)
        print_cells(trials, told=tells, width=options.width)
        print_best_cells(trials, metric, width=options.width)
        print_counts(trials)
        for name, sweep in sweeps.items():
            print_progress(sweep, trials if len(sweeps) == 1 else trials[trials[SWEEP] == name])
        print_failed(trials)
        for sentence in [] if "search" in manifest else sentences(trials, tells):
            print(sentence)
        if options.out:
            print(f"Table: {options.out}")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table to a .csv or .parquet file.

    Raises:
        UserError: the file has another ending, or cannot be written.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"--out {path} is no .csv or .parquet file; give a name that ends so.")
    content = as_csv(table) if path.suffix == ".csv" else table.to_parquet(index=False)
    try:
        LocalFiles(path.parent).write(path.name, content, durable=False)
    except OSError as error:
        raise UserError(f"--out {path} cannot be written ({error.strerror}); choose another file.") from error


if __name__ == "__main__":
    main()
