"""Scores that are added to a finished sweep, by `python -m dd_ray.evaluation`."""

import re
import warnings
from pathlib import Path

import pandas as pd
import pytest

from dd_ray import results
from dd_ray.evaluation import __main__ as evaluation_command
from dd_ray.evaluation import model_scores
from dd_ray.evaluation.__main__ import main
from dd_ray.metrics import FURTHER
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.training import Trial, dump_state
from dd_ray.trial import scoring
from tests.own_files import GREY
from tests.small import small

TRIALS = {"gamma=0.5": 3, "gamma=0.9": 3, "gamma=0": None}
"""Iteration of the last evaluation, or none."""


@pytest.fixture
def sweep(tmp_path, few_stills):
    return _sweep_at(tmp_path / "sweep")


def _sweep_at(location, **options):
    """Two trials with networks, and one that has not begun."""
    folder = SweepFolder.at(location)
    folder.write_manifest({"study": "tiny", "axes": {}, "options": {"metric": "mcc"}})
    for label, last in TRIALS.items():
        config = small("inertia_vae", gamma=float(label.partition("=")[2]), **options)
        its_folder = folder.trial(config.key)
        its_folder.create(config.to_dict(), label)
        trial = Trial(config)
        for iteration in () if last is None else (0, last):
            trial.iteration = iteration
            its_folder.record({"iteration": iteration, "seconds": 1.0, "mcc": 0.4})
            its_folder.save_state(iteration, dump_state(trial.state()))
    return folder


def _score(sweep, *arguments):
    main([sweep.location, "--processes", "1", *arguments])


def _added(sweep):
    return {trial.describe()["label"]: trial.files.read("scores.jsonl") for trial in sweep.trials() if trial.scores()}


def test_scores_become_columns_at_the_last_evaluation_and_before_training(sweep, capsys):
    _score(sweep, "--metrics", "mcc_spearman", "notebook")
    table = results.load(sweep.location)
    trials = results.final(table).set_index("label")
    assert trials["mcc_spearman"].notna().sum() == trials["mcc_spearman_untrained"].notna().sum() == 2
    assert table.loc[table["iteration"] == 0, "notebook_sweep_correlation"].notna().all()
    config = small("inertia_vae", gamma=0.9)
    expected = model_scores(Trial(config).model, config, ["mcc_spearman"])["mcc_spearman"]
    assert trials.loc["gamma=0.9", "mcc_spearman"] == pytest.approx(expected)
    written = pd.read_csv(sweep.folder / "results.csv")
    assert written["mcc_spearman"].notna().sum() == 4
    printed = capsys.readouterr()
    assert "MCC, ranks: mcc_spearman" in printed.out
    assert "gamma=0 has not been evaluated yet" in printed.err


@pytest.mark.parametrize(
    ("options", "lack"),
    [
        ({"background": "black"}, ("block_separation", "means nothing of the factors circle_x, circle_y")),
        (GREY, ("factor_vae", "asks for pictures of other factors than those in data_file")),
    ],
)
def test_a_score_that_means_nothing_of_the_data_is_named(options, lack, tmp_path, few_stills, capsys):
    sweep, (name, why) = _sweep_at(tmp_path / "sweep", **options), lack
    for _ in range(2):  # also where the others are there already
        _score(sweep, "--metrics", "mcc", name)
        assert f"without {name}: 2 of 3 trials, since it {why}\n" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:  # and where it is all that is asked for
        _score(sweep, "--metrics", name)
    assert ended.value.code == 1
    assert f"gamma=0.5 gets none, since each {why}\n" in capsys.readouterr().err


def test_that_there_are_few_points_is_said_once(tmp_path, capsys):
    with warnings.catch_warnings(record=True) as warned:
        _score(_sweep_at(tmp_path / "sweep", **GREY), "--metrics", "mig", "modularity")
    said = [line for line in capsys.readouterr().err.splitlines() if "is biased" in line]
    assert [line.partition(" points")[0] for line in said] == ["MIG of 40", "Modularity of 40"]
    assert all(line.endswith("is biased; give it at least 5,000: 2 of 3 trials") for line in said)
    assert not warned


def test_a_warning_of_a_library_is_told_once_and_not_for_each_trial(sweep, monkeypatch):
    def computed(*arguments):
        warnings.warn("a library's own", RuntimeWarning, stacklevel=1)
        return scoring.Scored(key="", label="")

    monkeypatch.setattr(scoring, "_score", computed)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for trial in sweep.trials():
            scoring.score_trial(sweep.location, trial.key, ["mig"])
    assert [str(each.message) for each in warned] == ["a library's own"]


def test_nothing_is_computed_twice(sweep, monkeypatch):
    _score(sweep, "--metrics", "mcc")
    before = _added(sweep)
    monkeypatch.setattr(scoring, "model_scores", None)
    _score(sweep, "--metrics", "mcc")
    assert _added(sweep) == before and len(before) == 2


