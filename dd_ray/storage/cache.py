"""Says where this user's cache is."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of this user's cache: `~/.cache/dd_ray`, unless `XDG_CACHE_HOME` names another cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dd_ray"
