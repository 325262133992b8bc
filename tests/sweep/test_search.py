"""A search: what it draws, what Optuna is told, and that it goes on after a kill."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from dd_ray.cli import main
from dd_ray.errors import UserError
from dd_ray.figures.search_results import draw_sweep
from dd_ray.report.content import collect
from dd_ray.results import suggestions as search_results
from dd_ray.storage.names import LOG
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.search_plan import SearchPlan
from dd_ray.sweep.suggestions import mend_log, open_storage
from tests.sweep.searching import Ended, Ends, bowl, plan_of, points, run, start, train
from tests.sweep.studies import ROOT, TINY_OPTIONS

TWO = ("--objectives", "reconstruction_error", "mcc")


def study_of(plan: SearchPlan) -> optuna.Study:
    return optuna.load_study(study_name=plan.optuna_study, storage=open_storage(Path(plan.location)))


def states_of(plan: SearchPlan) -> list[str]:
    return [trial.state.name for trial in study_of(plan).trials]


def ends_with(*states: str) -> Ends:
    """The states of trials in the order in which they are trained; the last one for all others."""
    left = list(states)

    def ends(trial: Any) -> Any:
        state = left.pop(0) if len(left) > 1 else left[0]
        return (state, {} if state == "diverged" else bowl(trial)[1])

    return ends


def test_every_suggestion_is_trained_with_every_seed_and_told_their_mean(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--seeds", "3", "--scheduler", "none")
    trials = run(plan, bowl)
    assert len(trials) == 15 and len({trial.key for trial in trials}) == 15
    for number, asked in enumerate(study_of(plan).trials):
        ours = trials[3 * number : 3 * number + 3]
        assert [trial.config.seed for trial in ours] == [0, 1, 2]
        assert {trial.config.beta for trial in ours} == {asked.params["beta"]}
        assert {trial.config.gamma for trial in ours} == {asked.params["gamma"]}
        assert asked.user_attrs["cells"] == [trial.key for trial in ours]
        expected = np.mean([bowl(trial)[1]["reconstruction_error"] for trial in ours])
        assert asked.value == pytest.approx(expected)
        assert asked.intermediate_values == pytest.approx(dict.fromkeys((0, 3, 6), expected))


def test_values_stay_in_their_ranges_and_fixed_ones_are_fixed(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, *"--beta 0.2 0.3 --gamma 0.5 --num-latents 3 5 --suggestions 12 --seeds 1".split())
    configs = [trial.config for trial in run(plan, bowl)]
    assert all(0.2 <= config.beta_value <= 0.3 for config in configs)
    assert {config.gamma for config in configs} == {0.5}
    assert {config.num_latents for config in configs} == {3, 5}


def test_beta_is_drawn_evenly_over_orders_of_magnitude(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, *"--beta 0.0001 1 --suggestions 100 --startup 100 --seeds 1 --scheduler none".split())
    suggestions, _ = start(plan)
    share = np.mean([trial.config.beta < 0.01 for trial in iter(suggestions.next_trial, None)])
    assert 0.35 < share < 0.65  # half, within three standard errors; 1% of a uniform draw


@pytest.mark.parametrize(
    ("ends", "told", "trained"),
    [
        (["finished", "stopped_early", "finished"], ["PRUNED", "COMPLETE"], 4),
        (["stopped_early", "finished"], ["PRUNED", "COMPLETE"], 3),
        (["diverged", "finished"], ["FAIL", "COMPLETE"], 3),
        (["finished", "failed", "finished"], ["FAIL", "COMPLETE"], 4),
    ],
)
@pytest.mark.parametrize("objectives", [(), TWO], ids=["one", "two"])
def test_a_seed_that_does_not_finish_decides_what_is_told(
    tmp_path: Path, objectives: tuple[str, ...], ends: list[str], told: list[str], trained: int
) -> None:
    plan = plan_of(tmp_path, "--suggestions", "2", *objectives, "--scheduler", "asha")
    trials = run(plan, ends_with(*ends))
    assert states_of(plan) == told
    assert len(trials) == trained  # no seed is started that can no longer give a mean


def test_a_point_that_was_pruned_has_the_mean_of_the_last_iteration_that_its_seeds_share(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1")
    trials = run(plan, ends_with("finished", "stopped_early"))
    expected = np.mean([bowl(trial)[1]["reconstruction_error"] for trial in trials])
    (trial,) = study_of(plan).trials
    assert trial.intermediate_values == pytest.approx({0: expected, 3: expected})
    assert trial.value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ends", "told", "state"),
    [
        (["out_of_time", "finished"], "PRUNED", "out_of_time"),
        (["out_of_time", "stopped_early"], "PRUNED", "stopped_early"),
        (["stopped_early", "diverged"], "FAIL", "diverged"),
        (["diverged", "failed"], "FAIL", "failed"),
    ],
)
def test_of_seeds_that_end_differently_one_decides_the_state_of_their_point(
    tmp_path: Path, ends: list[str], told: str, state: str
) -> None:
    plan = plan_of(tmp_path, *"--suggestions 1 --seeds 2 --scheduler none".split())
    run(plan, ends_with(*ends), at_a_time=2)
    assert states_of(plan) == [told]
    assert search_results.load(Path(plan.location))["state"].tolist() == [state]


def test_at_a_plateau_each_seed_has_its_own_last_evaluation_in_the_mean(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, *"--suggestions 1 --seeds 2 --scheduler none --stop-at-plateau 2".split())
    suggestions, sweep = start(plan)
    errors = {"at_plateau": (0.5, 0.3), "finished": (0.5, 0.4, 0.1)}
    trials = [suggestions.next_trial() for _ in errors]
    for trial, (state, of_trial) in zip(trials, errors.items(), strict=True):
        assert trial is not None
        folder = sweep.trial(trial.key)
        folder.create(trial.config.to_dict(), trial.label)
        for position, error in enumerate(of_trial):
            folder.record({"iteration": 3 * position, "reconstruction_error": error})
        folder.finish(Outcome(state=state, iteration=3 * len(of_trial) - 3))
        suggestions.trial_ended(trial.key)
    (asked,) = study_of(plan).trials
    assert asked.state == TrialState.COMPLETE and asked.value == pytest.approx(0.2)
    assert asked.intermediate_values == pytest.approx({0: 0.5, 3: 0.35})
    (row,) = search_results.load(Path(plan.location)).to_dict("records")
    assert (row["state"], row["seeds"], row["on_front"]) == ("finished", 2, True)
    assert row["reconstruction_error"] == pytest.approx(0.2)


def test_a_score_that_is_undefined_is_no_value(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1", *TWO)
    run(plan, lambda trial: ("finished", {"reconstruction_error": 0.1, "mcc": None if trial.config.seed else 0.5}))
    assert states_of(plan) == ["FAIL"]
    assert search_results.load(Path(plan.location))["state"].tolist() == ["undefined"]


KILLED_ALWAYS = (0, 1, 4, 9)
"""Before the first, while points are drawn at random, after those, and after all."""


UNTIL_KILLED = ("--startup", "2", "--scheduler", "none")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchPlan, list[PlannedTrial]]:
    """A search that nobody kills, and its trials; to be looked at alone."""
    plan = plan_of(tmp_path_factory.mktemp("undisturbed"), *UNTIL_KILLED)
    return plan, run(plan, bowl)


@pytest.mark.parametrize(
    "kill_after", [pytest.param(n, marks=() if n in KILLED_ALWAYS else pytest.mark.slow) for n in range(10)]
)
def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(
    undisturbed: tuple[SearchPlan, list[PlannedTrial]], tmp_path: Path, kill_after: int
) -> None:
    whole, trials = undisturbed
    plan = plan_of(tmp_path, *UNTIL_KILLED)
    before = run(plan, bowl, kill_after=kill_after)
    after = run(plan, bowl)
    assert [trial.key for trial in before + after] == [trial.key for trial in trials]
    assert states_of(plan) == ["COMPLETE"] * 5
    values = [trial.value for trial in study_of(plan).trials]
    assert values == [trial.value for trial in study_of(whole).trials]


def test_a_kill_with_several_trials_running_loses_and_doubles_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--seeds", "3", "--suggestions", "7")
    trained = [trial for stop in (2, 3, 1, 4) for trial in run(plan, bowl, kill_after=stop, at_a_time=4)]
    trained += run(plan, bowl, at_a_time=4)
    assert len(trained) == len({trial.key for trial in trained}) == 21
    assert states_of(plan) == ["COMPLETE"] * 7
    assert run(plan, bowl) == []


def test_an_outcome_that_was_not_told_before_a_kill_is_told_at_the_next_start(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1", "--seeds", "1")
    suggestions, sweep = start(plan)
    trial = suggestions.next_trial()
    assert trial is not None
    train(sweep, trial, bowl(trial))
    assert states_of(plan) == ["RUNNING"]
    again, _ = start(plan)
    assert states_of(plan) == ["COMPLETE"]
    assert again.next_trial() is None and again.num_left == 0


def test_an_interrupted_trial_is_handed_out_again(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1", "--seeds", "1")
    suggestions, _ = start(plan)
    trial = suggestions.next_trial()
    assert trial is not None
    suggestions.trial_ended(trial.key)  # Tune ends it at Ctrl-C, without an outcome
    assert suggestions.next_trial() is None and not suggestions.waits
    assert states_of(plan) == ["RUNNING"] and suggestions.num_left == 1
    assert start(plan)[0].next_trial() == trial


def test_a_suggestion_that_was_cut_short_while_it_was_drawn_is_given_up(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    start(plan)
    study_of(plan).ask({"beta": optuna.distributions.FloatDistribution(0.01, 1.0, log=True)})  # and no gamma
    run(plan, bowl)
    assert states_of(plan) == ["FAIL"] + ["COMPLETE"] * 5
    assert len(search_results.load(Path(plan.location))) == 5


def test_a_line_that_was_cut_short_is_no_line(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    run(plan, bowl, kill_after=5)
    with (Path(plan.location) / LOG).open("ab") as log:
        log.write(b'{"op_code":5,"wor')
    run(plan, bowl)
    assert states_of(plan) == ["COMPLETE"] * 5


def test_what_an_objective_depends_on_is_important_and_what_it_does_not_is_not(tmp_path: Path) -> None:
    def slope(trial: PlannedTrial) -> Ended:
        failed = trial.config.gamma > 0.9
        return ("failed", {}) if failed else ("finished", {"reconstruction_error": trial.config.gamma})

    plan = plan_of(tmp_path, "--suggestions", "20", "--seeds", "1")
    run(plan, slope, kill_after=1)
    assert search_results.importances(plan.location).empty  # one suggestion says nothing
    run(plan, slope)
    assert "FAIL" in states_of(plan)
    shares = search_results.importances(plan.location)["reconstruction_error"]
    assert shares["gamma"] > 0.8 and shares.sum() == pytest.approx(1) and list(shares.index) == ["beta", "gamma"]


def test_who_looks_at_a_search_does_not_cut_the_line_that_its_command_is_writing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "3")
    run(plan, bowl)
    log = Path(plan.location) / LOG
    whole = log.read_bytes()
    *_, last = whole.splitlines(keepends=True)
    log.write_bytes(whole + last[:10])
    assert set(search_results.load(plan.location)["state"]) == {"finished"}
    assert search_results.importances(plan.location) is not None and log.read_bytes() == whole + last[:10]
    log.unlink()
    with pytest.raises(UserError, match="has no suggestions yet"):
        search_results.load(plan.location)
    assert not log.exists()


def test_more_suggestions_extend_a_search(tmp_path: Path) -> None:
    first = run(plan_of(tmp_path, "--suggestions", "3"), bowl)
    more = run(plan_of(tmp_path, "--suggestions", "5"), bowl)
    assert (len(first), len(more)) == (6, 4)
    assert not set(points(first)) & set(points(more))
    assert run(plan_of(tmp_path, "--suggestions", "4"), bowl) == []


@pytest.mark.parametrize("changed", [["--seeds", "3"], ["--iterations", "8"], [*TWO], ["--gamma", "0", "0.9"]])
def test_another_kind_of_value_is_another_study_that_begins_with_the_same_points(
    tmp_path: Path, changed: list[str]
) -> None:
    first, longer = plan_of(tmp_path, "--suggestions", "3"), plan_of(tmp_path, "--suggestions", "4", *changed)
    before = points(run(first, bowl))
    known = start(longer)[0].keys()
    run(longer, bowl)
    assert first.optuna_study != longer.optuna_study
    assert states_of(first) == ["COMPLETE"] * 3 and states_of(longer) == ["COMPLETE"] * 4
    kept = [(beta, gamma) for beta, gamma in before if "--gamma" not in changed or gamma <= 0.9]
    params = [(trial.params["beta"], trial.params["gamma"]) for trial in study_of(longer).trials]
    assert params[: len(kept)] == kept
    taken_over = [longer.trials_of({"beta": beta, "gamma": gamma}) for beta, gamma in kept]
    assert known == {trial.key for trials in taken_over for trial in trials}  # the bar begins with what they did


def test_a_longer_search_of_fewer_suggestions_begins_with_as_many_points(tmp_path: Path) -> None:
    trained = run(plan_of(tmp_path, "--suggestions", "3", "--seeds", "1"), bowl)
    longer, _ = start(plan_of(tmp_path, *"--suggestions 2 --seeds 1 --iterations 8".split()))
    assert longer.keys() == {trial.key for trial in trained[:2]}


def test_points_of_a_search_with_another_fixed_value_are_not_taken_over(tmp_path: Path) -> None:
    """Their trials are of that value, so that none of them would go on."""
    options = ("--suggestions", "3", "--seeds", "1", "--gamma")
    run(plan_of(tmp_path, *options, "0.5"), bowl)
    assert start(plan_of(tmp_path, *options, "0.7"))[0].keys() == set()


@pytest.mark.parametrize("cut_short", [False, True])
def test_a_command_that_goes_on_with_another_share_of_a_cluster_does_not_try_failed_trials_again(
    tmp_path: Path, cut_short: bool
) -> None:
    """A new source is made for each round, also where one ended before the suggestion's other seed."""
    plan = plan_of(tmp_path, *"--suggestions 1 --seeds 2 --scheduler none".split())
    suggestions, sweep = start(plan)
    failed, other = suggestions.next_trial(), suggestions.next_trial()
    assert failed is not None and other is not None
    train(sweep, failed, ("failed", {"reconstruction_error": 0.1}))
    suggestions.trial_ended(failed.key)
    if not cut_short:
        train(sweep, other, bowl(other))
        suggestions.trial_ended(other.key)
    else:
        sweep.trial(other.key).create(other.config.to_dict(), other.label)
        sweep.trial(other.key).record({"iteration": 0, "reconstruction_error": 0.1})
    next_round = plan.source(sweep, ended={failed.key} if cut_short else {failed.key, other.key})
    assert next_round.next_trial() == (other if cut_short else None)
    assert next_round.next_trial() is None
    next_command = plan.source(sweep)
    assert next_command.next_trial() == failed


