"""Whatever becomes of a file of a sweep, no wrong number is shown, and the trials beside it stand."""

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray import results
from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.storage.files import NoFileError
from dd_ray.storage.records import SHAPES, DamagedError, read_lines, read_object
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_folders import TrialFolders
from dd_ray.sweep.planned import PlannedTrial
from tests.figures.sweeps import write_sweep

OF_A_TRIAL = ("config.json", "metrics.jsonl", "scores.jsonl", "outcome.json", "seal.json")
AXES = {"gamma": [0.0, 0.5, 0.9], "beta": [0.1]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each, max_size=3),
    max_leaves=4,
)
Damage = Callable[[Path, Path], None]
"""What is done to a file; the other one is that of another trial."""


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """What a power cut, a disk, or somebody may do to a file."""
    share, size, mask = draw(st.floats(0, 1)), draw(st.integers(1, 40)), draw(st.integers(1, 255))
    value = draw(JSON)
    name = draw(st.sampled_from(["iteration", "state", "label", "config", "kl", "check", "last", "axes", "study"]))
    return draw(
        st.sampled_from(
            [
                lambda path, other: path.write_bytes(path.read_bytes()[: int(share * len(path.read_bytes()))]),
                lambda path, other: _overwrite(path, share, bytes(size)),
                lambda path, other: _flip(path, share, mask),
                lambda path, other: path.write_bytes(b"[" * 100_000 + b"\n"),
                lambda path, other: path.write_text(json.dumps(value) + "\n"),
                lambda path, other: _set(path, name, value),
                lambda path, other: path.unlink(),
                lambda path, other: (path.unlink(), path.mkdir()),
                lambda path, other: (path.unlink(), os.mkfifo(path)),
                lambda path, other: (path.unlink(), path.symlink_to(other)),
                lambda path, other: shutil.copy(other, path),
                lambda path, other: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:])),
            ]
        )
    )


def _overwrite(path: Path, share: float, content: bytes) -> None:
    old = path.read_bytes()
    at = int(share * max(0, len(old) - len(content)))
    path.write_bytes(old[:at] + content + old[at + len(content) :])


def _flip(path: Path, share: float, mask: int) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= mask
    path.write_bytes(content)


def _set(path: Path, name: str, value: object) -> None:
    """Another value in every object of a file, which stays JSON."""
    lines = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
    path.write_text("".join(json.dumps(json.loads(line) | {name: value}) + "\n" for line in lines))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished trials and one that has not ended, with scores."""
    path = tmp_path_factory.mktemp("whole") / "sweep"
    ended = {0.0: ("finished", 300), 0.5: ("stopped_early", 150), 0.9: ("unfinished", 150)}
    write_sweep(path, AXES, lambda config: ended[config["gamma"]])
    for trial in SweepFolder.at(path).trials():
        trial.add_scores(0, {"dci_disentanglement": 0.1})
        trial.add_scores(150, {"dci_disentanglement": 0.2})
    return path


@contextlib.contextmanager
def copied(whole: Path) -> Iterator[Path]:
    """A copy that may be damaged."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(whole, Path(folder) / "sweep"))


def load(path: Path) -> tuple[pd.DataFrame | None, str]:
    """The table of a sweep, none where it is refused, and what is said."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        try:
            return results.load(path), told.getvalue()
        except UserError as error:
            return None, str(error)


@pytest.fixture(scope="module")
def expected(whole: Path) -> pd.DataFrame:
    """The table of the sweep as it is, which those who compare with it leave alone."""
    return results.load(whole)


def pick(path: Path, data: st.DataObject) -> tuple[str, Path]:
    """A file of a trial, and the trial's key."""
    keys = sorted(trial.key for trial in SweepFolder.at(path).trials())
    key = data.draw(st.sampled_from(keys))
    file = path / "cells" / key / data.draw(st.sampled_from(OF_A_TRIAL))
    return key, file


