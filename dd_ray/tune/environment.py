"""Sets the environment that Ray reads when it is imported, and restores what a sweep changes of its process."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dd_ray.tune.private import SETTINGS
from dd_ray.tune.signals import handlers_kept

TOKEN_FILE = Path("~/.ray/auth_token")
"""File in which Ray keeps the token of this user's clusters."""


def token_file() -> Path | None:
    """Return the path of `TOKEN_FILE`; None for a user without a home."""
    path = os.path.expanduser(TOKEN_FILE)
    return Path(path) if os.path.isabs(path) else None


def prepare_environment() -> None:
    """Set environment variables for Ray, except those that the user has set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def left_as_it_was() -> Iterator[None]:
    """Restore what the block changes of this process, for a program that goes on afterwards.

    These are the environment, the handlers of signals, the filters of warnings and the levels of loggers.
    """
    environment, levels = dict(os.environ), {logger: logger.level for logger in _loggers()}
    try:
        with handlers_kept(), warnings.catch_warnings():
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        for logger, level in levels.items():
            logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    known = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    # Tune's logger exists from its import on, which may come later. It must not stay as silent as a sweep makes it.
    return [logging.root, logging.getLogger("ray.tune"), *known]


def has_token() -> bool:
    """Return whether this user has a token to offer to clusters."""
    path = token_file()
    in_home = path is not None and os.access(path, os.R_OK)
    return in_home or bool({"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ))
