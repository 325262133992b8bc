"""The trials of several sweeps in a new one, which opens and goes on as any other."""

import json
import shlex
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dd_ray import results
from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.results.table import open_all
from dd_ray.storage.files import LocalFiles
from dd_ray.storage.files.base import cannot_be_locked
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.studies import study_named
from dd_ray.sweep.manifest import check_agrees
from dd_ray.upkeep.merging import main, merge
from tests.figures.sweeps import measure, write_sweep
from tests.storage.object_store import ObjectStore

LEGACY = Path(__file__).parents[1] / "legacy"
GAMMAS = {"gamma": [0.0, 0.5], "beta": [0.1]}


def merged(target: object, *sources: object) -> SweepFolder:
    """Merge sweeps, and return the new one."""
    sweep = SweepFolder.at(str(target))
    merge(sweep, open_all(*map(str, sources)))
    return sweep


def contents(sweep: SweepFolder) -> dict[str, bytes]:
    """Return the content of every file of a sweep, but its lock."""
    return {name: sweep.files.read(name) for name in sweep.files.stamps("") if not name.startswith(".lock")}


def test_trials_are_copied_with_all_that_is_theirs_and_sources_stay_as_they_are(tmp_path: Path, capsys: Any) -> None:
    one = SweepFolder.at(write_sweep(tmp_path / "one", GAMMAS))
    other = SweepFolder.at(write_sweep(tmp_path / "other", {**GAMMAS, "beta": [1.0]}))
    for trial in (*one.trials(), *other.trials()):
        trial.save_state(300, trial.key.encode())
        trial.add_scores(300, {"dci_disentanglement": 0.25})
    other.board(other.trials()[0].describe()["label"]).write("events", b"of TensorBoard")
    before = contents(one), contents(other)
    main([str(tmp_path / "both"), one.location, other.location])
    assert "Merged 4 trials" in capsys.readouterr().out and (contents(one), contents(other)) == before
    both = SweepFolder.open(tmp_path / "both")
    assert {trial.key: trial.state(300).decode() for trial in both.trials()} == {t.key: t.key for t in both.trials()}
    table = results.load(both.location)
    pd.testing.assert_frame_equal(
        table.drop(columns="label"), results.load(one.location, other.location).drop(columns=["label", "sweep"])
    )
    assert set(results.final(table)["dci_disentanglement"]) == {0.25}
    assert both.files.read("results.csv") == results.as_csv(table)
    (label,) = both.files.names("tensorboard")
    assert label in set(table["label"]) and "beta=1" in label


def test_labels_name_what_varies_over_all_and_cells_stay_apart(tmp_path: Path) -> None:
    paths = [write_sweep(tmp_path / f"b{beta}", {**GAMMAS, "beta": [beta]}) for beta in (0.1, 1.0)]
    sweep = merged(tmp_path / "both", *paths)
    assert sorted(trial.describe()["label"] for trial in sweep.trials()) == [
        f"gamma={gamma},beta={beta},seed=0" for gamma in ("0", "0.5") for beta in ("0.1", "1")
    ]
    assert sweep.manifest()["axes"]["beta"] == [0.1, 1.0]


def test_a_shared_trial_is_from_where_it_went_furthest(tmp_path: Path) -> None:
    short = write_sweep(tmp_path / "short", GAMMAS, ended=lambda _: ("unfinished", 150))
    long = write_sweep(tmp_path / "long", {**GAMMAS, "gamma": [0.5, 0.9]})
    for paths in ((short, long), (long, short)):
        counts = merge(SweepFolder.at(tmp_path / paths[0].name / "both"), open_all(*paths))
        assert counts == {"short": 1, "long": 2}


def test_a_trial_that_came_out_otherwise_is_refused_by_name(tmp_path: Path) -> None:
    one = write_sweep(tmp_path / "one", GAMMAS)
    other = write_sweep(tmp_path / "other", GAMMAS, metrics=lambda c, i: {**measure(c, i), "mcc": 0.25})
    said = "trial gamma=.*came out otherwise in one than in other .mcc .* and 0.25 at iteration 0.*dd-ray remove"
    with pytest.raises(UserError, match=said):
        merged(tmp_path / "both", one, other)
    assert not (tmp_path / "both").exists()