def other_of(file: Path) -> Path:
    """The same file of another trial, of the one that comes next and has it."""
    keys = sorted(folder.name for folder in file.parents[1].iterdir())
    at = keys.index(file.parent.name)
    others = (file.parents[1] / key / file.name for key in keys[at + 1 :] + keys[:at])
    return next(other for other in others if other.exists())


def rows_of(table: pd.DataFrame, key: str, there: bool) -> pd.DataFrame:
    return table[(table["key"] == key) == there].reset_index(drop=True)


HOW_IT_ENDED = ["state", "error", "dci_disentanglement"]
"""What is found out again where it is damaged, and may be missing until then."""


@settings(max_examples=30)
@given(st.data(), damages())
def test_a_damaged_trial_is_left_out_by_name_and_no_other_is_touched(
    whole: Path, expected: pd.DataFrame, data: st.DataObject, do: Damage
) -> None:
    with copied(whole) as path:
        key, file = pick(path, data)
        if not file.exists():
            return
        do(file, other_of(file))
        table, told = load(path)
    assert table is not None
    columns = list(expected.columns)
    pd.testing.assert_frame_equal(rows_of(table, key, False)[columns], rows_of(expected, key, False))
    shown, recorded = rows_of(table, key, True), rows_of(expected, key, True)
    if shown.empty:
        assert key in told and ("trains it again" in told or "writes it anew" in told), told
        return
    kept = [column for column in columns if column not in HOW_IT_ENDED]
    if file.name == "metrics.jsonl" and (recorded["state"] == "unfinished").all():
        recorded = recorded.head(len(shown))  # who has not ended may have fewer, which its state tells when it goes on
    pd.testing.assert_frame_equal(shown[kept], recorded[kept], check_dtype=False)
    for column in HOW_IT_ENDED:
        values = shown[column] if column in shown else [None] * len(shown)
        for value, right in zip(values, recorded[column], strict=True):
            assert value == right or pd.isna(value) or (column, value) == ("state", "unfinished")


@settings(max_examples=40)
@given(st.data(), damages())
def test_the_command_sets_aside_what_does_not_agree_and_goes_on_with_the_rest(
    whole: Path, data: st.DataObject, do: Damage
) -> None:
    trials = [_planned(trial.describe()) for trial in SweepFolder.at(whole).trials()]
    with copied(whole) as path, contextlib.redirect_stderr(io.StringIO()) as told:
        key, file = pick(path, data)
        if not file.exists():
            return
        before = {trial.key: SweepFolder.at(path).trial(trial.key).outcome() for trial in trials}
        do(file, other_of(file))
        sweep = SweepFolder.at(path)
        left = [trial for trial in trials if sweep.trial(trial.key).outcome() is None]
        TrialFolders(sweep).open(*left)
        for trial in trials:
            records = sweep.trial(trial.key).read()
            assert TrialConfig.from_dict(records.config).key == trial.key
            assert records.outcome is None or records.outcome == before[trial.key]
            sweep.trial(trial.key).record({"iteration": 10_000, "kl": 1.0})
        aside = sweep.files.names("aside")
        assert bool(aside) == ("is trained again" in told.getvalue())
        assert aside in ([], [f"{key}-1"])
        assert {trial.key for trial in trials if before[trial.key]} - {trial.key for trial in left} >= {
            each for each in before if before[each] and each != key
        }


def _planned(description: dict) -> PlannedTrial:
    return PlannedTrial(TrialConfig.from_dict(description["config"]), description["label"])


