"""Writes files into a zip archive, verifies it by reading it again, and takes files out of one.

An archive has a folder of the sweep's name, so that any `unzip` gives the sweep again.
"""

import hashlib
import lzma
import math
import os
import re
import shutil
import stat
import time
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dd_ray.errors import UserError
from dd_ray.storage.files import Files, NoFileError
from dd_ray.storage.names import MANIFEST

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OverflowError,
    ValueError,
    LookupError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
)
"""Errors that zipfile raises of a damaged archive, one of an unknown method or one with a password, and NumPy of arrays
in it: the last two of a header whose checksum is not reached by then."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods that unpack part by part. With others, such as bzip2, a part of a megabyte can become gigabytes at once."""
_PART = 2**20
"""Bytes that are unpacked at a time."""


def write_archive(path: Path, files: Files, names: Iterable[str], folder: str) -> list[str]:
    """Write files into a new zip archive, and read it again to verify each by its checksum.

    Args:
        path: the archive, which must not exist.
        files: where the files are.
        names: their names.
        folder: the folder in the archive.

    Returns:
        What was left out, and why: links, and whatever else is no file.

    Raises:
        UserError: the archive exists, cannot be written, or does not hold what was written.
    """
    if os.path.lexists(path):
        raise UserError(f"{path} exists already; delete it, or choose another --out.")
    draft = path.with_name(f".{path.name[:50]}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digests, left_out = _write(draft, files, names, folder)
        _verify(draft, digests)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); choose another --out.") from error
    finally:
        with suppress(OSError):  # where it could not be begun, as below a file
            draft.unlink()
    return left_out


def _write(path: Path, files: Files, names: Iterable[str], folder: str) -> tuple[dict[str, str], list[str]]:
    digests: dict[str, str] = {}
    left_out = []
    with path.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                try:
                    content = files.read(name)
                except NoFileError as error:
                    left_out.append(f"{name}: {error}")
                    continue
                archive.writestr(_member(f"{folder}/{name}"), content)
                digests[f"{folder}/{name}"] = hashlib.sha256(content).hexdigest()
        file.flush()
        os.fsync(file.fileno())
    return digests, left_out


def _member(name: str) -> zipfile.ZipInfo:
    """Describe a file that all may read; zipfile's own are for their owner alone."""
    member = zipfile.ZipInfo(name, time.localtime()[:6])
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _verify(path: Path, digests: dict[str, str]) -> None:
    """Make sure that an archive holds what was written.

    Raises:
        UserError: it does not, since a disk or its memory is broken.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    except DAMAGE as error:
        raise UserError(f"what was written to {path.parent} reads otherwise ({error}); check the disk.") from error
    if found != digests:
        raise UserError(f"what was written to {path.parent} reads otherwise; check the disk.")


def folder_in(path: Path) -> str:
    """Return the name of the folder that an archive of a sweep has.

    Raises:
        UserError: it is no such archive, or holds anything that does not belong into one.
    """
    with _opened(path) as archive:
        members = archive.infolist()
    folders = {member.filename.partition("/")[0] for member in members}
    if len(folders) != 1 or f"{next(iter(folders))}/{MANIFEST}" not in {member.filename for member in members}:
        raise UserError(f"{path} holds no sweep (one folder with a sweep.json); give what `dd-ray archive` wrote.")
    for member in members:
        _check_member(path, member)
    return next(iter(folders))


def extract_archive(path: Path, files: Files) -> None:
    """Write what is in the folder of an archive, with `sweep.json` last: what an interrupt leaves is no sweep.

    Args:
        path: an archive that `folder_in` has checked.
        files: where to write.

    Raises:
        UserError: it is damaged, or holds more than the disk has room for; then nothing is written.
    """
    with _opened(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        _check_whole(path, archive, members, files)
        for member in sorted(members, key=lambda member: member.filename.endswith(f"/{MANIFEST}")):
            files.write_parts(member.filename.partition("/")[2], _parts(path, archive, member))


def _check_whole(path: Path, archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], files: Files) -> None:
    """Make sure, before anything is written, that members are undamaged and that a disk has room for them.

    Their sizes are counted: what an archive says of them is anybody's. How much an object store takes is unknown.
    """
    free = shutil.disk_usage(files.local).free if files.local else math.inf
    left = free
    for part in (part for member in members for part in _parts(path, archive, member)):
        left -= len(part)
        if left < 0:
            raise UserError(
                f"{path} holds more than the {int(free) >> 20:,} MB that are free for {files.location}; make room "
                "there, or give another --extract STORAGE."
            )


def _parts(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Unpack a member, at whose end its checksum is compared.

    Raises:
        UserError: it is damaged.
    """
    try:
        with archive.open(member) as content:
            while part := content.read(_PART):
                yield part
    except (*DAMAGE, OSError) as error:  # the last of an impossible offset
        raise UserError(f"{path} is damaged ({member.filename}: {error}); take another copy of it.") from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except DAMAGE as error:
        raise UserError(f"{path} is no zip archive, or is cut off ({error}); give another copy of it.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give the path of a sweep's archive.") from error


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    """Make sure that a member is a plain file below the archive's folder, packed as `unzip` expects it.

    Raises:
        UserError: it is a link, its name leads elsewhere, or its method is none of `METHODS`.
    """
    parts = re.split(r"[/\\]", member.filename.removesuffix("/"))
    kind = stat.S_IFMT(member.external_attr >> 16)
    # No part may be empty either: what follows `//` would be an absolute name. A sweep's own name may hold a backslash.
    plain = not {"", ".", ".."} & {*parts}
    if not plain or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError(f"{path} holds {member.filename!r}, which leads out of it; it was not written by dd_ray.")
    if member.compress_type not in METHODS:
        raise UserError(f"{path} is packed by another method than deflate; unpack it with other means.")
