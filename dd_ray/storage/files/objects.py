"""Files in an object store."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, quote, unquote

from dd_ray.errors import UserError
from dd_ray.storage.files.base import (
    LEASE,
    Files,
    Lease,
    Lock,
    LockedError,
    cannot_be_locked,
    check_size,
    complete_lines,
)
from dd_ray.storage.files.claims import Claims, put, times
from dd_ray.storage.files.locations import REMEDY, bucket_of

if TYPE_CHECKING:  # half a second, which only URLs need
    from pyarrow.fs import FileInfo, FileSystem

READS = 50
"""Number of attempts at reading an object that is being replaced."""
REFUSED = re.compile(r"denied|forbidden|unauthenticated|credential|access_key|signature|status 40[13]", re.IGNORECASE)


@dataclass(frozen=True)
class ObjectFiles(Files):
    """Files in an object store."""

    url: SplitResult
    patient: "FileSystem"
    """A connection that retries through an outage of half a minute."""
    brief: "FileSystem"
    """A connection that fails within seconds, for callers that retry themselves."""

    @property
    def location(self) -> str:  # type: ignore[override]
        """URL of the files, with its options."""
        return self.url.geturl()

    def at(self, *parts: str) -> "ObjectFiles":
        path = "/".join([self.url.path.rstrip("/"), *(quote(part.strip("/")) for part in parts)])
        return replace(self, url=self.url._replace(path=path))

    def path(self, name: str = "") -> str:
        """Return bucket and key of a file."""
        return "/".join(filter(None, [bucket_of(self.url), unquote(self.url.path).strip("/"), name]))

    def read(self, name: str, most: int | None = None) -> bytes:
        path = self.path(name)
        for attempt in range(READS):
            # S3 is asked first for the size and then for as many bytes: an object that was replaced in between by a
            # longer one would be cut. Google's store refuses or closes a file that was replaced meanwhile.
            try:
                with self.patient.open_input_file(path) as file:
                    check_size(file.size(), most)
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

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        put(self.patient, self.path(name), [content])

    def write_parts(self, name: str, parts: Iterable[bytes]) -> None:
        put(self.patient, self.path(name), parts)

    def append(self, name: str, line: bytes) -> None:
        try:
            old = self.read(name)
        except FileNotFoundError:
            old = b""
        self.write(name, old[: complete_lines(old)] + line)

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

    def stamps(self, folder: str) -> dict[str, str]:
        path = self.path(folder)
        files = (info for info in self._below(path) if info.is_file)
        return {info.path.removeprefix(path + "/"): f"{info.size} {info.mtime_ns}" for info in files}

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self.patient.delete_file(self.path(name))

    def remove_folder(self, name: str = "") -> None:
        path = self.path(name)
        for info in self._below(path):
            if info.is_file:
                self.patient.delete_file(info.path)
        self._remove_emptied(path)

    def move(self, name: str, to: str) -> None:
        path, target = self.path(name), self.path(to)
        for info in [self.patient.get_file_info(path), *self._below(path)]:
            if info.is_file:
                self.patient.copy_file(info.path, target + info.path.removeprefix(path))
                self.patient.delete_file(info.path)
        self._remove_emptied(path)

    def _remove_emptied(self, path: str) -> None:
        """Remove what stands for a folder itself, which some stores do not have, if no file is below it any more."""
        if not any(info.is_file for info in self._below(path)):
            with suppress(OSError):
                self.patient.delete_dir(path)

    def _below(self, path: str) -> list["FileInfo"]:
        """Describe all that lies below a path, in folders below it as well."""
        from pyarrow.fs import FileSelector  # noqa: PLC0415

        return self.patient.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))

    @contextmanager
    def lock(self, name: str, who: str, lease: Lease = LEASE) -> Iterator[Lock]:
        claims = Claims(self.brief, self.path(name), who, lease)
        try:
            rival = claims.acquire()
        except OSError as error:
            raise cannot_be_locked(self.location, _reason(error)) from error
        if rival is not None:
            raise LockedError(self.location, rival)
        with claims.kept():
            yield claims


def open_store(url: SplitResult) -> ObjectFiles:
    """Open the URL of an object store, as `parse_location` returns it, and check once that it can be accessed.

    Raises:
        UserError: it cannot be reached or may not be read.
    """
    location, options = url.geturl(), dict(parse_qsl(url.query))
    try:
        files = (_open_s3 if url.scheme == "s3" else _open_gcs)(url, options)
    except FileNotFoundError as error:
        raise UserError(f"{location}: there is no bucket {bucket_of(url)}; create it, or correct the name.") from error
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
        options["region"] = resolve_s3_region(bucket_of(url))

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
        # Google's roles for objects, which suffice here, do not permit a look at the bucket itself.
        if not REFUSED.search(_reason(error)):
            raise
        times(files.brief, files.path(".access"))
    return files


def _find_bucket(files: ObjectFiles) -> None:
    from pyarrow.fs import FileType  # noqa: PLC0415

    if files.brief.get_file_info(bucket_of(files.url)).type == FileType.NotFound:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), bucket_of(files.url))


def _reason(error: OSError) -> str:
    """Extract the essential words from an error of an object store."""
    text = str(error)
    for pattern in (r"curlCode: \d+, ([^;]+)", r"AWS Error (\w+(?: \(HTTP status \d+\))?)", r"::Status\((\w+)"):
        if found := re.search(pattern, text):
            return found[1]
    return text[:200]
