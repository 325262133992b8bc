"""Records which attempts on this machine's GPU ended the process, so that the next process does not repeat them.

After an illegal memory access a process cannot use its GPU any more: only a new process can. What caused it is recorded
in the user's cache, for this kind of GPU and these versions of the software.
"""

import fcntl
import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dd_ray.storage.cache import cache_folder

VANISHED = 2
"""An attempt is given up after it has ended this many processes, since one may have been killed from outside."""


class Attempts:
    """A record of attempts, which outlives the process. If its folder cannot be written to, nothing is remembered.

    Args:
        folder: the folder of the record.
        setting: what an attempt's success depends on, such as the GPU and the versions of the software.
    """

    def __init__(self, folder: Path, setting: str) -> None:
        self._folder = folder
        self._setting = hashlib.sha256(setting.encode()).hexdigest()[:16]

    def given_up(self, name: str) -> str | None:
        """Return why this must not be tried again, with the file that records it; None if it may be tried."""
        with suppress(OSError):
            path = self._path(name, "broken")
            if path.exists():
                return f"{path.read_text(encoding='utf-8')} (remembered in {path}; delete it to try again)"
            vanished = [path for path in self._folder.glob(f"{self._setting}-{name}-*.trying") if not _is_held(path)]
            if len(vanished) >= VANISHED:
                files = f"{self._folder}/{self._setting}-{name}-*.trying"
                return f"{len(vanished)} processes ended while they tried it (remembered in {files}; delete them)"
        return None

    def give_up(self, name: str, why: str) -> None:
        """Record that this must not be tried again."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._path(name, "broken").write_text(why, encoding="utf-8")

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """Keep a mark on the disk while the block runs. If the process dies in it, the mark stays."""
        path, mark = self._path(f"{name}-{uuid.uuid4().hex[:8]}", "trying"), None
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            mark = path.open("x")
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            if mark is not None:
                with suppress(OSError):
                    path.unlink()
                mark.close()

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{self._setting}-{name}.{kind}"


def of_this_user(setting: str) -> Attempts:
    """Open the record of a setting in the folder `attempts` of the user's cache."""
    return Attempts(cache_folder() / "attempts", setting)


def _is_held(path: Path) -> bool:
    """Return whether the process that made a mark still runs; its lock is released when it ends."""
    with path.open() as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
