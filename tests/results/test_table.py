"""The tidy table of a sweep."""

import math
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dd_ray import results
from dd_ray.config import DATASETS, TrialConfig
from dd_ray.errors import UserError
from dd_ray.metrics import COMPARABLE
from dd_ray.results.__main__ import main
from dd_ray.results.cells import cells_of, order_of, settings_of
from dd_ray.results.layout import NOT_GIVEN
from dd_ray.results.printing import print_best_cells
from dd_ray.results.table import SECONDS_TO_LIVE, effective_lambda
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from tests.figures.sweeps import write_sweep


@pytest.fixture
def sweep(tmp_path):
    """A sweep with a finished, a stopped, a running and a missing trial."""
    folder = SweepFolder.at(tmp_path / "sweep")
    folder.write_manifest({"study": "tiny", "axes": {}, "options": {"metric": "mcc"}})
    outcomes = {
        0.0: Outcome(state="finished", iteration=20),
        0.5: Outcome(state="stopped_early", iteration=10),
        0.75: Outcome(state="failed", iteration=0, error="OSError: gone"),
        0.9: None,
        1.0: None,
    }
    for gamma, outcome in outcomes.items():
        config = TrialConfig(model="inertia_vae", beta_norm=0.001, gamma=gamma)
        trial = folder.trial(config.key)
        trial.create(config.to_dict(), f"gamma={gamma}")
        for iteration in {0.0: (0, 10, 20), 0.5: (0, 10), 0.9: (0,)}.get(gamma, ()):
            trial.record({"iteration": iteration, "seconds": 1.0 * iteration, "mcc": gamma, "kl": math.nan})
        if outcome:
            trial.finish(outcome)
    return folder


def test_a_row_for_each_evaluation_and_one_for_a_trial_without(sweep):
    table = results.load(sweep.location)
    assert table.groupby("gamma").size().to_dict() == {0.0: 3, 0.5: 2, 0.75: 1, 0.9: 1, 1.0: 1}


def test_states(sweep):
    states = results.final(results.load(sweep.location)).set_index("gamma")["state"].to_dict()
    expected = {0.0: "finished", 0.5: "stopped_early", 0.75: "failed", 0.9: "unfinished", 1.0: "missing"}
    assert states == expected


def test_beta_in_both_its_forms(sweep):
    table = results.load(sweep.location)
    assert set(table["beta"]) == {0.256} and set(table["beta_norm"]) == {0.001}


def test_final_is_the_last_evaluation_of_each_trial(sweep):
    table = results.load(sweep.location)
    assert {*results.final(table)} == {*table, "mcc_untrained"}
    final = results.final(table).set_index("gamma")
    assert len(final) == 5
    assert final.loc[0.0, "iteration"] == 20 and final.loc[0.5, "iteration"] == 10


def test_final_has_the_scores_before_training_beside_those_after(sweep):
    final = results.final(results.load(sweep.location)).set_index("gamma")
    assert final.loc[0.5, "mcc_untrained"] == 0.5
    assert math.isnan(final.loc[1.0, "mcc_untrained"])


def test_final_of_its_own_rows_changes_nothing(sweep):
    final = results.final(results.load(sweep.location))
    pd.testing.assert_frame_equal(results.final(final), final)


def test_what_a_field_stands_for_where_it_is_not_given_is_in_the_table(sweep):
    assert set(results.load(sweep.location)["tc_num_data"]) == {DATASETS["moving_circles"].training_size}


def test_scores_that_were_added_stand_in_the_rows_of_their_evaluations(sweep):
    trial = next(trial for trial in sweep.trials() if trial.describe()["label"] == "gamma=0.0")
    trial.add_scores(20, {"dci_disentanglement": 0.1, "straightness": math.nan})
    trial.add_scores(20, {"dci_disentanglement": 0.2})
    trial.add_scores(0, {"dci_disentanglement": 0.05})
    table = results.load(sweep.location)
    of_trial = table[table["gamma"] == 0.0].set_index("iteration")["dci_disentanglement"]
    assert of_trial[20] == 0.2 and of_trial[0] == 0.05 and math.isnan(of_trial[10])
    final = results.final(table).set_index("gamma")
    assert final.loc[0.0, "dci_disentanglement_untrained"] == 0.05
    assert math.isnan(final.loc[0.0, "straightness"]) and final.loc[0.0, "mcc"] == 0.0


def test_trials_can_be_ranked_by_scores_that_were_added(sweep, capsys):
    for trial in sweep.trials():
        for row in trial.evaluations()[-1:]:
            trial.add_scores(row["iteration"], {"dci_disentanglement": 0.123})
            trial.finish(Outcome(state="finished", iteration=row["iteration"]))
    main([sweep.location, "--metric", "dci_disentanglement"])
    printed = capsys.readouterr().out
    assert "The best in DCI disentanglement" in printed and "0.123" in printed


