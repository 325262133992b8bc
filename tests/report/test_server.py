"""The server that shows sweeps while they run: what it answers, to whom, and what it reads."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from dd_ray.errors import UserError
from dd_ray.report import server as served
from dd_ray.report.command import main as report
from dd_ray.report.server import LOOPBACK, ServedSweep, Server, serve
from dd_ray.storage.sweep_folder import SweepFolder
from tests.figures.sweeps import write_sweep
from tests.report.test_report import Page

AXES = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}


@contextmanager
def serving(path: Path) -> Iterator[Server]:
    """A server of a single sweep that runs for a while, on any port."""
    sweep = ServedSweep(str(path))
    with Server(0, lambda name: None if name else sweep) as server, running(server):
        yield server


@contextmanager
def running(server: Server) -> Iterator[None]:
    """A server that answers meanwhile."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection(LOOPBACK, server.server_port, timeout=60)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer, answer.read().decode()


def record(path: Path, iteration: int) -> None:
    """Add an evaluation to each trial of a sweep, as a run does."""
    for trial in SweepFolder.at(path).trials():
        trial.record({**trial.evaluations()[-1], "iteration": iteration})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = write_sweep(tmp_path_factory.mktemp("served") / "s", AXES)
    SweepFolder.at(path).write_progress(
        {"time": 4e9, "running": ["a", "b"], "iterations_per_second": 2.5, "seconds_left": 60.0}
    )
    with serving(path) as one:
        yield one


def test_the_page_may_ask_its_server_and_nobody_else(server: Server) -> None:
    answer, text = ask(server, "/")
    page = Page(text)
    (policy,) = (value for _, name, value in page.attributes if name == "content" and value and "default-src" in value)
    assert answer.status == 200 and "connect-src 'self'" in policy and policy.startswith("default-src 'none'")
    assert [name for name in ("Cross-Origin-Resource-Policy", "X-Frame-Options") if not answer.headers[name]] == []
    assert len(page.numbers()["cells"]) == 4


def test_numbers_are_sent_once(server: Server) -> None:
    answer, text = ask(server, "/content.json")
    assert json.loads(text)["iterations"] == [0, 150, 300]
    again, nothing = ask(server, "/content.json", If_None_Match=answer.headers["ETag"])
    assert (again.status, nothing) == (304, "")


def test_a_page_knows_which_numbers_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(served, "REST", 0.0)
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("unfinished", 0))
    with serving(path) as server:
        page = Page(ask(server, "/")[1])
        (version,) = (value for _, name, value in page.attributes if name == "data-version")
        assert version and ask(server, "/content.json", If_None_Match=version)[0].status == 304
        record(path, 150)  # before the page asks for the first time
        answer, text = ask(server, "/content.json", If_None_Match=version)
        assert answer.status == 200 and json.loads(text)["iterations"] == [0, 150]


def test_numbers_grow_with_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(served, "REST", 0.0)
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("unfinished", 0))
    sweep = ServedSweep(str(path))
    content, version = sweep.content()
    assert content is not None and content["iterations"] == [0]
    assert sweep.content()[1] == version
    record(path, 150)
    content, later = sweep.content()
    assert content is not None and content["iterations"] == [0, 150] and later != version


def test_collecting_takes_a_fifth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(served.time, "monotonic", lambda: now[0])

    def collect(location: str) -> dict[str, Any]:
        now[0] += 10
        return {"at": now[0]}

    sweep = ServedSweep(str(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})), collect)
    seen = []
    for now[0] in (0, 11, 49, 51, 90):
        seen.append((sweep.content()[0] or {})["at"])
    assert seen == [10, 10, 10, 61, 61]


def test_a_sweep_without_a_number_waits(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("missing", -1))
    with serving(path) as server:
        answer, text = ask(server, "/")
        assert answer.status == 200 and 'http-equiv="refresh"' in text and "Nothing is shown" in text
        assert ask(server, "/content.json")[0].status == 304


@pytest.mark.parametrize(("text", "said"), [(None, "holds no sweep"), ("{", "sweep.json is damaged")])
def test_a_sweep_that_goes_away_is_not_shown_as_one_that_waits(tmp_path: Path, text: str | None, said: str) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    with serving(path) as server:
        assert ask(server, "/progress.json")[0].status == 200
        (path / "sweep.json").unlink()
        if text is not None:
            (path / "sweep.json").write_text(text)
        for asked in ("/", "/progress.json"):
            answer, told = ask(server, asked)
            assert answer.status == 404 and said in told


