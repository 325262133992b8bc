"""URLs and paths that a user gives, and that are stored with a sweep."""

import errno
import re
import stat
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dd_ray.errors import UserError

LONGEST_HOST = 255
"""Characters of a host's name, or of a bucket's (RFC 1035, section 2.3.4)."""
_SECRET = re.compile(
    r"key|secret|token|signature|credential|passw|passphrase|pwd|jwt|bearer"
    r"|(?<![a-z])(sig|sas|pass|pw|o?auth|authori[sz]ation)(?![a-z])",
    re.IGNORECASE,
)
"""Names of what is a key. `author` is none, and `kansas` neither."""
_CREDENTIALS = re.compile(r"[^/@\s]*:[^/@\s]*@|://[^/@\s]*@")
"""A user and a password before a host."""


def split_url(url: str) -> SplitResult:
    """The parts of a URL.

    Raises:
        ValueError: it is none, or names a host that no network can have. Its text does not repeat what may be a key.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # read, since it is parsed only then
        if len(unquote(parts.hostname or "")) > LONGEST_HOST:
            raise ValueError(f"its host has more than {LONGEST_HOST} characters")
    except ValueError as error:
        if "@" in url or _SECRET.search(url):
            raise ValueError(f"what begins with {url.partition('://')[0]}:// is no URL") from None
        raise ValueError(f"{url} is no URL ({error})") from error
    return parts


def holds_key(url: SplitResult) -> bool:
    """Whether a URL has a user's name, a password or a key in it; `gs://anonymous@BUCKET` has none."""
    anonymous = url.scheme == "gs" and url.username == "anonymous" and url.password is None
    options = [pair for text in (url.query, url.fragment) for pair in parse_qsl(text, keep_blank_values=True)]
    named = any(_SECRET.search(name) or _CREDENTIALS.search(value) for name, value in options)
    return named or ("@" in unquote(url.netloc) and not anonymous)


def own_path(path: str | Path) -> Path:
    """The absolute path that a user gives, which may begin with `~` or `~NAME`.

    Raises:
        UserError: it begins with a user who does not exist.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{path} names a user that does not exist; give its path.") from error


def absolute_path(field: str, file: str) -> str:
    """The absolute path of a file that a field of a config names.

    Raises:
        UserError: it begins with a user who does not exist.
    """
    try:
        return str(own_path(file))
    except UserError as error:
        raise UserError(f"{field} = {error}") from error


def check_regular(path: Path) -> None:
    """Make sure that a path names a file whose content ends: a pipe is waited for, and a device may go on for ever.

    Raises:
        OSError: it is none, or there is nothing.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
