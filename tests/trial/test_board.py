"""The hyperparameters that TensorBoard shows of a sweep to which an axis was added."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from dd_ray.config.extensions import load_files
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.studies import study_named, study_names
from dd_ray.trial.board import JUDGED_BY, READ_FIRST, Board, show_axes
from dd_ray.tune.run import _show_new_axes
from tests.figures.sweeps import write_sweep


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A sweep over γ with the TensorBoard runs that its command has left."""
    sweep = SweepFolder.at(write_sweep(tmp_path / "s", {"gamma": [0.0, 0.5], "beta": [0.1]}))
    for trial in sweep.trials():
        board = board_of(sweep, trial, ["gamma", "seed"])
        board.write(300, {"mcc": 0.5}, {})
        board.write_hparams({"mcc": 0.5})
        board.close()
    return sweep


def board_of(sweep: SweepFolder, trial: TrialFolder, fields: list[str], reported: Sequence[str] = ()) -> Board:
    described = trial.describe()
    return Board(sweep.board(described["label"]), {name: described["config"][name] for name in fields}, 0, reported)


def shown(sweep: SweepFolder, trial: TrialFolder) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return hyperparameters, their columns, and metrics of a run, as TensorBoard reads them."""
    events = EventAccumulator(str(sweep.board(trial.describe()["label"]).local))
    events.Reload()
    found = events.PluginTagToContent("hparams")
    started = metadata.parse_session_start_info_plugin_data(found[metadata.SESSION_START_INFO_TAG])
    columns = metadata.parse_experiment_plugin_data(found[metadata.EXPERIMENT_TAG])
    values = {name: value.number_value for name, value in started.hparams.items()}
    return values, [each.name for each in columns.hparam_infos], [each.name.tag for each in columns.metric_infos]


def test_earlier_runs_get_an_axis_that_came_later_and_keep_it_when_they_go_on(sweep: SweepFolder) -> None:
    one, other = sorted(sweep.trials(), key=lambda trial: float(trial.describe()["config"]["gamma"]))
    keys = {trial.key: trial.describe() for trial in (one, other)}
    assert shown(sweep, other)[0] == {"gamma": 0.5, "seed": 0}
    show_axes(sweep, ["gamma", "alpha", "seed"])
    values, columns, metrics = shown(sweep, other)
    usual = keys[other.key]["config"]["alpha"]
    assert values == {"gamma": 0.5, "alpha": usual, "seed": 0} and {*columns} == {*values}
    assert {"evaluation/mcc", "evaluation/reconstruction_error"} <= {*metrics}
    board = board_of(sweep, one, ["gamma", "alpha", "lam", "seed"])
    board.write_hparams({"mcc": 0.7})
    board.close()
    assert shown(sweep, one)[0] == {"gamma": 0.0, "alpha": usual, "lambda": 0.0, "seed": 0}
    assert {trial.key: trial.describe() for trial in sweep.trials()} == keys


def test_it_is_done_when_an_axis_appears_and_else_nothing_is_written(sweep: SweepFolder) -> None:
    before = {"axes": {"gamma": [0.0, 0.5], "beta": [0.1]}}
    board = sweep.board(sweep.trials()[0].describe()["label"])
    more = {"axes": {"gamma": [0.0, 0.5, 0.9], "beta": [0.1]}}
    for known in ({}, before, more):
        _show_new_axes(sweep, known, more, ())
    assert not board.exists(READ_FIRST)
    _show_new_axes(sweep, before, {"axes": {"gamma": [0.0, 0.5], "beta": [0.1, 1.0]}}, ())
    assert {*shown(sweep, sweep.trials()[0])[1]} == {"gamma", "beta", "seed"}


def test_a_run_that_ended_early_has_the_columns_of_all(sweep: SweepFolder) -> None:
    reported = ["reconstruction_error", "mcc", "mig_stills"]
    columns = ["evaluation/reconstruction_error", "evaluation/mcc", "final/mig_stills"]
    one, other = sweep.trials()
    for name in sweep.board(one.describe()["label"]).names():
        sweep.board(one.describe()["label"]).remove(name)
    board = board_of(sweep, one, ["gamma", "seed"], reported)
    board.write_hparams({"mcc": 0.5})
    board.close()
    assert shown(sweep, one)[2] == columns
    show_axes(sweep, ["gamma", "alpha", "seed"], reported)
    assert {*columns} <= {*shown(sweep, other)[2]}


def test_a_score_of_ones_own_has_a_column_beside_hyperparameters(sweep: SweepFolder) -> None:
    load_files([Path(__file__).parents[1] / "extensions" / "explained.py"])
    show_axes(sweep, ["gamma", "alpha", "seed"], ["mcc", "modularity", "first_axis", "first_axis_active"])
    metrics = shown(sweep, sweep.trials()[0])[2]
    assert "final/first_axis" in metrics and not {"final/modularity", "final/first_axis_active"} & {*metrics}


def test_the_outcomes_of_studies_and_the_headline_scores_have_columns_beside_hyperparameters() -> None:
    outcomes = {outcome for name in study_names() for outcome in study_named(name).outcomes}
    assert {"linear_r2_stills", "mcc_stills"} | outcomes <= {*JUDGED_BY}
