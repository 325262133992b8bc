"""Trials removed from a sweep: only those that are named, after a yes, and in step with Optuna."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from dd_ray import results
from dd_ray.cli import parse
from dd_ray.results import suggestions
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.studies import study_named
from dd_ray.upkeep.removal import NOT_REMOVED, main
from tests.figures.sweeps import write_sweep
from tests.storage.object_store import ObjectStore

LEGACY = Path(__file__).parents[1] / "legacy"
AXES = {"gamma": [0.0, 0.5, 0.9], "beta": [0.1, 1.0], "seed": [0, 1]}


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A sweep of twelve trials, each with a state and a TensorBoard run, and a table."""
    sweep = SweepFolder.at(write_sweep(tmp_path / "sweep", AXES))
    for trial in sweep.trials():
        trial.save_state(300, b"x" * 1000)
        sweep.board(trial.describe()["label"]).write("events", b"y" * 500)
    sweep.files.write("results.csv", results.as_csv(results.load(sweep.location)))
    return sweep


def gone(sweep: SweepFolder, *words: str) -> int:
    """Remove what the words say, and return the exit code."""
    try:
        main([sweep.location, *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def answering(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Put a terminal in place at which somebody answers."""
    typed = io.StringIO(answer)
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)


def test_all_seeds_of_the_named_cells_go_with_all_that_was_theirs(sweep: SweepFolder, capsys: Any) -> None:
    sweep.files.write("confirmation.csv", b"of trials that go")
    assert gone(sweep, "--where", "gamma=0.5,0.9 beta=0.1", "--yes") == 0
    assert not sweep.files.exists("confirmation.csv")  # their command writes it again
    said = capsys.readouterr().out
    assert "4 trials of 12" in said and "trains them again" in said and "--exclude 'gamma=0.5,0.9 beta=0.1'" in said
    table = results.load(sweep.location)
    assert len(results.final(table)) == 8 and not ((table["gamma"] > 0) & (table["beta"] == 0.1)).any()
    assert sweep.files.read("results.csv") == results.as_csv(table)
    assert len(sweep.files.names("cells")) == len(sweep.files.names("tensorboard")) == 8


def test_a_key_or_its_beginning_names_one_trial(sweep: SweepFolder, capsys: Any) -> None:
    first, second, *_ = [trial.key for trial in sweep.trials()]
    assert gone(sweep, first, second[:8], "--yes") == 0
    assert {first, second}.isdisjoint(trial.key for trial in sweep.trials()) and len(sweep.trials()) == 10
    assert gone(sweep, first, "--yes") == 2 and "has the key" in capsys.readouterr().err
    assert gone(sweep, "", "--yes") == 2


def test_what_it_says_is_freed_is_freed(sweep: SweepFolder, capsys: Any) -> None:
    before = sweep.files.size("cells") + sweep.files.size("tensorboard")
    gone(sweep, "--where", "seed=1", "--yes")
    freed = before - sweep.files.size("cells") - sweep.files.size("tensorboard")
    assert f"which frees {freed / 1000:.1f} kB" in capsys.readouterr().out


def test_without_a_terminal_nothing_goes_unless_yes_is_said(sweep: SweepFolder, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert gone(sweep, "--where", "seed=1") == 2
    assert "give --yes" in capsys.readouterr().err and len(sweep.trials()) == 12


@pytest.mark.parametrize(("answer", "left"), [("y\n", 6), ("n\n", 12), ("\n", 12), ("", 12)])
def test_it_asks_and_takes_anything_but_yes_as_no(
    sweep: SweepFolder, answer: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, answer)
    assert gone(sweep, "--where", "seed=1") == (0 if left == 6 else NOT_REMOVED)
    assert len(sweep.trials()) == left


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing is named to be removed"),
        (["--where", "gamma=0.3"], "no trial of"),
        (["--where", "gamma"], "--where 'gamma' is no combination"),
        (["--where", "gama=1"], "--where gama=... names no option of a trial; did you mean gamma?"),
        (["--where", "gamma=x"], "--where gamma=x: 'x' is no number"),
        (["--where", "stochastic=yes"], "--where stochastic=yes: 'yes' is neither True nor False"),
    ],
)
def test_what_names_no_trial_is_one_sentence(sweep: SweepFolder, words: list[str], said: str, capsys: Any) -> None:
    assert gone(sweep, *words, "--yes") == 2
    assert said in capsys.readouterr().err and len(sweep.trials()) == 12


def test_a_sweep_that_is_being_run_is_not_touched(sweep: SweepFolder, capsys: Any) -> None:
    with sweep.lock():
        assert gone(sweep, "--where", "seed=1", "--yes") == 2
    assert "is being run, by process" in capsys.readouterr().err and len(sweep.trials()) == 12


def test_links_are_not_followed(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("years of work")
    inside, outside, *_ = sweep.trials()
    assert inside.files.local and outside.files.local
    (inside.files.local / "more").symlink_to(precious)
    assert gone(sweep, inside.key, "--yes") == 0 and not inside.files.local.exists()
    outside.files.local.rename(precious / "trial")
    outside.files.local.symlink_to(precious / "trial")
    assert gone(sweep, outside.key, "--yes") == 2 and "is a link" in capsys.readouterr().err
    assert {path.name for path in precious.iterdir()} == {"thesis", "trial"}
    assert len(list((precious / "trial").iterdir())) == 5


def test_a_damaged_trial_can_be_removed_by_its_key(sweep: SweepFolder, capsys: Any) -> None:
    damaged = sweep.trials()[0]
    damaged.files.write("config.json", b"\0" * 100)
    assert gone(sweep, "--where", "seed=0,1", "--yes") == 0
    assert f"not considered, trial {damaged.key}" in capsys.readouterr().err
    assert gone(sweep, damaged.key, "--yes") == 0
    assert not sweep.files.names("cells") and not sweep.files.exists("results.csv")


def test_a_label_that_leads_out_of_the_sweep_removes_nothing_there(sweep: SweepFolder, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    trial = sweep.trials()[0]
    config = trial.describe()["config"]
    trial.files.remove("config.json")
    trial.create(config, "../../precious")
    assert gone(sweep, trial.key, "--yes") == 0 and (tmp_path / "precious").is_dir()


def test_a_suggestion_of_which_a_trial_was_removed_is_open_again(tmp_path: Path, capsys: Any) -> None:
    with tarfile.open(LEGACY / "search_finished.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    sweep = SweepFolder.at(tmp_path / "search_finished")
    before = suggestions.load(sweep.location).set_index("suggestion")
    sweep.files.write("suggestions.csv", b"of before")
    assert gone(sweep, "--where", f"beta={before['beta'].to_list()[1]!r}", "--yes") == 0
    said = capsys.readouterr().out
    assert "trains it again" in said and "--exclude" not in said  # which a search refuses
    after = suggestions.load(sweep.location).set_index("suggestion")
    assert after["state"].to_list() == ["finished", "unfinished", "finished"] and not after.loc[1, "on_front"]
    assert after.drop(index=1).equals(before.drop(index=1)[after.columns].astype(after.dtypes))
    assert after[["beta", "gamma", "lam"]].equals(before[["beta", "gamma", "lam"]])  # the point that it is trained at
    assert sweep.files.read("suggestions.csv") == results.as_csv(suggestions.load(sweep.location))
    words = sweep.manifest()["command"][1:]
    words[words.index("--storage") + 1] = str(tmp_path)
    source = parse(study_named("inertia_search"), words).source(sweep)
    handed_out = source.next_trial()
    assert source.num_left == 1 and handed_out and handed_out.key == before.loc[1, "cells"]


def test_trials_on_an_object_store_go_as_well(object_store: ObjectStore) -> None:
    url = object_store.url()
    sweep = SweepFolder.at(write_sweep(url, {"gamma": [0.0, 0.5], "beta": [0.1]}))
    (key,) = results.load(url).query("gamma == 0.5")["key"].unique()
    assert gone(sweep, "--where", "gamma=0.5", "--yes") == 0
    assert results.load(url)["gamma"].unique().tolist() == [0.0] and not sweep.files.stamps(f"cells/{key}")
