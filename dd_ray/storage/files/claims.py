"""A lock on an object store, made of objects."""

import errno
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dd_ray.errors import printable
from dd_ray.storage.files.base import Lease, Lock

if TYPE_CHECKING:  # half a second, which only URLs need
    from pyarrow.fs import FileSystem


class Claims(Lock):
    """A lock on a store without locks or conditional writes: a folder into which each process puts a claim.

    A process that wants the lock puts its claim, then lists the folder: it has the lock if it sees no other fresh
    claim, and withdraws its own if it does. A store lists everything that was put before (Amazon S3 since 2020,
    Google), so of two processes that ask at once at most one finds itself alone. The holder renews its claim; an old
    claim means that its owner has died. Ages are differences of the store's own times of modification, so no machine's
    clock matters.

    One case cannot be prevented: a holder that was stopped for longer than a lease, while another took the lock, goes
    on writing until it notices.
    """

    def __init__(self, store: "FileSystem", folder: str, who: str, lease: Lease) -> None:
        self._store, self._folder, self._who, self._lease = store, folder, who, lease
        self._name = ""
        self._stop = threading.Event()

    def acquire(self) -> str | None:
        """Take the lock, or return who holds it. Wait until the holder gives a sign of life or its lease ends."""
        seen: dict[str, int] = {}
        deadline = time.monotonic() + self._lease.expire + 3 * self._lease.poll
        while rivals := self._ask():
            # A waiting process takes a new name for each claim, so that only a holder is seen to renew one.
            alive = [name for name, at in rivals.items() if seen.get(name, at) != at]
            if alive or time.monotonic() > deadline:
                return self._owner((alive or list(rivals))[0])
            if not seen:
                logging.getLogger(__name__).warning(
                    f"{self._folder} is held by {printable(self._owner(next(iter(rivals))))}; "
                    f"seeing whether it is alive, which takes up to {self._lease.expire:.0f} s"
                )
            seen = rivals
            time.sleep(self._lease.poll * random.uniform(0.5, 1.5))  # two that wait must not stay in step
        return None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the claim during the block, and withdraw it at the end."""
        thread = threading.Thread(target=self._renew_until_stopped, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            with suppress(OSError):  # the claim expires by itself, and an error of the caller must not be hidden
                self._withdraw(self._name)

    def _ask(self) -> dict[str, int]:
        """Take the lock, or return the fresh claims of others."""
        self._name = uuid.uuid4().hex
        try:
            self._put()
            claims = self._times()
            if self._name not in claims:
                raise OSError(errno.EIO, "it does not list what was put there just now")
            now = claims.pop(self._name)
            rivals = {name: at for name, at in claims.items() if now - at <= self._lease.expire * 1e9}
        except BaseException:  # also at an interrupt, since a claim left behind would keep others out for a lease
            with suppress(OSError):  # which would hide what came first
                self._withdraw(self._name)
            raise
        for name in [self._name] if rivals else claims:
            self._withdraw(name)
        return rivals

    def _renew_until_stopped(self) -> None:
        renewed = time.monotonic()
        while self.held and not self._stop.wait(self._lease.renew):
            began = time.monotonic()
            with suppress(OSError):  # the next attempt may succeed
                self.held = self._renew(late=began - renewed > 0.75 * self._lease.expire)
                renewed = began

    def _renew(self, late: bool) -> bool:
        """Put the claim again, and return whether the lock is still held."""
        if self._name not in self._times():
            return False
        self._put()
        # Another may have listed the folder while this claim was old, and have the lock now.
        return not (late and self._times().keys() - {self._name})

    def _put(self) -> None:
        put(self._store, f"{self._folder}/{self._name}", [json.dumps({"who": self._who}).encode()])

    def _withdraw(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._store.delete_file(f"{self._folder}/{name}")

    def _times(self) -> dict[str, int]:
        return times(self._store, self._folder)

    def _owner(self, name: str) -> str:
        try:
            with self._store.open_input_file(f"{self._folder}/{name}") as file:
                return str(json.loads(file.read())["who"])
        except (FileNotFoundError, ValueError, LookupError, TypeError, RecursionError):  # gone, or anybody's object
            return "another command"


def put(store: "FileSystem", path: str, parts: Iterable[bytes]) -> None:
    """Write an object as a whole."""

    def put() -> None:
        with store.open_output_stream(path) as stream:
            for part in parts:
                stream.write(part)

    # An interrupt between the opening and the writing would replace the object by an empty one. Only the main thread is
    # interrupted.
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(put).result()


def times(store: "FileSystem", path: str) -> dict[str, int]:
    """Return when each object directly below a folder was last put, in nanoseconds of the store's clock."""
    from pyarrow.fs import FileSelector  # noqa: PLC0415

    found = store.get_file_info(FileSelector(path, allow_not_found=True))
    return {info.base_name: info.mtime_ns or 0 for info in found}
