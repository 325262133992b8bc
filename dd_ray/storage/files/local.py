"""Files in a folder, local or shared."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dd_ray.config.urls import own_path
from dd_ray.errors import UserError
from dd_ray.storage.files.base import KINDS, LEASE, Files, Lease, Lock, cannot_be_locked, complete_lines, is_locked

LONGEST_IN_DRAFT = 50
"""Characters of a file's name that are in the name of its draft: 200 bytes at most, of the 255 that a name may have."""


class LocalFiles(Files):
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.local: Path = folder
        self.location = str(folder)

    def at(self, *parts: str) -> "LocalFiles":
        return LocalFiles(self.local.joinpath(*parts))

    def read(self, name: str) -> bytes:
        return (self.local / name).read_bytes()

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        path = self.local / name
        _make_folder(path.parent)
        # Not tempfile, whose files only their owner may read. Cut, since a name may be as long as names can be.
        draft = path.with_name(f".{path.name[:LONGEST_IN_DRAFT]}.{uuid.uuid4().hex}")
        try:
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        if durable:
            _sync_folder(path.parent)

    def append(self, name: str, line: bytes) -> None:
        path = self.local / name
        if not path.exists():
            self.write(name, b"")
        content = path.read_bytes()
        complete = complete_lines(content)
        if complete < len(content):
            os.truncate(path, complete)
        try:
            # At the end of the file, wherever that is by now: it must not land in a line of another writer.
            with path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # What was not acknowledged must not be read: the caller may add it again.
            os.truncate(path, complete)
            raise

    def drop_cut_line(self, name: str) -> None:
        """Drop a last line that a kill or a full disk cut short, of a file that another library appends to."""
        path = self.local / name
        if path.exists() and (complete := complete_lines(path.read_bytes())) < path.stat().st_size:
            os.truncate(path, complete)

    def exists(self, name: str) -> bool:
        return (self.local / name).exists()

    def names(self, folder: str = "") -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.local / folder) if not name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, name: str) -> None:
        path = self.local / name
        with suppress(FileNotFoundError):
            path.unlink()
            _sync_folder(path.parent)

    @contextmanager
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> Iterator[Lock]:
        path = self.local / name
        try:
            _make_folder(path.parent)
            file = path.open("a+")
        except OSError as error:
            raise cannot_be_locked(self.location, error.strerror) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise is_locked(self.location, file.read().strip()) from error
            except OSError as error:
                raise cannot_be_locked(self.location, error.strerror) from error
            file.truncate(0)
            file.write(who)
            file.flush()
            yield Lock()


def open_folder(folder: Path) -> LocalFiles:
    """The files of a folder, which need not exist yet.

    Raises:
        UserError: it is a file, or may not be read.
    """
    folder = own_path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give {KINDS}.")
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder} may not be read; ask its owner for access, or give another folder.")
    return LocalFiles(folder)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, to last: a file is lost with a folder whose own entry was."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Put the entries of a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
