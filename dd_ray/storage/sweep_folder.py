"""Reads and writes the files of a sweep, in a folder or on an object store.

    STORAGE/NAME/
        sweep.json                    the sweep as it was asked for, versions, commit
        progress.json                 how far the command that runs it has come, while it runs
        notes.md                      what its readers have noted, to be read and edited by hand as well
        cells/KEY/config.json         what the trial is
        cells/KEY/metrics.jsonl       its evaluations, a line each, in the order of iterations
        cells/KEY/state-ITERATION.npz its latest state and the one before: weights, optimiser, iteration
        cells/KEY/scores.jsonl        scores that were added to its evaluations, a line each time
        cells/KEY/outcome.json        how it ended; absent while it has not
        cells/KEY/seal.json           checksums of its evaluations and its outcome, once it has ended
        cells/KEY/owner               the worker that took it up last
        cells/KEY/attempts.jsonl      when and where workers trained it
        tensorboard/LABEL/            event files
        starts/DIGEST.npz             the weights that its trials begin with, if these are of another sweep
        extensions/NAME.py            the user's files that it was run with, to read; they are never run from there
        aside/                        what did not agree with the rest, and was written anew
        .lock                         held by the command that runs the sweep

Files are replaced as a whole, or get another line. Configs, evaluations and states are durable when a call returns. The
rest may be lost in a power cut, and is then worked out again.
"""

import hashlib
import json
import math
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from dd_ray.config import TrialConfig, fields_with
from dd_ray.config.extensions import Extension
from dd_ray.config.recorded import recall
from dd_ray.errors import UserError, printable
from dd_ray.storage.files import Files, Lock, NoFileError, open_files
from dd_ray.storage.files.locations import name_of
from dd_ray.storage.records import DamagedError, State, damaged, read_lines, read_object
from dd_ray.storage.seals import CHECK, checksum, first_wrong, is_whole, links, signed, unsigned
from dd_ray.storage.trial_attempts import ATTEMPTS

Item = TypeVar("Item")
Result = TypeVar("Result")
REACHING = ("finished", "stopped_early", "at_plateau")
"""States of trials that end with an evaluation."""
RECORDS = ("config.json", "metrics.jsonl", "scores.jsonl", "outcome.json", "seal.json")
"""Files of a trial that say what it is, how it did and how it ended."""
STATES_KEPT = 2
"""Number of states kept of a trial: the latest, and one to go back to if that is damaged."""
AT_ONCE = 16
"""Number of trials whose files are read or written in parallel, since most time is spent waiting for the storage."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a trial: its state, and the iteration that it had reached."""

    state: State
    iteration: int
    error: str | None = None
    """The error of a failed trial."""
    trace: str | None = None
    """The traceback of that error."""
    seconds: float | None = None
    """The time that a trial out of time had taken."""

    def to_dict(self) -> dict[str, Any]:
        """Return the values to write and to seal. `seconds` is left out if None, since older outcomes have none."""
        values = asdict(self)
        return values if self.seconds is not None else {k: v for k, v in values.items() if k != "seconds"}


@dataclass(frozen=True, kw_only=True)
class TrialRecords:
    """All records of a trial."""

    config: dict[str, Any]
    label: str
    evaluations: list[dict[str, Any]]
    scores: dict[int, dict[str, float | None]]
    """Scores that were added later, by iteration."""
    outcome: Outcome | None
    notes: list[str]
    """Descriptions of harmless damage: what is damaged is left out here, and computed again."""


