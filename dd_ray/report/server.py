"""Shows sweeps while they run, to browsers of this machine: `python -m dd_ray.report PATH --serve`.

    /NAME/               the page of a sweep, which asks for the other two now and then
    /NAME/content.json   its numbers; 304 where they are those that the page has
    /NAME/progress.json  how far it is
    /                    all sweeps of a storage; of a single sweep, its page
    /?beside=A&beside=B  two of them beside each other

It listens on the loopback interface, reads, and writes nothing. A page of another site that has its name point to
this machine (DNS rebinding) is told nothing, since the Host that its requests name is not ours.
"""

import hashlib
import html
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from dd_ray.config.urls import LARGEST_PORT
from dd_ray.errors import UserError, as_bytes, first_line
from dd_ray.report.beside import BESIDE, METRIC, beside_body
from dd_ray.report.content import collect
from dd_ray.report.front import FIRST, Lines, front_page, is_storage, plain_page, sweeps_in
from dd_ray.report.live import waiting_page
from dd_ray.report.page import as_json, render
from dd_ray.results.table import alive
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.sweep_folder import SweepFolder

LOOPBACK = "127.0.0.1"
PORT = 6007
"""Used where it is free and no other is asked for; TensorBoard has the one before."""
HTTP_PORT = 80
LEAST_SECONDS = 5.0
SECONDS_OF_FRONT = 15
"""After so many, a browser loads the list of sweeps anew."""
REST = 4.0
"""Numbers are collected anew after a pause of so many times as long as that took."""


Front = Callable[[Mapping[str, list[str]]], str]
"""The front page for the query of its address."""


class ServedSweep:
    """A sweep's numbers as they are now, or were a moment ago: collecting them may take seconds.

    Args:
        location: folder or URL of the sweep.
        collected: gives its numbers, as `dd_ray.report.content.collect` does.
    """

    def __init__(self, location: str, collected: Callable[[str], dict[str, Any]] = collect) -> None:
        self.sweep = SweepFolder.open(location)
        self._collect = collected
        self._lock = threading.Lock()
        self._known: tuple[dict[str, Any] | None, str] = None, ""
        self._next = 0.0

    def content(self) -> tuple[dict[str, Any] | None, str]:
        """Return the numbers, None while there are none, and what tells them from later ones."""
        # One collects; the others have what there is, unless that is nothing yet.
        if self._lock.acquire(blocking=self._known[0] is None):
            try:
                if time.monotonic() >= self._next:
                    self._read()
            finally:
                self._lock.release()
        return self._known

    def progress(self) -> dict[str, Any]:
        """Return how many trials run, how fast, and the seconds left, as the sweep's command last said; else zeros.

        Raises:
            UserError: the sweep is gone, or damaged.
        """
        said = alive(SweepFolder.open(self.sweep.location)) or {
            "running": [],
            "iterations_per_second": 0.0,
            "seconds_left": None,
        }
        return {**said, "running": len(said["running"])}

    def page(self) -> str:
        """Return the page, or one that waits while nothing has been evaluated.

        Raises:
            UserError: the sweep is gone, or damaged.
        """
        sweep = SweepFolder.open(self.sweep.location)
        content, version = self.content()
        if content is not None:
            return render(content, [], [], served=version)
        manifest = sweep.manifest()
        return waiting_page(sweep.name, manifest.get("question") or "", sweep.location)

    def _read(self) -> None:
        began = time.monotonic()
        try:
            content = self._collect(self.sweep.location)
            text = json.dumps({**content, "about": None}, sort_keys=True)
            self._known = content, f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'
        except UserError:  # not evaluated yet
            self._known = None, ""
        ended = time.monotonic()
        self._next = ended + max(LEAST_SECONDS, REST * (ended - began))


