"""When and where trials ran, from what workers recorded and, of killed ones, from their evaluations."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from dd_ray import results
from dd_ray.report.content import collect
from dd_ray.results.timeline import timeline
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from tests.figures.sweeps import Values, write_sweep

FIRST = 1_795_708_800.0  # 26 November 2026, 16:00 UTC


def record(trial: TrialFolder, began: float, host: str = "here", device: str = "cpu", **more: Any) -> None:
    """Record an attempt, some seconds after the first, as a worker would."""
    known = {"attempt": f"{began}", "began": FIRST + began, "host": host, "pid": 1, "device": device, "recorded": -1}
    line = json.dumps({**known, **more}).encode() + b"\n"
    had = trial.files.read("attempts.jsonl") if trial.files.exists("attempts.jsonl") else b""
    trial.files.write("attempts.jsonl", had + line, durable=False)


def measured(config: Values, iteration: int) -> Values:
    return {"mcc": 0.5, "seconds": 10.0 + iteration}


def sweep_of(path: Path, *ended: tuple[str, int]) -> list[TrialFolder]:
    """A sweep with a trial for each end, in the order of their γ."""
    gammas = [i / 10 for i in range(len(ended))]
    write_sweep(path, {"beta": [0.1], "gamma": gammas}, lambda c: ended[gammas.index(c["gamma"])], measured)
    table = results.final(results.load(path)).sort_values("gamma")
    return [SweepFolder.open(path).trial(key) for key in table["key"]]


def test_each_attempt_is_a_row_in_utc_and_the_last_has_the_state_of_its_trial(tmp_path: Path) -> None:
    one, other = sweep_of(tmp_path / "s", ("finished", 300), ("stopped_early", 150))
    record(one, 0, ended=FIRST + 20, iteration=120, how="error", error="RuntimeError: no memory")
    record(one, 30, "there", "GPU 1", recorded=0, ended=FIRST + 90, iteration=300, how="finished")
    record(other, 5, ended=FIRST + 60, iteration=170, how="left")
    rows = timeline(tmp_path / "s")
    assert list(rows["state"]) == ["error", "stopped_early", "finished"]
    assert list(rows["host"] + " " + rows["device"]) == ["here cpu", "here cpu", "there GPU 1"]
    assert rows["began"].iloc[0] == pd.Timestamp("2026-11-26 16:00:00", tz="UTC")
    assert [(row.ended - row.began).total_seconds() for row in rows.itertuples()] == [20, 55, 60]
    assert list(zip(rows["from"], rows["to"], strict=True)) == [(0, 120), (0, 170), (0, 300)]
    assert rows["error"].iloc[0] == "RuntimeError: no memory" and rows["end_recorded"].all()


def test_of_a_killed_worker_the_end_is_its_last_evaluation(tmp_path: Path) -> None:
    (trial,) = sweep_of(tmp_path / "s", ("unfinished", 300))
    record(trial, 0)  # evaluated at 0 and 150, after 160 seconds
    record(trial, 400, recorded=150)  # and at 300, after 150 more
    record(trial, 450, recorded=300)
    first, second, third = timeline(tmp_path / "s").to_dict("records")
    assert [first["state"], second["state"], third["state"]] == ["killed"] * 3
    assert (first["ended"] - first["began"]).total_seconds() == 160 and (first["from"], first["to"]) == (0, 150)
    assert second["ended"] == third["began"]  # the next attempt is the latest that it may have been
    assert third["ended"] == third["began"] and not third["end_recorded"]


def test_the_time_of_a_killed_worker_is_without_that_of_earlier_attempts(tmp_path: Path) -> None:
    (trial,) = sweep_of(tmp_path / "s", ("unfinished", 300))
    record(trial, 0)
    record(trial, 400, recorded=150)
    row = timeline(tmp_path / "s").iloc[1]
    assert (row["ended"] - row["began"]).total_seconds() == 150 and (row["from"], row["to"]) == (150, 300)


def test_a_trial_that_runs_is_told_from_a_killed_one(tmp_path: Path) -> None:
    one, other = sweep_of(tmp_path / "s", ("unfinished", 150), ("unfinished", 150))
    for trial in (one, other):
        record(trial, 0)
    table = results.load(tmp_path / "s")
    table.loc[table["key"] == one.key, "state"] = "running"
    states = timeline(tmp_path / "s", table=table).set_index("key")["state"]
    assert dict(states) == {one.key: "running", other.key: "killed"}


def test_of_several_sweeps_the_one_whose_records_count_tells_the_times(tmp_path: Path) -> None:
    (short,) = sweep_of(tmp_path / "a", ("unfinished", 150))
    (whole,) = sweep_of(tmp_path / "b", ("finished", 300))
    record(short, 0, ended=FIRST + 1, iteration=150, how="left")
    record(whole, 9, ended=FIRST + 99, iteration=300, how="finished")
    rows = timeline(tmp_path / "a", tmp_path / "b")
    assert [*zip(rows["sweep"], rows["state"], strict=True)] == [("b", "finished")]


def test_a_page_has_the_attempts_of_its_cells_and_says_which_have_none(tmp_path: Path) -> None:
    one, _ = sweep_of(tmp_path / "s", ("finished", 300), ("finished", 300))
    record(one, 0, ended=FIRST + 20, iteration=300, how="finished")
    content = collect(tmp_path / "s")
    shown = content["timeline"]
    assert (shown["zero"], shown["places"], shown["without"]) == (FIRST, [("here", "cpu")], 1)
    cell, trial = shown["columns"]["cell"][0], shown["columns"]["trial"][0]
    assert content["cells"][cell]["trials"][trial]["key"] == one.key
    assert (shown["columns"]["began"], shown["columns"]["ended"]) == ([0.0], [20.0])


def test_a_sweep_of_an_earlier_version_has_no_times(tmp_path: Path) -> None:
    sweep_of(tmp_path / "s", ("finished", 300))
    assert timeline(tmp_path / "s").empty
    shown = collect(tmp_path / "s")["timeline"]
    assert shown["without"] == 1 and shown["columns"]["cell"] == []


def test_an_attempt_never_ends_before_it_begins_though_a_clock_was_set(tmp_path: Path) -> None:
    (trial,) = sweep_of(tmp_path / "s", ("finished", 300))
    record(trial, 50, ended=FIRST + 20, iteration=300, how="finished")
    (row,) = timeline(tmp_path / "s").to_dict("records")
    assert row["ended"] == row["began"]
