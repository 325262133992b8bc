"""Removes trials from a sweep: `dd-ray remove results/inertia_grid_quick --where "gamma=0.5 lambda=3,30"`.

What goes is listed first, with the space that this frees, and nothing goes without a yes. A sweep that is being run is
never touched, and no link is followed. The sweep stays one that its command goes on with: it trains the trials again,
unless the command leaves them out.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from dd_ray.command_line import (
    Column,
    as_command,
    console,
    counted,
    optional,
    parse_options,
    positional,
    print_table,
    shown_size,
)
from dd_ray.config import TrialConfig
from dd_ray.errors import UserError, printable
from dd_ray.results.table import as_csv, load
from dd_ray.storage.files import LockedError
from dd_ray.storage.names import CONFIRMATION, RESULTS, SUGGESTIONS
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.sweep.exclusions import belongs, combination_of

MOST_LISTED = 40
"""The most trials that are listed one by one."""
NOT_REMOVED = 1
"""Exit code where the answer was no."""
_OF_ALL_TRIALS, _OF_SOME = (RESULTS, SUGGESTIONS), CONFIRMATION
"""Tables of a sweep: those that have a row for each of its trials, and the one that its command makes of them."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    path: Annotated[str, positional("PATH")]
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    keys: Annotated[tuple[str, ...], positional("[KEY ...]")] = ()
    """Keys of trials to remove, or their beginnings; `dd-ray STUDY --dry-run` and results.csv have them."""
    where: Annotated[tuple[str, ...], optional('"FIELD=VALUE[,VALUE...] ..." [...]')] = ()
    """Trials to remove by their fields, all seeds of them, in the form of --exclude: those that have one of the values
    of each field that is named together."""
    yes: bool = False
    """Remove without asking, for scripts."""


@dataclass(frozen=True, kw_only=True)
class TrialToRemove:
    """A trial that is to be removed."""

    folder: TrialFolder
    label: str
    """Its label; empty if it is damaged."""
    state: str
    size: int
    """Bytes of its files, those for TensorBoard included."""


def trials_named(sweep: SweepFolder, keys: Sequence[str], where: Sequence[str]) -> list[TrialToRemove]:
    """Find the trials of a sweep that are named by (the beginnings of) their keys, or by combinations of values.

    Raises:
        UserError: a word names no trial, a key several, or a trial lies behind a link.
    """
    folders = {key: sweep.trial(key) for key in sweep.files.names("cells")}
    chosen = {key for word in keys for key in [_key_named(word, list(folders), sweep.location)]}
    configs = _configs(folders) if where else {}
    for text in where:
        combination = combination_of(text, "--where")
        found = {key for key, config in configs.items() if belongs(config, combination)}
        if not found:
            raise UserError(f"--where {text!r}: no trial of {sweep.location} has these values; nothing was removed.")
        chosen |= found
    for key in sorted(chosen):
        if link := sweep.files.link_in(f"cells/{key}"):
            raise UserError(f"{link} is a link, which is not followed; nothing was removed. Remove it by hand.")
    listed = in_parallel(lambda key: _to_remove(sweep, folders[key]), sorted(chosen))
    return sorted(listed, key=lambda each: each.label)


def remove(sweep: SweepFolder, trials: Sequence[TrialToRemove]) -> None:
    """Remove trials, and write the sweep's tables anew without them. The caller holds the sweep's lock."""
    if "search" in sweep.manifest():
        from dd_ray.sweep.suggestions import open_again  # noqa: PLC0415  # Optuna takes a second

        open_again(sweep, [trial.folder.key for trial in trials])
    in_parallel(lambda trial: _remove(sweep, trial), trials)
    _write_tables(sweep)


def _key_named(word: str, keys: Sequence[str], location: str) -> str:
    found = [key for key in keys if key.startswith(word)] if word else []
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{word} begins the keys of {len(found)} trials of {location}; give more of its digits.")
    raise UserError(f"no trial of {location} has the key {word!r}; results.csv has them. Nothing was removed.")


def _configs(folders: dict[str, TrialFolder]) -> dict[str, TrialConfig]:
    """Return the configs of all trials; one that is damaged is named on stderr and can be removed by its key."""
    read = in_parallel(_config_or_why_not, folders.values())
    for key, found in zip(folders, read, strict=True):
        if isinstance(found, str):
            print(printable(f"not considered, trial {key}: {found}"), file=sys.stderr)
    return {key: found for key, found in zip(folders, read, strict=True) if isinstance(found, TrialConfig)}


def _config_or_why_not(folder: TrialFolder) -> TrialConfig | str:
    try:
        return TrialConfig.from_dict(folder.describe()["config"])
    except FileNotFoundError:
        return "its config.json is gone"
    except UserError as error:
        return str(error)