def test_failed_trials_are_tried_again_and_diverged_ones_are_not(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "3")
    ends = ends_with("finished", "failed", "diverged", "finished", "finished")
    trials = run(plan, ends)
    assert states_of(plan) == ["FAIL", "FAIL", "COMPLETE"]
    assert search_results.load(Path(plan.location))["state"].tolist() == ["failed", "diverged", "finished"]
    assert start(plan)[0].num_left == 1
    assert run(plan, bowl) == [trials[1]]
    assert start(plan)[0].num_left == 0
    assert states_of(plan) == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    table = search_results.load(Path(plan.location))
    assert table["suggestion"].tolist() == [1, 2, 3]
    assert run(plan, bowl) == []


@pytest.mark.parametrize("cut_short", [False, True])
def test_a_point_that_is_suggested_again_is_none_of_as_many_as_were_asked_for(tmp_path: Path, cut_short: bool) -> None:
    """Nor is it one where a kill cuts its second suggestion short."""
    plan = plan_of(tmp_path, *"--suggestions 3 --seeds 1".split())
    run(plan, ends_with("failed"), kill_after=1)
    if cut_short:
        start(plan)
        study_of(plan).ask({})
    run(plan, bowl)
    table = search_results.load(Path(plan.location))
    assert table["state"].tolist() == ["finished"] * 3 and table["cells"].is_unique
    assert run(plan, bowl) == []