def test_missing_numbers_are_missing(sweep):
    table = results.load(sweep.location)
    assert table["kl"].isna().all() and table[table["gamma"] == 1.0]["mcc"].isna().all()


def test_errors_are_in_the_table(sweep):
    table = results.load(sweep.location).set_index("gamma")
    assert table.loc[0.75, "error"] == "OSError: gone"


def test_command_prints_every_trial(sweep, capsys):
    main([str(sweep.location)])
    printed = capsys.readouterr().out
    assert "5 trials" in printed
    assert all(word in printed for word in ("gamma", "0.9", "stopped early", "missing", "failed"))


def row_of(label, **values):
    """A row of a final table."""
    fields = {"beta": 1.0, "gamma": 0.0, "lam": 0.0, "seed": 0, **{k: v for k, v in values.items() if k in FIELDS}}
    config = TrialConfig(model="inertia_vae", **fields)
    return {"key": config.key, "label": label, **config.to_dict(), "state": "finished", "iteration": 50_000.0, **values}


FIELDS = ("beta", "gamma", "lam", "seed")


def test_numbers_are_printed_to_be_read(capsys):
    results.print_cells(pd.DataFrame([row_of("beta=1,seed=0", mcc=0.51234, mcc_untrained=0.4)]))
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("beta", "50,000", "0.512 (0.4)"))


def test_what_all_trials_share_is_no_column(sweep, capsys):
    trials = results.final(results.load(sweep.location)).assign(label=lambda t: t["label"] + ",seed=0")
    results.print_cells(trials[trials["state"] == "finished"])
    printed = capsys.readouterr().out
    assert "gamma" in printed
    assert "seed=" not in printed and " model " not in printed


def test_cells_are_means_with_intervals_over_their_seeds(capsys):
    scores = (0.4, 0.5, 0.7)
    results.print_cells(pd.DataFrame([row_of(f"beta=1,seed={s}", seed=s, mcc=mcc) for s, mcc in enumerate(scores)]))
    half = stats.t.ppf(0.975, 2) * stats.sem(scores)
    assert f"{np.mean(scores):.3g} ± {half:.2g}" in capsys.readouterr().out


def test_seeds_that_did_not_get_as_far_are_not_averaged_and_are_told(capsys):
    ends = [("finished", 300.0, 0.4), ("finished", 300.0, 0.5), ("stopped_early", 150.0, 0.9)]
    rows = [
        row_of(f"beta=1,seed={seed}", seed=seed, state=state, iteration=at, mcc=mcc)
        for seed, (state, at, mcc) in enumerate(ends)
    ]
    results.print_cells(pd.DataFrame(rows))
    printed = capsys.readouterr().out
    assert "2 of 3" in printed and "0.45 ± " in printed
    assert "stopped early, 1 of 3 trials: beta=1,seed=2" in printed


def numbers_of(printed, columns):
    """The first numbers of each row of a table."""
    rows = re.split(r"─ *\n", printed)[1].splitlines()
    return [tuple(map(float, row.split()[:columns])) for row in rows if len(row.split()) > columns]


def test_cells_are_in_the_order_of_their_values_and_every_swept_setting_is_a_column(capsys):
    values = (10.0, 9.0, 100.0, 0.5)
    rows = [row_of(f"beta={b:g},gamma=0,lambda={lam:g}", beta=b, lam=lam, mcc=b) for b in values for lam in (0.0, 1.0)]
    trials = pd.DataFrame(rows)
    results.print_cells(trials)
    assert numbers_of(capsys.readouterr().out, 2) == [(b, lam) for b in sorted(values) for lam in (0.0, 1.0)]
    print_best_cells(trials, "mcc", most=2)  # of which both have β = 100
    assert numbers_of(capsys.readouterr().out, 2) == [(100.0, 0.0), (100.0, 1.0)]


def test_the_best_cells_are_said_to_be_those_of_the_finished_ones_where_others_are_better(capsys):
    rows = [row_of(f"beta={b:g}", beta=b, mcc=b) for b in (0.1, 0.2, 0.3, 0.4)]
    print_best_cells(pd.DataFrame(rows), "mcc", most=2)
    assert "The best in MCC\n" in re.sub(" +\n", "\n", capsys.readouterr().out)
    print_best_cells(pd.DataFrame([*rows[:3], {**rows[3], "state": "unfinished"}]), "mcc")
    printed = capsys.readouterr().out
    assert "The best in MCC, of the 3 cells whose seeds have all finished at one iteration" in printed
    assert numbers_of(printed, 1) == [(0.3,), (0.2,), (0.1,)]


