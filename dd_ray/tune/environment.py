"""What Ray reads from the environment when it is imported; to be set before."""

import os
from pathlib import Path

TOKEN_FILE = Path("~/.ray/auth_token")
"""Where Ray keeps the token of this user's clusters."""

_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # trials write their own files
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # progress is reported between evaluations, without metrics
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # its record of all trials is not used, and grows with their number
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # a sweep has its own, for requests to terminate too
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def prepare_environment() -> None:
    """Set what Ray shall find. What the user has set stays."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)


def has_token() -> bool:
    """Whether this user has a token to offer to clusters."""
    return TOKEN_FILE.expanduser().exists() or bool({"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ))
