"""Files in a folder, local or shared."""

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dd_ray.config.urls import own_path
from dd_ray.errors import UserError
from dd_ray.storage.files.answers import Answers, BlockedError
from dd_ray.storage.files.base import (
    KINDS,
    LEASE,
    Files,
    Lease,
    Lock,
    LockedError,
    NoFileError,
    cannot_be_locked,
    check_size,
    complete_lines,
)

SECONDS_TO_CLOSE = 5.0
"""Seconds for which the end of a lock waits until the storage has taken note of it."""
SECONDS_OF_A_DRAFT = 60.0
"""Seconds after its last change from which on no writer waits for a draft any more, see `SECONDS_TO_ANSWER`."""
LONGEST_IN_DRAFT = 50
"""Characters of a file's name that the name of its draft repeats: 200 bytes at most, of the 255 that a name may
have."""
_DRAFT = re.compile(r"\..+\.[0-9a-f]{32}", re.DOTALL)
"""Matches the names that `_replace` gives to drafts."""


class LocalFiles(Files):
    """Files in a folder. What is written is waited for only for a while, and then raises `BlockedError`.

    Args:
        folder: where they are.
        answers: of the storage, shared by all folders of it.
    """

    def __init__(self, folder: Path, answers: Answers | None = None) -> None:
        self.local: Path = folder
        self.location = str(folder)
        self._answers = answers or Answers()

    def at(self, *parts: str) -> "LocalFiles":
        return LocalFiles(self._path(str(Path(*parts))), self._answers)

    def _path(self, name: str) -> Path:
        """Return the path of a file or folder, which no name may place elsewhere.

        Names come out of others' archives and sweeps, too.
        """
        named = Path(name)
        if named.is_absolute() or ".." in named.parts:
            raise ValueError(f"{name!r} leads out of {self.location}.")
        return self.local / named

    def read(self, name: str, most: int | None = None) -> bytes:
        # Opening a pipe would wait for its writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path(name), flags)
        except OSError as error:
            if error.errno == errno.ENOTDIR and not self._path(name).is_symlink() and not self.local.is_dir():
                raise FileNotFoundError(errno.ENOENT, "its folder is a file", name) from error
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
                raise NoFileError("a link, or something else that is no file, is in its place") from error
            raise
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise NoFileError("a folder, or something else that is no file, is in its place")
        with os.fdopen(descriptor, "rb") as file:
            check_size(about.st_size, most)
            return file.read()

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        path = self._path(name)
        self._answers.wait_for(lambda: _replace(path, [content], durable), str(path))

    def write_parts(self, name: str, parts: Iterable[bytes]) -> None:
        path = self._path(name)
        self._answers.wait_for(lambda: _replace(path, parts, durable=True), str(path))

    def append(self, name: str, line: bytes) -> None:
        path = self._path(name)
        if not self.exists(name):
            self.write(name, b"")
        self._answers.wait_for(lambda: _append(path, line), str(path))

    def drop_cut_line(self, name: str) -> None:
        """Drop a file's last line if a kill or a full disk cut it short. For files that another library appends to."""
        path = self._path(name)
        if not self.exists(name):
            return
        with open_in_place(path, "rb+") as file:
            content = file.read()
            if (complete := complete_lines(content)) < len(content):
                file.truncate(complete)

    def exists(self, name: str) -> bool:
        path = self._path(name)
        return self._answers.wait_for(path.exists, str(path))

    def names(self, folder: str = "") -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._path(folder)) if not name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def stamps(self, folder: str) -> dict[str, str]:
        root, found = self._path(folder), dict[str, str]()
        for path in (Path(parent, name) for parent, _, names in os.walk(root) for name in names):
            with suppress(FileNotFoundError):  # it was replaced just now
                about = path.lstat()
                found[path.relative_to(root).as_posix()] = f"{about.st_size} {about.st_mtime_ns}"
        return found

    def remove(self, name: str) -> None:
        path = self._path(name)
        self._answers.wait_for(lambda: _remove(path), str(path))

    def remove_folder(self, name: str = "") -> None:
        if link := self.link_in(name):
            raise NoFileError(f"{link} is a link, which is not followed; take it away")
        path = self._path(name)
        self._answers.wait_for(lambda: _remove_folder(path), str(path))

    def link_in(self, name: str) -> str | None:
        parts = Path(name).parts
        paths = [self.local.joinpath(*parts[:number]) for number in range(1, len(parts) + 1)] or [self.local]
        return next((str(path) for path in paths if path.is_symlink()), None)

    def move(self, name: str, to: str) -> None:
        path, target = self._path(name), self._path(to)
        self._answers.wait_for(lambda: _move(path, target), str(path))

    def remove_drafts(self) -> None:
        with suppress(OSError):  # nothing depends on it
            # By the storage's own clock, which dates its files: that of this machine may differ. The file that is dated
            # is named as a draft, so that one which a kill leaves is removed as they are.
            with tempfile.NamedTemporaryFile(dir=self.local, prefix=".clock", suffix=f".{uuid.uuid4().hex}") as new:
                latest = os.fstat(new.fileno()).st_mtime - SECONDS_OF_A_DRAFT
            for path in (Path(parent, name) for parent, _, names in os.walk(self.local) for name in names):
                with suppress(OSError):
                    if _DRAFT.fullmatch(path.name) and path.lstat().st_mtime < latest:
                        path.unlink()

    @contextmanager
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> Iterator[Lock]:
        path = self._path(name)
        try:
            _make_folder(path.parent)
            file = open_in_place(path, "ab+")
        except OSError as error:
            raise cannot_be_locked(self.location, error.strerror) from error
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                holder = file.read().decode(errors="replace").strip()  # none has it just before it says so
                raise LockedError(self.location, holder or "another command") from error
            except OSError as error:
                raise cannot_be_locked(self.location, error.strerror) from error
            file.truncate(0)
            file.write(who.encode())
            file.flush()
            yield _FileLock(self, name, who)
        finally:
            # Tried also where nothing else is answered; it is let go of with the process at the latest.
            with suppress(BlockedError):
                Answers(SECONDS_TO_CLOSE).wait_for(file.close, str(path))


