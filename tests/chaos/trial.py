"""A trial that writes down every iteration it does: what the nodes of `tests.chaos` run.

The log tells how much was done twice, and whether two workers ever had the same trial.
"""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dd_ray.storage.files import LocalFiles
from dd_ray.tune.trial_trainable import TrialTrainable

LOGS, PACE, FULL = "CHAOS_LOGS", "CHAOS_PACE", "CHAOS_FULL"
"""Environment of the nodes: a folder, with a log for each sweep; seconds that an iteration waits; a file that, while it
is there, stands for a full storage where none can be mounted."""


class LoggedTrial(TrialTrainable):
    """`TrialTrainable` with a line in the log for each time that a trial is taken up, and for each iteration."""

    def _take_up(self) -> Any:
        key, pace = self._config["key"], float(os.environ[PACE])
        log = Path(os.environ[LOGS]) / Path(self._config["sweep"]).name
        _log(log, key, "up")
        run = super()._take_up()
        stack = run.trainer.member.stack
        step = stack.step

        def logged_step() -> None:
            step()
            _log(log, key, "step")
            time.sleep(pace)

        stack.step = logged_step
        return run


def _log(log: Path, key: str, what: str) -> None:
    # One short write at the end of a file is not torn apart by those of other processes.
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{key} {what} {os.getpid()}\n".encode())
    os.close(descriptor)


def _refuse_while(full: Path) -> None:
    def refusing(write: Callable[..., None]) -> Callable[..., None]:
        def refused(files: LocalFiles, name: str, content: bytes, **options: Any) -> None:
            if full.exists():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            write(files, name, content, **options)

        return refused

    LocalFiles.write = refusing(LocalFiles.write)  # type: ignore[method-assign]
    LocalFiles.append = refusing(LocalFiles.append)  # type: ignore[method-assign]


if FULL in os.environ:
    _refuse_while(Path(os.environ[FULL]))
