"""URLs that a user gives, and that are stored with a sweep."""

import re
from urllib.parse import SplitResult, parse_qsl

_SECRET = re.compile(r"key|secret|token|signature|credential|passw|^sig$", re.IGNORECASE)


def holds_key(url: SplitResult) -> bool:
    """Whether a URL has a user's name, a password or a key in it; `gs://anonymous@BUCKET` has none."""
    anonymous = url.scheme == "gs" and url.username == "anonymous" and url.password is None
    named = any(_SECRET.search(name) for name, _ in parse_qsl(url.query, keep_blank_values=True))
    return named or ("@" in url.netloc and not anonymous)