def test_one_point_that_is_suggested_twice_is_trained_once(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, *"--beta 0.1 --gamma 0.5 --num-latents 3 5 --suggestions 6 --seeds 2".split())
    trials = run(plan, bowl, at_a_time=4)
    assert len(trials) == len({trial.key for trial in trials}) == 4
    assert states_of(plan) == ["COMPLETE"] * 6


def test_the_front_is_that_of_brute_force(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "15", *TWO)
    rng = np.random.default_rng(3)
    scores = {}

    def ends(trial: Any) -> Any:
        scores[trial.key] = rng.integers(6, size=2) / 5  # many ties
        return "finished", dict(zip(("reconstruction_error", "mcc"), map(float, scores[trial.key]), strict=True))

    run(plan, ends)
    table = search_results.load(Path(plan.location))
    means = [np.mean([scores[key] for key in keys.split()], axis=0) for keys in table["cells"]]
    assert table[["reconstruction_error", "mcc"]].to_numpy() == pytest.approx(np.array(means))
    costs = [(round(error, 9), round(-mcc, 9)) for error, mcc in means]
    expected = [not any(b[0] <= a[0] and b[1] <= a[1] and b != a for b in costs) for a in costs]
    assert table["on_front"].tolist() == expected
    assert 0 < sum(expected) < 15


