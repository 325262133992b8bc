"""Where a sweep's files are kept: a folder, local or shared, or an object store by URL.

What returned is durable, what is replaced is replaced as a whole, and nothing is pickled. Names are relative and have
`/` between their parts. Names that begin with a dot are hidden: drafts, which a kill may leave behind, and locks.
"""

import errno
import fcntl
import json
import logging
import os
import random
import re
import shutil
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from dd_ray.errors import UserError

if TYPE_CHECKING:  # its import costs half a second, which only URLs need
    from pyarrow.fs import FileSystem

KINDS = "a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"
OPTIONS = {"s3": ("endpoint_override", "scheme", "region"), "gs": ("endpoint_override", "scheme")}
"""What a URL may say behind its question mark, by scheme."""
REMEDY = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may read and write it",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account that may read and write it",
}
READS = 50
"""Attempts at reading an object that is being replaced all the time."""
REFUSED = re.compile(r"denied|forbidden|unauthenticated|credential|access_key|signature|status 40[13]", re.IGNORECASE)
FULL = re.compile(r"quota_?exceeded|storage_?full|insufficient_?storage|HTTP status 507", re.IGNORECASE)
"""How object stores say that they are full: Ceph QuotaExceeded, MinIO XMinioStorageFull and
XMinioAdminBucketQuotaExceeded, others HTTP's 507 Insufficient Storage."""


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
        """

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Replace a file as a whole, and make the folders above it. Whoever reads sees the old content or the new.

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
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def remove_folder(self, name: str) -> None:
        """Remove a folder and all below it, if it is there."""

    @abstractmethod
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> AbstractContextManager[Lock]:
        """Hold a lock. `who` tells others who holds it; `lease` counts on object stores only.

        Raises:
            UserError: another holds it.
        """


def open_files(location: str | Path) -> Files:
    """The files of a folder, which need not exist yet, or of an object store, which is asked once for access.

    Args:
        location: A folder; `file:///FOLDER`; `s3://BUCKET/PREFIX?endpoint_override=HOST:PORT&scheme=http&region=R`; or
            `gs://BUCKET/PREFIX`. Keys are read from the environment.

    Raises:
        UserError: the location means nothing, cannot be reached or may not be read.
    """
    if isinstance(location, Path) or "://" not in location:
        return _open_folder(Path(location))
    url = urlsplit(location)
    if url.scheme == "file":
        return _open_folder(Path(unquote(url.path)))
    if url.scheme not in OPTIONS:
        raise UserError(f"{location} is of an unknown kind, {url.scheme}://; give {KINDS}.")
    return _open_store(location, url)


def out_of_space(error: BaseException) -> bool:
    """Whether an error, or what caused it, says that the storage is full or a quota used up."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (cause.errno in (errno.ENOSPC, errno.EDQUOT) or FULL.search(str(cause))):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


