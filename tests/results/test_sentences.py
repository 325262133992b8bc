"""What came out, in sentences: against paired t-tests, and what must not change them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dd_ray.results.__main__ import main
from dd_ray.results.arms import arms_of
from dd_ray.results.sentences import _best_beta, account_of, difference, sentences
from dd_ray.storage.sweep_folder import SweepFolder
from tests.figures.sweeps import write_sweep
from tests.results.finals import finals

SEEDS = (0, 1, 2)
GRID = {"model": ["inertia_vae"], "beta": [1.0, 10.0], "gamma": [0.0, 0.8], "lam": [0.0, 30.0], "seed": SEEDS}
R2 = {  # by γ and λ, at β = 1
    (0.0, 0.0): (0.51, 0.65, 0.60),
    (0.8, 0.0): (0.98, 0.99, 0.99),
    (0.0, 30.0): (0.83, 0.76, 0.73),
    (0.8, 30.0): (0.9, 0.91, 0.97),
}


def measure(config):
    """At β = 10 all networks collapse, and have scores for all that."""
    noise = np.random.default_rng([config["seed"], int(10 * config["gamma"]), int(config["lam"])]).normal()
    if config["beta"] == 10:
        return {"linear_r2_stills": 0.4 + 0.1 * noise, "reconstruction_error": 0.011, "active_units": 0.0}
    return {
        "linear_r2_stills": R2[config["gamma"], config["lam"]][config["seed"]],
        "reconstruction_error": 0.003 + 0.008 * config["gamma"] + 0.0001 * noise,
        "active_units": 4.0,
    }


def paired(one, other, compared):
    """Scipy's paired t interval, at the level that Bonferroni asks for."""
    found = stats.ttest_rel(one, other).confidence_interval(1 - 0.05 / compared)
    return (found.low + found.high) / 2, (found.high - found.low) / 2


def test_differences_are_paired_by_seed_with_intervals_that_hold_at_once():
    account = account_of(finals([GRID], measure))
    assert (account.metric, account.beta, account.baseline) == ("linear_r2_stills", ("beta", 1.0), "γ = 0, λ = 0")
    assert [told.name for told in account.told] == ["γ = 0.8", "λ = 30"]
    for told, place in zip(account.told, [(0.8, 0.0), (0.0, 30.0)], strict=True):
        assert (told.score.mean, told.score.half) == pytest.approx(paired(R2[place], R2[0.0, 0.0], 2))
        assert told.score.seeds == 3


def test_the_cost_is_of_the_same_pairs():
    trials = finals([GRID], measure)
    at = trials[(trials["beta"] == 1) & (trials["lam"] == 0)].set_index(["gamma", "seed"])["reconstruction_error"]
    cost = account_of(trials).told[0].cost
    assert (cost.mean, cost.half) == pytest.approx(paired(at[0.8], at[0.0], 2))


def test_what_is_said():
    first, second, third = sentences(finals([GRID], measure))
    assert first.startswith("At β = 1, where reconstruction is best, against γ = 0, λ = 0: γ = 0.8 raises linear R² of")
    mean, half = paired(R2[0.8, 0.0], R2[0.0, 0.0], 2)
    assert f"stills by {mean:.2f} [{mean - half:.2f}, {mean + half:.2f}] and costs 0.00" in first
    mean, half = paired(R2[0.0, 30.0], R2[0.0, 0.0], 2)
    assert half > mean  # with a minus, not a hyphen
    assert f"λ = 30 raises it by {mean:.2f} [−{half - mean:.2f}, {mean + half:.2f}] (not told apart from 0)." in first
    assert "95% intervals of paired differences over 3 seeds; they hold for all 2 differences" in second
    assert third == "At β = 10 all 12 networks have collapsed: no latent is active."


ALL_COLLAPSED = "All 12 networks have collapsed: no latent is active."


@pytest.mark.parametrize(
    ("grid", "alive", "last"),
    [
        ({"beta": [10.0]}, None, ALL_COLLAPSED),
        ({"beta": [10.0]}, (0.8, 30.0), None),
        ({"beta": [1.0, 10.0], "gamma": [0.0], "lam": [0.0]}, None, "At β = 10 all 3 networks have collapsed: no"),
    ],
    ids=["one β", "one β, but a cell has not", "β alone"],
)
def test_that_networks_have_collapsed_is_said_where_beta_is_not_swept_beside_others(grid, alive, last):
    def measured(config):
        return {**measure(config), **({"active_units": 1.0} if (config["gamma"], config["lam"]) == alive else {})}

    said = sentences(finals([GRID | grid], measured))
    assert said[-1].startswith(last) if last else not any("collapsed" in each for each in said)


