"""What a sweep keeps, in a folder or on an object store.

    STORAGE/NAME/
        sweep.json                    the sweep as it was asked for, versions, commit
        progress.json                 how far the command that runs it has come, while it runs
        cells/KEY/config.json         what the trial is
        cells/KEY/metrics.jsonl       its evaluations, a line each, in the order of iterations
        cells/KEY/state-ITERATION.npz its latest state and the one before: weights, optimiser, iteration
        cells/KEY/scores.jsonl        scores that were added to its evaluations, a line each time
        cells/KEY/outcome.json        how it ended; absent while it has not
        cells/KEY/seal.json           checksums of its evaluations and its outcome, once it has ended
        cells/KEY/owner               the worker that took it up last
        tensorboard/LABEL/            event files
        extensions/NAME.py            the user's files that it was run with, to read; they are never run from there
        aside/                        what did not agree with the rest, and was written anew
        .lock                         held by the command that runs the sweep

What is written is replaced as a whole, or appended to by a line. What a trial is, its evaluations and its states are
durable when a call returns; the rest, which is found out again where a power cut takes it, may not be.
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
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

from dd_ray.config import TrialConfig, fields_with
from dd_ray.config.extensions import Extension
from dd_ray.config.recorded import recall
from dd_ray.errors import UserError
from dd_ray.storage.files import Files, Lock, NoFileError, open_files
from dd_ray.storage.records import DamagedError, damaged, read_lines, read_object
from dd_ray.storage.seals import CHECK, checksum, first_wrong, is_whole, links, signed, unsigned

State = Literal["finished", "stopped_early", "diverged", "failed"]
Item = TypeVar("Item")
Result = TypeVar("Result")
REACHING = ("finished", "stopped_early")
"""States of trials that end with an evaluation."""
RECORDS = ("config.json", "metrics.jsonl", "scores.jsonl", "outcome.json", "seal.json")
"""Files of a trial that say what it is, how it did and how it ended."""
STATES_KEPT = 2
"""The latest state of a trial, and one to go back to if that turns out to be damaged."""
AT_ONCE = 16
"""Trials whose files are read or written side by side; what takes time is waiting for the storage."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended."""

    state: State
    iteration: int
    error: str | None = None
    """Of a failed trial, what was raised."""
    trace: str | None = None
    """Of a failed trial, where."""


@dataclass(frozen=True, kw_only=True)
class TrialRecords:
    """All that is recorded of a trial."""

    config: dict[str, Any]
    label: str
    evaluations: list[dict[str, Any]]
    scores: dict[int, dict[str, float | None]]
    """Those that were added, by iteration."""
    outcome: Outcome | None
    notes: list[str]
    """What is damaged and does no harm: it is left out here, and found out again."""


class TakenOverError(RuntimeError):
    """A worker that was cut off comes back, while another has its trial."""


