"""URLs and paths that a user gives, and that are stored with a sweep."""

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl

from dd_ray.errors import UserError

_SECRET = re.compile(r"key|secret|token|signature|credential|passw|^sig$", re.IGNORECASE)


def holds_key(url: SplitResult) -> bool:
    """Whether a URL has a user's name, a password or a key in it; `gs://anonymous@BUCKET` has none."""
    anonymous = url.scheme == "gs" and url.username == "anonymous" and url.password is None
    named = any(_SECRET.search(name) for name, _ in parse_qsl(url.query, keep_blank_values=True))
    return named or ("@" in url.netloc and not anonymous)


def absolute_path(field: str, file: str) -> str:
    """The absolute path of a file that a field of a config names.

    Raises:
        UserError: it begins with a user who does not exist.
    """
    try:
        return str(Path(file).expanduser().absolute())
    except RuntimeError as error:
        raise UserError(f"{field} = {file} names a user that does not exist; give its path.") from error
