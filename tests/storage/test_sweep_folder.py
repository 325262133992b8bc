"""The files of a sweep survive what interrupts their writing."""

import errno
from dataclasses import replace
from unittest.mock import MagicMock

import pytest

from dd_ray.errors import UserError
from dd_ray.storage import sweep_folder
from dd_ray.storage.files import LocalFiles
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_records import Outcome, TrialFolder


@pytest.fixture
def trial(tmp_path):
    folder = SweepFolder.at(tmp_path).trial("abc")
    folder.create({"beta": 0.1}, "beta=0.1")
    return folder


def test_what_is_recorded_is_read_in_order(trial):
    for iteration in (0, 5, 10):
        trial.record({"iteration": iteration, "mcc": 0.5})
    assert [row["iteration"] for row in trial.evaluations()] == [0, 5, 10]


def test_a_line_cut_short_is_not_read_and_is_overwritten(trial):
    trial.record({"iteration": 0, "kl": 1.0})
    with (trial.files.local / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 5, "kl"')
    assert [row["iteration"] for row in trial.evaluations()] == [0]
    trial.record({"iteration": 5, "kl": 2.0})
    assert trial.evaluations() == [{"iteration": 0, "kl": 1.0}, {"iteration": 5, "kl": 2.0}]


def test_of_two_records_of_an_iteration_the_first_counts(trial):
    trial.record({"iteration": 0, "kl": 1.0})
    trial.record({"iteration": 0, "kl": 2.0})
    trial.files.append("metrics.jsonl", b'{"iteration": 0, "kl": 3.0}\n')  # as by another worker at the same moment
    trial.record({"iteration": 5, "kl": 4.0})
    assert trial.evaluations() == [{"iteration": 0, "kl": 1.0}, {"iteration": 5, "kl": 4.0}]


def test_an_evaluation_is_added_without_reading_those_before_it(trial, monkeypatch):
    read: list[str] = []
    whole = LocalFiles.read
    monkeypatch.setattr(LocalFiles, "read", lambda files, name, most=None: read.append(name) or whole(files, name))
    monkeypatch.setattr("dd_ray.storage.files.local.complete_lines", read.append)
    trial.record({"iteration": 0, "kl": 1.0})
    assert read.pop() == "metrics.jsonl"
    for iteration in range(1, 4):
        trial.record({"iteration": iteration, "kl": 1.0})
    assert not read
    assert [row["iteration"] for row in trial.evaluations()] == [0, 1, 2, 3]


def test_what_another_worker_adds_is_read_before_the_next_is_added(trial):
    other = replace(trial)
    trial.record({"iteration": 0, "kl": 1.0})
    for iteration in (5, 10):
        other.record({"iteration": iteration, "kl": 2.0})
    assert trial.record({"iteration": 5, "kl": 3.0}) == {"iteration": 5, "kl": 2.0}
    trial.record({"iteration": 15, "kl": 3.0})
    other.record({"iteration": 20, "kl": 2.0})
    assert [row["kl"] for row in trial.evaluations()] == [1.0, 2.0, 2.0, 3.0, 2.0]


def test_an_evaluation_that_could_not_be_added_can_be_added_again(trial, monkeypatch):
    trial.record({"iteration": 0, "kl": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", MagicMock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            trial.record({"iteration": 5, "kl": 2.0})
    trial.record({"iteration": 5, "kl": 3.0})
    assert [row["kl"] for row in trial.evaluations()] == [1.0, 3.0]


def test_not_a_number_is_recorded_as_null(trial):
    returned = trial.record({"iteration": 0, "kl": float("nan"), "loss": float("inf")})
    assert returned == trial.evaluations()[0] == {"iteration": 0, "kl": None, "loss": None}
    assert "NaN" not in (trial.files.local / "metrics.jsonl").read_text()


def test_creating_a_trial_again_keeps_what_it_is(trial):
    trial.create({"beta": 9}, "another label")
    assert trial.describe() == {"config": {"beta": 0.1}, "label": "beta=0.1"}


def test_creating_a_trial_again_says_where_its_data_is_now(trial):
    for file in ("/old/d.npz", "/new/d.npz"):
        other = replace(trial, files=trial.files.at("other"))
        other.create({"dsprites_file": file}, "a label")
        assert other.describe()["config"] == {"dsprites_file": file}


def test_outcome_round_trip_and_reopen(trial):
    assert trial.outcome() is None
    trial.finish(Outcome(state="failed", iteration=7, error="ValueError: no"))
    assert trial.outcome() == Outcome(state="failed", iteration=7, error="ValueError: no")
    assert b"seconds" not in trial.files.read("outcome.json")  # as the seals of earlier versions have it
    trial.finish(Outcome(state="out_of_time", iteration=7, seconds=60.5))
    assert trial.outcome() == Outcome(state="out_of_time", iteration=7, seconds=60.5)
    trial.reopen()
    trial.reopen()
    assert trial.outcome() is None


def test_the_latest_two_states_are_kept(trial):
    for iteration in (5, 100, 20_000):
        trial.save_state(iteration, str(iteration).encode())
    assert trial.states() == [20_000, 100]
    assert trial.state(100) == b"100"


@pytest.mark.parametrize("name", ["state-².npz", "state-5.npz", "state-0000000005.npz", "123456789", "state-٣.npz"])
def test_what_has_another_name_is_no_state(trial, name):
    trial.files.write(name, b"")
    assert trial.states() == []
    for iteration in (5, 10**9):
        trial.save_state(iteration, b"weights")
    assert trial.states() == [10**9, 5] and trial.files.exists(name)


def test_a_state_is_kept_also_beside_later_ones_that_may_be_damaged(trial):
    for iteration in (70, 80, 10, 20):
        trial.save_state(iteration, b"")
    assert trial.states() == [80, 20]


def test_trials_are_found(tmp_path):
    sweep = SweepFolder.at(tmp_path)
    sweep.write_manifest({"study": "s", "axes": {}, "options": {}})
    for key in ("b", "a"):
        sweep.trial(key).create({}, key)
    assert [trial.key for trial in sweep.trials()] == ["a", "b"]


def test_opening_what_is_no_sweep_says_so(tmp_path):
    with pytest.raises(UserError, match="nowhere is no folder"):
        SweepFolder.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no sweep"):
        SweepFolder.open(tmp_path)


def test_storage_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        SweepFolder.at(tmp_path / "file" / "sweep").check()


def test_checking_leaves_nothing_behind(tmp_path):
    SweepFolder.at(tmp_path / "sweep").check()
    assert not list((tmp_path / "sweep").iterdir())


@pytest.mark.parametrize(
    ("storage", "location"),
    [
        ("/data/sweeps", "/data/sweeps/mine"),
        ("s3://bucket/sweeps", "s3://bucket/sweeps/mine"),
        ("s3://bucket?region=x&scheme=http", "s3://bucket/mine?region=x&scheme=http"),
        ("gs://bucket/", "gs://bucket/mine"),
    ],
)
def test_a_sweep_is_below_its_storage(storage, location):
    assert sweep_location(storage, "mine") == location


def test_a_sweep_is_run_by_one_command_at_a_time(tmp_path):
    sweep = SweepFolder.at(tmp_path)
    with sweep.lock(), pytest.raises(UserError, match=r"is being run already, by process \d+"), sweep.lock():
        pass
    with sweep.lock():
        assert (tmp_path / ".lock").exists()


def test_scores_are_added_by_iteration_and_a_line_cut_short_costs_none_of_them(trial):
    assert trial.scores() == {}
    trial.add_scores(5, {"dci": 0.5, "sap": float("nan")})
    trial.add_scores(0, {"dci": 0.1})
    with (trial.files.local / "scores.jsonl").open("a") as file:
        file.write('{"iteration": 5, "dc')
    assert trial.scores() == {5: {"dci": 0.5, "sap": None}, 0: {"dci": 0.1}}
    trial.add_scores(5, {"dci": 0.6})
    assert trial.scores() == {5: {"dci": 0.6, "sap": None}, 0: {"dci": 0.1}}


def test_scores_whose_sums_are_infinite_count_as_infinite(trial):
    trial.files.append("metrics.jsonl", b'{"iteration": 0, "mcc": 1e308, "sap": -1e305}\n')  # as others may write
    expected = [{"iteration": 0, "mcc": None, "sap": -1e305}]
    assert trial.evaluations() == trial.read().evaluations == expected
    assert trial.record({"iteration": 0}) == expected[0]
    assert trial.record({"iteration": 5, "mcc": -1e308, "sap": 1e305}) == {"iteration": 5, "mcc": None, "sap": 1e305}


class KilledFiles(LocalFiles):
    """Files of a process that is killed after it has removed some."""

    def __init__(self, folder, removals):
        super().__init__(folder)
        self.removals = removals

    def remove(self, name):
        if not self.removals:
            raise KeyboardInterrupt
        self.removals -= 1
        super().remove(name)


@pytest.mark.parametrize("removals", range(6))
def test_a_kill_while_a_trial_is_removed_leaves_no_state_without_its_evaluations(trial, removals):
    for iteration in (0, 5, 10):
        trial.record({"iteration": iteration, "mcc": 0.5})
        trial.save_state(iteration, b"weights")
    trial.finish(Outcome(state="finished", iteration=10))
    with pytest.raises(KeyboardInterrupt):
        TrialFolder(KilledFiles(trial.files.local, removals), trial.key).remove()
    assert (trial.outcome() is None) == (removals > 0)
    assert len(trial.evaluations()) == 3 or not trial.states()


@pytest.mark.parametrize("file", ["outcome.json", "scores.jsonl", "owner", "seal.json", "metrics.jsonl"])
def test_a_trial_whose_config_is_lost_is_told_by_any_other_of_its_files(tmp_path, file):
    sweep = SweepFolder.at(tmp_path)
    sweep.trial("lost").files.write(file, b'{"iteration": 0}\n')
    sweep.trial("new").files.write("metrics.jsonl", b"")  # one that is being created
    assert sweep.without_config([]) == ["lost"]


def test_notes_that_are_added_at_once_are_all_kept(tmp_path):
    texts = [f"note {number}" for number in range(12)]
    in_parallel(SweepFolder.at(tmp_path).add_note, texts)
    notes = SweepFolder.at(tmp_path).notes().splitlines()
    assert sorted(line.partition(": ")[2] for line in notes) == sorted(texts)


def test_a_note_waits_for_another_but_not_for_ever_and_does_without_a_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_folder, "SECONDS_TO_NOTE", 0.0)
    sweep = SweepFolder.at(tmp_path)
    refused = pytest.raises(UserError, match="process 1 adds a note; add yours when it has")
    with sweep.files.lock(".notes-lock", "process 1"), refused:
        sweep.add_note("two")
    (tmp_path / ".notes-lock").unlink()
    (tmp_path / ".notes-lock").mkdir()
    sweep.add_note("two")
    assert sweep.notes().endswith(": two\n")
