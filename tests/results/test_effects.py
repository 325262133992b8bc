"""Effects of axes: against closed forms of an analysis of variance in blocks."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dd_ray.errors import UserError
from dd_ray.figures import FIGURES
from dd_ray.figures.effects import Options, draw_sweep, write_effects
from dd_ray.results.effects import effects
from tests.figures.sweeps import Values, summary_of, write_sweep

AXES = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5, 0.9], "seed": [0, 1, 2]}


def noisy(config: Values, iteration: int) -> Values:
    rng = np.random.default_rng([config["seed"], int(10 * config["gamma"]), int(10 * config["beta"])])
    effect = config["gamma"] * (1 + config["beta"]) + 5 * config["seed"]
    return {"linear_r2": effect + 0.1 * rng.normal(), "active_units": 4.0}


def scores() -> np.ndarray:
    """[β, γ, seeds]."""
    grid = [[[{"beta": b, "gamma": g, "seed": s} for s in AXES["seed"]] for g in AXES["gamma"]] for b in AXES["beta"]]
    return np.array([[[noisy(config, 300)["linear_r2"] for config in row] for row in rows] for rows in grid])


def test_effects_of_a_balanced_grid_are_those_of_an_analysis_of_variance(tmp_path: Path) -> None:
    found = effects(summary_of(write_sweep(tmp_path / "s", AXES, metrics=noisy), metrics=["linear_r2"]))
    y = scores()
    cells = y.reshape(6, 3)
    rest = cells - cells.mean(axis=1, keepdims=True) - cells.mean(axis=0) + cells.mean()
    variance, quantile = (rest**2).sum() / 10, stats.t.ppf(0.975, 10)  # (6 − 1)(3 − 1) degrees of freedom
    by_gamma, by_beta = y.mean(axis=(0, 2)), y.mean(axis=(1, 2))
    together = y.mean(axis=2)
    expected = {
        ("beta", 1.0, ""): (by_beta[1] - by_beta[0], 2 / 9),
        ("gamma", 0.5, ""): (by_gamma[1] - by_gamma[0], 2 / 6),
        ("gamma", 0.9, ""): (by_gamma[2] - by_gamma[0], 2 / 6),
        ("beta", 1.0, 0.5): (together[1, 1] - together[0, 1] - together[1, 0] + together[0, 0], 4 / 3),
        ("beta", 1.0, 0.9): (together[1, 2] - together[0, 2] - together[1, 0] + together[0, 0], 4 / 3),
    }
    assert len(found) == len(expected)
    for row in found.to_dict("records"):
        effect, weight = expected[row["axis"], row["value"], row["other_value"]]
        half = quantile * np.sqrt(variance * weight)
        assert row["effect"] == pytest.approx(effect)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((effect - half, effect + half))
        assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(effect) / np.sqrt(variance * weight), 10))
        assert row["seeds"] == 3
    assert list(found["pairs"]) == [9, 6, 6, 3, 3]
    in_order = found.sort_values("p_value")
    assert in_order["p_holm"].tolist() == pytest.approx((in_order["p_value"] * [5, 4, 3, 2, 1]).cummax().clip(upper=1))


def test_effects_of_the_other_sign_or_in_another_unit_are_as_sure(tmp_path: Path) -> None:
    def both(config: Values, iteration: int) -> Values:
        score = noisy(config, iteration)["linear_r2"]
        return {"linear_r2": score, "reconstruction_error": -1e-12 * score}

    path = write_sweep(tmp_path / "s", AXES, metrics=both)
    found = effects(summary_of(path, metrics=["linear_r2", "reconstruction_error"]))
    one, other = (part.reset_index(drop=True) for _, part in found.groupby("metric", sort=False))
    assert other["effect"].to_numpy() == pytest.approx(-1e-12 * one["effect"].to_numpy(), rel=1e-6, abs=0)
    assert other["ci_low"].to_numpy() == pytest.approx(-1e-12 * one["ci_high"].to_numpy(), rel=1e-6, abs=0)
    for p_values in ("p_value", "p_holm"):
        assert other[p_values].to_numpy() == pytest.approx(one[p_values].to_numpy(), rel=1e-6, abs=0)


@pytest.mark.parametrize("state", [("failed", -1), ("stopped_early", 150)])
def test_a_trial_that_is_missing_or_did_not_finish_takes_its_partners_along(
    tmp_path: Path, state: tuple[str, int]
) -> None:
    def ended(config: Values) -> tuple[str, int]:
        lost = (config["beta"], config["gamma"], config["seed"]) == (0.1, 0.0, 0)
        return state if lost else ("finished", 300)

    found = effects(summary_of(write_sweep(tmp_path / "s", AXES, ended, noisy), metrics=["linear_r2"]))
    row = found[(found["axis"] == "gamma") & (found["value"] == 0.5)].iloc[0]
    differences = (scores()[:, 1] - scores()[:, 0]).ravel()[1:]
    assert row["pairs"] == 5
    assert row["effect"] == pytest.approx(differences.mean())
    together = found[found["other_value"] == 0.5].iloc[0]
    assert (row["seeds"], together["seeds"], together["pairs"]) == (3, 2, 2)


def test_effects_are_to_the_lowest_value_wherever_it_is(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path / "s", {"beta": [0.1], "gamma": [0.5, 0.9]}, beside={"beta": [1.0], "gamma": [0.0, 0.9]}
    )
    found = effects(summary_of(path, metrics=["mcc"]))
    assert list(found["lowest"]) == [0.1, 0.0]
    assert list(found["value"]) == [1.0, 0.9]


def test_counts_and_what_has_no_spread_have_no_intervals(tmp_path: Path) -> None:
    def exact(config: Values, iteration: int) -> Values:
        return {
            "mcc": 0.1 * config["gamma"] + config["seed"] / 7,
            "active_units": 1.0 + config["seed"] * (config["gamma"] > 0),
        }

    found = effects(summary_of(write_sweep(tmp_path / "s", AXES, metrics=exact), metrics=["mcc", "active_units"]))
    assert found[["ci_low", "ci_high", "p_value", "p_holm"]].isna().all(axis=None)
    assert found["effect"].iloc[1] == pytest.approx(0.05)


def test_the_command_prints_a_table_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=noisy)
    (csv,) = write_effects(Options(path=str(path)))
    out = capsys.readouterr().out
    assert "γ: 0 → 0.5" in out and "*" in out
    assert csv == path / "figures" / "effects.csv" and len(pd.read_csv(csv)) == 2 * 5
    assert "effects" in FIGURES and draw_sweep(str(path), tmp_path / "out") == [tmp_path / "out" / "effects.csv"]


def test_a_metric_that_some_cells_lack_has_no_number_where_others_have_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def some(config: Values, iteration: int) -> Values:
        lacks = config["gamma"] == 0.5
        return {"linear_r2": config["gamma"] + config["seed"], "mcc": None if lacks else 2 * config["gamma"]}

    path = write_sweep(tmp_path / "s", {"beta": [1.0], "gamma": [0.0, 0.5, 0.9], "seed": [0, 1]}, metrics=some)
    write_effects(Options(path=str(path), metrics=("mcc", "linear_r2")))
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "→" in line]
    assert [(row[3], row[4], row[5]) for row in rows] == [("0.5", "–", "+0.5"), ("0.9", "+1.8", "+0.9")]


def test_a_sweep_of_one_cell_has_no_effect(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1]})
    with pytest.raises(UserError, match=r"no axis of this sweep has two values .* no effect to show"):
        effects(summary_of(path))
    one = effects(summary_of(write_sweep(tmp_path / "t", {"beta": [0.1, 1.0]}), metrics=["mcc"]))
    assert math.isnan(one["ci_low"].iloc[0]) and one["effect"].iloc[0] == pytest.approx(0)


def test_where_no_two_trials_differ_in_one_axis_alone_there_is_no_effect(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0]}, beside={"beta": [1.0], "gamma": [0.5]})
    with pytest.raises(UserError, match="differ in one axis alone"):
        effects(summary_of(path, axes=["beta", "gamma"]))