def test_damaged_trials_are_named_and_left_out(tmp_path: Path, capsys: Any) -> None:
    one, other = (write_sweep(tmp_path / str(b), {**GAMMAS, "beta": [b]}) for b in (0.1, 1.0))
    tampered, lost, *_ = SweepFolder.at(one).trials()
    line = json.loads(tampered.files.read("metrics.jsonl").splitlines()[1])
    tampered.files.write("metrics.jsonl", json.dumps({**line, "mcc": 1.0}).encode() + b"\n")
    lost.files.remove("config.json")
    assert len(merged(tmp_path / "both", one, other).trials()) == 2
    said = capsys.readouterr().err
    assert f"left out, trial {tampered.key} of 0.1" in said
    assert f"left out, trial {lost.key} of 0.1: its config.json is gone" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"study": "beta_grid"}, "one sweep has one study, and these have inertia_grid in one, beta_grid in other"),
        ({"search": {"iterations": 300}}, "holds a search"),
        (
            {"confirms": {"chosen": {}, "cells": {}}},
            "confirms another, and these have no in one, yes in other",
        ),
        ({"axes": {"dataset_seed": [0]}}, "--dataset-seed, and these have one for each seed in one, 0 in other"),
        ({"extensions": [{"file": "mine.py", "digest": "b", "declares": []}]}, "mine.py is another file in each"),
    ],
)
def test_what_cannot_be_one_sweep_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    one, other = (SweepFolder.at(write_sweep(tmp_path / name, GAMMAS)) for name in ("one", "other"))
    one.write_manifest({**one.manifest(), "extensions": [{"file": "mine.py", "digest": "a", "declares": []}]})
    search = {"optuna_study": "", "objectives": [], "space": {}, **change["search"]} if "search" in change else None
    other.write_manifest({**other.manifest(), **change, **({"search": search} if search else {})})
    with pytest.raises(UserError, match=said):
        merged(tmp_path / "both", one.location, other.location)


def test_a_target_that_holds_anything_is_refused(tmp_path: Path, capsys: Any) -> None:
    one = write_sweep(tmp_path / "one", GAMMAS)
    with pytest.raises(SystemExit) as end:
        main([str(one), str(one)])
    assert end.value.code == 2 and "holds files already" in capsys.readouterr().err


def test_a_folder_whose_name_holds_a_question_mark_goes_on_there(tmp_path: Path, capsys: Any) -> None:
    one = write_sweep(tmp_path / "one", GAMMAS)
    for target in (tmp_path / "why?", tmp_path / "why?" / "not"):
        main([str(target), str(one)])
        assert shlex.join(["--storage", str(target.parent), "--name", target.name]) in capsys.readouterr().out
        assert SweepFolder.open(target).manifest()["options"]["storage"] == str(target.parent)


def test_what_goes_on_with_trials_of_an_extension_names_it(tmp_path: Path, capsys: Any) -> None:
    one = SweepFolder.at(write_sweep(tmp_path / "one", GAMMAS))
    one.write_manifest({**one.manifest(), "extensions": [{"file": "my models.py", "digest": "a", "declares": []}]})
    main([str(tmp_path / "both"), one.location])
    assert "--extension 'my models.py' --storage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("inertia_grid", "by the options of its study: dd-ray inertia_grid --storage"),
        ("own_study", "by the command and options of its study: --storage"),  # of a script that no record names
    ],
)
def test_only_a_study_of_ours_goes_on_by_a_command_of_ours(tmp_path: Path, study: str, said: str, capsys: Any) -> None:
    one = SweepFolder.at(write_sweep(tmp_path / "one", GAMMAS))
    one.write_manifest({**one.manifest(), "study": study})
    main([str(tmp_path / "both"), one.location])
    assert f"It goes on {said}" in capsys.readouterr().out