@settings(max_examples=30)
@given(damages(), st.sampled_from(["sweep.json", "progress.json"]))
def test_what_a_sweep_was_asked_for_is_read_as_it_is_or_refused_by_name(whole: Path, do: Damage, name: str) -> None:
    with copied(whole) as path:
        SweepFolder.at(path).write_progress(
            {"time": 0.0, "running": [], "iterations_per_second": 1.0, "seconds_left": None}
        )
        do(path / name, path / ("progress.json" if name == "sweep.json" else "sweep.json"))
        table, told = load(path)
        assert table is not None or name == "sweep.json"
        assert table is not None or f"{path}/sweep.json is damaged (" in told or "holds no sweep" in told


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_of_a_sweep_of_earlier_versions_is_checked_what_can_be(whole: Path, cut: int) -> None:
    with copied(whole) as path:
        for file in path.glob("cells/*/*.json*"):
            _unsign(file)
        expected, told = load(path)
        assert told == "" and expected is not None and len(expected["key"].unique()) == 3
        finished = expected.loc[expected["state"] == "finished", "key"].iloc[0]
        file = path / "cells" / finished / "metrics.jsonl"
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:cut]))
        table, told = load(path)
        assert table is not None and finished not in set(table["key"]) and finished in told and "missing" in told
        other = other_of(path / "cells" / finished / "config.json")
        shutil.copy(other, path / "cells" / finished / "config.json")
        assert "it is that of another trial" in load(path)[1]


def _unsign(file: Path) -> None:
    if file.name == "seal.json":
        file.unlink()
        return
    lines = [file.read_text()] if file.suffix == ".json" else file.read_text().splitlines()
    rows = [{k: v for k, v in json.loads(line).items() if k != "check"} for line in lines]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@settings(max_examples=150)
@given(st.sampled_from(sorted(SHAPES)), st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_sentence(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content + b"\n")
        for read in (read_object, read_lines):
            told = _refusal(lambda read=read: read(SweepFolder.at(folder).files, name))
            assert told is None or (told.startswith(f"{folder}/{name} is damaged (") and told.endswith("."))


def _refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except DamagedError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ({"axes": {"beta": 0.1}}, "beta is 0.1, not a list"),
        ({"options": {"suggestions": "many"}}, 'suggestions is "many", not a whole number of 0 or more'),
        ({"search": {"objectives": ["mcc"]}}, "optuna_study is missing"),
        ({"command": ["dd-ray", None]}, "command[1] is null, not a text"),
        ({"extensions": [{"file": "a.py", "digest": "", "declares": [{"kind": "model"}]}]}, "name is missing"),
        ({"confirms": 5}, "confirms is 5, not an object"),
        ({"confirms": {"chosen": {"mcc": {"gamma": 5}}, "cells": {}}}, "gamma is 5, not a list"),
    ],
)
def test_what_lies_deep_in_a_file_is_checked_as_well(tmp_path: Path, part: dict, wrong: str) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({"study": "x", "axes": {}, "options": {}} | part))
    with pytest.raises(DamagedError) as refused:
        read_object(SweepFolder.at(tmp_path).files, "sweep.json")
    assert f"sweep.json is damaged ({wrong});" in str(refused.value)


def test_a_damaged_line_is_named_by_the_number_that_an_editor_gives_it(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"iteration": 0}\n{"iteration": "x"}\n{"iteration": 10}\n')
    notes: list[str] = []
    rows = read_lines(SweepFolder.at(tmp_path).files, "metrics.jsonl", notes)
    assert [row["iteration"] for row in rows] == [0, 10]
    (note,) = notes
    assert "line 2: iteration is" in note


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN"])
def test_no_number_of_a_trial_is_infinite_but_the_range_of_an_option_may_be(tmp_path: Path, number: str) -> None:
    files = SweepFolder.at(tmp_path).files
    for name in ("config.json", "sweep.json"):
        (tmp_path / name).write_text(f'{{"study": "x", "axes": {{}}, "options": {{}}, "most": {number}}}')
    assert repr(read_object(files, "sweep.json")["most"]) == repr(float(number))
    with pytest.raises(DamagedError, match=number):
        read_object(files, "config.json")


