"""Packs a sweep into one file, `dd-ray archive results/inertia_grid_quick`, and unpacks it with `--extract`.

The archive is a zip with one folder, so `unzip FILE.zip` gives the sweep again as well. It holds what the results need:
`sweep.json`, each trial with its states (`--without-states` leaves these out), Optuna's log, the tables and the copies
of extensions. What can be made again from these is left out: figures, pages, TensorBoard's files.
"""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from dd_ray.command_line import COMMAND, as_command, counted, optional, parse_options, positional, shown_size
from dd_ray.config.urls import own_path
from dd_ray.errors import UserError, printable
from dd_ray.storage.archives import extract_archive, folder_in, write_archive
from dd_ray.storage.files.locations import check_name, parse_location, sweep_location
from dd_ray.storage.names import CONFIRMATION, LOG, MANIFEST, NOTES, RESULTS, SUGGESTIONS
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_attempts import ATTEMPTS
from dd_ray.storage.trial_records import RECORDS
from dd_ray.upkeep.at_rest import at_rest, new_sweep

OF_THE_SWEEP = (MANIFEST, NOTES, RESULTS, SUGGESTIONS, CONFIRMATION, LOG)
"""Files of a sweep that are archived beside its trials and extensions."""
REMEDY = "give another --extract STORAGE"
"""Advice where a sweep is in the place of one that is unpacked."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[str, positional("PATH")]
    """Folder or URL of a sweep, such as results/inertia_grid_quick; with --extract an archive, FILE.zip."""
    out: Annotated[Path | None, optional("FILE")] = None
    """The zip archive to write; NAME.zip here where it is not given."""
    without_states: bool = False
    """Leave out the states of the networks, which take most of the space. Tables, maps and the numbers of the report
    need none; pictures of networks do, and a trial that has not finished would begin anew."""
    extract: Annotated[str | None, optional("STORAGE")] = None
    """Unpack an archive into this folder or URL, as STORAGE/NAME. `unzip` does the same."""


def archive(sweep: SweepFolder, path: Path, *, states: bool) -> tuple[int, list[str]]:
    """Write a sweep into a zip archive.

    Returns:
        The number of its trials, and what was left out, in sentences.

    Raises:
        UserError: it is being run, or the archive cannot be written.
    """
    with at_rest(sweep, "archive it"):
        names = [*_names(sweep, states=states)]
        left_out = write_archive(path, sweep.files, names, sweep.name)
    return len({name.split("/")[1] for name in names if name.startswith("cells/")}), left_out


def unpack(path: Path, storage: str) -> tuple[SweepFolder, list[str]]:
    """Unpack a sweep from an archive, and check its trials by their seals.

    Returns:
        The sweep, and what is damaged in it, in sentences.

    Raises:
        UserError: it is no archive of a sweep, is damaged, or the sweep exists already.
    """
    name = folder_in(path)
    parse_location(storage)
    check_name(name, storage)
    sweep = SweepFolder.at(sweep_location(storage, name))
    with new_sweep(sweep, REMEDY):
        extract_archive(path, sweep.files)
    return SweepFolder.open(sweep.location), damaged_trials(sweep)


def damaged_trials(sweep: SweepFolder) -> list[str]:
    """Return a sentence for each trial of a sweep whose files are not what was written."""
    trials = sweep.trials()

    def why(key: str) -> str | None:
        try:
            sweep.trial(key).read()
        except UserError as error:
            return f"damaged, trial {key}: {error}"
        return None

    return [found for found in in_parallel(why, [trial.key for trial in trials]) if found]


def _names(sweep: SweepFolder, *, states: bool) -> Iterator[str]:
    """Name the files of a sweep that are archived."""
    yield from (name for name in OF_THE_SWEEP if sweep.files.exists(name))
    yield from sweep.names_beside_trials()
    for key in sweep.files.names("cells"):
        sweep.check_no_link(f"cells/{key}")
        for name in sweep.files.names(f"cells/{key}"):
            if name in (*RECORDS, ATTEMPTS) or (states and name.startswith("state-")):
                yield f"cells/{key}/{name}"


def main(args: list[str] | None = None) -> None:
    """Pack a sweep into one zip file that holds what its results need, or unpack one."""
    with as_command():
        options = parse_options(Options, args, main.__doc__)
        if options.extract is None:
            _archive(options)
        else:
            _extract(options, options.extract)


def _archive(options: Options) -> None:
    out = None if options.out is None else own_path(options.out)
    if out is not None and out.suffix.lower() not in ("", ".zip"):
        raise UserError(f"--out {options.out} is not the name of a zip archive; give one that ends in .zip.")
    sweep = SweepFolder.open(options.path)
    path = out or own_path(f"{sweep.name}.zip")
    number, left_out = archive(sweep, path, states=not options.without_states)
    for each in [*left_out, *damaged_trials(sweep)]:
        print(printable(each), file=sys.stderr)
    without = " without states" if options.without_states else ""
    print(f"Archived {counted(number, 'trial')}{without}, read again and verified: {path}", end=" ")
    print(f"({shown_size(path.stat().st_size)} of {shown_size(sweep.files.size())}).")
    print(f"Unpack: {shlex.join([COMMAND, 'archive', str(path), '--extract', 'STORAGE'])}, or unzip.")


def _extract(options: Options, storage: str) -> None:
    if options.out is not None or options.without_states:
        raise UserError("--out and --without-states are for writing an archive; leave them out with --extract.")
    try:
        sweep, damaged = unpack(own_path(options.path), storage)
    except OSError as error:
        raise UserError(f"--extract {storage} cannot be written ({error.strerror or error}).") from error
    for each in damaged:
        print(printable(each), file=sys.stderr)
    print(f"Extracted {counted(len(sweep.trials()), 'trial')}: {sweep.location}")
    print(f"Results: {shlex.join([COMMAND, 'results', sweep.location])}")
