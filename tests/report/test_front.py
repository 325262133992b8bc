"""The front page of a storage: what it says of each sweep, and where it leads."""

import errno
import html
import json
import math
import shutil
import sys
from pathlib import Path

import pytest

from dd_ray.errors import UserError
from dd_ray.report import command, front, live
from dd_ray.report.front import Lines, sweeps_in
from dd_ray.report.server import Server, _shown
from dd_ray.storage.files import LocalFiles
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from tests.figures.sweeps import Values, write_sweep
from tests.report.test_report import HOSTILE, Page
from tests.report.test_server import ask, running
from tests.sweep.searching import bowl, plan_of, run

AXES = {"beta": [0.1, 1.0, 2.0]}


def ended(config: Values) -> tuple[str, int]:
    return {0.1: ("finished", 300), 1.0: ("failed", 150), 2.0: ("unfinished", 150)}[config["beta"]]


def measured(config: Values, iteration: int) -> Values:
    """Scores whose differences vary from seed to seed."""
    score = config["gamma"] * (1 + 0.1 * config["seed"]) + 0.01 * config["seed"] ** 2
    return dict.fromkeys(("reconstruction_error", "linear_r2", "mcc", "linear_r2_stills", "mcc_stills"), score)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Two sweeps, one of them with a page, and what else lies about."""
    write_sweep(tmp_path / "whole #1", {"beta": [0.1], "gamma": [0.0, 0.5], "seed": [0, 1, 2]}, metrics=measured)
    write_sweep(tmp_path / "half", AXES, ended)
    sweep = SweepFolder.at(tmp_path / "half")
    sweep.write_manifest({**sweep.manifest(), "question": HOSTILE})
    sweep.files.write("report.html", b"the page")
    (tmp_path / "other").mkdir()
    (tmp_path / "file.txt").write_text("x")
    return tmp_path


def test_a_line_says_how_far_a_sweep_is(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sweeps_in(str(storage)) == ["half", "whole #1"]
    half, whole = (Lines().of(SweepFolder.open(storage / name)) for name in ("half", "whole #1"))
    assert (whole.state, whole.progress) == ("complete", "6 of 6 trials")
    assert whole.finding.startswith("Against ") and "γ = 0.5" in whole.finding and not half.finding
    assert (half.state, half.progress) == ("not running", "2 of 3 trials (1 failed)")
    said = {"time": 4e9, "running": ["k"], "iterations_per_second": 1.0, "seconds_left": 7200.0}
    SweepFolder.at(storage / "half").write_progress(said)
    monkeypatch.setattr("dd_ray.results.table.time.time", lambda: 4e9)
    assert Lines().of(SweepFolder.open(storage / "half")).state.startswith("running, about 2")


def test_records_are_read_again_where_one_has_changed(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, read = Lines(), list[SweepFolder]()

    def finding(sweep: SweepFolder) -> str:
        read.append(sweep)
        return ""

    monkeypatch.setattr(front, "_finding", finding)
    sweep = SweepFolder.open(storage / "half")
    first = lines.of(sweep)
    assert lines.of(sweep) == first and len(read) == 1
    said = {"time": 4e9, "running": ["k"], "iterations_per_second": 1.0, "seconds_left": 7200.0}
    SweepFolder.at(storage / "half").write_progress(said)
    monkeypatch.setattr("dd_ray.results.table.time.time", lambda: 4e9)
    assert lines.of(sweep).state.startswith("running") and len(read) == 1
    (unfinished,) = (trial for trial in sweep.trials() if trial.outcome() is None)
    unfinished.record({**unfinished.evaluations()[-1], "iteration": 300})
    assert lines.of(sweep).progress == first.progress and len(read) == 2
    unfinished.finish(Outcome(state="finished", iteration=300))
    assert lines.of(sweep).progress == "3 of 3 trials (1 failed)" and len(read) == 3


def test_a_search_has_all_trials_that_it_is_asked_for(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "5", "--seeds", "2")
    sweep = SweepFolder.at(plan.location)

    def line(trained: float) -> tuple[str, str]:
        run(plan, bowl, kill_after=trained)
        sweep.write_manifest({**sweep.manifest(), "options": {"suggestions": 5}})
        said = Lines().of(sweep)
        return said.state, said.progress

    assert line(2) == ("not running", "2 of 10 trials")  # of another suggestion, no trial is made yet
    assert line(math.inf) == ("complete", "10 of 10 trials")


@pytest.mark.parametrize(
    ("name", "value"),
    [("machine", {"name": "vm"}), ("question", 5), ("began", [1]), ("asked", {"a": 1}), ("tells", [1])],
)
def test_a_damaged_sweep_does_not_take_the_others_away(
    storage: Path, capsys: pytest.CaptureFixture[str], name: str, value: object
) -> None:
    sweep = SweepFolder.at(storage / "half")
    sweep.write_manifest({**sweep.manifest(), name: value})
    page = front.front_page(str(storage), lambda line: line.name)
    assert "whole #1" in page and "half" not in page
    assert "half/sweep.json is damaged" in capsys.readouterr().err


def test_an_unforeseen_error_of_one_sweep_is_told_in_its_line(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = Lines.of

    def fail(lines: Lines, sweep: SweepFolder) -> front.Line:
        return of(lines, sweep) if sweep.name != "half" else {}[HOSTILE]

    monkeypatch.setattr(Lines, "of", fail)
    page = front.front_page(str(storage), lambda line: f"{line.name}/")
    assert "complete" in page and ">half</a>" in page
    assert html.escape(f"cannot be read (KeyError: {HOSTILE!r})") in page


def test_what_may_not_be_read_does_not_take_the_others_away(
    storage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exists, read = LocalFiles.exists, LocalFiles.read

    def refuse(files: LocalFiles, folder: str) -> None:
        if files.location.endswith(folder):
            raise PermissionError(errno.EACCES, "Permission denied")

    def may_exist(files: LocalFiles, name: str) -> bool:
        refuse(files, "other")  # as lost+found, which only root may enter
        return exists(files, name)

    def may_be_read(files: LocalFiles, name: str, most: int | None = None) -> bytes:
        refuse(files, "half")
        return read(files, name, most)

    monkeypatch.setattr(LocalFiles, "exists", may_exist)
    monkeypatch.setattr(LocalFiles, "read", may_be_read)
    with Server(0, *_shown(str(storage))) as server, running(server):
        answer, text = ask(server, "/")
        assert answer.status == 200 and "whole #1" in text and "half" not in text
        answer, text = ask(server, "/half/")
        assert (answer.status, text) == (503, "The storage cannot be read (Permission denied).")
    assert capsys.readouterr().err.splitlines() == [f"{storage / 'half'} cannot be read (Permission denied)."]


def test_the_command_on_a_storage_lists_its_sweeps(storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main([str(storage)])
    assert capsys.readouterr().out.strip() == str(storage / "index.html")
    text = (storage / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")] == ["half/report.html"]
    assert not page.scripts and "<img" not in text and "whole #1" in text


def test_the_server_of_a_storage_leads_to_each_sweep(storage: Path) -> None:
    with Server(0, *_shown(str(storage))) as server, running(server):
        answer, text = ask(server, "/")
        links = [value for tag, name, value in Page(text).attributes if (tag, name) == ("a", "href")]
        pairing = ["?first=half", "?first=whole+%231"]
        assert answer.status == 200 and sorted(links) == [*pairing, "half/", "whole%20%231/"]
        for link in (link for link in links if link not in pairing):
            assert ask(server, f"/{link}progress.json")[0].status == 200
        assert Page(ask(server, "/half/")[1]).numbers()["about"]["name"] == "half"
        for path in ("/other/", "/file.txt", "/half/report.html", "/half/../half/sweep.json", "/./half/"):
            assert ask(server, path)[0].status == 404


def test_two_sweeps_are_laid_beside_each_other_in_one_scale(storage: Path) -> None:
    write_sweep(storage / "more", {"beta": [0.1], "gamma": [0.0, 0.9], "seed": [0, 1]}, metrics=measured)
    _, front_of = _shown(str(storage))
    assert front_of is not None
    assert 'href="?first=whole+%231"' in front_of({})
    second = front_of({"first": ["more"]})
    assert 'href="?beside=more&amp;beside=whole+%231"' in second and "Choose the sweep to lay beside more" in second
    page = front_of({"beside": ["whole #1", "more"], "metric": ["mcc"]})
    rows = {row.partition("</th>")[0]: row for row in page.split('<th scope="row">')}
    assert '<td class="text">0 0.5</td><td class="text">0 0.9</td>' in rows["gamma"]
    assert '<td class="text">0 1 2</td><td class="text">0 1</td>' in rows["seed"] and "beta" not in rows
    assert "γ = 0.5 raises" in rows["came out"]
    # In scales of their own, 0.5 and 0.9 would have one colour, as the highest of their maps.
    colours = [cell.partition(";")[0] for cell in page.split('<td style="background:')[1:]]
    assert len(colours) == 4 and colours[1] != colours[3]
    assert "one colour scale" in page and "<b>MCC</b>" in page and "default-src 'none'" in page
    wrong: list[dict[str, list[str]]] = [
        {"beside": ["more"]},
        {"beside": ["more", "gone"]},
        {"beside": ["more", "whole #1"], "metric": ["no"]},
    ]
    for query in wrong:
        with pytest.raises(UserError):
            front_of(query)
    assert HOSTILE not in front_of({"beside": ["half", "more"]})


def test_maps_beside_each_other_have_the_numbers_and_marks_of_the_pages(tmp_path: Path) -> None:
    def measured(config: Values, iteration: int) -> Values:
        kl = (27.34 if config["beta"] < 1 else 0.0694) + 0.01 * config["seed"]
        return {"kl": kl, "active_units": 4.0 if config["beta"] < 1 else 0.0}

    further = {"beta": [0.1], "gamma": [0.9]}
    write_sweep(
        tmp_path / "one", {"beta": [0.1, 1.0], "gamma": [0.5], "seed": [0, 1]}, metrics=measured, beside=further
    )
    lost = {0.1: ("finished", 300), 2.0: ("failed", -1)}
    write_sweep(tmp_path / "lost", {"beta": [0.1, 2.0]}, lambda config: lost[config["beta"]], measured)
    _, front_of = _shown(str(tmp_path))
    assert front_of is not None
    assert "<p>2 sweeps, as at " in front_of({})
    page = front_of({"beside": ["one", "lost"], "metric": ["kl"]})
    cells = [cell.partition("<")[0].partition(">")[2] for cell in page.split("<td")[1:]]
    # It had 27 of one and 0.074 of the other, of which nothing said that it had collapsed, and a dash for what failed.
    assert any(cell.startswith("27.3 ± ") for cell in cells) and "F" in cells and "·" in cells
    assert any(cell.startswith("0.074") and cell.endswith(" C") for cell in cells)
    assert "Letters: F failed; C collapsed: no active unit in some seed; · not part of the sweep." in page


def test_maps_of_what_one_sweep_alone_varies_stand_beside_the_same_of_the_other(tmp_path: Path) -> None:
    of_map = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}
    write_sweep(tmp_path / "one", {**of_map, "lam": [0.0, 10.0]}, metrics=measured)
    write_sweep(tmp_path / "other", {**of_map, "lam": [10.0]}, metrics=measured)
    _, front_of = _shown(str(tmp_path))
    assert front_of is not None
    page = front_of({"beside": ["one", "other"]})
    maps = [(part.partition("<")[0], "<table" in part) for part in page.split("<h3>")[1:]]
    alike = [("one, λ = 10", True), ("other, λ = 10", True)]
    assert maps == [("one, λ = 0", True), ("other, λ = 0", False), *alike]


def test_a_map_that_a_sweep_has_no_cell_of_is_not_drawn_beside_that_of_the_other(tmp_path: Path) -> None:
    of_map = {"beta": [0.1, 1.0], "gamma": [0.5, 0.9], "lam": [0.0, 10.0]}
    of_vae = {"model": ["beta_vae"], "gamma": [0.0], "lam": [0.0]}
    write_sweep(tmp_path / "one", of_map, metrics=measured, beside=of_vae)
    write_sweep(tmp_path / "other", of_map, metrics=measured)
    _, front_of = _shown(str(tmp_path))
    assert front_of is not None
    page = front_of({"beside": ["one", "other"]})
    maps = {part.partition("<")[0]: part.partition("</div>")[0] for part in page.split("<h3>")[1:]}
    assert [title for title, drawn in maps.items() if "<table" in drawn] == [
        *("one, λ = 0, model = beta_vae", "one, λ = 0, model = inertia_vae", "other, λ = 0, model = inertia_vae"),
        *("one, λ = 10, model = inertia_vae", "other, λ = 10, model = inertia_vae"),
    ]
    assert not any("λ = 10, model = beta_vae" in title for title in maps)
    assert "· not part of the sweep" in page
    assert "not part of the sweep" not in front_of({"beside": ["other", "other"]})


def test_what_is_said_of_maps_beside_each_other_holds_for_both_sweeps(tmp_path: Path) -> None:
    axes = {"beta": [0.1, 1.0], "gamma": [0.5, 0.9], "lam": [0.0, 10.0]}

    def spread(config: Values, iteration: int) -> Values:
        return {"mcc": config["gamma"] + (0.001 + 0.001 * config["beta"]) * config["seed"] ** 2, "kl": 1.0}

    write_sweep(tmp_path / "one", {**axes, "delay": [0, 1], "seed": [0, 1, 2]}, metrics=spread)
    write_sweep(tmp_path / "young", {**axes, "delay": [1]}, lambda config: ("unfinished", 150), metrics=spread)
    _, front_of = _shown(str(tmp_path))
    assert front_of is not None
    page = front_of({"beside": ["one", "young"], "metric": ["mcc"]})
    assert "Means over seeds at iteration 300 of one and 150 of young, ± half of their 95% intervals." in page
    # It was the best of a map, though three of the four maps of a delay had none.
    assert "★ is the best of the complete cells without collapse, of all maps of its sweep that have its delay." in page
    assert "No cell of young can be told apart as its best." in page
    page = front_of({"beside": ["young", "young"], "metric": ["mcc"]})
    assert (
        "Means over seeds at iteration 150." in page and "★ is" not in page and "±" not in page.partition("<h2>MCC")[2]
    )
    assert "best" not in front_of({"beside": ["one", "young"], "metric": ["kl"]}).partition("<h2>KL")[2]


def test_a_sweep_without_trials_is_not_complete(tmp_path: Path) -> None:
    sweep = SweepFolder.at(tmp_path / "s")
    sweep.write_manifest({"study": "inertia_grid", "axes": {}, "options": {}})
    assert Lines().of(sweep).state == "not running"


def test_a_page_of_a_storage_takes_no_options_of_a_sweep(storage: Path) -> None:
    with pytest.raises(UserError, match=r"^--x is for the page of a sweep, and .* is a storage; leave it out\.$"):
        command.write_report(command.Options(path=str(storage), x="gamma"))


@pytest.mark.skipif(sys.platform == "darwin", reason="has no such names")
def test_names_that_are_no_text_end_no_page(tmp_path: Path) -> None:
    """A name of a file may be any bytes: those that are no UTF-8 come into a sweep by its command and its errors."""
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5]})
    sweep = SweepFolder.at(path)
    sweep.write_manifest({**sweep.manifest(), "command": ["a\udce9", "\\\udce9"], "question": "of a\udce9?"})
    (path / "cells" / "caf\udce9").mkdir()
    shutil.copytree(path, tmp_path / "caf\udce9")
    assert sweeps_in(str(tmp_path)) == ["s"]
    command.main([str(tmp_path)])
    command.main([str(path), "--videos", "0"])
    live.write_page(sweep)
    with Server(0, *_shown(str(tmp_path))) as server, running(server):
        answers = [ask(server, address) for address in ("/", "/s/", "/s/content.json")]
    assert [answer.status for answer, _ in answers] == [200, 200, 200]
    asked = json.loads(answers[2][1])["about"]["command"]
    assert asked == "python 'a\udce9' '\\\udce9'"
    assert Page((path / "report.html").read_text()).numbers()["about"]["command"] == asked
    assert "of a\\udce9?" in answers[0][1]
