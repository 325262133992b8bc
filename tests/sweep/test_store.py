"""The files of a sweep survive what interrupts their writing."""

import json

import pytest

from dd_ray.errors import UserError
from dd_ray.sweep import store
from dd_ray.sweep.store import CellFolder, Outcome, SweepFolder


@pytest.fixture
def cell(tmp_path):
    folder = CellFolder(tmp_path / "cells" / "abc")
    folder.create({"beta": 0.1}, "beta=0.1")
    return folder


def test_what_is_recorded_is_read_in_order(cell):
    for iteration in (0, 5, 10):
        cell.record({"iteration": iteration, "mcc": 0.5})
    assert [row["iteration"] for row in cell.evaluations()] == [0, 5, 10]


def test_a_line_cut_short_is_not_read_and_is_overwritten(cell):
    cell.record({"iteration": 0, "kl": 1.0})
    with (cell.path / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 5, "kl"')
    assert [row["iteration"] for row in cell.evaluations()] == [0]
    cell.record({"iteration": 5, "kl": 2.0})
    assert cell.evaluations() == [{"iteration": 0, "kl": 1.0}, {"iteration": 5, "kl": 2.0}]


def test_not_a_number_is_recorded_as_null(cell):
    returned = cell.record({"iteration": 0, "kl": float("nan"), "loss": float("inf")})
    assert returned == cell.evaluations()[0] == {"iteration": 0, "kl": None, "loss": None}
    assert "NaN" not in (cell.path / "metrics.jsonl").read_text()


def test_creating_a_cell_again_keeps_what_it_is(cell):
    cell.create({"beta": 9}, "another label")
    assert cell.describe() == {"config": {"beta": 0.1}, "label": "beta=0.1"}


def test_outcome_round_trip_and_reopen(cell):
    assert cell.outcome() is None
    cell.finish(Outcome(state="failed", iteration=7, error="ValueError: no"))
    assert cell.outcome() == Outcome(state="failed", iteration=7, error="ValueError: no")
    cell.reopen()
    cell.reopen()
    assert cell.outcome() is None


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    store.write_bytes(path, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        store.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_cells_are_found(tmp_path):
    sweep = SweepFolder(tmp_path)
    sweep.create({"study": "s"})
    for key in ("b", "a"):
        sweep.cell(key).create({}, key)
    assert [cell.key for cell in sweep.cells()] == ["a", "b"]


def test_opening_what_is_no_sweep_says_so(tmp_path):
    with pytest.raises(UserError, match="nowhere is no folder"):
        SweepFolder.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no sweep"):
        SweepFolder.open(tmp_path)


def test_a_folder_of_another_study_is_refused(tmp_path):
    sweep = SweepFolder(tmp_path)
    sweep.create({"study": "beta_grid"})
    sweep.check("beta_grid")
    with pytest.raises(UserError, match="study beta_grid, not inertia_grid"):
        sweep.check("inertia_grid")


def test_storage_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        SweepFolder(tmp_path / "file" / "sweep").check("beta_grid")


def test_json_is_whole(tmp_path):
    store.write_json(tmp_path / "x.json", {"a": [1, 2]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1, 2]}


def test_a_sweep_is_run_by_one_command_at_a_time(tmp_path):
    sweep = SweepFolder(tmp_path)
    with sweep.lock(), pytest.raises(UserError, match=r"is being run already, by process \d+"), sweep.lock():
        pass
    with sweep.lock():
        assert (tmp_path / ".lock").exists()
