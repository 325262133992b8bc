"""The page of what was found, against its tables and the commands that it names."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dd_ray.metrics import seed_interval
from dd_ray.results.comparisons import holm
from dd_ray.results.confirmation import choose, contrasts
from dd_ray.results.table import final
from dd_ray.studies.answer import STUDY
from dd_ray.sweep.confirmation import BASELINE, CONTROL
from tests.sweep.studies import ROOT

PAGE = ROOT / "analysis" / "what_we_found.md"


@pytest.fixture(scope="module")
def selection() -> pd.DataFrame:
    return final(pd.read_parquet(ROOT / "analysis" / "answer" / "full.parquet"))


def test_the_command_confirms_as_many_arms_as_the_page_says(selection: pd.DataFrame) -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    chosen = [choose(selection, outcome) for outcome in STUDY.outcomes]
    controls = [{arm for arm in of_outcome if arm.startswith(CONTROL)} for of_outcome in chosen]
    numbers = {len(of_outcome.keys() - {BASELINE} - of) for of_outcome, of in zip(chosen, controls, strict=True)}
    assert numbers == {5} and "the third command now trains five arms beside the β-VAE" in text
    assert controls == [{"control: inertia_vae"}] * 2


def test_the_page_has_the_mean_differences_of_beta(selection: pd.DataFrame) -> None:
    means = selection.groupby("beta")[["linear_r2_stills", "mcc_stills"]].mean()
    r2, mcc = means.loc[0.1] - means.loc[3.0]
    assert f"R² {r2:+.2f} [0.09, 0.16], MCC {mcc:+.2f} [0.05, 0.14]" in PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_scores_of_all_beta_vaes(selection: pd.DataFrame) -> None:
    alone = selection[(selection["model"] == "beta_vae") & (selection["objective"] == "beta")]
    means = alone.groupby("beta")["linear_r2_stills"].mean()
    told = f"a mean R² of {means.min():.2f} to {means.max():.2f}, and the best of the twelve has"
    assert len(alone) == 12 and f"{told} {alone['linear_r2_stills'].max():.2f}" in PAGE.read_text(encoding="utf-8")


def test_the_page_has_the_cost_of_a_penalty(selection: pd.DataFrame) -> None:
    at_one = selection[selection["beta"] == 1].set_index("seed")
    alone = at_one[(at_one["model"] == "beta_vae") & (at_one["objective"] == "beta")]["reconstruction_error"]
    penalised = at_one[(at_one["lam"] == 100) & (at_one["gamma"] == 0)]["reconstruction_error"]
    mean, low, high = seed_interval(penalised - alone)
    assert f"costs less: {mean:.4f} [{low:.4f}, {high:.4f}]" in PAGE.read_text(encoding="utf-8")

    confirmed = final(pd.read_parquet(ROOT / "analysis" / "answer" / "full_confirmed.parquet"))
    errors = confirmed[(confirmed["lam"] == 100) & (confirmed["gamma"] == 0)]["reconstruction_error"].sort_values()
    told = f"it is {errors.mean():.4f}: in eight of the ten seeds {errors.iloc[0]:.4f} to {errors.iloc[7]:.4f}"
    assert f"{told}, in two {errors.iloc[8]:.3f} and {errors.iloc[9]:.3f}" in PAGE.read_text(encoding="utf-8")


NAMED = {
    BASELINE: "β-VAE",
    "inertia_vae γ": "inertia γ = 0.8",
    "inertia_vae λ": "prediction λ = 30",
    f"{CONTROL}inertia_vae": "control, γ = λ = 0",
}


def test_the_page_has_what_came_out_before_the_gaussian() -> None:
    names = ("gaussian", "gaussian_confirmed", "gaussian_control")
    chosen_from, *fresh_ones = (final(pd.read_parquet(ROOT / "analysis/answer" / f"{name}.parquet")) for name in names)
    fresh = pd.concat(fresh_ones)
    page = PAGE.read_text(encoding="utf-8")
    for outcome, symbol in (("linear_r2_stills", "R²"), ("mcc_stills", "MCC")):
        found = choose(chosen_from, outcome)
        cells = {arm: _cell_of(chosen_from, key) for arm, key in found.items()}
        differences = {each.arm: each for each in contrasts(fresh, _keys_of(fresh, {outcome: cells}))}
        assert found.keys() == NAMED.keys()
        for arm, cell in cells.items():
            before, after = (_rows_of(trials, cell)[outcome].mean() for trials in (chosen_from, fresh))
            row = f"| {NAMED[arm]} | {symbol} | {cell['beta']:g} | {before:.2f} | {after:.2f} |"
            if arm in differences:
                told = differences[arm]
                low, high = (f"{bound:.2f}".replace("-", "−") for bound in (told.low, told.high))
                p_value = "" if arm.startswith(CONTROL) else f", {told.p_holm:.2f}"
                row += f" {f'{told.mean:+.2f}'.replace('-', '−')} [{low}, {high}]{p_value} |"
            assert row in page


def _cell_of(trials: pd.DataFrame, key: str) -> "pd.Series[float]":
    return trials.set_index("key").loc[key, ["model", "beta", "gamma", "lam"]]


def _rows_of(trials: pd.DataFrame, cell: "pd.Series[float]") -> pd.DataFrame:
    return trials[(trials[cell.index] == cell).all(axis=1)]


def _keys_of(trials: pd.DataFrame, chosen: dict[str, dict[str, "pd.Series[float]"]]) -> dict[str, dict[str, list[str]]]:
    return {
        outcome: {arm: [*_rows_of(trials, cell)["key"]] for arm, cell in cells.items()}
        for outcome, cells in chosen.items()
    }


def test_the_page_has_the_control_before_the_gaussian() -> None:
    confirmed, control = (
        final(pd.read_parquet(ROOT / "analysis" / "answer" / f"gaussian_{name}.parquet")).set_index("seed")
        for name in ("confirmed", "control")
    )
    alone = confirmed[confirmed["model"] == "beta_vae"]
    texts = []
    for outcome in STUDY.outcomes:
        mean, low, high = seed_interval(control[outcome] - alone[outcome])
        texts.append(f"{mean:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−"))
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"It gains {texts[0]} of R² and {texts[1]} of MCC over the β-VAE" in page


def test_the_page_has_what_fifteen_more_seeds_tell() -> None:
    names = ("gaussian_confirmed", "gaussian_control", "gaussian_more")
    tables = [final(pd.read_parquet(ROOT / "analysis" / "answer" / f"{name}.parquet")) for name in names]
    ten, fifteen, all_25 = pd.concat(tables[:2]), tables[2], pd.concat(tables)
    page = " ".join(PAGE.read_text(encoding="utf-8").split())

    def less_the_beta_vae(trials: pd.DataFrame, outcome: str, beta: float, gamma: float) -> "pd.Series[float]":
        here = trials[trials["lam"] == 0].set_index("seed")
        alone = here[(here["model"] == "beta_vae") & (here["beta"] == 0.3)]
        arm = here[(here["model"] == "inertia_vae") & (here["beta"] == beta) & (here["gamma"] == gamma)]
        return (arm[outcome] - alone[outcome]).dropna()

    for outcome, symbol in zip(STUDY.outcomes, ("R²", "MCC"), strict=True):
        p_values = []
        for name, beta, gamma in (
            ("inertia γ = 0.8", 0.03, 0.8),
            ("inertia γ = 0.8", 0.1, 0.8),
            ("control, γ = λ = 0", 0.1, 0.0),
        ):
            of_each = [less_the_beta_vae(trials, outcome, beta, gamma) for trials in (ten, fifteen, all_25)]
            assert [len(values) for values in of_each] == [10, 15, 25]
            told = [f"{mean:+.2f} [{low:.2f}, {high:.2f}]" for mean, low, high in map(seed_interval, of_each)]
            assert f"| {name} | {symbol} | {beta:g} | {' | '.join(told)} |".replace("-", "−") in page
            p_values += [stats.ttest_1samp(of_each[1], 0).pvalue] if gamma else []
        first, second = holm(np.array(p_values))
        digits = 3 if symbol == "R²" else 2
        assert f"{first:.{digits}f} and {second:.{digits}f})" in page
    beyond = [
        seed_interval(
            less_the_beta_vae(trials, STUDY.outcomes[0], beta, 0.8)
            - less_the_beta_vae(trials, STUDY.outcomes[0], 0.1, 0.0)
        )
        for trials, beta in ((fifteen, 0.03), (all_25, 0.03), (all_25, 0.1))
    ]
    texts = [f"{mean:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−") for mean, low, high in beyond]
    assert f"less the control is {texts[0]}, and {texts[1]} over all 25 seeds, at β = 0.1 {texts[2]}" in page
    costs = [
        seed_interval(less_the_beta_vae(fifteen, "reconstruction_error", *cell)) for cell in ((0.03, 0.8), (0.1, 0))
    ]
    told = [f"{mean:.4f} [{low:.4f}, {high:.4f}]".replace("-", "−") for mean, low, high in costs]
    assert f"γ costs {told[0]} of error, the control nothing ({told[1]})" in page


def test_the_page_has_what_cells_at_the_same_beta_and_with_a_penalty_tell() -> None:
    names = ("gaussian_confirmed", "gaussian_control", "gaussian_more", "gaussian_alone")
    tables = [final(pd.read_parquet(ROOT / "analysis" / "answer" / f"{name}.parquet")) for name in names]
    fifteen, all_25 = pd.concat(tables[2:]), pd.concat(tables)
    cells = {
        "β-VAE, β = 0.3": ("beta_vae", 0.3, 0, 0),
        "β-VAE, β = 0.1": ("beta_vae", 0.1, 0, 0),
        "control, β = 0.1": ("inertia_vae", 0.1, 0, 0),
        "inertia γ = 0.8, β = 0.1": ("inertia_vae", 0.1, 0.8, 0),
        "prediction λ = 30, β = 0.03": ("inertia_vae", 0.03, 0, 30),
    }

    def compared(trials: pd.DataFrame, one: str, other: str, outcome: str, sign: int = 1) -> str:
        by_cell = trials.set_index(["model", "beta", "gamma", "lam", "seed"])[outcome].sort_index()
        mean, low, high = seed_interval(sign * (by_cell.loc[cells[one]] - by_cell.loc[cells[other]]))
        return f"{mean:+.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")

    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    prediction, control, alone = "prediction λ = 30, β = 0.03", "control, β = 0.1", "β-VAE, β = 0.3"
    for one, other in (
        ("β-VAE, β = 0.1", alone),
        (control, "β-VAE, β = 0.1"),
        ("inertia γ = 0.8, β = 0.1", "β-VAE, β = 0.1"),
        ("inertia γ = 0.8, β = 0.1", control),
        (prediction, alone),
        (prediction, control),
    ):
        told = [compared(fifteen, one, other, outcome) for outcome in STUDY.outcomes]
        assert f"| {one} | {other} | {' | '.join(told)} |" in page
    over_25 = compared(all_25, prediction, alone, STUDY.outcomes[0])
    assert f"over the 25 seeds {over_25[1:]} of R² less the β-VAE" in page
    less = compared(all_25, prediction, control, STUDY.outcomes[0], sign=-1)
    assert f"beside the control it has {less[1:]} less" in page


def test_the_page_has_what_twice_as_long_tells() -> None:
    trials = final(pd.read_parquet(ROOT / "analysis" / "answer" / "gaussian_longer.parquet"))
    alone, inertia = (
        trials[(trials["iteration"] == 30_000) & (trials["gamma"] == gamma)].set_index("seed") for gamma in (0, 0.8)
    )
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    for outcome, told in zip(STUDY.outcomes, ("a gain of", "one of"), strict=True):
        mean, low, high = seed_interval(inertia[outcome] - alone[outcome])
        means = f"{alone[outcome].mean():.2f} and {inertia[outcome].mean():.2f}"
        text = f"{means}, {told} {mean:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")
        assert len(alone) == len(inertia) == 10 and text in page
