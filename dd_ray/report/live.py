"""The page of a sweep that runs: `report.html` beside its records, written anew now and then.

Collecting a sweep's numbers takes seconds, of a large one a minute, in which the driver of a sweep would leave its
trials waiting. So each page is written by a process of its own, of low priority, which nothing waits for:
`python -m dd_ray.report.live LOCATION`. The next begins when 100 times as long has passed as the last one took.
"""

import html
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template

from dd_ray.command_line import as_command
from dd_ray.errors import as_bytes
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.sweep_folder import SweepFolder

PAGE = "report.html"
"""Name of the page in the folder of its sweep."""
MOST_OF_THE_TIME = 0.01
"""Share of a sweep's time in which its page is written."""
EXPECTED_SECONDS = 3.0
"""The first page takes about so long; how long the others do is measured."""
LOWER_PRIORITY = 10

WAITING = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="15">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>$name</title><style>body{font:16px/1.5 system-ui,sans-serif;margin:2rem;overflow-wrap:anywhere}</style></head>
<body><h1>$name</h1><p>$question</p><p>Nothing is shown of this sweep yet: its page is written some minutes after its
beginning. This one looks for it now and then. What a sweep does at the moment is shown by</p>
<p><code>$command</code></p></body></html>
""")


@contextmanager
def live_page(sweep: SweepFolder, name: str, question: str, shown: bool = True) -> Iterator[Callable[[], None]]:
    """Keep the page of a sweep up to date while it runs, for 1% of the time at most.

    It says where the page is, and leaves one that waits for the first there.

    Args:
        sweep: that of the page.
        name: of the sweep, to read.
        question: that the sweep answers.
        shown: whether to print where the page is.

    Yields:
        What begins to write the page anew if it is time to; to be called every few seconds, and returns at once.
    """
    command = serve_command(sweep.location)
    if not sweep.files.exists(PAGE):
        page = waiting_page(name, question, sweep.location)
        sweep.files.write(PAGE, as_bytes(page), durable=False)
    if shown:
        print(f"Page:        {page_link(sweep)}")
        print(f"Live:        {command}", flush=True)
    writer = _Writer([sys.executable, "-m", "dd_ray.report.live", sweep.location])
    try:
        yield writer.update
    finally:
        writer.end()


class _Writer:
    """Runs a command again and again, for 1% of the time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._began = self._ended = time.monotonic()
        self._took = EXPECTED_SECONDS

    def update(self) -> None:
        """Start the command if it is time to."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._process, self._ended, self._took = None, now, now - self._began
        if self._process is None and now - self._ended > self._took / MOST_OF_THE_TIME:
            self._began = now
            try:
                self._process = self._started()
            except OSError:  # nothing depends on it
                self._ended = now

    def _started(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # since Ctrl-C is for the sweep
        )

    def end(self) -> None:
        """Give up what runs: the page that was written last stands."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def write_page(sweep: SweepFolder) -> None:
    """Write the page of a sweep, without pictures, beside its records.

    Raises:
        UserError: nothing was evaluated yet, or the sweep was removed.
    """
    # Not at the top: the driver of a sweep needs them at its end alone.
    from dd_ray.report.content import collect  # noqa: PLC0415
    from dd_ray.report.page import render  # noqa: PLC0415

    sweep.write_result(PAGE, as_bytes(render(collect(sweep.location), [], [])))


def waiting_page(name: str, question: str, location: str) -> str:
    """Return a page for a sweep without a number, which loads itself anew until there is one."""
    said = {"name": name, "question": question, "command": serve_command(location)}
    return WAITING.substitute({key: html.escape(text) for key, text in said.items()})


def page_link(sweep: SweepFolder) -> str:
    """Return the link that opens the page in a browser, or its place on an object store."""
    local = sweep.files.local
    return (local / PAGE).absolute().as_uri() if local else sweep_location(sweep.location, PAGE)


def serve_command(location: str | Path) -> str:
    """Return the command that shows a sweep while it runs."""
    return shlex.join([sys.executable, "-m", "dd_ray.report", str(location), "--serve"])


def main(location: str) -> None:
    """Write the page of a sweep, with what others leave of the processors."""
    os.nice(LOWER_PRIORITY)
    with as_command():
        write_page(SweepFolder.open(location))


if __name__ == "__main__":
    main(sys.argv[1])
