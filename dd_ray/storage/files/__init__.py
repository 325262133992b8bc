"""Access to a sweep's files, in a folder, local or shared, or on an object store by URL.

When a call returns, its write is durable; files are replaced as a whole, and nothing is pickled. Names are relative,
with `/` between their parts. Names that begin with a dot are hidden: locks, and drafts, which a kill may leave behind.
"""

import errno
import re
from pathlib import Path
from typing import Literal

from dd_ray.storage.files.answers import BlockedError, is_blocked, with_causes
from dd_ray.storage.files.base import Files, Lease, Lock, LockedError, NoFileError
from dd_ray.storage.files.local import LocalFiles, open_folder
from dd_ray.storage.files.locations import parse_location
from dd_ray.storage.files.objects import open_store

__all__ = [
    "BlockedError",
    "Files",
    "Lease",
    "LocalFiles",
    "Lock",
    "LockedError",
    "NoFileError",
    "Trouble",
    "is_blocked",
    "open_files",
    "out_of_space",
    "trouble",
]

FULL = re.compile(r"quota_?exceeded|storage_?full|insufficient_?storage|HTTP status 507", re.IGNORECASE)
"""Matches the errors of object stores that are full: Ceph's QuotaExceeded, MinIO's XMinioStorageFull and
XMinioAdminBucketQuotaExceeded, and HTTP's 507 Insufficient Storage."""

Trouble = Literal["storage full", "storage blocked", "storage read-only"]
"""What is wrong with a storage as a whole."""


def open_files(location: str | Path) -> Files:
    """Open a folder, which need not exist yet, or an object store, whose access is checked once.

    Args:
        location: a folder; `file:///FOLDER`; `s3://BUCKET/PREFIX?endpoint_override=HOST:PORT&scheme=http&region=R`; or
            `gs://BUCKET/PREFIX`. Keys are read from the environment.

    Raises:
        UserError: the location is not of these forms, cannot be reached or may not be read.
    """
    place = parse_location(location)
    return open_folder(place) if isinstance(place, Path) else open_store(place)


def out_of_space(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, says that the storage is full or a quota used up."""
    of_storage = (each for each in with_causes(error) if isinstance(each, OSError))
    return any(each.errno in (errno.ENOSPC, errno.EDQUOT) or FULL.search(str(each)) for each in of_storage)


def trouble(error: BaseException) -> Trouble | None:
    """Return what is wrong with the storage by an error, which ends a sweep; None if it is another error."""
    if is_blocked(error):
        return "storage blocked"
    if any(isinstance(each, OSError) and each.errno == errno.EROFS for each in with_causes(error)):
        return "storage read-only"  # as a system makes a disk that has failed
    return "storage full" if out_of_space(error) else None