def test_the_table_has_means_and_intervals_over_seeds(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "4", "--seeds", "2")
    run(plan, ends_with(*["finished"] * 6, "stopped_early"))
    table = search_results.load(Path(plan.location))
    assert table["state"].tolist() == ["finished"] * 3 + ["stopped_early"]
    assert table["iteration"].tolist() == [6, 6, 6, 3]
    assert table["seeds"].tolist() == [2, 2, 2, 1]
    best = table["reconstruction_error"][:3].idxmin()
    assert table.index[table["on_front"]].tolist() == [best]
    # Student's t of two values that lie 0.01 apart: 12.706 × 0.01 / 2.
    half = table["reconstruction_error_high"] - table["reconstruction_error"]
    assert half[:3].to_numpy() == pytest.approx(0.06353, rel=1e-3)
    assert np.isnan(half[3])


def best_of(folder: Path, seed: int, *options: str) -> float:
    plan = plan_of(folder / f"{seed}", "--sampler-seed", str(seed), "--suggestions", "30", "--seeds", "1", *options)
    run(plan, bowl)
    return float(study_of(plan).best_value)


@pytest.mark.slow
def test_what_is_told_makes_suggestions_better_than_chance(tmp_path: Path) -> None:
    learning = [best_of(tmp_path / "tpe", seed, "--startup", "10") for seed in range(8)]
    random = [best_of(tmp_path / "random", seed, "--startup", "30") for seed in range(8)]
    assert np.median(learning) < np.median(random) / 2