HUGE = 10**400
"""More than a float holds, though JSON has no largest number."""
BEGUN = {"attempt": "a", "began": 0.0, "host": "h", "pid": 1, "device": "cpu", "recorded": -1}


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("metrics.jsonl", {"iteration": 2**63}, "iteration is 9223372036854775808, not a whole number"),
        ("metrics.jsonl", {"iteration": True}, "iteration is true, not a whole number"),
        ("metrics.jsonl", {"iteration": 0, "mcc": HUGE}, "not a number or null"),
        ("metrics.jsonl", {"iteration": 0, "mcc": -HUGE}, "not a number or null"),
        ("outcome.json", {"state": "out_of_time", "iteration": HUGE}, "not a whole number"),
        ("attempts.jsonl", {**BEGUN, "began": 1e300}, "began is 1e+300, not a time"),
        ("attempts.jsonl", {**BEGUN, "began": -1e18}, "not a time"),
        ("attempts.jsonl", {**BEGUN, "ended": HUGE}, "not a time"),
        ("sweep.json", {"study": "x", "axes": {}, "options": {"iterations": "3"}}, 'iterations is "3", not a whole'),
    ],
)
def test_a_number_is_one_that_what_reads_it_holds(tmp_path: Path, name: str, content: dict, wrong: str) -> None:
    (tmp_path / name).write_text(json.dumps(content) + "\n")
    files = SweepFolder.at(tmp_path).files
    with pytest.raises(DamagedError) as refused:
        (read_lines if name.endswith("l") else read_object)(files, name)
    assert wrong in str(refused.value)


def test_what_is_nested_as_deep_as_can_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    files = SweepFolder.at(tmp_path).files
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit()):
        (tmp_path / "sweep.json").write_text(f'{{"study": {"[" * depth}{"]" * depth}}}')
        with pytest.raises(DamagedError):
            read_object(files, "sweep.json")


def test_a_score_named_as_what_a_trial_is_does_not_take_its_place(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"gamma": [0.5], "beta": [0.1]}, lambda config: ("unfinished", 0), evaluated=())
    whole = results.load(path)
    claims = {"key": 3, "label": 4, "state": 5, "error": 6, "gamma": 7, "mcc": 0.5}
    SweepFolder.open(path).trials()[0].record({"iteration": 0, **claims})
    claimed = results.load(path)
    named = ["key", "label", "error", "gamma"]
    assert claimed[named].to_dict("records") == whole[named].to_dict("records") and claimed["mcc"].tolist() == [0.5]
    assert claimed["state"].tolist() == ["unfinished"]


@pytest.mark.parametrize("content", [b'{"state": "fini', b'{"state": "finished", "iteration": 300, "more": 1}'])
def test_of_a_trial_whose_end_is_damaged_the_evaluations_stand_and_the_damage_is_said(
    tmp_path: Path, content: bytes
) -> None:
    trial = SweepFolder.at(write_sweep(tmp_path / "s", {"gamma": [0.5], "beta": [0.1]})).trials()[0]
    whole = trial.read()
    trial.files.write("outcome.json", content)
    damaged = trial.read()
    assert damaged.outcome is None and damaged.evaluations == whole.evaluations
    (note,) = damaged.notes
    assert "outcome.json" in note and not whole.notes


def test_a_number_that_was_changed_is_noticed_before_the_trial_has_ended(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"gamma": [0.5], "beta": [0.1]}, lambda config: ("unfinished", 300))
    trial = SweepFolder.at(path).trials()[0]
    lines = trial.files.read("metrics.jsonl")
    assert lines.count(b'"active_units": 4.0') == 3
    trial.files.write("metrics.jsonl", lines.replace(b'"active_units": 4.0', b'"active_units": 3.0', 1))
    with pytest.raises(DamagedError, match="the evaluation of iteration 0 is not what was recorded"):
        trial.evaluations()


def test_a_request_of_a_size_that_none_has_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES)
    os.truncate(path / "sweep.json", 65 * 2**20)
    with pytest.raises(DamagedError, match=r"sweep.json is damaged \(it has 65 MB, and may have 64\); the sweep's"):
        SweepFolder.open(path)


def test_a_link_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    files = SweepFolder.at(tmp_path).files
    (tmp_path / "victim").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe", "victim/below"):
        with pytest.raises(NoFileError):
            files.read(name)