class LocalFiles(Files):
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.local: Path = folder
        self.location = str(folder)

    def at(self, *parts: str) -> "LocalFiles":
        return LocalFiles(self.local.joinpath(*parts))

    def read(self, name: str) -> bytes:
        return (self.local / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        path = self.local / name
        _make_folder(path.parent)
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
        _sync_folder(path.parent)

    def append(self, name: str, line: bytes) -> None:
        path = self.local / name
        if not path.exists():
            self.write(name, b"")
        with path.open("rb") as file:
            complete = _complete_lines(file.read())
        try:
            with path.open("r+b") as file:
                file.truncate(complete)
                file.seek(complete)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # What was not acknowledged must not be read: the caller may add it again.
            os.truncate(path, complete)
            raise

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

    def remove_folder(self, name: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.local / name)

    @contextmanager
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> Iterator[Lock]:
        path = self.local / name
        try:
            _make_folder(path.parent)
            file = path.open("a+")
        except OSError as error:
            raise _cannot_be_locked(self.location, error.strerror) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise _is_locked(self.location, file.read().strip()) from error
            except OSError as error:
                raise _cannot_be_locked(self.location, error.strerror) from error
            file.truncate(0)
            file.write(who)
            file.flush()
            yield Lock()


def _open_folder(folder: Path) -> LocalFiles:
    folder = folder.expanduser().absolute()
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


def _complete_lines(content: bytes) -> int:
    """Length of a text without a last line that was cut short."""
    return content.rfind(b"\n") + 1


@dataclass(frozen=True)
class ObjectFiles(Files):
    """Files in an object store."""

    url: SplitResult
    patient: "FileSystem"
    """Rides out an outage of half a minute."""
    brief: "FileSystem"
    """Fails within seconds, for those who wait or try again themselves."""

    @property
    def location(self) -> str:  # type: ignore[override]
        return self.url.geturl()

    def at(self, *parts: str) -> "ObjectFiles":
        path = "/".join([self.url.path.rstrip("/"), *(quote(part.strip("/")) for part in parts)])
        return replace(self, url=self.url._replace(path=path))

    def path(self, name: str = "") -> str:
        """Bucket and key."""
        return "/".join(filter(None, [_bucket(self.url), unquote(self.url.path).strip("/"), name]))

    def read(self, name: str) -> bytes:
        path = self.path(name)
        for attempt in range(READS):
            # S3 is asked first for the size and then for as many bytes: an object that was replaced in between by a
            # longer one would be cut. Google's store refuses or closes a file that was replaced meanwhile.
            try:
                with self.patient.open_input_file(path) as file:
                    content, version = file.read(), file.metadata()
                with self.patient.open_input_file(path) as file:
                    if file.metadata() == version:
                        return content
            except FileNotFoundError:
                if not self.exists(name):
                    raise
            except ValueError:
                if attempt == READS - 1:
                    raise
        raise OSError(errno.EBUSY, "replaced each time that it was read", self.at(name).location)

    def write(self, name: str, content: bytes) -> None:
        _put(self.patient, self.path(name), content)

    def append(self, name: str, line: bytes) -> None:
        try:
            old = self.read(name)
        except FileNotFoundError:
            old = b""
        self.write(name, old[: _complete_lines(old)] + line)

    def exists(self, name: str) -> bool:
        from pyarrow.fs import FileType  # noqa: PLC0415

        return self.patient.get_file_info(self.path(name)).type != FileType.NotFound

    def names(self, folder: str = "") -> list[str]:
        from pyarrow.fs import FileSelector  # noqa: PLC0415

        path = self.path(folder)
        # On Google's store pyarrow lists no folder but those that it was told to make, so all below is listed there.
        selector = FileSelector(path, allow_not_found=True, recursive=self.url.scheme == "gs")
        found = self.patient.get_file_info(selector)
        names = {info.path.removeprefix(path + "/").partition("/")[0] for info in found}
        return sorted(name for name in names if not name.startswith("."))

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.patient.delete_file(self.path(name))

    def remove_folder(self, name: str) -> None:
        try:
            self.patient.delete_dir(self.path(name))
        except OSError:  # for Google's store a missing folder is an error without a kind
            if self.exists(name):
                raise

    @contextmanager
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> Iterator[Lock]:
        claims = Claims(self.brief, self.path(name), who, lease)
        try:
            rival = claims.acquire()
        except OSError as error:
            raise _cannot_be_locked(self.location, _reason(error)) from error
        if rival is not None:
            raise _is_locked(self.location, rival)
        with claims.kept():
            yield claims


class Claims(Lock):
    """A lock on a store that can neither lock nor write on a condition: a folder in which each process puts a claim.

    A process that asks puts its claim, then lists the folder: it has the lock if it sees no other claim that is fresh,
    and withdraws its own if it does. A store lists whatever was put before (Amazon S3 since 2020, Google), so of two
    that ask at once at most one finds itself alone. The holder puts its claim again and again; a claim that has become
    old is its owner's death. Ages are differences of the store's own times of modification: no machine's clock counts.

    What this cannot prevent: a holder that was stopped for longer than a lease, while another took the lock, writes
    until it has noticed.
    """

    def __init__(self, store: "FileSystem", folder: str, who: str, lease: Lease) -> None:
        self._store, self._folder, self._who, self._lease = store, folder, who, lease
        self._name = ""
        self._stop = threading.Event()

    def acquire(self) -> str | None:
        """Take the lock, or return who holds it. Waits for a sign of life of the holder, or for its lease to end."""
        seen: dict[str, int] = {}
        deadline = time.monotonic() + self._lease.expire + 3 * self._lease.poll
        while rivals := self._ask():
            # An asking process takes a new name each time, so that only a holder is seen to renew its claim.
            alive = [name for name, at in rivals.items() if seen.get(name, at) != at]
            if alive or time.monotonic() > deadline:
                return self._owner((alive or list(rivals))[0])
            if not seen:
                logging.getLogger(__name__).warning(
                    f"{self._folder} is held by {self._owner(next(iter(rivals)))}; "
                    f"seeing whether it is alive, which takes up to {self._lease.expire:.0f} s"
                )
            seen = rivals
            time.sleep(self._lease.poll * random.uniform(0.5, 1.5))  # two that ask at once must not go on in step
        return None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the claim meanwhile, and withdraw it at the end."""
        thread = threading.Thread(target=self._renew_until_stopped, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            with suppress(OSError):  # it runs out by itself, and the caller may have an error of its own
                self._withdraw(self._name)

    def _ask(self) -> dict[str, int]:
        """Take the lock, or return the fresh claims of others."""
        self._name = uuid.uuid4().hex
        self._put()
        try:
            claims = self._times()
            now = claims.pop(self._name)
            rivals = {name: at for name, at in claims.items() if now - at <= self._lease.expire * 1e9}
        except BaseException:
            self._withdraw(self._name)
            raise
        for name in [self._name] if rivals else claims:
            self._withdraw(name)
        return rivals

    def _renew_until_stopped(self) -> None:
        renewed = time.monotonic()
        while self.held and not self._stop.wait(self._lease.renew):
            began = time.monotonic()
            with suppress(OSError):  # the next attempt may succeed
                self.held = self._renew(late=began - renewed > 0.75 * self._lease.expire)
                renewed = began

    def _renew(self, late: bool) -> bool:
        """Put the claim again, and return whether the lock is still held."""
        if self._name not in self._times():
            return False
        self._put()
        # Another may have listed the folder while this claim was old, and have the lock now.
        return not (late and self._times().keys() - {self._name})

    def _put(self) -> None:
        _put(self._store, f"{self._folder}/{self._name}", json.dumps({"who": self._who}).encode())

    def _withdraw(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._store.delete_file(f"{self._folder}/{name}")

    def _times(self) -> dict[str, int]:
        return _times(self._store, self._folder)

    def _owner(self, name: str) -> str:
        try:
            with self._store.open_input_file(f"{self._folder}/{name}") as file:
                return json.loads(file.read())["who"]
        except FileNotFoundError:
            return "another command"


def _put(store: "FileSystem", path: str, content: bytes) -> None:
    def put() -> None:
        with store.open_output_stream(path) as stream:
            stream.write(content)

    # An interrupt between the opening and the writing would replace the object by an empty one. Only the main thread is
    # interrupted.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(put).result()


def _times(store: "FileSystem", path: str) -> dict[str, int]:
    """When each object directly below a folder was last put, by the store's clock, in nanoseconds."""
    from pyarrow.fs import FileSelector  # noqa: PLC0415

    found = store.get_file_info(FileSelector(path, allow_not_found=True))
    return {info.base_name: info.mtime_ns or 0 for info in found}


def _bucket(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2]


def _open_store(location: str, url: SplitResult) -> ObjectFiles:
    options = dict(parse_qsl(url.query))
    if not _bucket(url):
        raise UserError(f"{location} names no bucket; give {KINDS}.")
    if "@" in url.netloc and not (url.scheme == "gs" and url.username == "anonymous" and url.password is None):
        raise UserError(f"a URL with keys would be stored with the sweep; take them out, and {REMEDY[url.scheme]}.")
    if unknown := options.keys() - OPTIONS[url.scheme]:
        raise UserError(
            f"{location} has the unknown option {min(unknown)}; there are {', '.join(OPTIONS[url.scheme])}."
        )
    try:
        files = (_open_s3 if url.scheme == "s3" else _open_gcs)(url, options)
    except FileNotFoundError as error:
        raise UserError(f"{location}: there is no bucket {_bucket(url)}; create it, or correct the name.") from error
    except OSError as error:
        reason = _reason(error)
        if REFUSED.search(reason):
            raise UserError(f"{location}: access was refused ({reason}); {REMEDY[url.scheme]}.") from error
        raise UserError(
            f"{location} cannot be reached ({reason}); check the address, its region and the network."
        ) from error
    return files


def _open_s3(url: SplitResult, options: dict[str, str]) -> ObjectFiles:
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region  # noqa: PLC0415

    if "endpoint_override" not in options and "region" not in options:
        options["region"] = resolve_s3_region(_bucket(url))

    def connect(attempts: int) -> "FileSystem":
        return S3FileSystem(
            **{"region": os.environ.get("AWS_REGION", "us-east-1"), **options},
            connect_timeout=2,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=attempts),
            allow_delayed_open=True,  # a small object takes one request instead of three
        )

    files = ObjectFiles(url, patient=connect(attempts=8), brief=connect(attempts=2))
    _find_bucket(files)
    return files


