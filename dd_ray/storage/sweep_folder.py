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
        .notes-lock                   held while a note is added

Files are replaced as a whole, or get another line. Configs, evaluations and states are durable when a call returns. The
rest may be lost in a power cut, and is then worked out again.
"""

import hashlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from dd_ray.config.extensions import Extension
from dd_ray.config.recorded import check_recorded_options, recall
from dd_ray.errors import UserError, printable
from dd_ray.storage.files import Files, Lock, LockedError, open_files
from dd_ray.storage.files.locations import name_of
from dd_ray.storage.names import MANIFEST, NOTES, PROGRESS
from dd_ray.storage.records import DamagedError, damaged, json_file, read_object
from dd_ray.storage.trial_records import RECORDS, TrialFolder

Item = TypeVar("Item")
Result = TypeVar("Result")
BESIDE_TRIALS = ("extensions", "starts")
"""Folders that belong to what the trials are: the user's files, and the first weights."""
AT_ONCE = 16
"""Number of trials whose files are read or written in parallel, since most time is spent waiting for the storage."""
SECONDS_TO_NOTE, SECONDS_BETWEEN_TRIES = 30.0, 0.05
"""The longest wait for others who add a note, and the time between two looks whether they have."""


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
            UserError: there is no sweep, its `sweep.json` is damaged, or an extension that is loaded lacks an option of
                its trials.
        """
        folder = cls.at(location)
        if folder.files.local is not None and not folder.files.local.is_dir():
            raise UserError(f"{location} is no folder; give the folder of a sweep, such as results/inertia_grid_quick.")
        if not folder.files.exists(MANIFEST):
            raise UserError(f"{location} holds no sweep (no sweep.json); give a folder that a sweep wrote.")
        manifest = folder.manifest()
        try:
            recall(manifest.get("extensions", []))
            check_recorded_options(manifest.get("extensions", []), str(location))
        except (TypeError, ValueError, LookupError, AttributeError) as error:  # what a declaration holds is its own
            raise damaged(folder.files, MANIFEST, f"extensions: {error}") from error
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

    def manifest(self) -> dict[str, Any]:
        """Return the sweep as it was asked for; empty if it has not been yet.

        Raises:
            DamagedError: it is damaged.
        """
        try:
            return read_object(self.files, MANIFEST)
        except FileNotFoundError:
            return {}

    def progress(self) -> dict[str, Any] | None:
        """Return the progress that the running command wrote last; None if there is none, or it is damaged."""
        try:
            return read_object(self.files, PROGRESS)
        except (FileNotFoundError, DamagedError):
            return None

    def notes(self) -> str:
        """Return what readers have noted of the sweep; an empty text if nothing."""
        return self._noted().decode("utf-8", "replace")

    def _noted(self) -> bytes:
        try:
            return self.files.read(NOTES)
        except FileNotFoundError:
            return b""

    def add_note(self, text: str) -> None:
        """Append a note with the present date. Its further lines are indented, so that it stays one item of a list.

        Raises:
            UserError: the storage cannot be written, or others add notes all the time.
        """
        began = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        lines = "\n  ".join(printable(line) for line in text.strip().splitlines())
        try:
            with self._noting():
                before = self._noted()
                gap = b"\n" if before and not before.endswith(b"\n") else b""
                # Not appended, which drops a last line without an end, as one written by hand may be.
                self.files.write(NOTES, before + gap + f"- {began}: {lines}\n".encode())
        except OSError as error:
            why = error.strerror or error
            raise UserError(f"{self.location} cannot be written ({why}); ask its owner to keep the note.") from error

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Let nobody else add a note during the block, which reads the notes and writes them; wait for those who do.

        Raises:
            UserError: another takes too long.
        """
        deadline = time.monotonic() + SECONDS_TO_NOTE
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(self.files.lock(".notes-lock", _who()))
                    break
                except LockedError as error:
                    if time.monotonic() > deadline:
                        raise UserError(f"{self.location}: {error.who} adds a note; add yours when it has.") from error
                    time.sleep(SECONDS_BETWEEN_TRIES)
                except UserError:  # what cannot be locked may be written all the same, or says why not
                    break
            yield

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
        self.files.write(MANIFEST, json_file(manifest))

    def keep_extensions(self, extensions: Iterable[Extension]) -> None:
        """Write copies of the user's files whose declarations the trials use."""
        for extension in extensions:
            self.files.write(f"extensions/{extension.name}", extension.text.encode())

    def names_beside_trials(self) -> Iterator[str]:
        """Name the files of `BESIDE_TRIALS` that there are.

        Raises:
            UserError: one of the folders is a link.
        """
        for folder in BESIDE_TRIALS:
            self.check_no_link(folder)
            yield from (f"{folder}/{name}" for name in self.files.names(folder))

    def check_no_link(self, folder: str) -> None:
        """Make sure that a folder of a sweep, which may be somebody else's, leads to no files elsewhere.

        Raises:
            UserError: it is a link.
        """
        if link := self.files.link_in(folder):
            raise UserError(f"{link} is a link, which is not followed; put what it leads to in its place.")

    def write_result(self, name: str, content: bytes) -> None:
        """Write a file that was made of the sweep's records, such as a table or a figure, which may have taken long.

        Raises:
            UserError: the sweep was removed meanwhile, and its folder is not to come back.
        """
        if not self.files.exists(MANIFEST):
            raise UserError(f"{self.location} was removed meanwhile; nothing is written there any more.")
        self.files.write(name, content, durable=False)

    def write_progress(self, progress: dict[str, Any]) -> None:
        """Write the progress of the sweep, unless it was removed, since its folder would come back."""
        if self.files.exists(MANIFEST):
            self.files.write(PROGRESS, json_file(progress), durable=False)

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
        return self.files.lock(".lock", _who())

    def trial(self, key: str) -> TrialFolder:
        """Return the files of one trial."""
        return TrialFolder(self.files.at("cells", key), key)

    def stamp(self) -> str:
        """Return a text that changes when the sweep's request or a trial's record does, without reading the records."""
        stamps = self.files.stamps("cells").items()
        records = sorted(f"{name} {stamp}" for name, stamp in stamps if name.rpartition("/")[2] in RECORDS)
        told = "\n".join([*records, ""]).encode("utf-8", "surrogateescape")  # as names of folders may be any bytes
        return hashlib.sha256(told + self.files.read(MANIFEST)).hexdigest()

    def trials(self) -> list[TrialFolder]:
        """Return all trials that were created, sorted by key."""
        folders = [self.trial(key) for key in self.files.names("cells")]
        created = in_parallel(lambda folder: folder.files.exists("config.json"), folders)
        return [folder for folder, exists in zip(folders, created, strict=True) if exists]

    def without_config(self, known: Iterable[TrialFolder]) -> list[str]:
        """Return the keys of trials that have records but are not among `known`, since their config was lost."""
        others = {*self.files.names("cells")} - {folder.key for folder in known}
        folders = [self.trial(key) for key in sorted(others)]
        lost = in_parallel(TrialFolder.has_lost_its_config, folders)
        return [folder.key for folder, is_lost in zip(folders, lost, strict=True) if is_lost]


def _who() -> str:
    """Return what tells others who holds a lock."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply a function to all items in parallel."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))
