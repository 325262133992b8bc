"""What Ray reads from the environment when it is imported; to be set before."""

import os
from pathlib import Path

from dd_ray.tune.private import SETTINGS

TOKEN_FILE = Path("~/.ray/auth_token")
"""Where Ray keeps the token of this user's clusters."""


def prepare_environment() -> None:
    """Set what Ray shall find. What the user has set stays."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def has_token() -> bool:
    """Whether this user has a token to offer to clusters."""
    return TOKEN_FILE.expanduser().exists() or bool({"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ))
