"""The best cells of a sweep with fresh seeds: which are chosen, and what the others say."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dd_ray.api import collect
from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.results.confirmation import choose, confirmed, contrasts
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep import Preset, Study
from dd_ray.sweep.confirmation import BASELINE
from dd_ray.sweep.manifest import check_agrees, make_manifest
from tests.results.finals import finals

GRID = {
    "model": ("beta_vae", "inertia_vae"),
    "beta": (0.1, 1.0),
    "gamma": (0.0, 0.5, 0.9),
    "lam": (0.0, 30.0),
    "seed": (0, 1, 2),
}
STUDY = Study(
    name="arms",
    question="Which is best?",
    axes=("model", "beta", "gamma", "lam"),
    fixed={"num_frames": 4},
    presets={
        "quick": Preset(
            about="all",
            axes={name: values for name, values in GRID.items() if name != "seed"},
            iterations=300,
            seeds=3,
            scheduler="none",
            exclude=("gamma=0.5,0.9 lambda=30",),
        )
    },
    outcomes=("mcc", "linear_r2"),
)


def measure(config):
    """MCC is best at γ = 0.5 and β = 1, R² at γ = 0.9 and β = 0.1, where one network has collapsed at λ = 30."""
    luck = np.random.default_rng([config["seed"], *(int(100 * config[name]) for name in ("beta", "gamma", "lam"))])
    inertia = 0.1 * (config["gamma"] == 0.5) + 0.02 * config["beta"]
    collapsed = config["lam"] == 30 and config["beta"] == 1 and config["seed"] == 1
    return {
        "mcc": 0.5 + inertia + 0.5 * (config["lam"] == 30 and config["beta"] == 1) + 0.001 * luck.normal(),
        "linear_r2": 0.5 + 0.1 * config["gamma"] - 0.02 * config["beta"] + 0.001 * luck.normal(),
        "active_units": 0.0 if collapsed else 4.0,
        "reconstruction_error": 0.01,
    }


@pytest.fixture(scope="module")
def trials():
    table = finals([GRID], measure)
    return table[~((table["gamma"] > 0) & (table["lam"] > 0))]


def _values(trials, key):
    return trials.set_index("key").loc[key, ["model", "beta", "gamma", "lam"]].tolist()


def test_only_seeds_that_got_furthest_are_compared(trials):
    cells = trials[(trials["beta"] == 1) & (trials["lam"] == 0)]
    base, arm = cells[cells["model"] == "beta_vae"], cells[cells["gamma"] == 0.5]
    chosen = {"mcc": {BASELINE: base["key"].tolist(), "γ": arm["key"].tolist()}}
    further = trials.assign(iteration=np.where(trials["key"].isin(arm["key"]) & (trials["seed"] < 2), 600.0, 300.0))
    assert contrasts(further, chosen)[0].seeds == 0
    further.loc[further["seed"] < 2, "iteration"] = 600.0
    assert contrasts(further, chosen)[0].seeds == 2


def test_the_best_cell_of_each_arm_is_chosen_by_the_outcome(trials):
    by_mcc, by_r2 = choose(trials, "mcc"), choose(trials, "linear_r2")
    assert set(by_mcc) == set(by_r2) == {BASELINE, "inertia_vae γ", "inertia_vae λ", "control: inertia_vae"}
    assert _values(trials, by_mcc["inertia_vae γ"]) == ["inertia_vae", 1.0, 0.5, 0.0]
    assert _values(trials, by_r2["inertia_vae γ"]) == ["inertia_vae", 0.1, 0.9, 0.0]
    assert _values(trials, by_mcc[BASELINE]) == ["beta_vae", 1.0, 0.0, 0.0]
    assert _values(trials, by_r2[BASELINE]) == ["beta_vae", 0.1, 0.0, 0.0]
    assert _values(trials, by_r2["control: inertia_vae"]) == ["inertia_vae", 0.1, 0.0, 0.0]


def test_a_model_alone_is_a_control_where_others_change_more_of_it():
    """The penalty of `predictive_vae` and Ada-GVAE are arms of their own, of which nothing is to be told apart."""
    grids = [
        {"model": ["beta_vae", "ada_gvae"], "beta": [1.0], "seed": [0, 1]},
        {"model": ["inertia_vae"], "gamma": [0.0, 0.5], "beta": [1.0], "seed": [0, 1]},
    ]
    trials = finals(grids, lambda config: {"mcc": 0.5 + config["gamma"], "active_units": 4.0})
    assert set(choose(trials, "mcc")) == {BASELINE, "ada_gvae", "inertia_vae γ", "control: inertia_vae"}


def test_a_control_that_collapsed_is_left_out(trials):
    alone = (trials["model"] == "inertia_vae") & (trials["gamma"] == 0) & (trials["lam"] == 0)
    lost = trials.assign(active_units=trials["active_units"].mask(alone, 0.0))
    chosen = choose(lost, "mcc")
    assert chosen.pop("control: inertia_vae") is None
    assert set(chosen) == {BASELINE, "inertia_vae γ", "inertia_vae λ"} and all(chosen.values())


def test_a_control_without_an_arm_to_compare_is_left_out():
    """Each cell of γ has collapsed, so nothing is to be told apart of the inertia VAE alone."""
    grids = [
        {"model": ["beta_vae", "ada_gvae"], "beta": [1.0], "seed": [0, 1]},
        {"model": ["inertia_vae"], "gamma": [0.0, 0.5], "beta": [1.0], "seed": [0, 1]},
    ]
    trials = finals(grids, lambda config: {"mcc": 0.5, "active_units": 4.0 * (config["gamma"] == 0)})
    chosen = choose(trials, "mcc")
    assert set(chosen) == {BASELINE, "ada_gvae", "inertia_vae γ"} and chosen["inertia_vae γ"] is None


def test_holm_counts_the_arms_and_not_their_control(trials):
    chosen = {"mcc": _keys_at_1(trials)}
    alone = {each.arm: each for each in contrasts(trials, chosen)}
    chosen["mcc"]["control: inertia_vae"] = _of(trials, "inertia_vae", 0.9, 0.0)
    beside = {each.arm: each for each in contrasts(trials, chosen)}
    control = beside.pop("control: inertia_vae")
    assert beside == alone
    assert np.isnan(control.p_holm) and 0 < control.p_value < 1 and control.low < control.mean < control.high


def test_numbers_that_only_another_objective_reads_are_levels_of_it():
    """Of a penalty that the baseline has not, the least weight is a level like the others."""
    grids = [
        {"model": ["beta_vae"], "objective": ["beta"], "beta": [0.1, 1.0], "seed": [0, 1]},
        {
            "model": ["beta_vae"],
            "objective": ["slowness"],
            "slowness_weight": [0.1, 1.0],
            "beta": [0.1],
            "seed": [0, 1],
        },
    ]
    trials = finals(grids, lambda config: {"mcc": config["slowness_weight"] / 100, "active_units": 4.0})
    chosen = choose(trials, "mcc")
    assert set(chosen) == {BASELINE, "slowness slowness weight"}
    assert trials.set_index("key").loc[chosen["slowness slowness weight"], "slowness_weight"] == 1.0


def test_a_cell_with_a_collapsed_seed_is_never_chosen(trials):
    assert _values(trials, choose(trials, "mcc")["inertia_vae λ"]) == ["inertia_vae", 0.1, 0.0, 30.0]


def test_a_cell_with_a_seed_that_diverged_is_never_chosen(trials):
    """Its other seeds are the best."""
    of_best = (trials["gamma"] == 0.5) & (trials["beta"] == 1)
    diverged = of_best & (trials["seed"] == 2)
    lost = trials.assign(
        state=trials["state"].mask(diverged, "diverged"),
        iteration=trials["iteration"].mask(diverged, 200.0),
        mcc=trials["mcc"].mask(diverged),
    )
    assert _values(trials, choose(trials, "mcc")["inertia_vae γ"]) == ["inertia_vae", 1.0, 0.5, 0.0]
    assert _values(lost, choose(lost, "mcc")["inertia_vae γ"]) == ["inertia_vae", 0.1, 0.5, 0.0]


def test_a_baseline_that_diverged_is_still_the_baseline(trials):
    lost = trials.assign(state=trials["state"].mask(trials["model"] == "beta_vae", "diverged"))
    with pytest.raises(UserError, match="each of the baseline's cells has a network that collapsed or diverged"):
        choose(lost, "mcc")


@pytest.mark.parametrize(("model", "whose"), [("beta_vae", "the baseline's"), ("inertia_vae", "the other arms'")])
def test_where_all_cells_have_collapsed_there_is_nothing_to_confirm(trials, model, whose):
    collapsed = trials.assign(active_units=trials["active_units"].where(trials["model"] != model, 0.0))
    with pytest.raises(UserError, match=f"each of {whose} cells has a network that collapsed"):
        choose(collapsed, "mcc")


def test_where_less_is_better_the_least_is_chosen(trials):
    errors = trials.assign(reconstruction_error=1 - trials["mcc"])
    assert choose(errors, "reconstruction_error") == choose(trials, "mcc")


def _of(trials, model, gamma, lam):
    """Return the keys of a cell at β = 1."""
    cell = (trials["model"] == model) & (trials["gamma"] == gamma) & (trials["lam"] == lam) & (trials["beta"] == 1)
    return tuple(trials.loc[cell, "key"])


def _keys_at_1(trials):
    cells = {BASELINE: ("beta_vae", 0.0, 0.0), "γ": ("inertia_vae", 0.5, 0.0), "λ": ("inertia_vae", 0.0, 30.0)}
    return {arm: _of(trials, *cell) for arm, cell in cells.items()}


def test_contrasts_are_paired_t_tests_with_the_baseline(trials):
    keys = _keys_at_1(trials)
    of_arm = {arm: trials.set_index("key").loc[list(of)] for arm, of in keys.items()}
    found = contrasts(trials, {"mcc": keys})
    p_values = []
    for contrast in found:
        test = stats.ttest_rel(of_arm[contrast.arm]["mcc"], of_arm[BASELINE]["mcc"])
        interval = test.confidence_interval()
        assert (contrast.low, contrast.high) == pytest.approx((interval.low, interval.high))
        assert contrast.p_value == pytest.approx(test.pvalue)
        assert contrast.p_flips == 0.25  # all three seeds agree, as 2 of 8 flips have them
        p_values.append(contrast.p_value)
    assert [each.p_holm for each in found] == pytest.approx(_holm(p_values))


def test_seeds_that_agree_say_nothing_of_others():
    """They got an interval of no width, and a p-value by flips of signs."""
    grid = {"model": ["beta_vae"], "beta": [1.0, 10.0], "seed": tuple(range(6))}
    table = finals([grid], lambda config: {"mcc": 0.5 + 0.01 * config["beta"]})
    cells = {BASELINE: table.loc[table["beta"] == 1, "key"], "β": table.loc[table["beta"] == 10, "key"]}
    (found,) = contrasts(table, {"mcc": cells})
    assert (found.mean, found.seeds) == (pytest.approx(0.09), 6)
    assert all(np.isnan(getattr(found, name)) for name in ("low", "high", "p_value", "p_flips", "p_holm"))


def _holm(p_values):
    """Of two."""
    smaller, larger = sorted(p_values)
    adjusted = {smaller: min(1, 2 * smaller), larger: max(min(1, 2 * smaller), larger)}
    return np.array([adjusted[p] for p in p_values])


def finish(plan):
    """Write the sweep of a plan as it is once all has finished, and return its location."""
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest(make_manifest(plan, {}))
    for trial in plan.trials:
        folder, values = sweep.trial(trial.key), trial.config.to_dict()
        folder.create(values, trial.label)
        for iteration in (0, 300):
            folder.record({"iteration": iteration, "seconds": 1.0, **measure(values)})
        folder.finish(Outcome(state="finished", iteration=300))
    return plan.location


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """The folder of a sweep that has finished, which is only copied."""
    path = tmp_path_factory.mktemp("storage")
    finish(parse(STUDY, ["--storage", str(path)]))
    return path


@pytest.fixture
def finished(storage, tmp_path):
    """The command line of a sweep that has finished."""
    shutil.copytree(storage, tmp_path, dirs_exist_ok=True)
    return ["--storage", str(tmp_path)]


def extend(plan, *, to, without):
    """Let the trials of a finished sweep go on to more iterations, without those for which `without` is true."""
    sweep = SweepFolder.at(plan.location)
    for trial in plan.trials:
        values = trial.config.to_dict()
        if not without(values):
            folder = sweep.trial(trial.key)
            folder.reopen()
            folder.record({"iteration": to, "seconds": 1.0, **measure(values)})
            folder.finish(Outcome(state="finished", iteration=to))


def test_fresh_seeds_train_the_chosen_cells_in_a_sweep_of_their_own(finished, tmp_path):
    plan = parse(STUDY, finished)
    again = confirmed(parse(STUDY, [*finished, "--confirm", "4"]))
    assert again.location == str(tmp_path / "arms_quick_confirmed")
    assert {trial.config.seed for trial in again.trials} == {3, 4, 5, 6}
    assert {trial.config.stream_seed for trial in again.trials} == {3, 4, 5, 6}
    cells = {replace(trial.config, seed=0).key for trial in again.trials}
    assert len(cells) == 7  # of mcc and linear_r2 the baseline's, γ's and the control's differ, and λ's is the same
    assert cells < {trial.key for trial in plan.trials}
    assert not set(again.keys) & set(plan.keys)
    assert "the best cells of arms_quick, with the fresh seeds 3 4 5 6" in again.contents()[0]
    assert not any("left out" in line for line in again.contents())
    sweep = SweepFolder.at(again.location)
    sweep.write_manifest(make_manifest(again, {}))
    check_agrees(confirmed(parse(STUDY, [*finished, "--confirm", "6"])), sweep)


def test_differences_below_zero_are_told_with_a_minus(finished, capsys):
    again = confirmed(parse(STUDY, [*finished, "--confirm", "3"]))
    collected = collect(again, SweepFolder.at(finish(again)))
    collected.came_out.print_more(collected.trials)
    printed = capsys.readouterr().out
    assert "−0.0" in printed and " -0.0" not in printed


def test_contrasts_are_written_wherever_the_results_are_collected(finished):
    """From Python too, where nothing is printed."""
    again = confirmed(parse(STUDY, [*finished, "--confirm", "3"]))
    sweep = SweepFolder.at(finish(again))
    collect(again, sweep)
    written = pd.read_csv(sweep.files.local / "confirmation.csv")
    assert {*written["arm"]} == {"inertia_vae γ", "inertia_vae λ", "control: inertia_vae"}
    assert (written["seeds"] == 3).all() and written["mean"].notna().all()


@pytest.mark.parametrize("measured", [measure, lambda values: {}], ids=["begun", "no outcome"])
def test_a_confirmation_of_which_no_trial_has_finished_has_no_contrast(finished, measured, capsys):
    again = confirmed(parse(STUDY, [*finished, "--confirm", "3"]))
    sweep = SweepFolder.at(again.location)
    sweep.write_manifest(make_manifest(again, {}))
    for trial in again.trials:
        folder, values = sweep.trial(trial.key), trial.config.to_dict()
        folder.create(values, trial.label)
        folder.record({"iteration": 0, "seconds": 1.0, **measured(values)})
    collected = collect(again, sweep)
    collected.came_out.print_more(collected.trials)
    assert collected.left == "21 trials" and "nan" not in capsys.readouterr().out
    assert (pd.read_csv(sweep.files.local / "confirmation.csv")["seeds"] == 0).all()


def test_more_fresh_seeds_keep_the_first(finished):
    few, many = (confirmed(parse(STUDY, [*finished, "--confirm", number])) for number in ("2", "5"))
    assert set(few.keys) < set(many.keys)


def test_a_sweep_that_has_not_finished_is_not_confirmed(finished):
    with pytest.raises(UserError, match=r"20 trials of .* have not finished"):
        confirmed(parse(STUDY, [*finished, "--seeds", "5", "--confirm", "4"]))
    with pytest.raises(UserError, match="--confirm 0 is out of range"):
        parse(STUDY, [*finished, "--confirm", "0"])
    with pytest.raises(UserError, match=r"--confirm 4 is of the best cells of .*other, which has not been run"):
        confirmed(parse(STUDY, [*finished, "--name", "other", "--confirm", "4"]))


def end(plan, state):
    """Let a trial of a finished sweep have ended otherwise; seed 2 of the best cell by MCC."""
    (trial,) = (
        each for each in plan.trials if (each.config.beta, each.config.gamma, each.config.seed) == (1.0, 0.5, 2)
    )
    folder = SweepFolder.at(plan.location).trial(trial.key)
    folder.reopen()
    folder.finish(Outcome(state=state, iteration=200, seconds=60.0 if state == "out_of_time" else None))


def test_a_sweep_with_a_trial_that_diverged_is_confirmed_without_its_cell(finished):
    end(parse(STUDY, finished), "diverged")
    assert "beta=0.1" in confirmed(parse(STUDY, [*finished, "--confirm", "4"])).cells["mcc"]["inertia_vae γ"]


def test_an_arm_is_named_of_which_no_cell_can_be_confirmed(finished):
    plan = parse(STUDY, finished)
    for trial in plan.trials:
        if trial.config.lam == 30:
            folder = SweepFolder.at(plan.location).trial(trial.key)
            folder.reopen()
            folder.finish(Outcome(state="diverged", iteration=200))
    again = confirmed(parse(STUDY, [*finished, "--confirm", "4"]))
    assert set(again.cells["mcc"]) == {BASELINE, "inertia_vae γ", "control: inertia_vae"}
    why = "since each cell has a network that collapsed or diverged: inertia_vae λ"
    assert again.contents()[2::2] == [f"  left out for {outcome}, {why}" for outcome in ("mcc", "linear_r2")]


@pytest.mark.parametrize(
    ("state", "given", "left_out", "said"),
    [
        ("stopped_early", ("--scheduler", "asha"), ("--scheduler", "none"), " and with --scheduler none"),
        (
            "out_of_time",
            ("--trial-time-budget", "60s"),
            ("--trial-time-budget", "2m"),
            " and with a longer --trial-t",
        ),
        ("at_plateau", (), (), "."),
    ],
)
def test_the_options_are_told_by_which_a_trial_goes_on_to_be_confirmed(finished, state, given, left_out, said):
    end(parse(STUDY, finished), state)
    with pytest.raises(UserError, match=r"^1 trial of .* has not finished 300 iterations") as refused:
        confirmed(parse(STUDY, [*finished, *given, "--confirm", "4"]))
    assert f"run it to its end, without --confirm{said}" in str(refused.value)
    plan = parse(STUDY, [*finished, *left_out])
    assert len(plan.trials_left(SweepFolder.at(plan.location), ())) == 1  # as told, it goes on


def test_a_sweep_of_which_the_best_cell_has_yet_to_go_on_is_not_confirmed(finished):
    """By the others alone, another cell would be the best."""
    extended = [*finished, "--iterations", "600"]
    extend(parse(STUDY, extended), to=600, without=lambda values: values["gamma"] == 0.5)
    with pytest.raises(UserError, match=r"^6 trials of .* have not finished 600 iterations; run it to its end"):
        confirmed(parse(STUDY, [*extended, "--confirm", "4"]))
    cells = confirmed(parse(STUDY, [*finished, "--confirm", "4"])).cells["mcc"]  # at the iterations that all have
    assert "gamma=0.5" in cells["inertia_vae γ"]
    extend(parse(STUDY, extended), to=600, without=lambda values: values["gamma"] != 0.5)
    cells = confirmed(parse(STUDY, [*extended, "--confirm", "4"])).cells["mcc"]
    assert "gamma=0.5" in cells["inertia_vae γ"]


def test_a_sweep_without_evaluations_is_not_confirmed(tmp_path):
    plan = parse(STUDY, ["--storage", str(tmp_path), "--confirm", "4"])
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest(make_manifest(plan, {}))
    for trial in plan.trials:
        sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    with pytest.raises(UserError, match=rf"^{plan.num_trials} trials of .* have not finished 300 iterations"):
        confirmed(plan)


def test_trials_of_a_confirmation_that_have_yet_to_go_on_are_left(finished):
    again = confirmed(parse(STUDY, [*finished, "--confirm", "2"]))
    finish(again)
    assert collect(again, SweepFolder.at(again.location)).left == ""
    further = replace(again, options=replace(again.options, iterations=600))
    left = collect(further, SweepFolder.at(further.location)).left
    assert left == f"{further.num_trials} trials"
