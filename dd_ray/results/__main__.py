"""Print the state of a sweep: `python -m dd_ray.results PATH`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro

from dd_ray.command_line import as_command, optional, parse_options
from dd_ray.errors import UserError
from dd_ray.metrics import REPORTED
from dd_ray.results.printing import print_best_cells, print_cells, print_state
from dd_ray.results.sentences import sentences
from dd_ray.results.table import as_csv, final, load
from dd_ray.storage.files import LocalFiles
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.study import TELLS


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PATH")]
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    metric: Annotated[str | None, optional("NAME")] = None
    """Metric by which the best cells are chosen; by default the one that the sweep compares its trials by."""
    width: Annotated[int | None, optional("COLUMNS")] = None
    """Columns of the tables. Where it is not given, those of the terminal; in a pipe what COLUMNS says, or 160."""
    out: Annotated[Path | None, optional("FILE")] = None
    """Write the table of all evaluations to this file, .csv or .parquet."""


def main(args: list[str] | None = None) -> None:
    """Print the state of a sweep, finished or running: its cells, what is left, and the best."""
    with as_command():
        options = parse_options(Options, args, main.__doc__, prog="python -m dd_ray.results")
        sweep, table = SweepFolder.open(options.path), load(options.path)
        trials = final(table)
        manifest = sweep.manifest() or {}
        metric = options.metric or manifest.get("options", {}).get("metric", "loss")
        tells = (options.metric,) if options.metric else manifest.get("tells", TELLS)
        if options.metric is not None and (REPORTED.get(metric) is None or REPORTED[metric].better is None):
            known = ", ".join(name for name, m in REPORTED.items() if m.better)
            raise UserError(f"--metric {metric} ranks no trials; give one of {known}.")
        if options.out:
            write_table(table, options.out)
        print_cells(trials, told=tells, width=options.width)
        print_best_cells(trials, metric, width=options.width)
        print_state(sweep, trials)
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