def test_what_is_lowered_is_told_with_its_sign_turned():
    trials = finals(
        [GRID], lambda config: {**measure(config), "linear_r2_stills": -measure(config)["linear_r2_stills"]}
    )
    mean, half = paired(R2[0.0, 30.0], R2[0.0, 0.0], 2)
    assert f"λ = 30 lowers linear R² of stills by {mean:.2f} [−{half - mean:.2f}, " in sentences(trials)[0]


def test_of_several_levels_the_best_is_told_and_pays_for_the_choice():
    rng = np.random.default_rng(0)
    scores = {gamma: gamma * (1 - gamma) + 0.05 * rng.normal(size=3) for gamma in (0.0, 0.25, 0.5, 0.9)}
    grid = {"model": ["inertia_vae"], "beta": [1.0], "gamma": [*scores], "seed": SEEDS}
    account = account_of(finals([grid], lambda config: {"linear_r2": scores[config["gamma"]][config["seed"]]}))
    (told,) = account.told
    assert (told.name, told.levels, account.beta, account.beta_chosen) == ("γ = 0.5", 3, ("beta", 1.0), False)
    assert (told.score.mean, told.score.half) == pytest.approx(paired(scores[0.5], scores[0.0], 3))


def test_where_luck_may_have_chosen_beta_the_intervals_hold_at_each_that_may_be_the_best():
    """Eight β without an effect: the baseline's best error is of luck, and would be a cost of γ."""
    grid = {"model": ["inertia_vae"], "beta": [float(2**i) for i in range(8)], "gamma": [0.0, 0.5], "seed": SEEDS}
    rng = np.random.default_rng(1)
    trials = finals([grid], lambda config: {"linear_r2": rng.normal(), "reconstruction_error": 10 + rng.normal()})
    account = account_of(trials)
    (told,) = account.told
    assert (account.betas, account.compared) == (8, 8)
    at = trials[trials["beta"] == account.beta[1]].set_index(["gamma", "seed"])
    for found, metric in ((told.score, "linear_r2"), (told.cost, "reconstruction_error")):
        assert (found.mean, found.half) == pytest.approx(paired(at[metric][0.5], at[metric][0.0], 8))
    assert sentences(trials)[1].endswith(
        "they hold for all 8 differences of a metric at once, at each of the 8 β that may reconstruct best."
    )
    worse = trials["reconstruction_error"] + 100 * (trials["beta"] > 2)
    account = account_of(trials.assign(reconstruction_error=worse))
    assert (account.betas, account.compared) == (2, 2)


def test_the_baseline_is_the_beta_vae_where_there_is_one():
    arm = {"model": ["beta_vae"], "beta": [1.0, 10.0], "seed": SEEDS}
    alone = {1.0: (0.55, 0.54, 0.49), 10.0: (0.3, 0.4, 0.5)}

    def with_arm(config):
        if config["model"] == "inertia_vae":
            return measure(config)
        noise = 0.0001 * config["seed"] ** 2
        score = alone[config["beta"]][config["seed"]]
        return {"linear_r2_stills": score, "reconstruction_error": 0.0025 * config["beta"] + noise, "active_units": 3.0}

    account = account_of(finals([arm, GRID], with_arm))
    assert account.baseline == "the β-VAE"
    assert [told.name for told in account.told] == ["γ = 0.8", "λ = 30"]
    told = account.told[0].score
    assert (told.mean, told.half) == pytest.approx(paired(R2[0.8, 0.0], alone[1.0], 2))


def test_a_gamma_that_all_trials_of_a_model_have_is_named():
    of_beta = {"model": ["beta_vae"], "beta": [1.0], "seed": SEEDS}
    filtered = {"model": ["inertia_vae"], "beta": [1.0], "gamma": [0.8], "lam": [0.0, 30.0], "seed": SEEDS}
    rng = np.random.default_rng(0)
    trials = finals([of_beta, filtered], lambda config: {"linear_r2": config["gamma"] - rng.uniform(0, 0.1)})
    assert {told.name for told in account_of(trials).told} == {"γ = 0.8", "λ = 30, γ = 0.8"}


