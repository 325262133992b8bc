"""What a place for files can do, whatever it is."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dd_ray.errors import UserError

KINDS = "a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The times, in seconds, by which a lock is kept on an object store. Stores date an object to the second."""

    renew: float = 15.0
    """Between two signs of life of the holder."""
    expire: float = 60.0
    """After the last of them, another may take the lock."""
    poll: float = 3.0
    """Between two looks of one who asks for it."""


LEASE = Lease()


class NoFileError(UserError):
    """Something else than a file is where one is to be: a folder, a link, a pipe."""


class Lock:
    """A lock that is held."""

    held: bool = True
    """False once it was lost: another took it, while this process was stopped or cut off from the store."""


class Files(ABC):
    """Files below one location."""

    location: str
    """Absolute path, or URL: what `open_files` takes, here or on another machine."""
    local: Path | None = None
    """The folder, where it is one."""

    @abstractmethod
    def at(self, *parts: str) -> "Files":
        """The files below a folder of this one, through the same connection."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's content: what one `write` or `append` left, never a mixture.

        Raises:
            FileNotFoundError: there is none.
            NoFileError: something else is in its place. Links are not followed: they lead out of the sweep.
        """

    @abstractmethod
    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        """Replace a file as a whole, and make the folders above it. Whoever reads sees the old content or the new.

        Where it is not `durable`, a power cut may leave the old content, or nothing, or an empty file.

        Raises:
            OSError: it was not written; the old content is still there.
        """

    @abstractmethod
    def append(self, name: str, line: bytes) -> None:
        """Add a line, which ends with a newline, after dropping a last line that a kill cut short. For one writer.

        Raises:
            OSError: it was not written; the lines before it are still there.
        """

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Files and folders directly below a folder, sorted, but for the hidden; none where there is no folder."""

    @abstractmethod
    def stamps(self, folder: str) -> dict[str, str]:
        """The size and the time of the last change of every file below a folder, as text, by its name there."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Give a file or folder, with all that is in it, another name; links are moved and not followed."""

    @abstractmethod
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> AbstractContextManager[Lock]:
        """Hold a lock. `who` tells others who holds it; `lease` counts on object stores only.

        Raises:
            UserError: another holds it.
        """


def complete_lines(content: bytes) -> int:
    """Length of a text without a last line that was cut short."""
    return content.rfind(b"\n") + 1


def is_locked(location: str, who: str) -> UserError:
    """What is said where another holds the lock."""
    return UserError(f"{location} is being run already, by {who}; wait for it, or choose another --name.")


def cannot_be_locked(location: str, reason: str | None) -> UserError:
    """What is said where there can be no lock."""
    return UserError(f"{location} cannot be locked ({reason}); choose another --storage.")
