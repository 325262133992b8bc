"""Copies the trials of several sweeps into a new one: `dd-ray merge results/both results/one results/other`.

The new sweep opens, is drawn and goes on as any other. Trials are copied as they are, with their states and their
TensorBoard runs, and each copy is checked by its seals; one that is damaged is named and left out. A trial that several
sweeps have is copied from where it went furthest, as tables of several sweeps count it (`dd_ray.results.joining`).
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from dd_ray.command_line import COMMAND, as_command, counted, parse_options, positional
from dd_ray.config.labels import joined_labels
from dd_ray.errors import UserError, printable
from dd_ray.results.joining import (
    Row,
    Rows,
    disagreement,
    iterations_of,
    joined_manifest,
    progress_of,
    unlike_extensions,
)
from dd_ray.results.table import as_csv, load, open_all, rows_of
from dd_ray.storage.files.locations import check_name, name_of, storage_of
from dd_ray.storage.names import RESULTS
from dd_ray.storage.starts import start_of
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.storage.versions import commit, machine
from dd_ray.studies import study_names
from dd_ray.upkeep.at_rest import at_rest, check_new, new_sweep

REMEDY = "give a new folder, or delete what an interrupt left"
"""Advice where the target of a merge holds something."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command line."""

    target: Annotated[str, positional("TARGET")]
    """Folder or URL of the new sweep, which must not exist yet."""
    source: Annotated[str, positional("SOURCE")]
    """Folder or URL of a sweep; it is read and not changed."""
    more: Annotated[tuple[str, ...], positional("[SOURCE ...]")] = ()
    """Further sweeps of the same study."""


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """A trial that is to be copied."""

    folder: TrialFolder
    sweep: SweepFolder
    name: str
    """Name of its sweep."""
    rows: Rows
    """Its rows in the table of its sweep."""

    @property
    def label(self) -> str:
        """Its label in its own sweep."""
        return str(self.rows[0]["label"])


def merge(target: SweepFolder, sources: Mapping[str, SweepFolder]) -> dict[str, int]:
    """Copy the trials of several sweeps into a new one.

    Returns:
        The number of trials that are from each of the sources.

    Raises:
        UserError: the target exists, or the sources cannot be one sweep; the message says why.
    """
    check_new(target, REMEDY)
    check_name(name_of(target.location), storage_of(target.location))
    with ExitStack() as held:
        for sweep in sources.values():
            held.enter_context(at_rest(sweep, "merge"))
        manifests = {name: sweep.manifest() for name, sweep in sources.items()}
        _check_sources(sources, manifests)
        trials = _chosen({name: _trials_of(name, sweep) for name, sweep in sources.items()})
        if not trials:
            raise UserError("none of these sweeps has a trial that can be copied.")
        held.enter_context(new_sweep(target, REMEDY))
        return _write(target, sources, manifests, trials)


def _write(
    target: SweepFolder,
    sources: Mapping[str, SweepFolder],
    manifests: Mapping[str, Mapping[str, Any]],
    trials: Mapping[str, _Trial],
) -> dict[str, int]:
    labels = joined_labels({key: (trial.label, trial.rows[0]) for key, trial in trials.items()})
    in_parallel(lambda key: _copy(trials[key], target, labels[key]), trials)
    for sweep in sources.values():
        for file in sweep.names_beside_trials():
            target.files.write(file, sweep.files.read(file))
    names = [trial.name for trial in trials.values()]
    counts = {name: names.count(name) for name in sources}
    # Last, so that what an interrupt leaves is no sweep.
    target.write_manifest(_manifest(target, manifests, counts))
    target.files.write(RESULTS, as_csv(load(target.location)), durable=False)
    return counts


def _check_sources(sources: Mapping[str, SweepFolder], manifests: Mapping[str, Mapping[str, Any]]) -> None:
    """Make sure that sweeps can be one.

    Raises:
        UserError: they cannot.
    """
    shown = shlex.join([COMMAND, "results", *(sweep.location for sweep in sources.values())])
    together = f"show them together by `{shown}`"
    for name, sweep in sources.items():
        if "search" in manifests[name]:
            raise UserError(f"{sweep.location} holds a search, whose suggestions are one study of Optuna; {together}.")
    studies = {name: manifest["study"] for name, manifest in manifests.items()}
    confirms = {name: "confirms" in manifest for name, manifest in manifests.items()}
    streams = {name: tuple(m["axes"].get("dataset_seed", ())) or (None,) for name, m in manifests.items()}
    starts = {name: str(start_of(manifest["axes"]) or "none of another sweep") for name, manifest in manifests.items()}
    one = {"study": studies, "answer to whether it confirms another": confirms, "--dataset-seed": streams}
    for what, values in {**one, "start": starts}.items():
        if len(set(values.values())) > 1:
            each = ", ".join(f"{_told(value)} in {name}" for name, value in values.items())
            raise UserError(f"one sweep has one {what}, and these have {each}; {together}.")
    if unlike := unlike_extensions(manifests):
        file, names = next(iter(unlike.items()))
        raise UserError(f"{file} is another file in each of {', '.join(names)}, so they cannot be one sweep.")


