"""Records when and where workers trained a trial: `attempts.jsonl` in its folder.

An attempt begins when a worker takes a trial up, and ends when it lets it go. It is written twice, each time as a whole
line: at its beginning, and with its end. Of a worker that was killed, the line of its beginning alone is there. Nothing
of a sweep's results depends on these lines, so none of them is waited for, and a damaged one is left out.
"""

import json
import os
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace

from dd_ray.storage.files import Files, NoFileError
from dd_ray.storage.records import DamagedError, read_lines

ATTEMPTS = "attempts.jsonl"
"""Name of the file in the folder of its trial."""
LONGEST_ERROR = 300
"""Characters of an error that are kept."""


@dataclass(frozen=True, kw_only=True)
class TrialAttempt:
    """The work of one worker on a trial."""

    attempt: str
    """Its name among the attempts at the trial."""
    began: float
    """When it began, in seconds since 1970, UTC."""
    host: str
    pid: int
    device: str
    """`cpu`, or a GPU with the number that it has on its host."""
    recorded: int
    """Iteration of the last evaluation that was recorded before; -1 if there was none."""
    ended: float | None = None
    """When it ended, in seconds since 1970, UTC; None while it goes on, and if the worker was killed."""
    iteration: int | None = None
    """Iteration that it reached; None while `ended` is."""
    how: str | None = None
    """Its trial's state if it ended the trial; `left` if the trial was to end or to go on elsewhere, `error` after an
    error; None while `ended` is."""
    error: str | None = None
    """The error that ended it."""


def begin_attempt(files: Files, device: str, recorded: int) -> TrialAttempt:
    """Record that this process takes up the trial of a folder, if the storage takes it."""
    begun = TrialAttempt(
        attempt=uuid.uuid4().hex[:8],
        began=round(time.time(), 3),
        host=socket.gethostname(),
        pid=os.getpid(),
        device=device,
        recorded=recorded,
    )
    _add(files, begun)
    return begun


def end_attempt(files: Files, begun: TrialAttempt, how: str, iteration: int, error: str | None = None) -> None:
    """Record the end of an attempt, if the storage takes it."""
    short = error if error is None else error[:LONGEST_ERROR]
    _add(files, replace(begun, ended=round(time.time(), 3), iteration=iteration, how=how, error=short))


def attempts(files: Files) -> list[TrialAttempt]:
    """Return the attempts at the trial of a folder, in the order in which they began; none if none were recorded."""
    try:
        rows = read_lines(files, ATTEMPTS, notes=[])
    except DamagedError:  # a folder or a link has its name
        return []
    known = [field.name for field in fields(TrialAttempt)]  # a later version may record more
    last = {row["attempt"]: TrialAttempt(**{name: row[name] for name in known if name in row}) for row in rows}
    return sorted(last.values(), key=lambda attempt: attempt.began)


def _add(files: Files, attempt: TrialAttempt) -> None:
    """Add a line. The file is small and written anew, which is not waited for until it is durable, as appending is.

    An error is not raised, as of a folder in its place or a full disk: what a result needs finds it, too.
    """
    known = {name: value for name, value in asdict(attempt).items() if value is not None}
    with suppress(OSError):
        try:
            before = files.read(ATTEMPTS)
        except FileNotFoundError:
            if attempt.ended is not None:  # it was removed, with its trial
                return
            before = b""
        except NoFileError:
            before = b""
        files.write(ATTEMPTS, before + json.dumps(known).encode() + b"\n", durable=False)