def test_nobody_else_has_the_sweeps_or_the_target_meanwhile(tmp_path: Path) -> None:
    one, other = (write_sweep(tmp_path / str(b), {**GAMMAS, "beta": [b]}) for b in (0.1, 1.0))
    target = SweepFolder.at(tmp_path / "both")
    with SweepFolder.open(other).lock(), pytest.raises(UserError, match=r"1\.0 is being run, by .*; merge when it has"):
        merge(target, open_all(one, other))
    with target.lock(), pytest.raises(UserError, match=r"both is being written, by .*; give a new folder"):
        merge(target, open_all(one, other))
    assert not target.files.names() and merge(target, open_all(one, other)) == {"0.1": 2, "1.0": 2}


def test_a_target_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    one = write_sweep(tmp_path / "one", GAMMAS)
    (tmp_path / "file").write_text("of somebody")
    with pytest.raises(UserError, match=r"file/both cannot be written \(.*\); give a new folder"):
        merged(tmp_path / "file" / "both", one)


def test_a_source_that_may_not_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (write_sweep(tmp_path / str(b), {**GAMMAS, "beta": [b]}) for b in (0.1, 1.0))
    lock = LocalFiles.lock

    def of_a_guest(files: LocalFiles, *words: Any) -> Any:
        if str(files.local) == str(one):
            raise cannot_be_locked(files.location, "Permission denied")
        return lock(files, *words)

    monkeypatch.setattr(LocalFiles, "lock", of_a_guest)
    assert merge(SweepFolder.at(tmp_path / "both"), open_all(one, other)) == {"0.1": 2, "1.0": 2}


def test_a_sweep_that_is_named_by_a_link_as_well_is_one(tmp_path: Path) -> None:
    one = Path(write_sweep(tmp_path / "one", GAMMAS))
    (tmp_path / "link").symlink_to(one)
    assert merge(SweepFolder.at(tmp_path / "both"), open_all(one, tmp_path / "link")) == {"one": 2}


def test_the_study_s_command_goes_on_with_a_merged_sweep(tmp_path: Path) -> None:
    with tarfile.open(LEGACY / "grid_finished.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    whole = SweepFolder.open(tmp_path / "grid_finished")
    halves = []
    for gamma in (0.0, 0.5):
        half = SweepFolder.at(tmp_path / f"gamma{gamma}")
        half.write_manifest({**whole.manifest(), "axes": {**whole.manifest()["axes"], "gamma": [gamma]}})
        for trial in whole.trials():
            if trial.describe()["config"]["gamma"] == gamma:
                trial.copy_to(half.trial(trial.key), trial.describe()["label"])
        halves.append(half.location)
    merged(tmp_path / "merged", *halves)
    words = whole.manifest()["command"][1:]
    words[words.index("--storage") + 1], words[words.index("--name") + 1] = str(tmp_path), "merged"
    plan = parse(study_named("inertia_grid"), words)
    check_agrees(plan, SweepFolder.open(plan.location))
    assert plan.num_trials == 8 and plan.is_done(SweepFolder.open(plan.location))
    wider = parse(study_named("inertia_grid"), [*words, "--gamma", "0", "0.5", "0.9"])
    check_agrees(wider, SweepFolder.open(plan.location))
    assert wider.source(SweepFolder.open(plan.location)).num_left == 4


def test_from_a_folder_to_an_object_store_and_back(object_store: ObjectStore, tmp_path: Path) -> None:
    here, there = write_sweep(tmp_path / "here", GAMMAS), object_store.url("merged/there")
    merged(there, here)
    assert SweepFolder.open(there).manifest()["options"]["name"] == "there"
    merged(tmp_path / "back", there)
    assert contents(SweepFolder.at(tmp_path / "back")).keys() == contents(SweepFolder.at(here)).keys() | {"results.csv"}
    pd.testing.assert_frame_equal(results.load(tmp_path / "back"), results.load(here))