class TakenOverError(RuntimeError):
    """A worker that was cut off has come back, and another has its trial."""


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    files: Files
    key: str
    """Key of the trial, see `TrialConfig.key`."""

    def create(self, config: dict[str, Any], label: str) -> None:
        """Write the config of the trial, unless it is there; and the path of its data, if that has moved."""
        if not self.files.exists("config.json") or self._has_moved(config):
            if not self.files.exists("metrics.jsonl"):
                # Made durable with the next file, and not by the worker, which would wait for it.
                self.files.write("metrics.jsonl", b"", durable=False)
            # Converted through JSON, which turns tuples into lists, since the checksum is of the values as they are
            # read back.
            described = json.loads(_json({"config": config, "label": label}))
            self.files.write("config.json", _json(signed(described, self.key)))

    def _has_moved(self, config: dict[str, Any]) -> bool:
        # Not asked of the storage, which may be slow, for the many trials whose data is no file.
        places = {name: config[name] for name in fields_with(in_key=False) if config.get(name) is not None}
        return bool(places) and not places.items() <= self.describe()["config"].items()

    def describe(self) -> dict[str, Any]:
        """Return the `config` and `label` that the trial was created with.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: they are not what was written, or belong to another trial.
        """
        described = read_object(self.files, "config.json")
        if not is_whole(described, self.key):
            raise damaged(self.files, "config.json", "it is not what was written for this trial")
        if CHECK not in described and self._key_of(described["config"]) != self.key:
            raise damaged(self.files, "config.json", "it is that of another trial")
        return unsigned(described)

    def _key_of(self, config: dict[str, Any]) -> str:
        try:
            return TrialConfig.from_dict(config).key
        except (UserError, TypeError, ValueError, LookupError, AttributeError) as error:  # of a value of a wrong type
            raise damaged(self.files, "config.json", f"it is no config: {error}") from error

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the recorded evaluations. A last line that a kill cut short counts as not written.

        If an iteration occurs twice, the first counts: two workers may have recorded it at the same moment.

        Raises:
            DamagedError: they are not what was recorded, as far as can be told without the trial's outcome.
        """
        return [unsigned(row) for row in self._signed_evaluations()]

    def sound(self) -> TrialRecords | None:
        """Return all records; None if there are none, or they contradict each other and the trial begins anew."""
        try:
            return self.read()
        except (FileNotFoundError, DamagedError):
            return None

    def sound_evaluations(self) -> list[dict[str, Any]]:
        """Return the recorded evaluations of `sound`; an empty list if that is None."""
        records = self.sound()
        return records.evaluations if records else []

    def _signed_evaluations(self) -> list[dict[str, Any]]:
        """Return the recorded evaluations, each with its checksum, even if it was recorded without one."""
        rows: dict[int, dict[str, Any]] = {}
        for row in read_lines(self.files, "metrics.jsonl"):
            rows.setdefault(row["iteration"], row)
        recorded = list(rows.values())
        chain = links(self.key, recorded)
        if (wrong := first_wrong(recorded, chain)) is not None:
            which = f"the evaluation of iteration {recorded[wrong]['iteration']} is not what was recorded"
            raise damaged(self.files, "metrics.jsonl", f"{which} of this trial after those before it")
        return [{**row, CHECK: link} for row, link in zip(recorded, chain, strict=True)]

    def take(self) -> str:
        """Make the caller the only writer of evaluations, and return a token that proves it."""
        token = uuid.uuid4().hex
        self.files.write("owner", token.encode(), durable=False)
        return token

    def check_owner(self, token: str) -> None:
        """Make sure that no other worker has taken the trial since the token was given.

        Raises:
            TakenOverError: another worker has.
        """
        if self.files.read("owner").decode() != token:
            raise TakenOverError("another worker has taken up this trial, since this one was taken for dead")

    def record(self, evaluation: dict[str, Any]) -> dict[str, Any]:
        """Append an evaluation, and return it as it will be read back. NaN and infinity become None.

        An evaluation that is there already stays as it is: a worker on a node that was cut off may still train a trial
        that was given to another, and both get the same results except for the times.
        """
        before = self._signed_evaluations()
        recorded = next((row for row in before if row["iteration"] == evaluation["iteration"]), None)
        if recorded is not None:
            return unsigned(recorded)
        clean = _finite(evaluation)
        check = checksum(self.key, before[-1][CHECK] if before else "", clean)
        self.files.append("metrics.jsonl", json.dumps({**clean, CHECK: check}).encode() + b"\n")
        return clean

    def add_scores(self, iteration: int, scores: Mapping[str, float]) -> None:
        """Append further scores of the network at an iteration, beside those of its evaluation. NaN becomes None."""
        row = signed({"iteration": iteration, **_finite(scores)}, self.key)
        self.files.append("scores.jsonl", json.dumps(row).encode() + b"\n")

    def scores(self, notes: list[str] | None = None) -> dict[int, dict[str, float | None]]:
        """Return the added scores by iteration; of a score that was added twice, the later value.

        Damaged ones are left out, since they can be added again, and described in `notes`.
        """
        notes = [] if notes is None else notes
        by_iteration: dict[int, dict[str, float | None]] = {}
        for row in read_lines(self.files, "scores.jsonl", notes):
            if is_whole(row, self.key):
                scores = unsigned(row)
                by_iteration.setdefault(scores.pop("iteration"), {}).update(scores)
            else:
                why = f"scores of iteration {row['iteration']} are not those of this trial"
                notes.append(str(damaged(self.files, "scores.jsonl", why)))
        return by_iteration

    def save_state(self, iteration: int, content: bytes) -> None:
        """Write the state of an iteration, and delete all but it and the one before.

        If there are later states, from which the trial went back since they are damaged, this one is kept nevertheless.
        """
        self.files.write(_state_name(iteration), content)
        others = [other for other in self.states() if other != iteration]
        for old in others[STATES_KEPT - 1 :]:
            self.files.remove(_state_name(old))

    def states(self) -> list[int]:
        """Return the iterations of which there are states, the latest first."""
        names = (name.removeprefix("state-").removesuffix(".npz") for name in self.files.names())
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def state(self, iteration: int) -> bytes:
        """Read the state of an iteration."""
        return self.files.read(_state_name(iteration))

    def finish(self, outcome: Outcome) -> None:
        """Write how the trial ended, after the seal that binds it to its evaluations.

        The seal is durable, so that a power cut cannot leave an outcome beside the seal of another one.
        """
        ended = outcome.to_dict()
        try:
            recorded = [row[CHECK] for row in self._signed_evaluations()]
        except DamagedError:  # the next command finds the damage, too, and trains the trial again
            recorded = []
        seal = {"key": self.key, "evaluations": len(recorded), "last": "".join(recorded[-1:])}
        self.files.write("seal.json", _json({**seal, "outcome": checksum(self.key, ended)}))
        self.files.write("outcome.json", _json(ended), durable=False)

    def copy_to(self, other: "TrialFolder", label: str) -> None:
        """Copy the trial into an empty folder, under another label, and check the copy by its seals.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: it is damaged, or was changed meanwhile.
        """
        config = self.describe()["config"]
        states = [_state_name(iteration) for iteration in self.states()]
        for name in (*states, *(name for name in RECORDS if name != "config.json"), ATTEMPTS):
            if self.files.exists(name):
                other.files.write(name, self.files.read(name))
        other.create(config, label)
        other.read()

    def remove(self) -> None:
        """Remove all files of the trial. A kill in between leaves a trial that has not ended, or none.

        Its states go before its evaluations, so that no state is left from which the trial would go on without them.
        """
        states = [_state_name(iteration) for iteration in self.states()]
        for name in ("outcome.json", "seal.json", *states, "scores.jsonl", "metrics.jsonl"):
            self.files.remove(name)
        self.files.remove_folder()

    def reopen(self) -> None:
        """Remove the outcome, since the trial goes on."""
        self.files.remove("outcome.json")

    def outcome(self) -> Outcome | None:
        """Return how the trial ended; None if it has not, or if its files contradict each other."""
        # A trial that has not ended needs no check.
        records = self.sound() if self.files.exists("outcome.json") else None
        return records.outcome if records else None

    def read(self) -> TrialRecords:
        """Read all records of the trial, and check them against each other.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: its files are not what was written, or contradict each other.
        """
        notes: list[str] = []
        # The outcome first: it is written last, so a trial that has one has all its evaluations.
        outcome, seal = self._ended(notes)
        evaluations = self._signed_evaluations()
        description = self.describe()
        if outcome is not None:
            self._check_complete(outcome, seal, evaluations)
        return TrialRecords(
            **description,
            evaluations=[unsigned(row) for row in evaluations],
            scores=self.scores(notes),
            outcome=outcome,
            notes=notes,
        )

    def _ended(self, notes: list[str]) -> tuple[Outcome | None, dict[str, Any] | None]:
        """Return the outcome and the seal, if there are any. Damaged ones count as missing, and are written again.

        Raises:
            DamagedError: something else has the name of one of the files.
        """
        try:
            ended = read_object(self.files, "outcome.json")
            outcome = Outcome(**ended)
            seal = read_object(self.files, "seal.json") if self.files.exists("seal.json") else None
        except FileNotFoundError:
            return None, None
        except (DamagedError, TypeError) as error:
            if isinstance(error.__cause__, NoFileError):
                raise
            notes.append(str(error if isinstance(error, DamagedError) else self._not_of_this("outcome.json")))
            return None, None
        if seal is not None and (seal["key"], seal["outcome"]) != (self.key, checksum(self.key, outcome.to_dict())):
            notes.append(str(self._not_of_this("outcome.json")))
            return None, None
        return outcome, seal

    def _not_of_this(self, name: str) -> DamagedError:
        return damaged(self.files, name, "it is not what was written for this trial")

    def _check_complete(self, outcome: Outcome, seal: dict[str, Any] | None, recorded: list[dict[str, Any]]) -> None:
        """Make sure that an ended trial has the evaluations that it ended with.

        Raises:
            DamagedError: some evaluations are missing.
        """
        number, last = (seal["evaluations"], seal["last"]) if seal else (0, "")
        sealed = [row[CHECK] for row in recorded[number - 1 : number]] if number else [last]
        reached = recorded[-1]["iteration"] if recorded else -1
        if sealed != [last] or (outcome.state in REACHING and reached < outcome.iteration):
            why = f"evaluations are missing: the trial ended at iteration {outcome.iteration}"
            raise damaged(self.files, "metrics.jsonl", f"{why}, and they end at {reached}" if recorded else why)


@dataclass(frozen=True)
class SweepFolder:
    """The files of a sweep."""

    files: Files

    @classmethod
    def at(cls, location: str | Path) -> "SweepFolder":
        """Return the folder or URL of a sweep, which need not exist yet.

        Raises:
            UserError: the URL cannot be used.
        """
        return cls(open_files(location))

    @classmethod
    def open(cls, location: str | Path) -> "SweepFolder":
        """Open the folder or URL of a sweep that exists.

        The extensions that it recorded are declared, so that its configs can be read; their code is not run.

        Raises:
            UserError: there is no sweep, or its `sweep.json` is damaged.
        """
        folder = cls.at(location)
        if folder.files.local is not None and not folder.files.local.is_dir():
            raise UserError(f"{location} is no folder; give the folder of a sweep, such as results/inertia_grid_quick.")
        if not folder.files.exists("sweep.json"):
            raise UserError(f"{location} holds no sweep (no sweep.json); give a folder that a sweep wrote.")
        manifest = folder.manifest() or {}
        try:
            recall(manifest.get("extensions", []))
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # what a declaration holds is its own
            raise damaged(folder.files, "sweep.json", f"extensions: {error}") from error
        return folder

    @property
    def location(self) -> str:
        """Folder or URL."""
        return self.files.location

    @property
    def name(self) -> str:
        """Its name: the last part of its folder or URL."""
        return self.files.local.resolve().name if self.files.local else name_of(self.location)

    @property
    def place(self) -> str:
        """Its folder without links and detours, or its URL: the same for all that lead to the same sweep."""
        return str(self.files.local.resolve()) if self.files.local else self.location

    @property
    def folder(self) -> Path:
        """The folder of the sweep, for code that needs a local one.

        Raises:
            UserError: it is on an object store.
        """
        if self.files.local is None:
            raise UserError(f"{self.location} is no folder, which this needs; give a sweep that is kept in one.")
        return self.files.local

    def manifest(self) -> dict[str, Any] | None:
        """Return the sweep as it was asked for; None if it has not been yet.

        Raises:
            DamagedError: it is damaged.
        """
        try:
            return read_object(self.files, "sweep.json")
        except FileNotFoundError:
            return None

    def progress(self) -> dict[str, Any] | None:
        """Return the progress that the running command wrote last; None if there is none, or it is damaged."""
        try:
            return read_object(self.files, "progress.json")
        except (FileNotFoundError, DamagedError):
            return None

    def notes(self) -> str:
        """Return what readers have noted of the sweep; an empty text if nothing."""
        return self._noted().decode("utf-8", "replace")

    def _noted(self) -> bytes:
        try:
            return self.files.read("notes.md")
        except FileNotFoundError:
            return b""

    def add_note(self, text: str) -> None:
        """Append a note with the present date. Its further lines are indented, so that it stays one item of a list.

        Raises:
            UserError: the storage cannot be written.
        """
        began = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        lines = "\n  ".join(printable(line) for line in text.strip().splitlines())
        before = self._noted()
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        try:
            # Not appended, which drops a last line without an end, as one written by hand may be.
            self.files.write("notes.md", before + gap + f"- {began}: {lines}\n".encode())
        except OSError as error:
            why = error.strerror or error
            raise UserError(f"{self.location} cannot be written ({why}); ask its owner to keep the note.") from error

    def set_aside(self, name: str) -> str:
        """Move a damaged file or folder below `aside`, so that it can be written anew.

        Returns:
            Its new name.
        """
        taken = set(self.files.names("aside"))
        new = next(new for n in count(1) if (new := f"{name.rpartition('/')[2]}-{n}") not in taken)
        self.files.move(name, f"aside/{new}")
        return self.files.at("aside", new).location

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write the sweep as it is asked for."""
        self.files.write("sweep.json", _json(manifest))

    def keep_extensions(self, extensions: Iterable[Extension]) -> None:
        """Write copies of the user's files whose declarations the trials use."""
        for extension in extensions:
            self.files.write(f"extensions/{extension.name}", extension.text.encode())

    def write_progress(self, progress: dict[str, Any]) -> None:
        """Write the progress of the sweep."""
        self.files.write("progress.json", _json(progress), durable=False)

    def board(self, label: str) -> Files:
        """Return the folder of a trial's event files. Anything else of that name is set aside."""
        for name in ("tensorboard", f"tensorboard/{label}"):
            path = self.files.local / name if self.files.local else None
            if path is not None and os.path.lexists(path) and not path.is_dir():
                self.set_aside(name)
        return self.files.at("tensorboard", label)

    def check(self) -> None:
        """Make sure that files can be written here.

        Raises:
            UserError: they cannot.
        """
        marker = f".check-{uuid.uuid4().hex}"
        try:
            self.files.write(marker, b"")
            self.files.remove(marker)
        except OSError as error:
            raise UserError(
                f"storage {self.location} cannot be written ({error.strerror or error}); choose another --storage."
            ) from error

    def lock(self) -> AbstractContextManager[Lock]:
        """Keep other commands from running this sweep during the block.

        Raises:
            UserError: another command is running it.
        """
        return self.files.lock(".lock", f"process {os.getpid()} on {socket.gethostname()}")

    def trial(self, key: str) -> TrialFolder:
        """Return the files of one trial."""
        return TrialFolder(self.files.at("cells", key), key)

    def stamp(self) -> str:
        """Return a text that changes when the sweep's request or a trial's record does, without reading the records."""
        stamps = self.files.stamps("cells").items()
        records = sorted(f"{name} {stamp}" for name, stamp in stamps if name.rpartition("/")[2] in RECORDS)
        return hashlib.sha256("\n".join([*records, ""]).encode() + self.files.read("sweep.json")).hexdigest()

    def trials(self) -> list[TrialFolder]:
        """Return all trials that were created, sorted by key."""
        folders = [self.trial(key) for key in self.files.names("cells")]
        created = in_parallel(lambda folder: folder.files.exists("config.json"), folders)
        return [folder for folder, exists in zip(folders, created, strict=True) if exists]

    def without_config(self, known: Iterable[TrialFolder]) -> list[str]:
        """Return the keys of trials that have records but are not among `known`, since their config was lost."""
        others = {*self.files.names("cells")} - {folder.key for folder in known}
        folders = [self.trial(key) for key in sorted(others)]
        lost = in_parallel(_is_without_config, folders)
        return [folder.key for folder, is_lost in zip(folders, lost, strict=True) if is_lost]


def _is_without_config(folder: TrialFolder) -> bool:
    """Return whether a trial was begun: one that is being created has only an empty file of evaluations."""
    names = folder.files.names()
    if "config.json" in names:
        return False
    begun = {"outcome.json", "scores.jsonl", "owner", "seal.json"} & {*names}
    return bool(begun) or ("metrics.jsonl" in names and bool(read_lines(folder.files, "metrics.jsonl", [])))


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function to all items in parallel."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _state_name(iteration: int) -> str:
    return f"state-{iteration:09d}.npz"


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, default=str) + "\n").encode()
