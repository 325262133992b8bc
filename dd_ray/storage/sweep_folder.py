"""What a sweep keeps, in a folder or on an object store.

    STORAGE/NAME/
        sweep.json                    the sweep as it was asked for, versions, commit
        progress.json                 how far the command that runs it has come, while it runs
        cells/KEY/config.json         what the trial is
        cells/KEY/metrics.jsonl       its evaluations, a line each, in the order of iterations
        cells/KEY/state-ITERATION.npz its latest state and the one before: weights, optimiser, iteration
        cells/KEY/scores.jsonl        scores that were added to its evaluations, a line each time
        cells/KEY/outcome.json        how it ended; absent while it has not
        cells/KEY/owner               the worker that took it up last
        tensorboard/LABEL/            event files
        extensions/NAME.py            the user's files that it was run with, to read; they are never run from there
        .lock                         held by the command that runs the sweep

What is written is replaced as a whole, or appended to by a line. What a trial is, its evaluations and its states are
durable when a call returns; the rest, which is found out again where a power cut takes it, may not be.
"""

import json
import math
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from dd_ray.config import fields_with
from dd_ray.config.extensions import Extension
from dd_ray.config.recorded import recall
from dd_ray.errors import UserError
from dd_ray.storage.files import Files, Lock, open_files

State = Literal["finished", "stopped_early", "diverged", "failed"]
Item = TypeVar("Item")
Result = TypeVar("Result")
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
            self.files.write("config.json", _json({"config": config, "label": label}))

    def _has_moved(self, config: dict[str, Any]) -> bool:
        # Not asked of the storage, which may be slow, for the many trials whose data is no file.
        places = {name: config[name] for name in fields_with(in_key=False) if config.get(name) is not None}
        return bool(places) and not places.items() <= self.describe()["config"].items()

    def describe(self) -> dict[str, Any]:
        """The `config` and `label` that the trial was created with.

        Raises:
            FileNotFoundError: it was not.
        """
        return json.loads(self.files.read("config.json"))

    def evaluations(self) -> list[dict[str, Any]]:
        """The recorded evaluations. A last line that a kill cut short counts as not written.

        Of two of the same iteration the first counts: two workers may have recorded it at the same moment.
        """
        rows: dict[int, dict[str, Any]] = {}
        for row in self._lines("metrics.jsonl"):
            rows.setdefault(row["iteration"], row)
        return list(rows.values())

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
        recorded = next((row for row in self.evaluations() if row["iteration"] == evaluation["iteration"]), None)
        if recorded is not None:
            return recorded
        clean = _finite(evaluation)
        self.files.append("metrics.jsonl", json.dumps(clean).encode() + b"\n")
        return clean

    def add_scores(self, iteration: int, scores: Mapping[str, float]) -> None:
        """Append scores of the network of an iteration, beside those that its evaluation has. NaN becomes None."""
        self.files.append("scores.jsonl", json.dumps({"iteration": iteration, **_finite(scores)}).encode() + b"\n")

    def scores(self) -> dict[int, dict[str, float | None]]:
        """The added scores by iteration; where one was added twice, the later value."""
        by_iteration: dict[int, dict[str, float | None]] = {}
        for row in self._lines("scores.jsonl"):
            by_iteration.setdefault(row.pop("iteration"), {}).update(row)
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
        """Write how the trial ended."""
        self.files.write("outcome.json", _json(asdict(outcome)), durable=False)

    def reopen(self) -> None:
        """Forget how the trial ended, since it goes on."""
        self.files.remove("outcome.json")

    def outcome(self) -> Outcome | None:
        """How the trial ended, or None while it has not."""
        try:
            return Outcome(**json.loads(self.files.read("outcome.json")))
        except (FileNotFoundError, json.JSONDecodeError):  # the latter after a power cut
            return None

    def _lines(self, name: str) -> list[dict[str, Any]]:
        """The complete lines of a file that is appended to."""
        try:
            content = self.files.read(name)
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


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
            UserError: there is no sweep.
        """
        folder = cls.at(location)
        if folder.files.local is not None and not folder.files.local.is_dir():
            raise UserError(f"{location} is no folder; give the folder of a sweep, such as results/inertia_grid_quick.")
        if not folder.files.exists("sweep.json"):
            raise UserError(f"{location} holds no sweep (no sweep.json); give a folder that a sweep wrote.")
        recall((folder.manifest() or {}).get("extensions", []))
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
        """The sweep as it was asked for, or None before that."""
        return self._read("sweep.json")

    def progress(self) -> dict[str, Any] | None:
        """What the command that runs the sweep said last of how far it is."""
        return self._read("progress.json")

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

    def trials(self) -> list[TrialFolder]:
        """All trials that were created, by key."""
        folders = [self.trial(key) for key in self.files.names("cells")]
        created = in_parallel(lambda folder: folder.files.exists("config.json"), folders)
        return [folder for folder, exists in zip(folders, created, strict=True) if exists]

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return json.loads(self.files.read(name))
        except (FileNotFoundError, json.JSONDecodeError):  # the latter after a power cut
            return None


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