def test_a_field_without_an_effect_has_no_value(capsys):
    plain = TrialConfig(model="beta_vae", beta=1.0)
    arm = {"key": plain.key, "label": "model=beta_vae,beta=1,seed=0", **plain.to_dict(), "state": "finished"}
    rows = [row_of(f"model=inertia_vae,beta=1,gamma={g}", gamma=g, mcc=0.5 + g / 10) for g in (0.0, 0.25)]
    results.print_cells(pd.DataFrame([*rows, {**arm, "iteration": 50_000.0, "mcc": 0.4321}]))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "0.432" in line)
    assert line.split() == ["beta_vae", "1", "0.432"]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_narrow_terminal_crops_nothing_and_names_what_it_leaves_out(width, capsys):
    metrics = {name: 0.001234 for name in COMPARABLE if name != "factor_error"} | {"mcc": 0.49, "active_units": 4.0}
    before = {"mcc_untrained": 0.4321, "linear_r2_untrained": 0.4}
    rows = [
        row_of(f"beta=0.01,gamma=0.25,lambda={n:g},seed=0", beta=0.01, gamma=0.25, lam=n, **metrics, **before)
        | {"state": "stopped_early"}
        for n in (1.0, 10_000.0)
    ]
    results.print_cells(pd.DataFrame(rows), told=["mcc"], width=width)
    printed = capsys.readouterr().out
    assert "…" not in printed and max(map(len, printed.splitlines())) <= width
    assert all(text in printed for text in ("10000", "stopped", "50,000", "MCC", "0.49", "0.432"))
    table, _, below = printed.partition("Left out, since")
    left_out = re.findall(r"\w+", below.partition(":")[2].partition(".")[0])
    columns = len(next(line for line in table.splitlines() if "10000" in line).split()) - len(
        "lambda seeds state".split()
    )
    brackets = table.count("(0.4")
    assert columns - brackets // 2 == len(metrics) - len(left_out), (columns, left_out)


def test_more_settings_than_fit_stand_in_words(capsys):
    fields = {"beta": 1.0, "gamma": 0.5, "lam": 2.0, "slowness_weight": 0.1, "slowness_rate": 6.0, "num_latents": 4}
    changes = [{}, *({name: value * 2} for name, value in fields.items())]
    configs = [TrialConfig(model="inertia_vae", objective="slowness", **fields | change) for change in changes]
    rows = [
        {
            "key": c.key,
            "label": f"beta={c.beta},seed=0",
            **c.to_dict(),
            "state": "finished",
            "iteration": 9,
            "mcc": 0.49,
        }
        for c in configs
    ]
    results.print_cells(pd.DataFrame(rows), width=60)
    printed = capsys.readouterr().out
    assert "0.49" in printed and "…" not in printed and "num latents 8" in " ".join(printed.split())


def test_a_pipe_has_the_width_that_it_asks_for(monkeypatch, capsys):
    trials = pd.DataFrame([row_of("beta=1,seed=0", **dict.fromkeys(COMPARABLE, 0.5))])
    for width in (60, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        results.print_cells(trials)
        assert f"since {width} columns do not hold them" in " ".join(capsys.readouterr().out.split())


def test_a_sweep_without_trials_is_refused(tmp_path):
    SweepFolder.at(tmp_path).write_manifest({"study": "tiny", "axes": {}, "options": {"metric": "mcc"}})
    with pytest.raises(UserError, match="without trials"):
        results.load(tmp_path)


def test_a_path_without_a_sweep_is_refused(tmp_path, capsys):
    with pytest.raises(UserError, match="holds no sweep"):
        results.load(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "nowhere")])
    captured = capsys.readouterr()
    assert ended.value.code == 2 and "is no folder" in captured.err and "Traceback" not in captured.err


def test_a_sweep_that_runs_says_what_runs_and_how_long_still(sweep, capsys):
    waiting = results.load(sweep.location).set_index("gamma").loc[1.0, "key"]
    sweep.write_progress(
        {"time": time.time(), "running": [waiting], "iterations_per_second": 20.0, "seconds_left": 600}
    )
    assert results.load(sweep.location).set_index("gamma").loc[1.0, "state"] == "running"
    main([sweep.location])
    printed = capsys.readouterr().out
    assert "1 finished, 1 running, 1 stopped early, 1 failed, 1 unfinished of 5 trials." in printed
    assert "20.0 iterations a second, about 10.0 minutes left" in printed
    assert "failed: gamma=0.75: OSError: gone" in printed


