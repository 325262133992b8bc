"""Checks of URLs and paths that a user gives, and that are stored with a sweep."""

import errno
import re
import stat
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dd_ray.command_line import is_url
from dd_ray.errors import UserError

LONGEST_HOST = 255
"""The most characters of the name of a host or a bucket (RFC 1035, section 2.3.4)."""
LARGEST_PORT = 65535
_SECRET = re.compile(
    r"key|secret|token|signature|credential|passw|passphrase|pwd|jwt|bearer"
    r"|(?<![a-z])(sig|sas|pass|pw|o?auth|authori[sz]ation)(?![a-z])",
    re.IGNORECASE,
)
"""Matches parameter names of secrets, such as tokens, but not `author` or `kansas`."""
_CREDENTIALS = re.compile(r"[^/@\s]*:[^/@\s]*@|://[^/@\s]*@")
"""Matches a user and a password before a host."""


def split_url(url: str) -> SplitResult:
    """Split a URL into its parts.

    Raises:
        ValueError: it is no URL, or its host cannot exist. The message does not repeat parts that may be secret.
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
    """Return whether a URL contains a user's name, a password or a key; `gs://anonymous@BUCKET` does not."""
    anonymous = url.scheme == "gs" and url.username == "anonymous" and url.password is None
    options = [pair for text in (url.query, url.fragment) for pair in parse_qsl(text, keep_blank_values=True)]
    named = any(_SECRET.search(name) or _CREDENTIALS.search(value) for name, value in options)
    return named or ("@" in unquote(url.netloc) and not anonymous)


def check_address(address: str) -> None:
    """Make sure that a text can be the address of a Ray, `auto` or `host:port`.

    Raises:
        UserError: it cannot.
    """
    host, _, port = address.rpartition(":")
    named = host and len(host) <= LONGEST_HOST and not re.search(r"[\s/]", host)
    numbered = len(port) <= len(str(LARGEST_PORT)) and port.isdecimal() and 0 < int(port) <= LARGEST_PORT
    if address != "auto" and not (named and numbered):
        raise UserError(f"--address {address} is not an address; give auto or host:port, such as 10.0.0.1:6379.")


def own_path(path: str | Path, option: str = "") -> Path:
    """Make the path that a user gives absolute; it may begin with `~` or `~NAME`.

    Args:
        path: the path.
        option: the option that gives it, for messages.

    Raises:
        UserError: it is empty, is a URL, or begins with a user who does not exist.
    """
    given = f"{option} {path or repr(path)}".lstrip()
    if path == "":
        raise UserError(f"{given} is empty; give a path, or leave it out.")
    if is_url(path):
        raise UserError(f"{given} is a URL; give a path of this machine.")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise UserError(f"{given} names a user that does not exist; give its path.") from error


def absolute_path(field: str, file: str) -> str:
    """Make the path of a file that a config field names absolute.

    Raises:
        UserError: as of `own_path`.
    """
    try:
        return str(own_path(file))
    except UserError as error:
        raise UserError(f"{field} = {error}") from error


def check_regular(path: Path) -> None:
    """Make sure that a path names a regular file: reading a pipe or a device may never end.

    Raises:
        OSError: it is not a regular file, or does not exist.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