def _to_remove(sweep: SweepFolder, folder: TrialFolder) -> TrialToRemove:
    try:
        label = str(folder.describe()["label"])
    except (FileNotFoundError, UserError):
        label = ""
    records = folder.sound()
    ended = records.outcome.state if records and records.outcome else "unfinished" if records else "damaged"
    size = folder.files.size() + (sweep.files.size(board) if (board := _board_of(sweep, label)) else 0)
    return TrialToRemove(folder=folder, label=label, state=ended.replace("_", " "), size=size)


def _board_of(sweep: SweepFolder, label: str) -> str | None:
    """Return the folder of a trial's event files; None if it has none of its own, or it lies behind a link."""
    name = f"tensorboard/{label}"
    # A label is read from a file, and could name anything.
    has_one = label in sweep.files.names("tensorboard")
    return name if has_one and sweep.files.link_in(name) is None else None


def _remove(sweep: SweepFolder, trial: TrialToRemove) -> None:
    trial.folder.remove()
    if board := _board_of(sweep, trial.label):
        sweep.files.remove_folder(board)


def _write_tables(sweep: SweepFolder) -> None:
    """Write the tables of all trials anew, as far as there are any; without a trial to show, there is none.

    The table of a confirmation is removed; the sweep's command writes it when it has trained the trials again.
    """
    if sweep.files.exists(_OF_SOME):
        sweep.files.remove(_OF_SOME)
    for name in _OF_ALL_TRIALS:
        if sweep.files.exists(name):
            try:
                sweep.files.write(name, as_csv(_table(name, sweep.location)), durable=False)
            except UserError:
                sweep.files.remove(name)


def _table(name: str, location: str) -> pd.DataFrame:
    """Return the table that a file of the sweep holds."""
    if name == RESULTS:
        return load(location)
    from dd_ray.results import suggestions  # noqa: PLC0415  # Optuna takes a second

    return suggestions.load(location)


def main(args: list[str] | None = None) -> None:
    """Remove trials of a sweep, after a question. Its command trains them again, unless it leaves them out."""
    with as_command():
        if not _ask_and_remove(parse_options(Options, args, main.__doc__)):
            print("Nothing was removed.")
            sys.exit(NOT_REMOVED)


def _ask_and_remove(options: Options) -> bool:
    """Remove what the options name if the answer is yes, and return whether it was."""
    if not options.keys and not options.where:
        raise UserError('nothing is named to be removed; give KEYs of trials, or --where "FIELD=VALUE".')
    sweep = SweepFolder.open(options.path)
    try:
        with sweep.lock():
            trials = trials_named(sweep, options.keys, options.where)
            _list(sweep, trials, options.where)
            if not options.yes and not _is_agreed(len(trials)):
                return False
            remove(sweep, trials)
    except LockedError as error:
        raise UserError(f"{sweep.location} is being run, by {error.who}; remove when it has ended.") from error
    except OSError as error:
        raise UserError(f"{error.filename or sweep.location} cannot be removed ({error.strerror or error}).") from error
    size = shown_size(sum(trial.size for trial in trials))
    print(f"Removed {counted(len(trials), 'trial')}, which frees {size}. Figures and report.html are those of before.")
    return True


def _list(sweep: SweepFolder, trials: Sequence[TrialToRemove], where: Sequence[str]) -> None:
    """Print which trials go, what that frees, and what going on does."""
    some = trials[:MOST_LISTED]
    columns = [
        Column(header="key", texts=[trial.folder.key for trial in some]),
        Column(header="trial", texts=[trial.label or "?" for trial in some], words=True, least=24),
        Column(header="state", texts=[trial.state for trial in some], words=True),
        Column(header="size", texts=[shown_size(trial.size) for trial in some]),
    ]
    of_all, freed = sweep.files.size("cells") + sweep.files.size("tensorboard"), sum(trial.size for trial in trials)
    number = counted(len(trials), "trial")
    print_table(columns, console(), f"{number} of {len(sweep.trials())} to be removed from {sweep.location}")
    if len(trials) > len(some):
        print(f"... and {len(trials) - len(some)} more.")
    print(f"This frees {shown_size(freed)} of {shown_size(of_all)}.")
    may_leave_out = where and "search" not in sweep.manifest()
    them = "it" if len(trials) == 1 else "them"
    left_out = f"; with --exclude {shlex.join(where)} it leaves {them} out" if may_leave_out else ""
    print(f"The sweep's command trains {them} again if it is given as before{left_out}.", flush=True)


def _is_agreed(number: int) -> bool:
    """Ask whether to remove.

    Raises:
        UserError: nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise UserError("nothing was removed: there is no terminal to ask at; give --yes to remove without asking.")
    try:
        return input(f"Remove {'it' if number == 1 else 'them'} for good? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()
        return False