def _open_gcs(url: SplitResult, options: dict[str, str]) -> ObjectFiles:
    from pyarrow.fs import GcsFileSystem  # noqa: PLC0415

    def connect(seconds: int) -> "FileSystem":
        limit = timedelta(seconds=seconds)
        return GcsFileSystem(anonymous=url.username == "anonymous", retry_time_limit=limit, **options)

    files = ObjectFiles(url, patient=connect(seconds=40), brief=connect(seconds=2))
    try:
        _find_bucket(files)
    except OSError as error:
        # Google's roles for objects, which are all that is needed, do not let one look at the bucket itself.
        if not REFUSED.search(_reason(error)):
            raise
        _times(files.brief, files.path(".access"))
    return files


def _find_bucket(files: ObjectFiles) -> None:
    from pyarrow.fs import FileType  # noqa: PLC0415

    if files.brief.get_file_info(_bucket(files.url)).type == FileType.NotFound:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), _bucket(files.url))


def _reason(error: OSError) -> str:
    """The few words that count in an error of an object store."""
    text = str(error)
    for pattern in (r"curlCode: \d+, ([^;]+)", r"AWS Error (\w+(?: \(HTTP status \d+\))?)", r"::Status\((\w+)"):
        if found := re.search(pattern, text):
            return found[1]
    return text[:200]


def _is_locked(location: str, who: str) -> UserError:
    return UserError(f"{location} is being run already, by {who}; wait for it, or choose another --name.")


def _cannot_be_locked(location: str, reason: str | None) -> UserError:
    return UserError(f"{location} cannot be locked ({reason}); choose another --storage.")
