"""The interface to a place for files, which folders and object stores implement."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dd_ray.errors import UserError

KINDS = "a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The times, in seconds, that keep a lock on an object store. Stores date objects to the second."""

    renew: float = 15.0
    """Time between two signs of life of the holder."""
    expire: float = 60.0
    """Time after the last sign of life, after which another process may take the lock."""
    poll: float = 3.0
    """Time between two checks of a process that waits for the lock."""


LEASE = Lease()


class NoFileError(UserError):
    """Something other than a file has the name of a file: a folder, a link or a pipe. Or it is too large to be it."""


class LockedError(UserError):
    """Another process holds a lock."""

    def __init__(self, location: str, who: str) -> None:
        super().__init__(f"{location} is being run already, by {who}; wait for it, or choose another --name.")
        self.who = who


class Lock:
    """A lock that a process holds."""

    held: bool = True
    """False once it was lost: what stands for it was removed, or another process took it, while this one was stopped or
    cut off from the store."""


class Files(ABC):
    """Files below one location."""

    location: str
    """Absolute path or URL, which `open_files` takes, here or on another machine."""
    local: Path | None = None
    """The folder; None for an object store."""

    @abstractmethod
    def at(self, *parts: str) -> "Files":
        """Return the files below a folder of this one, through the same connection."""

    @abstractmethod
    def read(self, name: str, most: int | None = None) -> bytes:
        """Read a file: the content that one `write` or `append` left, never a mixture of two.

        Args:
            name: of the file.
            most: bytes that it may have; None for any number.

        Raises:
            FileNotFoundError: there is none.
            NoFileError: something else has its name, or it has more bytes, of which none is read. Links are not
                followed, since they may lead out of the sweep.
        """

    @abstractmethod
    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Replace a file as a whole, and make the folders above it. A reader sees the old content or the new.

        If it is not `durable`, a power cut may leave the old content, no file or an empty file.

        Raises:
            OSError: it was not written; the old content is still there.
            BlockedError: the storage does not answer; it may be written later.
        """

    @abstractmethod
    def write_parts(self, name: str, parts: Iterable[bytes]) -> None:
        """Replace a file as `write` does, by the parts of its content one after the other, which memory need not hold.

        Where a part cannot be made and raises, an object store keeps those before it.
        """

    @abstractmethod
    def append(self, name: str, line: bytes) -> None:
        """Append a line, which ends with a newline. A last line that a kill cut short is dropped. For a single writer.

        Raises:
            OSError: it was not written; the lines before it are still there.
        """

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Return whether there is such a file or folder."""

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """List files and folders directly below a folder, sorted, without hidden ones; none if there is no folder."""

    @abstractmethod
    def stamps(self, folder: str) -> dict[str, str]:
        """Return size and time of the last change of every file below a folder, as text, by its name there."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    @abstractmethod
    def remove_folder(self, name: str = "") -> None:
        """Remove a folder, if it exists, with all that is in it. Links in it are removed and not followed.

        Raises:
            NoFileError: a link is in its place, or in that of a folder above it.
        """

    def link_in(self, name: str) -> str | None:
        """Return the first link on the way from here to a file or folder, itself included; None if there is none."""
        return None

    def size(self, folder: str = "") -> int:
        """Return the bytes of all files below a folder."""
        return sum(int(stamp.partition(" ")[0]) for stamp in self.stamps(folder).values())

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Rename a file, or a folder with all that is in it; links are moved and not followed."""

    def remove_drafts(self) -> None:
        """Remove what writers that were killed have left of files that they had not finished; a store keeps none."""
        return

    @abstractmethod
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> AbstractContextManager[Lock]:
        """Hold a lock during the block. `who` tells others who holds it; `lease` matters on object stores only.

        Raises:
            LockedError: another process holds it.
            UserError: there can be no lock.
        """


def check_size(size: int, most: int | None) -> None:
    """Make sure that a file of some size may be read whole.

    Raises:
        NoFileError: it has more bytes than it may.
    """
    if most is not None and size > most:
        raise NoFileError(f"it has {size >> 20:,} MB, and may have {most >> 20}")


def complete_lines(content: bytes) -> int:
    """Return the length of a text without a last line that was cut short."""
    return content.rfind(b"\n") + 1


def cannot_be_locked(location: str, reason: str | None) -> UserError:
    """Return the error that says why there can be no lock."""
    return UserError(f"{location} cannot be locked ({reason}); choose another --storage.")