def test_a_name_that_comes_with_a_number_is_told_by_itself_and_not_with_further_settings():
    vaes = {"model": ["inertia_vae"], "gamma": [0.0, 0.8], "seed": SEEDS}
    grids = [vaes | {"beta": [1.0]}, vaes | {"objective": ["capacity"], "capacity_max": [10.0, 20.0]}]
    rng = np.random.default_rng(0)
    account = account_of(finals(grids, lambda config: {"linear_r2": rng.normal()}))
    assert {told.name.split(",")[0] for told in account.told} == {"γ = 0.8", "objective = capacity"}
    assert account.compared == 3


PLAIN = {"model": ["beta_vae"], "stochastic": [False], "seed": SEEDS}
NOISY = {"model": ["beta_vae"], "stochastic": [True], "beta": [0.1, 1.0], "seed": SEEDS}


def with_noise(config):
    """The plain autoencoder, at no β, has lost its units; the others reconstruct best at β = 0.1."""
    noise = 0.1 * config["seed"] ** 2
    score = 0.5 + 0.1 * noise if config["stochastic"] else 0.9 + noise
    units = 4.0 if config["stochastic"] else 0.0
    return {"linear_r2": score, "reconstruction_error": (config["beta"] or 0.0) + noise, "active_units": units}


@pytest.mark.parametrize("beta", [0.0, math.nan])
def test_true_is_no_number_and_trials_without_beta_are_compared_at_every_one(beta):
    trials = finals([PLAIN, NOISY], with_noise)
    trials.loc[~trials["stochastic"], ["beta", "beta_norm"]] = beta
    account = account_of(trials)
    assert (account.baseline, account.beta) == ("stochastic = True", ("beta", 0.1))
    (told,) = account.told
    assert (told.name, told.score.seeds) == ("stochastic = False", 3)
    assert told.score.mean == pytest.approx(0.4 + 0.9 * 0.5 / 3)
    first, *others = sentences(trials)
    assert first.startswith("At β = 0.1, where reconstruction is best, against stochastic = True: stochastic = False")
    assert not any("collapsed" in said for said in others)


def test_where_beta_has_no_effect_in_the_baseline_the_other_arms_say_which_is_best():
    arms = arms_of(finals([PLAIN, NOISY], with_noise))
    turned = replace(arms, baseline=arms.others[0], others=(arms.baseline,))
    assert _best_beta(turned) == ("beta", 0.1)
    assert _best_beta(replace(turned, others=(turned.baseline,))) is None


def test_a_sweep_of_one_beta_names_it_and_one_of_beta_alone_tells_it():
    rng = np.random.default_rng(4)
    one = finals([{**GRID, "beta": [1.0]}], measure)
    assert sentences(one)[0].startswith("At β = 1, against γ = 0, λ = 0: γ = 0.8 raises")
    of_beta = {"model": ["beta_vae"], "beta": [0.1, 1.0], "seed": SEEDS}
    assert sentences(finals([of_beta], lambda config: {"mcc": rng.normal()}), ["mcc"])[0].startswith(
        "Against β = 0.1: β = 1 "
    )


def test_names_are_told_like_numbers_and_models_by_their_names():
    grids = [
        {"model": ["beta_vae", "ada_gvae"], "beta": [1.0], "seed": SEEDS},
        {"model": ["beta_vae"], "objective": ["velocity"], "beta": [1.0], "seed": SEEDS},
    ]
    rng = np.random.default_rng(1)
    account = account_of(finals(grids, lambda config: {"linear_r2": rng.normal()}))
    assert account.baseline == "the β-VAE"  # its objective is what it is unless said
    assert {told.name for told in account.told} == {"model = ada_gvae", "objective = velocity"}
    assert account.compared == 2


def test_names_of_seeds_and_what_a_seed_shares_change_nothing():
    trials = finals([GRID], measure)
    said = sentences(trials)
    renamed = trials.assign(seed=trials["seed"].map({0: 7, 1: 3, 2: 11})).sample(frac=1, random_state=0)
    assert sentences(renamed) == said
    shared = trials["seed"].map({0: 0.25, 1: -4.0, 2: 1.5})
    assert sentences(trials.assign(linear_r2_stills=trials["linear_r2_stills"] + shared)) == said


