"""Commands of this package in processes of their own that begin at once, since they need not import everything anew.

A process is forked from one that has imported it all (`tests.imported`), and does then what `python` does with the same
words: its own arguments, environment, folder, streams, signals and exit code. What a process imports itself, the
warnings that it gives then, and what Ray reads from the environment when it is imported, are tested elsewhere, with
`python` itself.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Command:
    """A process that does what `python` does with some words: `-m MODULE ...` or `SCRIPT.py ...`.

    Args:
        words: after `python`.
        strict: whether each warning is an error, as with `python -W error`.
        environment: of the process; this one's if left out.
        first: what the process calls before it begins, a function of a module.
    """

    def __init__(
        self,
        *words: object,
        strict: bool = False,
        environment: Mapping[str, str] | None = None,
        first: Callable[[], None] | None = None,
    ) -> None:
        self.words = [str(word) for word in words]
        self._folder = tempfile.TemporaryDirectory()
        self._streams = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        asked = (self.words, dict(os.environ if environment is None else environment), strict, self._streams, first)
        self._process: BaseProcess = _forks().Process(target=_run, args=asked)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.exitcode is None

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        os.kill(self.pid, signal.SIGINT)

    def ended(self, timeout: float = 600) -> "subprocess.CompletedProcess[str]":
        """Wait for its end, and tell its exit code and what it has written."""
        self._process.join(timeout)
        if late := self.is_running():
            self._process.kill()
            self._process.join()
        stdout, stderr = (path.read_text() if path.exists() else "" for path in self._streams)
        self._folder.cleanup()
        if late:
            raise subprocess.TimeoutExpired(self.words, timeout, stdout, stderr)
        assert self._process.exitcode is not None
        return subprocess.CompletedProcess(self.words, self._process.exitcode, stdout, stderr)


def python(
    *words: object,
    strict: bool = False,
    environment: Mapping[str, str] | None = None,
    first: Callable[[], None] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; see `Command`."""
    return Command(*words, strict=strict, environment=environment, first=first).ended()


def know_the_cluster() -> None:
    """Know that the cluster of the tests answers and asks for a token, instead of asking it by two processes first."""
    from dd_ray import api

    api.prepare_to_join = lambda address, insecure: os.environ.update(RAY_AUTH_MODE="token")


def _forks() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.imported"])
    return context


def _run(
    words: list[str], environment: dict[str, str], strict: bool, streams: list[Path], first: Callable[[], None] | None
) -> None:
    """Become what `python` is with these words."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for number, path in enumerate(streams, start=1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    if strict:
        warnings.simplefilter("error")
    if first is not None:
        first()
    if words[0] == "-m":
        sys.argv[:], sys.path[0] = words[1:], str(ROOT)
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:], sys.path[0] = words, str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")