def test_an_earlier_end_is_learned_from_with_two_objectives_too(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "14", "--seeds", "1", "--startup", "4", *TWO)
    run(plan, ends_with(*["stopped_early"] * 9, "finished"))
    assert states_of(plan).count("PRUNED") == 9


def test_a_new_name_of_the_sampler_seed_draws_other_points(tmp_path: Path) -> None:
    draws = [points(run(plan_of(tmp_path / seed, "--sampler-seed", seed), bowl)) for seed in ("1", "2")]
    assert not set(draws[0]) & set(draws[1])


BAD_OPTIONS = [
    (["--beta", "0", "2"], ["--beta 0 2", "more than 0"]),
    (["--beta", "2", "1"], ["--beta 2 1", "LOW less than HIGH"]),
    (["--beta", "1", "1"], ["--beta 1 1", "LOW less than HIGH"]),
    (["--beta", "0.1", "inf"], ["--beta 0.1 inf", "finite"]),
    (["--beta", "0.1", "0.2", "0.3"], ["--beta 0.1 0.2 0.3", "LOW HIGH"]),
    (["--gamma", "0", "1.5"], ["--gamma 1.5", "[0, 1]"]),
    (["--beta", "1", "--gamma", "0"], ["nothing to search"]),
    (["--num-latents", "4", "4"], ["--num-latents 4 4", "twice"]),
    (["--objectives", "accuracy"], ["--objectives accuracy", "no such metric", "mcc"]),
    (["--objectives", "mig_stills"], ["--objectives mig_stills", "a score of their last evaluation alone", "mcc"]),
    (["--objectives", "kl"], ["--objectives kl", "mcc"]),
    (["--objectives", "mcc", "mcc"], ["--objectives mcc mcc", "two different"]),
    (["--objectives", "mcc", "linear_r2", "reconstruction_error"], ["one reported metric, or two"]),
    (["--metric", "kl"], ["--metric kl", "mcc"]),
    (["--suggestions", "0"], ["--suggestions 0", "1 or more"]),
    (["--startup", "0"], ["--startup 0", "1 or more"]),
    (["--startup", "3", "--sampler", "qmc"], ["--startup 3", "without a --sampler that learns"]),
    (["--sampler-seed", "-1"], ["--sampler-seed -1"]),
    (["--seed", "1", "1"], ["--seed 1 1", "twice"]),
    (["--exclude", "gamma=0 beta=1"], ["--exclude 'gamma=0 beta=1' is of a grid", "leave it out"]),
    (["--confirm", "3"], ["--confirm 3 is of a grid", "from --seed 2 on"]),
    (["--storage", "s3://bucket/x"], ["s3:", "folder"]),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS, ids=lambda value: " ".join(value)[:30])