def test_an_error_that_nobody_has_foreseen_is_a_sentence_and_its_traceback_is_for_who_runs_the_server(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(location: str) -> dict[str, Any]:
        raise ZeroDivisionError("division by zero\nand more")

    sweep = ServedSweep(str(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})), broken)
    with Server(0, lambda name: sweep) as server, running(server):
        for asked in ("/", "/content.json"):
            answer, told = ask(server, asked)
            assert answer.status == 500
            assert told == "This cannot be shown (ZeroDivisionError: division by zero); see where the server runs."
    assert "Traceback" in capfd.readouterr().err


def test_progress_is_what_the_command_said_lately(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = json.loads(ask(server, "/progress.json")[1])
    assert progress == {"running": 0, "iterations_per_second": 0.0, "seconds_left": None}
    monkeypatch.setattr("dd_ray.results.table.time.time", lambda: 4e9)
    progress = json.loads(ask(server, "/progress.json")[1])
    assert progress == {"time": 4e9, "running": 2, "iterations_per_second": 2.5, "seconds_left": 60.0}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "", "127.0.0.1"])
def test_a_host_that_is_not_its_own_is_told_nothing(server: Server, host: str) -> None:
    for path in ("/", "/content.json", "/progress.json", "/nothing"):
        answer, text = ask(server, path, Host=host.format(port=server.server_port))
        assert answer.status == 403 and len(text) < 100
    assert ask(server, "/progress.json", Host=f"localhost:{server.server_port}")[0].status == 200


def test_browsers_leave_out_the_port_of_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "HTTP_PORT", ANY)
    with serving(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})) as server:
        assert ask(server, "/progress.json", Host="localhost")[0].status == 200
        assert ask(server, "/progress.json", Host="evil.example")[0].status == 403


def test_what_is_no_address_and_a_reader_that_has_gone_end_nothing_and_say_nothing(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ask(server, "http://[/", Host=f"localhost:{server.server_port}")[0].status == 400
    with socket.create_connection((LOOPBACK, server.server_port)) as gone:
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it resets the connection
        gone.sendall(b"GET / HTTP/1.1\r\n")
    time.sleep(0.1)
    assert ask(server, "/progress.json")[0].status == 200
    assert not capfd.readouterr().err


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    assert ask(server, "/", method)[0].status == 501


def test_a_head_has_no_body(server: Server) -> None:
    answer, text = ask(server, "/content.json", "HEAD")
    assert answer.status == 200 and int(answer.headers["Content-Length"]) > 1000 and not text


@pytest.mark.parametrize("path", ["/sweep.json", "/../sweep.json", "/%2e%2e/sweep.json", "/s/", "/cells/x"])
def test_no_other_file_is_shown(server: Server, path: str) -> None:
    assert ask(server, path)[0].status == 404


def test_ctrl_c_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(server: Server) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", interrupted)
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    serve(str(path), 0)
    assert capsys.readouterr().out.startswith(f"http://{LOOPBACK}:")


def test_a_port_that_is_taken_is_refused_if_it_was_asked_for(server: Server, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    with pytest.raises(UserError, match=f"--port {server.server_port} cannot be used .*give another, or 0"):
        serve(str(path), server.server_port)


@pytest.mark.parametrize("port", [-1, 65536, 99999999])
def test_a_port_out_of_range_is_refused(tmp_path: Path, port: int) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    with pytest.raises(UserError, match=f"--port {port} is out of range; give 1 to 65535, or 0 for any"):
        serve(str(path), port)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--serve", "--out", "page.html"], "--out is for a page that is written; leave it out, or --serve."),
        (["--serve", "--metrics", "mig"], "--metrics is for a page that is written"),
        (["--serve", "--videos", "0"], "--videos is for a page that is written"),
        (["--port", "80"], "--port 80 is for --serve; give both, or neither."),
    ],
)
def test_nothing_is_asked_of_a_server_that_it_does_not_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], sentence: str
) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    with pytest.raises(SystemExit) as ended:
        report([str(path), *given])
    assert ended.value.code == 2 and sentence in capsys.readouterr().err