def test_a_sweep_is_alive_by_its_folder_as_by_its_path(sweep, tmp_path):
    assert results.alive(sweep.location) is None
    sweep.write_progress({"time": time.time(), "running": [], "iterations_per_second": 20.0, "seconds_left": 600})
    progress = results.alive(sweep)
    assert progress is not None
    assert results.alive(sweep.location) == results.alive(Path(sweep.location)) == progress
    with pytest.raises(UserError, match=r"no sweep\.json"):
        results.alive(tmp_path)


def test_a_trial_that_has_ended_since_the_last_sign_of_life_is_not_running(sweep):
    before = results.load(sweep.location).set_index("key")["state"]
    running = [trial.key for trial in sweep.trials() if trial.outcome()]
    sweep.write_progress({"time": time.time(), "running": running, "iterations_per_second": 1.0, "seconds_left": 1})
    assert results.load(sweep.location).set_index("key")["state"].equals(before)


def test_a_sweep_whose_last_sign_of_life_is_old_is_not_running(sweep, capsys):
    waiting = results.load(sweep.location).set_index("gamma").loc[1.0, "key"]
    old = time.time() - 2 * SECONDS_TO_LIVE
    sweep.write_progress({"time": old, "running": [waiting], "iterations_per_second": 20.0, "seconds_left": 600})
    assert results.load(sweep.location).set_index("gamma").loc[1.0, "state"] == "missing"
    main([sweep.location])
    assert "Nothing runs it at the moment" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "read"), [("table.csv", pd.read_csv), ("table.parquet", pd.read_parquet)])
def test_the_table_is_written_to_a_file(sweep, tmp_path, name, read):
    main([sweep.location, "--out", str(tmp_path / name)])
    written, table = read(tmp_path / name), results.load(sweep.location)
    assert written[["key", "iteration", "mcc"]].equals(table[["key", "iteration", "mcc"]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--out table.xlsx", "no .csv or .parquet"),
        ("--metric kl", "--metric kl ranks no trials; give one of reconstruction_error,"),
        ("--width 0", "--width 0 is out of range; give 1 or more."),
        ("--metric mmc", "--metric mmc ranks no trials; did you mean mcc?"),
    ],
)
def test_options_that_mean_nothing_are_refused(sweep, capsys, options, words):
    with pytest.raises(SystemExit) as ended:
        main([sweep.location, *options.split()])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_where_gamma_and_lambda_are_crossed_the_table_has_the_weight_that_is_left(tmp_path, capsys):
    axes = {"beta": [0.1], "gamma": [0.0, 0.5, 1.0], "lam": [0.0, 10.0]}
    path = write_sweep(tmp_path / "s", axes, beside={"model": ["beta_vae"], "gamma": [0.0], "lam": [0.0]})
    trials = results.final(results.load(path))
    weights = trials.set_index(["model", "gamma", "lam"])["effective_lambda"]
    without = {(gamma, 0.0): 0.0 for gamma in axes["gamma"]}
    assert weights["inertia_vae"].to_dict() == without | {(0.0, 10.0): 10.0, (0.5, 10.0): 2.5, (1.0, 10.0): 0.0}
    assert math.isnan(weights["beta_vae"].iloc[0])
    results.print_cells(trials)
    assert "λ(1−γ)²" in capsys.readouterr().out


def test_where_one_of_both_is_swept_the_weight_is_no_column(tmp_path):
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "lam": [0.0, 10.0]})
    assert "effective_lambda" not in results.load(path)


@pytest.mark.parametrize("change", [{"learn_gamma": "shared"}, {"gamma_schedule": "linear", "schedule_iterations": 8}])
def test_of_a_gamma_that_changes_there_is_no_weight(change):
    values = TrialConfig(model="inertia_vae", beta=0.1, gamma=0.5, lam=1.0, **change).to_dict()
    assert math.isnan(effective_lambda(values))


def test_seeds_that_agree_give_a_cell_no_interval(tmp_path):
    """They say nothing about other seeds, so a table shows no ± 0."""
    axes = {"beta": [0.1], "seed": [0, 1, 2]}
    path = write_sweep(tmp_path / "s", axes, metrics=lambda config, _: {"linear_r2": 0.5, "mcc": 0.1 * config["seed"]})
    trials = results.final(results.load(path))
    (cell,) = cells_of(trials, settings_of(trials))
    assert math.isnan(cell.score("linear_r2").half) and cell.score("mcc").half > 0


def test_values_are_in_an_order_whatever_they_are() -> None:
    ordered = [(None,), (NOT_GIVEN,), (2.5,), (10,), ("9",), ("a",)]
    for turned in (2, 4):
        assert sorted(ordered[turned:] + ordered[:turned], key=order_of) == ordered