def test_bad_options_are_refused_before_anything_starts(
    options: list[str], words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(start_study(), ["--storage", str(tmp_path), *options])
    error = capfd.readouterr().err
    assert ended.value.code == 2
    assert len(error.strip().splitlines()) == 1
    assert all(word in error for word in words), error
    assert not list(tmp_path.iterdir())


def start_study() -> Any:
    from tests.sweep.searching import TINY_SEARCH

    return TINY_SEARCH


def test_defaults_follow_the_objectives_unless_they_are_given(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "--objectives", "mcc").options.metric == "mcc"
    assert plan_of(tmp_path, "--objectives", "mcc", "--metric", "linear_r2").options.metric == "linear_r2"
    assert plan_of(tmp_path).options.scheduler == "asha"
    assert plan_of(tmp_path, *TWO).options.scheduler == "none"
    assert plan_of(tmp_path, *TWO, "--scheduler", "asha").options.scheduler == "asha"


def test_a_dry_run_prints_the_space_and_starts_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(start_study(), ["--dry-run", "--storage", str(tmp_path), "--gamma", "0.5", *TWO])
    printed = capfd.readouterr().out
    assert "5 suggestions × 2 seeds = 10 trials" in printed
    assert "reconstruction_error (minimize) and mcc (maximize)" in printed
    assert "beta: log-uniform from 0.01 to 1" in printed and "gamma" not in printed.split("learns")[0].split("beta:")[1]
    assert "6 iterations each, 60 in all" in printed
    assert not list(tmp_path.iterdir())


SEARCH = [sys.executable, str(ROOT / "sweeps" / "inertia_search.py"), *TINY_OPTIONS]


@pytest.mark.ray
@pytest.mark.slow
def test_a_driver_that_is_killed_is_gone_on_with_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "--suggestions 6 --seeds 2 --startup 3 --iterations 40 --evaluations 4".split()
    command = [*SEARCH, *options, "--storage", str(tmp_path), "--name", "mine"]
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        _wait_until(lambda: len(list(tmp_path.glob("mine/cells/*/outcome.json"))) >= 3, first)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(timeout=30)
        log = (tmp_path / "mine" / LOG).read_text()
        second = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "mine" / LOG).read_text().startswith(log)
    table = search_results.load(tmp_path / "mine")
    assert table["state"].tolist() == ["finished"] * 6 and table["suggestion"].tolist() == list(range(6))
    sweep = SweepFolder.open(tmp_path / "mine")
    assert {folder.key for folder in sweep.trials()} == {key for keys in table["cells"] for key in keys.split()}
    for row in table.to_dict("records"):
        configs = [sweep.trial(key).describe()["config"] for key in row["cells"].split()]
        assert [config["seed"] for config in configs] == [0, 1]
        assert {config["beta"] for config in configs} == {row["beta"]}
    study = optuna.load_study(study_name=sweep.manifest()["search"]["optuna_study"], storage=open_storage(sweep.folder))
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 6
    told = pd.DataFrame([trial.values for trial in study.trials], columns=["reconstruction_error", "mcc"])
    assert table[told.columns].to_numpy() == pytest.approx(told.to_numpy())
    assert "Pareto front of 6 finished suggestions" in second.stdout
    assert (tmp_path / "mine" / "suggestions.csv").is_file()
    assert (tmp_path / "mine" / "figures" / "search_results.png").is_file()


