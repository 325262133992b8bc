"""Whether a file is the one that it is taken for. Knows no torch, so that a command asks before anything starts."""

import hashlib
from functools import partial
from pathlib import Path

from dd_ray.config import DSPRITES_MD5
from dd_ray.errors import UserError


def check_dsprites(file: str, path: Path, md5: str) -> None:
    """Make sure of the content of a dSprites file.

    Args:
        file: what the user gave, to be named.
        path: where it is.
        md5: what its MD5 must be.

    Raises:
        UserError: it cannot be read, or has another.
    """
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise UserError(f"dsprites_file = {file} cannot be read: {error.strerror or error}.") from error
    if found != md5:
        whose = "the public file's" if md5 == DSPRITES_MD5 else "the given"
        raise UserError(
            f"dsprites_file = {file} has MD5 {found}, not {whose} {md5}; give the whole public file, or, for another "
            f"of its layout, dsprites_md5 = {found}."
        )