def _told(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join("one for each seed" if each is None else str(each) for each in value)
    return {True: "yes", False: "no"}.get(value, str(value))


def _trials_of(name: str, sweep: SweepFolder) -> dict[str, _Trial]:
    """Read the trials of a sweep; damaged ones are named on stderr and left out."""
    folders = sweep.trials()
    found = {}
    for folder, rows in zip(folders, in_parallel(_rows_or_why_not, folders), strict=True):
        if isinstance(rows, str):
            print(printable(f"left out, trial {folder.key} of {name}: {rows}"), file=sys.stderr)
        else:
            found[folder.key] = _Trial(folder=folder, sweep=sweep, name=name, rows=rows)
    for key in sweep.without_config(folders):
        print(printable(f"left out, trial {key} of {name}: its config.json is gone"), file=sys.stderr)
    return found


def _rows_or_why_not(folder: TrialFolder) -> list[Row] | str:
    try:
        return [*rows_of(folder.key, folder.read())]
    except FileNotFoundError:
        return "it was set aside just now"
    except UserError as error:
        return str(error)


def _chosen(of_sweeps: Mapping[str, Mapping[str, _Trial]]) -> dict[str, _Trial]:
    """Choose, of trials that several sweeps have, the one that went furthest.

    Raises:
        UserError: a trial came out otherwise in one sweep than in another.
    """
    chosen: dict[str, _Trial] = {}
    for trials in of_sweeps.values():
        for key, trial in trials.items():
            other = chosen.get(key)
            if other and (differs := disagreement(other.rows, trial.rows)):
                raise UserError(
                    f"trial {other.label} ({key}) came out otherwise in {other.name} than in {trial.name} ({differs}), "
                    f"so they cannot be one; take it out of one of them by `{COMMAND} remove`."
                )
            if other is None or _progress(trial) > _progress(other):
                chosen[key] = trial
    return chosen


def _progress(trial: _Trial) -> tuple[Any, ...]:
    return (*progress_of(trial.rows), max(trial.folder.states(), default=-1))


def _copy(trial: _Trial, target: SweepFolder, label: str) -> None:
    trial.folder.copy_to(target.trial(trial.folder.key), label)
    if trial.label in trial.sweep.files.names("tensorboard"):
        board = trial.sweep.files.at("tensorboard", trial.label)
        for name in board.names():
            target.board(label).write(name, board.read(name), durable=False)


def _manifest(
    target: SweepFolder, manifests: Mapping[str, Mapping[str, Any]], counts: Mapping[str, int]
) -> dict[str, Any]:
    """Describe the new sweep: as the source that goes furthest, with the axes of all."""
    each = list(manifests.values())
    furthest = max(each, key=iterations_of)
    options = {**furthest["options"], "storage": storage_of(target.location), "name": name_of(target.location)}
    began = [manifest["began"] for manifest in each if manifest.get("began")]
    extensions = {extension["file"]: extension for manifest in each for extension in manifest.get("extensions", [])}
    versions = [manifest.get("versions") or {} for manifest in each]
    return {
        **furthest,
        **joined_manifest(each),
        "options": options,
        "began": min(began, default=None),
        "asked": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "command": sys.argv,
        "commit": commit(),
        "versions": {
            name: " and ".join(dict.fromkeys(of[name] for of in versions if name in of))
            for name in dict.fromkeys(name for of in versions for name in of)
        },
        "extensions": list(extensions.values()),
        "merged": dict(counts),
    }


def main(args: list[str] | None = None) -> None:
    """Copy the trials of several sweeps of one study into a new sweep, which goes on as any other."""
    with as_command():
        options = parse_options(Options, args, main.__doc__)
        target, sources = SweepFolder.at(options.target), open_all(options.source, *options.more)
        try:
            counts = merge(target, sources)
        except OSError as error:
            raise UserError(f"{target.location} cannot be written ({error.strerror or error}).") from error
        print("\n".join(_said(target, counts)))


def _said(target: SweepFolder, counts: Mapping[str, int]) -> Sequence[str]:
    manifest = target.manifest()
    own = [extension["file"] for extension in manifest["extensions"]]
    storage, name = storage_of(target.location), name_of(target.location)
    each = ", ".join(f"{number} from {source}" for source, number in counts.items())
    extended = ["--extension", *own] if own else []
    is_ours = manifest["study"] in study_names()  # of others it is not recorded what runs them
    command, how = ([COMMAND, manifest["study"]], "") if is_ours else ([], "command and ")
    goes_on = shlex.join([*command, *extended, "--storage", storage, "--name", name])
    return [
        f"Merged {counted(sum(counts.values()), 'trial')} into {target.location}: {each}.",
        f"Results: {shlex.join([COMMAND, 'results', target.location])}",
        f"It goes on by the {how}options of its study: {goes_on} ...",
    ]