def _wait_until(condition: Any, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)


def test_what_has_been_handed_out_is_no_reason_to_wait(tmp_path: Path) -> None:
    suggestions, _ = start(plan_of(tmp_path, "--suggestions", "2", "--seeds", "2", "--scheduler", "none"))
    trials = [suggestions.next_trial() for _ in range(5)]
    assert trials[4] is None and None not in trials[:4]
    assert not suggestions.waits


def test_with_asha_the_first_seed_decides_whether_the_others_start(tmp_path: Path) -> None:
    suggestions, sweep = start(plan_of(tmp_path, "--suggestions", "2", "--seeds", "3"))
    first, second, nothing = (suggestions.next_trial() for _ in range(3))
    assert first and second and first.config.seed == second.config.seed == 0 and nothing is None
    assert suggestions.waits and suggestions.decides(first.key)
    train(sweep, first, ("stopped_early", bowl(first)[1]))
    suggestions.trial_ended(first.key)
    assert suggestions.next_trial() is None and suggestions.waits
    train(sweep, second, bowl(second))
    suggestions.trial_ended(second.key)
    others = [suggestions.next_trial() for _ in range(3)]
    assert [trial and (trial.config.beta, trial.config.seed) for trial in others] == [
        (second.config.beta, 1),
        (second.config.beta, 2),
        None,
    ]
    assert not any(trial and suggestions.decides(trial.key) for trial in others)


def test_with_asha_a_longer_search_compares_with_its_earlier_trials_from_its_beginning(tmp_path: Path) -> None:
    """A kill right after they are handed out changes nothing."""
    asha = ("--seeds", "2", "--scheduler", "asha")
    trained = run(plan_of(tmp_path, "--suggestions", "3", *asha), bowl)
    longer = plan_of(tmp_path, "--suggestions", "3", "--iterations", "8", *asha)
    source = longer.source(SweepFolder.at(longer.location))
    waiting = source.deciding_keys()
    assert waiting == {trial.key for trial in trained if trial.config.seed == 0}
    handed_out = [source.next_trial() for _ in range(3)]
    assert {trial and trial.key for trial in handed_out} == waiting == source.deciding_keys()


