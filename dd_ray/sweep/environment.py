"""What Ray reads from the environment when it is imported; to be set before."""

import os
from pathlib import Path

TOKEN_FILE = Path("~/.ray/auth_token")
"""Where Ray keeps the token of this user's clusters."""

_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # cells write their own files
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # progress is reported between evaluations, without metrics
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # its record of all trials is not used, and grows with their number
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # a sweep has its own, for requests to terminate too
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def prepare_environment(address: str | None) -> None:
    """Set what Ray shall find. What the user has set stays.

    On a cluster a token is used wherever there is one: a cluster that was started where a token lies
    requires it, but a client offers it only in mode token, and a cluster without does not mind it.
    """
    settings = dict(_SETTINGS)
    has_token = TOKEN_FILE.expanduser().exists() or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
    if address is not None and has_token:
        settings["RAY_AUTH_MODE"] = "token"
    for name, value in settings.items():
        os.environ.setdefault(name, value)
