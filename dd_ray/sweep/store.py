"""The files of a sweep.

    STORAGE/NAME/
        sweep.json              the sweep as it was asked for, versions, commit
        cells/KEY/config.json   what the cell is
        cells/KEY/metrics.jsonl its evaluations, a line each, in the order of iterations
        cells/KEY/state.npz     its latest state: weights, optimiser, iteration
        cells/KEY/outcome.json  how it ended; absent while it has not
        tensorboard/LABEL/      event files
        tune/                   what Ray Tune itself writes
        .lock                   held by the command that runs the sweep

Files are replaced as a whole or appended to by a line, and are on the disk when a call returns.
"""

import fcntl
import json
import math
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from dd_ray.errors import UserError

State = Literal["finished", "stopped_early", "diverged", "failed"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a cell ended."""

    state: State
    iteration: int
    error: str | None = None
    """Of a failed cell, what was raised."""


@dataclass(frozen=True)
class CellFolder:
    """One cell's files."""

    path: Path

    @property
    def key(self) -> str:
        """Content address of the cell."""
        return self.path.name

    def create(self, config: dict[str, Any], label: str) -> None:
        """Write what the cell is, unless that is known already."""
        if not (self.path / "config.json").exists():
            self.path.mkdir(parents=True, exist_ok=True)
            write_json(self.path / "config.json", {"config": config, "label": label})

    def describe(self) -> dict[str, Any]:
        """The `config` and `label` that the cell was created with."""
        return json.loads((self.path / "config.json").read_text())

    def evaluations(self) -> list[dict[str, Any]]:
        """The recorded evaluations. A last line that a kill cut short counts as not written."""
        try:
            text = (self.path / "metrics.jsonl").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def record(self, evaluation: dict[str, Any]) -> dict[str, Any]:
        """Append an evaluation, and return it as it will be read. NaN and infinity become None."""
        clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in evaluation.items()}
        path = self.path / "metrics.jsonl"
        with path.open("r+b" if path.exists() else "wb") as file:
            complete = path.read_bytes().rfind(b"\n") + 1
            file.truncate(complete)  # a line that a kill cut short
            file.seek(complete)
            file.write(json.dumps(clean).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return clean

    def save_state(self, content: bytes) -> None:
        """Replace the latest state."""
        write_bytes(self.path / "state.npz", content)

    def state_path(self) -> Path | None:
        """File of the latest state, or None before the first."""
        path = self.path / "state.npz"
        return path if path.exists() else None

    def finish(self, outcome: Outcome) -> None:
        """Write how the cell ended."""
        write_json(self.path / "outcome.json", asdict(outcome))

    def reopen(self) -> None:
        """Forget how the cell ended, since it goes on."""
        (self.path / "outcome.json").unlink(missing_ok=True)

    def outcome(self) -> Outcome | None:
        """How the cell ended, or None while it has not."""
        try:
            return Outcome(**json.loads((self.path / "outcome.json").read_text()))
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class SweepFolder:
    """All files of a sweep."""

    path: Path

    @classmethod
    def open(cls, path: str | Path) -> "SweepFolder":
        """The folder of a sweep that exists.

        Raises:
            UserError: there is no sweep.
        """
        folder = cls(Path(path).expanduser().absolute())
        if not folder.path.is_dir():
            raise UserError(f"{path} is no folder; give the folder of a sweep, such as results/inertia_grid_quick.")
        if not folder.manifest_path.is_file():
            raise UserError(f"{path} holds no sweep (no sweep.json); give a folder that a sweep wrote.")
        return folder

    @property
    def manifest_path(self) -> Path:
        """The sweep as it was asked for."""
        return self.path / "sweep.json"

    @property
    def tensorboard(self) -> Path:
        """Log folder to open TensorBoard on."""
        return self.path / "tensorboard"

    def manifest(self) -> dict[str, Any]:
        """The sweep as it was last asked for."""
        return json.loads(self.manifest_path.read_text())

    def check(self, study: str) -> None:
        """Make sure that a sweep of a study can be kept here.

        Raises:
            UserError: the folder cannot be written, or holds a sweep of another study.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()
            theirs = self.manifest()["study"] if self.manifest_path.exists() else study
        except OSError as error:
            raise UserError(
                f"storage {self.path} cannot be written ({error.strerror}); choose another --storage."
            ) from error
        if theirs != study:
            raise UserError(f"{self.path} holds a sweep of study {theirs}, not {study}; choose another --name.")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other commands from running this sweep meanwhile.

        Raises:
            UserError: one is running it.
        """
        with (self.path / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                who = file.read().strip()
                raise UserError(
                    f"{self.path} is being run already, by {who}; wait for it, or choose another --name."
                ) from error
            except OSError as error:
                raise UserError(
                    f"{self.path} cannot be locked ({error.strerror}); choose another --storage."
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def create(self, manifest: dict[str, Any]) -> None:
        """Write what is asked for."""
        (self.path / "cells").mkdir(parents=True, exist_ok=True)
        write_json(self.manifest_path, manifest)

    def cell(self, key: str) -> CellFolder:
        """One cell's files."""
        return CellFolder(self.path / "cells" / key)

    def cells(self) -> Iterator[CellFolder]:
        """All cells, by key."""
        return (CellFolder(path.parent) for path in sorted(self.path.glob("cells/*/config.json")))


def write_json(path: Path, value: Any) -> None:
    """Replace a file by a JSON document."""
    write_bytes(path, (json.dumps(value, indent=1, default=str) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file as a whole: whoever reads it sees the old content or the new, also after a power cut."""
    # Not tempfile, whose files only their owner may read.
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