@dataclass(frozen=True)
class TrialFolder:
    """One trial's files."""

    files: Files
    key: str
    """Content address of the trial."""

    def create(self, config: dict[str, Any], label: str) -> None:
        """Write what the trial is, unless that is known already; and where its data is, if that has moved."""
        if not self.files.exists("config.json") or self._has_moved(config):
            if not self.files.exists("metrics.jsonl"):
                # Made durable with the next, and not by the worker, which would wait for it.
                self.files.write("metrics.jsonl", b"", durable=False)
            # Through JSON, which makes lists of tuples: the checksum is of what will be read.
            described = json.loads(_json({"config": config, "label": label}))
            self.files.write("config.json", _json(signed(described, self.key)))

    def _has_moved(self, config: dict[str, Any]) -> bool:
        # Not asked of the storage, which may be slow, for the many trials whose data is no file.
        places = {name: config[name] for name in fields_with(in_key=False) if config.get(name) is not None}
        return bool(places) and not places.items() <= self.describe()["config"].items()

    def describe(self) -> dict[str, Any]:
        """The `config` and `label` that the trial was created with.

        Raises:
            FileNotFoundError: it was not.
            DamagedError: they are not what was written, or are another trial's.
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
        """The recorded evaluations. A last line that a kill cut short counts as not written.

        Of two of the same iteration the first counts: two workers may have recorded it at the same moment.

        Raises:
            DamagedError: they are not what was recorded, as far as that can be told without how it ended.
        """
        return [unsigned(row) for row in self._signed_evaluations()]

    def sound(self) -> TrialRecords | None:
        """All that is recorded; None where there is none or its files do not agree, since it begins anew then."""
        try:
            return self.read()
        except (FileNotFoundError, DamagedError):
            return None

    def sound_evaluations(self) -> list[dict[str, Any]]:
        """The recorded evaluations of `sound`; none where there are none."""
        records = self.sound()
        return records.evaluations if records else []

    def _signed_evaluations(self) -> list[dict[str, Any]]:
        """The recorded evaluations, each with its checksum, also where it was recorded without."""
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
        """Make the caller the one that writes evaluations, and return what proves it."""
        token = uuid.uuid4().hex
        self.files.write("owner", token.encode(), durable=False)
        return token

    def check_owner(self, token: str) -> None:
        """Make sure that no other worker has taken the trial since.

        Raises:
            TakenOverError: one has.
        """
        if self.files.read("owner").decode() != token:
            raise TakenOverError("another worker has taken up this trial, since this one was taken for dead")

    def record(self, evaluation: dict[str, Any]) -> dict[str, Any]:
        """Append an evaluation, and return it as it will be read. NaN and infinity become None.

        One that is there already stays as it is: a worker on a node that was cut off may still be at work on a trial
        that was given to another, and what both come to is the same but for its times.
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
        """Append scores of the network of an iteration, beside those that its evaluation has. NaN becomes None."""
        row = signed({"iteration": iteration, **_finite(scores)}, self.key)
        self.files.append("scores.jsonl", json.dumps(row).encode() + b"\n")

    def scores(self, notes: list[str] | None = None) -> dict[int, dict[str, float | None]]:
        """The added scores by iteration; where one was added twice, the later value.

        Those that are not as they were added are left out, since they can be added again, and said in `notes`.
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
        """Write the state of an iteration, and let go of all but it and the one before.

        Later ones may be there, from which a trial went back since they are damaged: this one is kept nevertheless.
        """
        self.files.write(_state_name(iteration), content)
        others = [other for other in self.states() if other != iteration]
        for old in others[STATES_KEPT - 1 :]:
            self.files.remove(_state_name(old))

    def states(self) -> list[int]:
        """Iterations of which there are states, the latest first."""
        names = (name.removeprefix("state-").removesuffix(".npz") for name in self.files.names())
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def state(self, iteration: int) -> bytes:
        """The state of an iteration."""
        return self.files.read(_state_name(iteration))

    def finish(self, outcome: Outcome) -> None:
        """Write how the trial ended, after what binds it to its evaluations.

        The seal lasts, so that a power cut leaves no outcome beside that of another one.
        """
        ended = asdict(outcome)
        try:
            recorded = [row[CHECK] for row in self._signed_evaluations()]
        except DamagedError:  # the next command finds it, too, and has the trial trained again
            recorded = []
        seal = {"key": self.key, "evaluations": len(recorded), "last": "".join(recorded[-1:])}
        self.files.write("seal.json", _json({**seal, "outcome": checksum(self.key, ended)}))
        self.files.write("outcome.json", _json(ended), durable=False)

    def reopen(self) -> None:
        """Forget how the trial ended, since it goes on."""
        self.files.remove("outcome.json")

    def outcome(self) -> Outcome | None:
        """How the trial ended; None while it has not, and where its files do not agree, since it is trained again."""
        # One that has not ended needs no check.
        records = self.sound() if self.files.exists("outcome.json") else None
        return records.outcome if records else None

    def read(self) -> TrialRecords:
        """All that is recorded of the trial, held against each other.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: its files are not what was written of it, or do not agree.
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
        """How it ended, and the seal if it has one. What is damaged of these is found out again, so it counts as none.

        Raises:
            DamagedError: something else is in the place of one of the files.
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
        if seal is not None and (seal["key"], seal["outcome"]) != (self.key, checksum(self.key, asdict(outcome))):
            notes.append(str(self._not_of_this("outcome.json")))
            return None, None
        return outcome, seal

    def _not_of_this(self, name: str) -> DamagedError:
        return damaged(self.files, name, "it is not what was written for this trial")

    def _check_complete(self, outcome: Outcome, seal: dict[str, Any] | None, recorded: list[dict[str, Any]]) -> None:
        """Make sure that an ended trial has the evaluations that it ended with.

        Raises:
            DamagedError: some are missing.
        """
        number, last = (seal["evaluations"], seal["last"]) if seal else (0, "")
        sealed = [row[CHECK] for row in recorded[number - 1 : number]] if number else [last]
        reached = recorded[-1]["iteration"] if recorded else -1
        if sealed != [last] or (outcome.state in REACHING and reached < outcome.iteration):
            why = f"evaluations are missing: the trial ended at iteration {outcome.iteration}"
            raise damaged(self.files, "metrics.jsonl", f"{why}, and they end at {reached}" if recorded else why)


@dataclass(frozen=True)
class SweepFolder:
    """All files of a sweep."""

    files: Files

    @classmethod
    def at(cls, location: str | Path) -> "SweepFolder":
        """The folder or URL of a sweep, whether or not there is one yet.

        Raises:
            UserError: the URL is none that can be used.
        """
        return cls(open_files(location))

    @classmethod
    def open(cls, location: str | Path) -> "SweepFolder":
        """The folder or URL of a sweep that exists.

        What it recorded of extensions is declared, so that its configs can be read; their code is not run.

        Raises:
            UserError: there is no sweep, or what it was asked for is damaged.
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
    def folder(self) -> Path:
        """Where it is, for what needs a folder.

        Raises:
            UserError: it is on an object store.
        """
        if self.files.local is None:
            raise UserError(f"{self.location} is no folder, which this needs; give a sweep that is kept in one.")
        return self.files.local

    def manifest(self) -> dict[str, Any] | None:
        """The sweep as it was asked for, or None before that.

        Raises:
            DamagedError: it is damaged.
        """
        try:
            return read_object(self.files, "sweep.json")
        except FileNotFoundError:
            return None

    def progress(self) -> dict[str, Any] | None:
        """What the command that runs the sweep said last of how far it is; nothing where that is damaged."""
        try:
            return read_object(self.files, "progress.json")
        except (FileNotFoundError, DamagedError):
            return None

    def set_aside(self, name: str) -> str:
        """Give a file or folder that is damaged another name, below `aside`, so that it can be written anew.

        Returns:
            Where it is now.
        """
        taken = set(self.files.names("aside"))
        new = next(new for n in count(1) if (new := f"{name.rpartition('/')[2]}-{n}") not in taken)
        self.files.move(name, f"aside/{new}")
        return self.files.at("aside", new).location

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write what is asked for."""
        self.files.write("sweep.json", _json(manifest))

    def keep_extensions(self, extensions: Iterable[Extension]) -> None:
        """Write copies of the user's files that declare what its trials are made of."""
        for extension in extensions:
            self.files.write(f"extensions/{extension.name}", extension.text.encode())

    def write_progress(self, progress: dict[str, Any]) -> None:
        """Write how far the sweep is."""
        self.files.write("progress.json", _json(progress), durable=False)

    def board(self, label: str) -> Files:
        """The folder of a trial's event files. What is in its place and is no folder is set aside."""
        for name in ("tensorboard", f"tensorboard/{label}"):
            path = self.files.local / name if self.files.local else None
            if path is not None and os.path.lexists(path) and not path.is_dir():
                self.set_aside(name)
        return self.files.at("tensorboard", label)

    def check(self) -> None:
        """Make sure that something can be kept here.

        Raises:
            UserError: it cannot.
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
        """Keep other commands from running this sweep meanwhile.

        Raises:
            UserError: one is running it.
        """
        return self.files.lock(".lock", f"process {os.getpid()} on {socket.gethostname()}")

    def trial(self, key: str) -> TrialFolder:
        """One trial's files."""
        return TrialFolder(self.files.at("cells", key), key)

    def stamp(self) -> str:
        """A text that changes when the sweep's request or a trial's record does, found without reading the records."""
        stamps = self.files.stamps("cells").items()
        records = sorted(f"{name} {stamp}" for name, stamp in stamps if name.rpartition("/")[2] in RECORDS)
        return hashlib.sha256("\n".join([*records, ""]).encode() + self.files.read("sweep.json")).hexdigest()

    def trials(self) -> list[TrialFolder]:
        """All trials that were created, by key."""
        folders = [self.trial(key) for key in self.files.names("cells")]
        created = in_parallel(lambda folder: folder.files.exists("config.json"), folders)
        return [folder for folder, exists in zip(folders, created, strict=True) if exists]

    def without_config(self, known: Iterable[TrialFolder]) -> list[str]:
        """Keys of trials that have records and do not say what they are, as `known` ones do: their config was lost."""
        others = {*self.files.names("cells")} - {folder.key for folder in known}
        folders = [self.trial(key) for key in sorted(others)]
        lost = in_parallel(_is_without_config, folders)
        return [folder.key for folder, is_lost in zip(folders, lost, strict=True) if is_lost]


def _is_without_config(folder: TrialFolder) -> bool:
    """Whether a trial was begun: one that is only being created has an empty file of evaluations, and nothing else."""
    names = folder.files.names()
    if "config.json" in names:
        return False
    begun = {"outcome.json", "scores.jsonl", "owner", "seal.json"} & {*names}
    return bool(begun) or ("metrics.jsonl" in names and bool(read_lines(folder.files, "metrics.jsonl", [])))


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`function` of each item, side by side."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def _state_name(iteration: int) -> str:
    return f"state-{iteration:09d}.npz"


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, default=str) + "\n").encode()