def test_the_others_are_not_judged(tmp_path: Path) -> None:
    from ray.tune.schedulers import ASHAScheduler

    from dd_ray.tune.searcher import DecidingTrialsScheduler

    suggestions, _ = start(plan_of(tmp_path, "--suggestions", "3", "--seeds", "1"))
    trials = [suggestions.next_trial() for _ in range(3)]
    judge = ASHAScheduler(
        time_attr="iteration", metric="reconstruction_error", mode="min", max_t=6, grace_period=1, reduction_factor=2
    )
    scheduler = DecidingTrialsScheduler(judge, suggestions)
    keys = [*(trial.key for trial in trials if trial), "other"]
    trials = [SimpleNamespace(trial_id=key, config={"key": key}) for key in keys]
    verdicts = []
    for error, trial in enumerate(trials):
        scheduler.on_trial_add(None, trial)
        result = {"iteration": 2, "reconstruction_error": float(error)}
        verdicts.append(scheduler.on_trial_result(None, trial, result))
        scheduler.on_trial_complete(None, trial, result)
    assert verdicts == ["CONTINUE", "STOP", "STOP", "CONTINUE"]
    assert scheduler.metric == "reconstruction_error"


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("user_attr", {"cells": ["../../../../etc"]}, 'cells[0] is "../../../../etc", not a trial\'s key'),
        ("user_attr", {"cells": [1]}, "cells[0] is 1, not a trial's key"),
        ("user_attr", {"cells": None}, "cells is null, not a list"),
        ("param_value_internal", "x", 'param_value_internal is "x", not a number'),
        ("values", [10**400], "not a number"),
        ("values", [], "suggestion 0 has 0 values"),
        ("values", [1.0, 2.0], "suggestion 0 has 2 values"),
    ],
)
def test_a_log_of_others_leads_nowhere_and_is_refused_in_a_sentence(
    tmp_path: Path, name: str, value: Any, wrong: str
) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1")
    run(plan, bowl)
    log = SweepFolder.open(plan.location).folder / LOG
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    known = [line for line in lines if name in line and (name != "user_attr" or "cells" in line[name])]
    known[-1][name] = value
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError) as refused:
        search_results.load(plan.location)
    assert wrong in str(refused.value) and "optuna.log is damaged" in str(refused.value)
    mend_log(SweepFolder.open(plan.location))
    assert (log.parent / "aside" / f"{LOG}-1").exists()


def test_a_search_over_what_its_suggestions_do_not_have_is_refused_in_a_sentence(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1")
    run(plan, bowl)
    sweep = SweepFolder.open(plan.location)
    manifest = sweep.manifest()
    sweep.write_manifest({**manifest, "search": {**manifest["search"], "space": {"lam": "x"}}})
    with pytest.raises(UserError, match="searches over lam, of which a suggestion"):
        search_results.load(plan.location)


@pytest.mark.parametrize(
    ("objectives", "wrong"),
    [
        (["\x1b[2J"], "searches for the best \x1b[2J, of which no better side is known"),
        (["kl"], "searches for the best kl, of which no better side is known"),
        ([], "differ in the number of objectives"),
        (["mcc", "linear_r2"], "differ in the number of objectives"),
    ],
)
def test_a_search_for_what_cannot_be_best_is_refused_in_a_sentence(
    tmp_path: Path, objectives: list[str], wrong: str
) -> None:
    plan = plan_of(tmp_path, "--suggestions", "1")
    run(plan, bowl)
    sweep = SweepFolder.open(plan.location)
    manifest = sweep.manifest()
    sweep.write_manifest({**manifest, "search": {**manifest["search"], "objectives": objectives}})
    for read in (search_results.load, collect, lambda path: draw_sweep(path, tmp_path)):
        with pytest.raises(UserError) as refused:
            read(plan.location)
        assert wrong in str(refused.value)


@settings(max_examples=6)
@given(
    share=st.floats(0, 1),
    damage=st.sampled_from([bytes(30), b"[]", b"null", b'{"op_code": 99, "worker_id": "a"}\n', b"\xff"]),
)
def test_a_damaged_log_is_refused_by_readers_and_mended_by_the_command(share: float, damage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = plan_of(Path(folder), "--suggestions", "3")
        trained = run(plan, bowl)
        sweep = SweepFolder.open(plan.location)
        log = sweep.folder / LOG
        lines = log.read_bytes().splitlines(keepends=True)
        at = int(share * (len(lines) - 1))
        log.write_bytes(b"".join([*lines[:at], damage + lines[at], *lines[at + 1 :]]))
        with pytest.raises(UserError, match=r"optuna\.log is damaged"):
            search_results.load(plan.location)
        mend_log(sweep)
        assert b"".join(lines).startswith(log.read_bytes() if log.exists() else b"")
        assert (sweep.folder / "aside" / f"{LOG}-1").exists()
        again = run(plan, bowl)
        assert not {trial.key for trial in trained} & {trial.key for trial in again}
        assert set(search_results.load(plan.location)["state"]) == {"finished"}
        assert {trial.key for trial in (*trained, *again)} == {trial.key for trial in sweep.trials()}
