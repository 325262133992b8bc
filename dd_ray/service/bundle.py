"""Bundles a sweep's table and figures in a line of text, since a job returns nothing but its log.

`python -m dd_ray.service.bundle LOCATION` prints the line on the cluster's head; `unpack` reads it where its user is.
"""

import base64
import hashlib
import io
import re
import sys
import zipfile
from pathlib import Path

from dd_ray import results
from dd_ray.command_line import as_command
from dd_ray.errors import UserError
from dd_ray.storage.archives import DAMAGE, METHODS
from dd_ray.storage.exports import export_archive
from dd_ray.storage.names import RESULTS
from dd_ray.storage.sweep_folder import SweepFolder

LARGEST = 64 * 2**20
"""The most bytes that are returned, since the log is read into memory."""
_LINE = re.compile(r"^dd_ray-files ([0-9a-f]{64}) ([A-Za-z0-9+/=]*)$", re.MULTILINE)


def bundle_of(location: str) -> str:
    """Return the line for a sweep, finished or running, with its present table and figures.

    Raises:
        UserError: there is no sweep, or its figures are too large.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(RESULTS, results.as_csv(results.load(location)))
        for name, data in _figures(location):
            archive.writestr(f"figures/{name}", data)
            if content.tell() > LARGEST:
                raise UserError(f"the figures in {location} are more than {LARGEST >> 20} MB; copy them from there.")
    zipped = content.getvalue()
    if len(zipped) > LARGEST:
        raise UserError(f"the table in {location} is more than {LARGEST >> 20} MB; copy it from there.")
    text = base64.b64encode(zipped)
    return f"dd_ray-files {hashlib.sha256(text).hexdigest()} {text.decode()}"


def _figures(location: str) -> list[tuple[str, bytes]]:
    files = SweepFolder.open(location).files.at("figures")
    # The report repeats everything, and can be made again from the table and the states.
    return [(name, files.read(name)) for name in files.names() if not name.endswith(".html")]


def unpack(text: str, folder: Path) -> list[Path]:
    """Write the files of a `bundle_of` line, which is somewhere in a text, into a folder.

    Raises:
        UserError: there is no such line, it is damaged, or the folder cannot be written.
    """
    found = _LINE.search(text)
    if not found or hashlib.sha256(found[2].encode()).hexdigest() != found[1]:
        raise UserError("what the cluster sent is damaged; try again.")
    # Names and sizes are not trusted, since anyone with the cluster's token may have chosen them.
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(found[2], validate=True))) as archive:
            _check(archive)
            return export_archive(archive, folder, "--to")
    except DAMAGE as error:  # ValueError is that of base64, too
        raise UserError(
            f"what the cluster sent is no archive of a table and figures ({error}); its dd_ray may be of another "
            "version, so copy the files from the storage."
        ) from error


def _check(archive: zipfile.ZipFile) -> None:
    """Make sure, before it is unpacked, that an archive is small, undamaged, and has only a table and figures."""
    if sum(file.file_size for file in archive.infolist()) > 10 * LARGEST:
        raise UserError(f"what the cluster sent is more than {10 * LARGEST >> 20} MB; copy it from the storage.")
    names = archive.namelist()
    if not all(name == RESULTS or name.startswith("figures/") for name in names):
        raise UserError(f"what the cluster sent is more than a table and figures: {', '.join(names)}.")
    if any(file.compress_type not in METHODS for file in archive.infolist()):
        raise zipfile.BadZipFile("it is packed by another method than deflate")
    if (damaged := archive.testzip()) is not None:
        raise zipfile.BadZipFile(f"{damaged} is damaged")


if __name__ == "__main__":
    with as_command():
        print(bundle_of(sys.argv[1]))
