"""Compute further scores for the trials of a sweep: `python -m dd_ray.evaluation PATH --metrics dci factor_vae`."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from tqdm import tqdm

from dd_ray import results
from dd_ray.command_line import as_command, optional, parse_options, positional
from dd_ray.config.extensions import load_files
from dd_ray.errors import UserError, printable
from dd_ray.metrics import FURTHER, REPORTED
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.names import RESULTS
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.trial.scoring import Scored, score_trials, trials_to_score

EXIT_NOTHING_SCORED = 1
MARKER = ".check-evaluation"
"""The file that is written, and removed, to see whether scores can be kept."""
_DESCRIPTION = f"""Compute scores of the trained networks of a sweep, finished or running, and add them to its table.

Scores are of each trial's network at its last evaluation and, beside it, of its network before training, on 10,000
held-out still pictures (a video model by its encoder's own code). Columns that end in _active look at the
active latents alone. Nothing is computed twice, and what an interrupt leaves is kept.

Scores: {", ".join(FURTHER)}."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[str, positional("PATH")]
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    metrics: Annotated[tuple[str, ...], optional("NAME [NAME ...]")]
    """Scores to compute, by their names or by a column that they fill, or all."""
    extension: Annotated[tuple[str, ...], optional("FILE.py [FILE.py ...]")] = ()
    """Python files of your own that the sweep was run with; they are run."""
    processes: int = os.cpu_count() or 1
    """Trials at a time, each on a core of its own."""


def main(args: list[str] | None = None) -> None:
    """Parse the command line, score the trials with a progress bar, and print the scores."""
    with as_command("Interrupted; the same command goes on."):
        options = parse_options(Options, args, _DESCRIPTION, prog="python -m dd_ray.evaluation")
        load_files(options.extension)
        if options.processes < 1:
            raise UserError(f"--processes {options.processes} is out of range; give 1 or more.")
        names = _scores_named(options.metrics)
        if not names:
            raise UserError(f"--metrics names no score; choose from {', '.join(FURTHER)}, or all.")
        done = _score(options.path, names, options.processes)
        _report(options.path, names)
        for trial in (trial for trial in done if trial.left_out):
            print(f"without scores: {printable(trial.label)} {printable(trial.left_out)}", file=sys.stderr)
        for name, why in dict.fromkeys(lack for trial in done for lack in trial.without.items()):
            lacking = sum(trial.without.get(name) == why for trial in done)
            print(f"without {name}: {lacking} of {len(done)} trials, since it {printable(why)}", file=sys.stderr)
        for sentence in dict.fromkeys(each for trial in done for each in trial.biased):
            number = sum(sentence in trial.biased for trial in done)
            print(f"{sentence.removesuffix('.')}: {number} of {len(done)} trials", file=sys.stderr)
        if all(trial.left_out for trial in done):
            sys.exit(EXIT_NOTHING_SCORED)


def _scores_named(names: Sequence[str]) -> tuple[str, ...]:
    of_column = {column: name for name, score in FURTHER.items() for column in score.columns}
    named = [FURTHER if name == "all" else [name if name in FURTHER else of_column.get(name, name)] for name in names]
    return tuple(dict.fromkeys(name for each in named for name in each))


def _score(path: str, names: Sequence[str], processes: int) -> list[Scored]:
    keys = trials_to_score(path, names)
    sweep = SweepFolder.open(path)
    with _writing(sweep):  # before any score is computed
        sweep.files.write(MARKER, b"", durable=False)
        sweep.files.remove(MARKER)
    scored = _kept(sweep, score_trials(path, keys, names, processes))
    return list(tqdm(scored, total=len(keys), desc="scoring", unit=" trials", dynamic_ncols=True))


def _kept(sweep: SweepFolder, scored: Iterator[Scored]) -> Iterator[Scored]:
    with _writing(sweep):
        yield from scored


@contextmanager
def _writing(sweep: SweepFolder) -> Iterator[None]:
    """Turn an error of the block's writing into a sentence.

    Raises:
        UserError: the sweep's files cannot be written.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise UserError(
            f"{sweep.location} cannot be written ({why}), and scores are kept there; make it writable, or score a copy."
        ) from error


def _report(path: str, names: Sequence[str]) -> None:
    sweep, table = SweepFolder.open(path), results.load(path)
    with _writing(sweep):
        sweep.write_result(RESULTS, results.as_csv(table))
    columns = list(dict.fromkeys(column for name in names for column in FURTHER[name].columns))
    present = [column for column in columns if column in table]
    trials = results.final(table)
    results.print_cells(trials, [*present, "active_units"])
    names_of = ", ".join(f"{REPORTED[column].short}: {column}" for column in present)
    if present:
        print(f"Columns: {names_of}; and …_active, …_untrained.")
    print(f"Table:   {sweep_location(sweep.location, RESULTS)}")


if __name__ == "__main__":
    main()
