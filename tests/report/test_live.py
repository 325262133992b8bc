"""The page of a sweep that runs: when it is written, and where it is said to be."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dd_ray.report import live
from dd_ray.storage.sweep_folder import SweepFolder
from tests.figures.sweeps import write_sweep
from tests.report.test_report import HOSTILE, Page


class Processes:
    """Processes that take as long as a test says, on a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: list[float] = []
        self.given_up = 0
        self.takes = 2.0

    def start(self, *arguments: Any, **options: Any) -> "Processes":
        self.ends.append(self.now + self.takes)
        return self

    def poll(self) -> int | None:
        return 0 if self.now >= self.ends[-1] else None

    def terminate(self) -> None:
        self.given_up += 1

    def wait(self) -> int:
        return 0


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    made = Processes()
    monkeypatch.setattr(live.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(live.subprocess, "Popen", made.start)
    return made


def pass_time(processes: Processes, update: Callable[[], None], until: float) -> None:
    while processes.now < until:
        processes.now += 1
        update()


def test_a_page_is_written_for_one_percent_of_the_time(tmp_path: Path, processes: Processes) -> None:
    sweep = SweepFolder.at(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}))
    with live.live_page(sweep, "s", "?") as update:
        pass_time(processes, update, until=2000)
        taken = processes.takes * len(processes.ends)
        assert 0.008 * processes.now < taken < 0.01 * processes.now
        processes.takes = 30.0  # of a sweep that has grown
        pass_time(processes, update, until=2000 + 30_000)
        assert len(processes.ends) == pytest.approx(9 + 10, abs=2)
        assert not processes.given_up
        while processes.poll() == 0:
            pass_time(processes, update, until=processes.now + 1)
    assert processes.given_up == 1


def test_a_sweep_without_a_page_has_one_that_waits_and_says_how_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: Processes
) -> None:
    sweep = SweepFolder.at(tmp_path / "a b")
    with live.live_page(sweep, HOSTILE, HOSTILE):
        pass
    page, command = capsys.readouterr().out.splitlines()
    assert page.split() == ["Page:", f"file://{tmp_path}/a%20b/report.html"]
    assert command.split(None, 1)[1] == f"{sys.executable} -m dd_ray.report '{tmp_path}/a b' --serve"
    text = (tmp_path / "a b" / "report.html").read_text(encoding="utf-8")
    assert not Page(text).scripts and "<img" not in text
    (tmp_path / "a b" / "report.html").write_text("the page of before")
    with live.live_page(sweep, "s", "?"):
        pass
    assert (tmp_path / "a b" / "report.html").read_text() == "the page of before"
    assert not processes.ends


def test_a_page_is_written_beside_the_records(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    live.write_page(SweepFolder.open(path))
    assert Page((path / "report.html").read_text(encoding="utf-8")).numbers()["cells"]


def test_where_a_page_is_on_an_object_store_is_its_url() -> None:
    class Store:
        local = None
        location = "s3://bucket/sweeps/s?region=x"

    assert live.page_link(SweepFolder(Store())) == "s3://bucket/sweeps/s/report.html?region=x"  # type: ignore[arg-type]
