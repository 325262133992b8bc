"""The scores that are computed once: what they are asked, and which columns they fill."""

from dataclasses import replace

import numpy as np
import pytest

from dd_ray.config.declarations import TAKEN
from dd_ray.metrics import (
    ACTIVE_STILLS,
    FURTHER,
    REPORTED,
    Code,
    applicable,
    columns_of,
    dci,
    further_scores,
    is_computed_once,
    with_untrained,
)
from tests.metrics.codes import CODES, encoder

NAMES = ("circle_x", "circle_y", "background_x", "background_y")
COSTLY = [name for name, score in FURTHER.items() if score.cost > 1]


def _code(name, num_points=10_000):
    rng = np.random.default_rng(0)
    factors = rng.random((num_points, 4))
    return Code(
        latents=CODES[name](factors, rng),
        factors=factors,
        factor_names=NAMES,
        encode=encoder(name),
    )


@pytest.mark.parametrize("name", [name for name in FURTHER if name not in COSTLY])
def test_the_perfect_code_has_the_best_score(name):
    score = FURTHER[name]
    scores = further_scores([name], _code("identity"))
    assert set(scores) == {*score.all_columns, "active_units_stills"} and scores["active_units_stills"] == 4
    for column, metric in score.columns.items():
        if metric.better:
            assert scores[column] == pytest.approx(1, abs=0.03)
    assert all(scores[f"{column}_active"] == scores[column] for column in score.columns if score.masked)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "dci" else name for name in COSTLY]
)
def test_costly_scores_of_the_perfect_code(name):
    scores = further_scores([name], _code("identity", num_points=5_000))
    assert {column: scores[column] for column in FURTHER[name].columns} == pytest.approx(
        dict.fromkeys(FURTHER[name].columns, 1), abs=0.03
    )


def test_the_number_of_active_units_is_beside_the_scores_and_none_of_them():
    scores = further_scores(["mcc"], _code("identity"))
    assert scores.keys() - columns_of(["mcc"], scores) == {ACTIVE_STILLS}
    assert is_computed_once(ACTIVE_STILLS) and not is_computed_once("active_units")
    assert ACTIVE_STILLS in TAKEN


def test_scores_of_active_units_leave_out_the_others():
    scores = further_scores(["mcc", "modularity"], _code("background_only_plus_2_dead"))
    assert scores["active_units_stills"] == 2
    assert scores["mcc_stills_active"] == pytest.approx(0.5, abs=1e-6) and scores["mcc_stills"] > 0.5
    assert scores["modularity_active"] > 0.99 > scores["modularity"]


def test_a_collapsed_code_scores_0_by_its_active_units():
    code = _code("identity")
    collapsed = Code(**{**vars(code), "latents": code.latents * 1e-5})
    scores = further_scores(["mcc"], collapsed)
    assert scores["mcc_stills"] == pytest.approx(1) and scores["mcc_stills_active"] == 0


@pytest.mark.parametrize(
    ("factors", "left_out"),
    [
        ("circle_x circle_y background_x background_y", set()),
        ("circle1_x circle1_y circle2_x circle2_y", {"notebook"}),
        ("sprite_scale sprite_x background_x", {"notebook"}),
        ("sprite_scale sprite_x", {"notebook", "block_separation"}),
    ],
)
def test_scores_that_mean_nothing_of_some_factors_are_left_out(factors, left_out):
    assert set(FURTHER) - set(applicable(list(FURTHER), factors.split())) == left_out


@pytest.mark.filterwarnings("ignore::dd_ray.metrics.FewPointsWarning")
def test_dci_by_its_name_is_dci():
    code = _code("circle_xy_rotated_45", num_points=200)
    scores, expected = further_scores(["dci"], code), dci(code.latents, code.factors)
    assert scores["dci_disentanglement"] == expected.disentanglement
    assert scores["dci_completeness"] == expected.completeness
    assert scores["dci_informativeness"] == expected.informativeness


def test_a_score_cannot_change_what_the_next_one_is_given(monkeypatch):
    def overwriting(code, mask):
        code.latents[:] = code.factors[:, :1] = 1.0
        return {"modularity": 0.5}

    monkeypatch.setitem(FURTHER._specs, "modularity", replace(FURTHER["modularity"], compute=overwriting))
    code = _code("circle_xy_rotated_45", num_points=100)
    before = further_scores(["mcc"], code)
    after = further_scores(["modularity", "mcc"], code)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.5, r'returns a float; give a dictionary, \{"modularity": 0.5\}'),
        (None, "returns a NoneType; give a dictionary"),
        ({}, "gives no modularity; give a number, NaN where it has no value"),
        ({"modularity": np.ones(3)}, "gives a ndarray as modularity; give a number"),
        ({"modularity": True}, "gives a bool as modularity; give a number"),
    ],
)
def test_a_score_that_gives_no_number_for_a_column_is_named(monkeypatch, given, said):
    other = replace(FURTHER["modularity"], compute=lambda code, mask: given)
    monkeypatch.setitem(FURTHER._specs, "modularity", other)
    with pytest.raises(ValueError, match=f"score modularity {said}"):
        further_scores(["modularity"], _code("circle_xy_rotated_45", num_points=200))


def test_a_score_that_gives_what_it_does_not_declare_is_named(monkeypatch):
    other = replace(FURTHER["modularity"], compute=lambda code, mask: {"modularity": 0.5, "mcc_stills": 1.0})
    monkeypatch.setitem(FURTHER._specs, "modularity", other)
    with pytest.raises(ValueError, match="score modularity gives column mcc_stills, which it does not declare"):
        further_scores(["modularity"], _code("identity"))


def test_every_column_says_how_it_is_read_and_belongs_to_one_score():
    columns = [column for score in FURTHER.values() for column in score.all_columns]
    assert len(columns) == len(set(columns)) and set(columns) <= set(REPORTED)
    assert {"dci_disentanglement", "factor_vae", "mig", "straightness"} <= set(with_untrained())