class Server(ThreadingHTTPServer):
    """Shows sweeps on the loopback interface.

    Args:
        port: 0 for any that is free.
        sweeps: each by the name that it has in addresses; "" for a single one.
        front: the page that lists them, or lays two beside each other, as the query of its address asks; None where
            there is a single one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, port: int, sweeps: Callable[[str], ServedSweep | None], front: Front | None = None) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.sweep_named = sweeps
        self.front = front
        names = (LOOPBACK, "localhost")
        self.hosts = {f"{name}:{self.server_port}" for name in names}
        if self.server_port == HTTP_PORT:
            self.hosts.update(names)  # browsers leave it out

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a reader that has gone before it was answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def link(self) -> str:
        """The link that opens it in a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; any other method is refused by its base."""

    server: Server
    server_version = "dd_ray"
    sys_version = ""

    def do_GET(self) -> None:
        """Send what is asked for."""
        if self.headers.get("Host") not in self.server.hosts:
            return self._send(HTTPStatus.FORBIDDEN, "text/plain", "This address is not the server's own.")
        try:
            asked = urlsplit(self.path)
        except ValueError:
            return self._send(HTTPStatus.BAD_REQUEST, "text/plain", "This is no address.")
        try:
            return self._answer(unquote(asked.path), parse_qs(asked.query))
        except UserError as error:
            return self._send(HTTPStatus.NOT_FOUND, "text/plain", str(error))
        except ConnectionError:  # a reader that has gone
            return None
        except OSError as error:  # of the storage
            told = f"The storage cannot be read ({error.strerror or error})."
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", told)
        except Exception as error:  # that nobody has foreseen: where it is from is for who runs the server
            traceback.print_exc()
            told = f"This cannot be shown ({type(error).__name__}: {first_line(error)}); see where the server runs."
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", told)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a page asks every few seconds."""

    def _answer(self, path: str, query: Mapping[str, list[str]]) -> None:
        name, _, file = path.removeprefix("/").rpartition("/")
        if not name and self.server.front is not None and not file:
            return self._send(HTTPStatus.OK, "text/html", self.server.front(query))
        sweep = self.server.sweep_named(name)
        if sweep is None or file not in ("", "content.json", "progress.json"):
            return self._send(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.")
        if not file:
            return self._send(HTTPStatus.OK, "text/html", sweep.page())
        if file == "progress.json":
            return self._send(HTTPStatus.OK, "application/json", as_json(sweep.progress()))
        content, version = sweep.content()
        if content is None or self.headers.get("If-None-Match") == version:
            return self._send(HTTPStatus.NOT_MODIFIED, "application/json", "")
        return self._send(HTTPStatus.OK, "application/json", as_json(content), {"ETag": version})

    def _send(self, status: HTTPStatus, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        content = as_bytes(text)
        self.send_response(status)
        sent = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            **(headers or {}),
        }
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def serve(location: str, port: int | None) -> None:
    """Show the sweep, or the storage of sweeps, at a location until Ctrl-C.

    Raises:
        UserError: there is none, or the port is taken or out of range.
    """
    with _server(port, *_shown(location)) as server:
        print(f"{server.link} shows {location} until Ctrl-C.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _shown(location: str) -> tuple[Callable[[str], ServedSweep | None], Front | None]:
    """Return the sweeps at a location by their names in addresses, and the page that lists them if they are several."""
    if not is_storage(location):
        sweep = ServedSweep(location)
        return lambda name: None if name else sweep, None
    opened: dict[str, ServedSweep] = {}

    def named(name: str) -> ServedSweep | None:
        if name not in opened and name in sweeps_in(location):
            opened[name] = ServedSweep(sweep_location(location, name))
        return opened.get(name)

    lines = Lines()

    def front(query: Mapping[str, list[str]]) -> str:
        if BESIDE in query:
            return _beside(query, named, lines)
        (first,) = query.get(FIRST, [None])[:1]
        return front_page(
            location,
            lambda line: f"{quote(line.name)}/",
            refresh=SECONDS_OF_FRONT,
            lines=lines,
            pairs=True,
            first=first if first is not None and named(first) else None,
        )

    return named, front


def _beside(query: Mapping[str, list[str]], named: Callable[[str], ServedSweep | None], lines: Lines) -> str:
    """Return the page of the two sweeps that a query names.

    Raises:
        UserError: it does not name two that are there and can be laid beside each other.
    """
    names = query[BESIDE]
    sweeps = [sweep for sweep in map(named, names) if sweep is not None]
    if len(names) != 2 or len(sweeps) != 2:
        raise UserError(f"?{BESIDE}= is to name two sweeps of this storage, and not {', '.join(names)}.")
    contents = [content for content in (sweep.content()[0] for sweep in sweeps) if content is not None]
    if len(contents) < 2:
        raise UserError(f"nothing has been evaluated yet in one of {', '.join(names)}; come back later.")
    findings = [lines.of(sweep.sweep).finding for sweep in sweeps]
    body = beside_body(names, contents, findings, next(iter(query.get(METRIC, [])), None))
    links = " · ".join(f'<a href="{html.escape(quote(name))}/">{html.escape(name)}</a>' for name in names)
    return plain_page(f"{names[0]} beside {names[1]}", f'{links} · <a href="?">all sweeps</a>', body)


def _server(port: int | None, sweeps: Callable[[str], ServedSweep | None], front: Front | None = None) -> Server:
    if port is not None and not 0 <= port <= LARGEST_PORT:
        raise UserError(f"--port {port} is out of range; give 1 to {LARGEST_PORT}, or 0 for any.")
    try:
        return Server(PORT if port is None else port, sweeps, front)
    except OSError as error:
        if port is not None:
            raise UserError(f"--port {port} cannot be used ({error.strerror}); give another, or 0 for any.") from error
        return Server(0, sweeps, front)