def test_a_study_and_a_command_say_which_score_is_told(tmp_path, capsys):
    axes = {"beta": [0.1], "gamma": [0.0, 0.5], "seed": SEEDS}
    noise = np.random.default_rng(3).normal(size=3)

    def of_sweep(config, iteration):
        score = 0.5 + config["gamma"] * (1 + 0.1 * noise[config["seed"]])
        return {"reconstruction_error": 0.01, "linear_r2": score, "mcc": 1 - score, "active_units": 4.0}

    sweep = SweepFolder.open(str(write_sweep(tmp_path / "s", axes, metrics=of_sweep)))
    main([sweep.location])
    assert "Against γ = 0: γ = 0.5 raises linear R² by 0.5" in capsys.readouterr().out
    sweep.write_manifest({**sweep.manifest(), "tells": ["mcc"]})
    main([sweep.location])
    assert "γ = 0.5 lowers MCC by 0.5" in capsys.readouterr().out
    main([sweep.location, "--metric", "linear_r2"])
    assert "γ = 0.5 raises linear R² by 0.5" in capsys.readouterr().out


def test_with_one_seed_nothing_can_be_told():
    said, collapsed = sentences(finals([{**GRID, "seed": [0]}], measure))
    assert said.startswith("With one seed") and "[" not in said
    assert collapsed == "At β = 10 all 4 networks have collapsed: no latent is active."


def test_where_but_one_of_more_seeds_has_finished_no_more_seeds_are_asked_for():
    trials = finals([GRID], measure)
    trials["state"] = np.where(trials["seed"] == 0, "finished", "stopped_early")
    said = sentences(trials)[0]
    assert said == "Only one seed of γ = 0, λ = 0 has finished, so no difference can be told from its luck."


def test_seeds_that_agree_say_nothing():
    trials = finals([GRID], lambda config: {"linear_r2": 0.5 + config["gamma"], "reconstruction_error": 0.1})
    assert account_of(trials).told == ()
    assert not any("[" in said for said in sentences(trials))


def test_arms_that_share_no_beta_with_the_baseline_are_told_apart_from_seeds_that_agree():
    """It said that no two seeds had finished, of a sweep in which all had."""
    base, other = {"model": ["beta_vae"], "beta": [1.0]}, {"model": ["inertia_vae"], "gamma": [0.8], "beta": [10.0]}
    rng = np.random.default_rng(0)
    grids = [{**grid, "seed": SEEDS} for grid in (base, other)]
    said = sentences(finals(grids, lambda config: {"linear_r2": rng.normal()}))
    of_setting = "No two seeds of another setting have finished at β = 1 beside those of the β-VAE"
    assert said == [f"{of_setting}, so no difference can be told."]


def test_unfinished_trials_are_no_pairs():
    trials = finals([GRID], measure)
    lost = (trials["seed"] == 2) & (trials["gamma"] == 0.8)
    trials["state"] = np.where(lost, "stopped_early", "finished")
    told = {told.name: told for told in account_of(trials).told}
    assert (told["γ = 0.8"].score.seeds, told["λ = 30"].score.seeds) == (2, 3)
    expected = paired(R2[0.8, 0.0][:2], R2[0.0, 0.0][:2], 2)
    assert (told["γ = 0.8"].score.mean, told["γ = 0.8"].score.half) == pytest.approx(expected)


def test_a_sweep_of_one_cell_or_without_a_score_has_nothing_to_tell():
    one = {"model": ["inertia_vae"], "beta": [1.0], "seed": SEEDS}
    assert sentences(finals([one], lambda config: {"linear_r2": 0.1 * config["seed"]})) == []
    assert sentences(finals([GRID], lambda config: {"active_units": 1.0 + config["seed"]}), ["active_units"]) == []


def test_without_an_effect_something_is_claimed_in_at_most_a_twentieth_of_sweeps():
    rng, number = np.random.default_rng(5), 1000
    levels, base = rng.normal(size=(number, 4, 3)), rng.normal(size=(number, 1, 3))
    claimed = [any(difference(pairs, 4).differs for pairs in of_sweep) for of_sweep in levels - base]
    assert np.mean(claimed) <= 0.05 + 2.33 * math.sqrt(0.05 * 0.95 / number)
    # It is the correction that keeps it so.
    assert np.mean([any(difference(pairs, 1).differs for pairs in of_sweep) for of_sweep in levels - base]) > 0.1


def test_where_nothing_has_finished_there_is_nothing_to_tell():
    trials = finals([GRID], measure).assign(state="unfinished")
    assert account_of(trials) is None and sentences(trials) == []
