"""Parses locations that a user gives: a folder or a URL, which is checked after its escapes are decoded."""

import os
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote

from dd_ray.config.urls import holds_key, own_path, split_url
from dd_ray.errors import UserError
from dd_ray.storage.files.base import KINDS

REMEDY = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may read and write it",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account that may read and write it",
}
"""Advice for a user without access to a store, by the scheme of its URLs."""
OPTIONS = {"s3": ("endpoint_override", "scheme", "region"), "gs": ("endpoint_override", "scheme")}
"""Parameters that a URL may have after its question mark, by scheme."""
LONGEST_NAME = 255
"""The most bytes that common file systems allow in a folder's name."""
_MEANS_SOMETHING = "%?#\\"
"""Characters with a meaning in a URL: they end its path, or begin an escape."""


def parse_location(location: str | Path) -> Path | SplitResult:
    """Parse the folder, or the URL of an object store, that a user gives.

    Raises:
        UserError: it is neither, or contains a key, which would be stored with the sweep.
    """
    if isinstance(location, Path) or "://" not in location:
        return own_path(location)
    try:
        url = split_url(location)
    except ValueError as error:
        raise UserError(f"{error}; give {KINDS}.") from error
    if holds_key(url):
        remedy = REMEDY.get(url.scheme, f"give {KINDS}")
        raise UserError(f"a URL with keys would be stored with the sweep; take them out, and {remedy}.")
    if url.scheme not in ("file", *OPTIONS):
        raise UserError(f"{location} is of an unknown kind, {url.scheme}://; give {KINDS}.")
    _check_path(location, url)
    if url.scheme == "file":
        return Path(unquote(url.path))
    if not bucket_of(url):
        raise UserError(f"{location} names no bucket; give {KINDS}.")
    known = OPTIONS[url.scheme]
    if unknown := dict(parse_qsl(url.query, keep_blank_values=True)).keys() - set(known):
        raise UserError(f"{location} has the unknown option {min(unknown)}; there are {', '.join(known)}.")
    return url


def check_writable(location: str) -> None:
    """Make sure, without writing anything, that a folder can be written or made; of an object store nothing is told.

    Raises:
        UserError: it cannot.
    """
    folder = parse_location(location)
    if not isinstance(folder, Path):
        return
    there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "may not be written" if there.is_dir() else "is no folder"
        raise UserError(f"storage {location} cannot be written ({there} {why}); choose another --storage.")


def bucket_of(url: SplitResult) -> str:
    """Return the bucket that a URL names."""
    return url.netloc.rpartition("@")[2]


def sweep_location(storage: str, name: str) -> str:
    """Join storage and name of a sweep: `s3://bucket/sweeps?region=x`, `mine` give `s3://bucket/sweeps/mine?region=x`.

    Raises:
        UserError: a folder begins with a user who does not exist.
    """
    if "://" not in storage:
        return str(own_path(storage) / name)
    address, mark, query = storage.partition("?")
    return f"{address.rstrip('/')}/{name}{mark}{query}"


def without_options(location: str) -> str:
    """Return a location without the options after the question mark of a URL; a folder's name may hold one."""
    return location.partition("?")[0] if "://" in location else location


def name_of(location: str) -> str:
    """Return the name of a sweep: the last part of its folder or URL."""
    return without_options(location).rstrip("/").rpartition("/")[2]


def storage_of(location: str) -> str:
    """Return the storage of a sweep's folder or URL, which `sweep_location` joins with its name."""
    if "://" not in location:
        return str(Path(location).parent)
    address, mark, query = location.partition("?")
    return f"{address.rstrip('/').rpartition('/')[0]}{mark}{query}"


def check_name(name: str, storage: str) -> None:
    """Make sure that a name stands for one folder directly below a storage, and for that of no other name.

    Raises:
        UserError: it is not.
    """
    plain = name.isprintable() and "/" not in name and len(name.encode()) <= LONGEST_NAME
    if not plain or not name.strip() or name.startswith("."):
        shown = name if len(name) <= LONGEST_NAME else f"{name[:20]}…"
        raise UserError(f"--name {shown!r} is not a folder name; give letters, digits, _ and -.")
    if "://" in storage and (found := [c for c in _MEANS_SOMETHING if c in name]):
        raise UserError(
            f"--name {name!r} holds {found[0]}, which means something else in a URL; give letters, digits, _ and -."
        )


def _check_path(location: str, url: SplitResult) -> None:
    path = unquote(url.path)
    if url.fragment or location.endswith("#") or (url.scheme == "file" and (url.query or url.netloc)):
        extra = "ends with #" if "#" in location else "has a ?" if url.query else f"names the host {url.netloc}"
        raise UserError(f"{location} {extra}, which means nothing there; give {KINDS}.")
    if {".", ".."} & set(path.split("/")) or not path.isprintable():
        raise UserError(f"{location} leads through . or .., or is not to be printed; give {KINDS}.")