class _FileLock(Lock):
    """A lock of a file that names its holder.

    It is lost where the file is removed, with its folder or without, since another process can then make and lock a new
    one; and where another writes its name there, on a file system that locks files for one machine alone.
    """

    def __init__(self, files: LocalFiles, name: str, who: str) -> None:
        self._files, self._name, self._who = files, name, who

    @property
    def held(self) -> bool:  # type: ignore[override]
        try:
            return self._files.read(self._name) == self._who.encode()
        except (FileNotFoundError, NoFileError):
            return False
        except OSError:  # that it cannot be read now says nothing
            return True


def open_folder(folder: Path) -> LocalFiles:
    """Open a folder, which need not exist yet.

    Raises:
        UserError: it is a file, may not be read, or has a name that none can have.
    """
    folder = own_path(folder)
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return LocalFiles(folder)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{folder} cannot be opened ({why}); give another folder.") from error
    if not stat.S_ISDIR(mode):
        raise UserError(f"{folder} is a file; give {KINDS}.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{folder} may not be read; ask its owner for access, or give another folder.")
    return LocalFiles(folder)


def _replace(path: Path, parts: Iterable[bytes], durable: bool) -> None:
    """Write a file beside the one that is there, and put it in its place."""
    _make_folder(path.parent)
    # Not tempfile, whose files only their owner may read. Cut, since a name may be as long as names can be.
    draft = path.with_name(f".{path.name[:LONGEST_IN_DRAFT]}.{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.writelines(parts)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def _append(path: Path, line: bytes) -> None:
    """Add a line to a file that is there."""
    with open_in_place(path, "ab+") as file:
        size = file.seek(0, os.SEEK_END)
        complete = _complete(file, size)
        if complete < size:
            os.ftruncate(file.fileno(), complete)
        try:
            # At the end of the file, wherever that is by now: it must not land in a line of another writer. And not
            # through a buffer, which would be written once more when the file is closed.
            left = memoryview(line)
            while left:
                left = left[os.write(file.fileno(), left) :]
            os.fsync(file.fileno())
        except OSError:
            # What was not acknowledged must not be read: the caller may add it again.
            os.ftruncate(file.fileno(), complete)
            raise


def _complete(file: IO[bytes], size: int) -> int:
    """Return the length of a file without a last line that was cut short. Only one with such a line is read whole."""
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return complete_lines(file.read(size))


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        _sync_folder(path.parent)


def _remove_folder(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path)  # where this system can, by descriptors, so that a link put there meanwhile is not followed
        _sync_folder(path.parent)


def _move(path: Path, target: Path) -> None:
    _make_folder(target.parent)
    path.rename(target)
    _sync_folder(target.parent)
    _sync_folder(path.parent)


def open_in_place(path: Path, mode: str) -> IO[Any]:
    """Open a file to change it in place. A link is not followed, since it could lead to any file of the user.

    Raises:
        OSError: it is a link, or cannot be opened.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666)

    try:
        return open(path, mode, opener=opener)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link; take it away", str(path)) from error
        raise


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it durably: a file is lost if the entry of its folder is."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Write the entries of a folder through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