def test_what_the_last_evaluation_has_is_not_computed_again_and_needs_no_state(sweep, capsys):
    trial = next(trial for trial in sweep.trials() if trial.evaluations())
    columns = FURTHER["mcc"].all_columns
    trial.record({"iteration": 5, **dict.fromkeys(columns, 0.7)})
    trial.add_scores(0, dict.fromkeys(columns, 0.3))
    before = trial.files.read("scores.jsonl")
    _score(sweep, "--metrics", "mcc")
    assert trial.files.read("scores.jsonl") == before
    assert 5 not in trial.states() and "is past its last evaluation" not in capsys.readouterr().err


def test_more_scores_come_beside_those_that_are_there(sweep):
    _score(sweep, "--metrics", "mcc")
    _score(sweep, "--metrics", "mcc", "sap_stills")  # a score goes by its column, too
    trials = results.final(results.load(sweep.location))
    assert trials["mcc_stills"].notna().sum() == trials["sap_stills"].notna().sum() == 2


def test_a_trial_between_two_evaluations_is_left_out(sweep, capsys):
    trial = next(trial for trial in sweep.trials() if trial.describe()["label"] == "gamma=0.5")
    for iteration in (7, 8):
        trial.save_state(iteration, trial.state(3))
    _score(sweep, "--metrics", "mcc")
    assert set(_added(sweep)) == {"gamma=0.9"}
    assert "gamma=0.5 is past its last evaluation, of iteration 3," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("score_trial", "{} was removed meanwhile"),
        ("state_at", "gamma=0.5 is left out: it was removed meanwhile."),
        ("_scores_of", "{} was removed meanwhile"),
    ],
)
def test_a_trial_that_is_removed_meanwhile_stays_so_and_the_others_are_scored(sweep, before, said, monkeypatch, capsys):
    trials = {trial.describe()["label"]: trial for trial in sweep.trials()}
    original = getattr(scoring, before)

    def removing(*arguments):
        trials["gamma=0.5"].remove()
        return original(*arguments)

    monkeypatch.setattr(scoring, before, removing)
    order = [trials[label].key for label in ("gamma=0.5", "gamma=0.9")]
    monkeypatch.setattr(evaluation_command, "trials_to_score", lambda path, names: order)
    _score(sweep, "--metrics", "mcc")
    assert set(_added(sweep)) == {"gamma=0.9"} and not trials["gamma=0.5"].files.names()
    assert f"without scores: {said.format(trials['gamma=0.5'].key)}\n" in capsys.readouterr().err


@pytest.mark.parametrize("computes", ["model_scores", "untrained_scores"])
def test_a_file_that_a_score_lacks_is_told_and_is_none_of_the_sweep_s(sweep, computes, monkeypatch, capsys):
    def reading(*_):
        Path("weights_of_a_score").read_bytes()

    monkeypatch.setattr(scoring, computes, reading)
    with pytest.raises(SystemExit) as ended:
        _score(sweep, "--metrics", "mcc")
    assert ended.value.code == 2
    said = "cannot use a file of its own ([Errno 2] No such file or directory: 'weights_of_a_score'); put it there"
    assert re.search(rf"^error: a score of gamma=0\.\d {re.escape(said)}", capsys.readouterr().err, re.MULTILINE)


def test_a_sweep_on_an_object_store_is_scored_too(object_store, few_stills):
    sweep = _sweep_at(object_store.url("sweeps/mine"))
    _score(sweep, "--metrics", "mcc")
    assert results.final(results.load(sweep.location))["mcc_stills"].notna().sum() == 2
    assert sweep.files.exists("results.csv")


@pytest.mark.slow
def test_several_processes_come_to_the_same(tmp_path):
    sweep = _sweep_at(tmp_path / "sweep", **GREY)  # of few pictures, for processes that do not know `few_stills`
    main([sweep.location, "--processes", "2", "--metrics", "mcc"])
    several = _added(sweep)
    for trial in sweep.trials():
        trial.files.remove("scores.jsonl")
    _score(sweep, "--metrics", "mcc")
    assert several == _added(sweep)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "all", "dcii"], "dcii is not a score; did you mean dci?"),
        (["--metrics", "dcii"], "dcii is not a score; did you mean dci?"),
        (["--metrics", "accuracy"], "accuracy is not a score; choose from mig,"),
        (["--metrics", "dci", "--processes", "0"], "--processes 0"),
    ],
)
def test_wrong_input_is_told_in_a_line(sweep, arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main([sweep.location, *arguments])
    captured = capsys.readouterr()
    assert ended.value.code == 2 and message in captured.err and "Traceback" not in captured.err
    assert not _added(sweep)


def test_a_path_without_a_sweep_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "nowhere"), "--metrics", "dci"])
    assert ended.value.code == 2 and "is no folder" in capsys.readouterr().err
