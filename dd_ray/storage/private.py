"""Makes files and folders that this user alone may read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def make_private_file(path: Path, content: str) -> None:
    """Write a file that nobody else can read at any moment, unless it exists; its folder is made private, too.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # another command was started at the same time
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w") as file:
            file.write(content)


def make_private(path: Path) -> None:
    """Withdraw from all others the right to read a file of this user."""
    if path.exists() and path.stat().st_uid == os.getuid():
        path.chmod(0o600)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that nobody else can enter, for the block. Its path is short enough for sockets."""
    base = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="ddr", dir=base, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
