"""Makes files and folders that this user alone may read."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dd_ray.command_line import Survivor
from dd_ray.errors import UserError

LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107
"""The most bytes that the path of a socket may have."""
_PREFIX = "ddr"
_BASES = ("/tmp", "/var/tmp", "/dev/shm")
_PLAIN = re.compile(r"[\w./+=:@,~-]+", re.ASCII)
_REMOVE = 'for pause in 0 5 25 90; do sleep "$pause"; rm -rf -- "$1"; done'
"""Again and again for two minutes, since processes of a killed Ray make it anew until they have noticed."""


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


class PrivateFolder:
    """A folder that nobody else can enter, for the time of a block.

    Args:
        asked: folders in which the user wants it, by the names of what asks for them; the first that will do is taken.
        room: bytes that the paths of sockets below it take.

    Raises:
        UserError: there is no folder that it can be in.
    """

    def __init__(self, asked: Mapping[str, str], room: int) -> None:
        self.path, self.refused = _made_in(asked, LONGEST_SOCKET - room - len(f"/{_PREFIX}12345678"))
        self._kept = self._busy = False

    def keep(self) -> None:
        """Leave it after the block."""
        self._kept = True

    def leave_to_the_end(self) -> None:
        """Remove it after the end of this process, which still writes into it."""
        self._busy = True

    @contextmanager
    def for_a_while(self) -> Iterator[None]:
        """Remove it after the block, also where the process is killed meanwhile."""
        shell = Survivor(_REMOVE, str(self.path), heard=False)
        try:
            yield
        finally:
            if not self._busy:
                if not self._kept:
                    shutil.rmtree(self.path, ignore_errors=True)
                shell.let_go()


@contextmanager
def scratch_folder() -> Iterator[str]:
    """Make a folder for the time of a block. It is removed also where the process is killed meanwhile."""
    with tempfile.TemporaryDirectory(prefix="dd_ray-") as path:
        shell = Survivor(_REMOVE, path, heard=False)
        try:
            yield path
        finally:
            shell.let_go()


def _made_in(asked: Mapping[str, str], longest: int) -> tuple[Path, str]:
    """Make a folder whose parent's path is short enough; return it, and why it is not where it was asked for."""
    refused: list[str] = []
    for name, base in {**asked, **{base: base for base in _BASES}}.items():
        base = os.path.abspath(base)  # noqa: PLW2901
        if not _PLAIN.fullmatch(base):
            reason = "has more in it than letters, digits and some signs"
        elif (length := len(os.fsencode(base))) > longest:
            reason = f"has {length} bytes, of which sockets leave room for {longest}"
        else:
            try:
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base)), " and ".join(refused)
            except OSError as error:
                reason = f"cannot be written ({error.strerror})"
        if name in asked:
            refused.append(f"{name} = {base if len(base) <= LONGEST_SOCKET else base[:40] + '…'} {reason}")
    raise UserError(
        f"there is no folder for the sockets of Ray ({', '.join([*refused, *_BASES])} cannot be written); set "
        f"RAY_TMPDIR to a folder of yours whose path has at most {longest} bytes."
    )
