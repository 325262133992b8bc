"""Every sampler draws points of the space, learns where it should, and goes on after a kill; what it lacks is said."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial

from dd_ray.config import resolve
from dd_ray.errors import UserError
from dd_ray.sweep import search_plan
from dd_ray.sweep.cma_es import CmaEs, _from_unit, _in_unit
from dd_ray.sweep.samplers import SAMPLERS
from tests.sweep.searching import bowl, plan_of, points, run

INSTALLED = [name for name, spec in SAMPLERS.items() if spec.package is None or importlib.util.find_spec(spec.package)]
NEEDS_CMAES = pytest.mark.skipif("cmaes" not in INSTALLED, reason="the package cmaes is not installed")
SPACE = {"beta": FloatDistribution(0.01, 1.0, log=True), "gamma": FloatDistribution(0.0, 1.0)}


@pytest.mark.parametrize("sampler", INSTALLED)
def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path: Path, sampler: str) -> None:
    startup = () if sampler in {"qmc", "random"} else ("--startup", "3")
    options = ("--sampler", sampler, "--suggestions", "8", *startup, "--seeds", "1")
    whole = points(run(plan_of(tmp_path / "whole", *options), bowl))
    cut = plan_of(tmp_path / "cut", *options)
    begun = points(run(cut, bowl, kill_after=5))
    gone_on = points(run(cut, bowl))
    assert list(dict.fromkeys([*begun, *gone_on])) == whole
    assert len(whole) > 3 if sampler == "nsgaii" else len(whole) == 8  # which may breed what there is
    assert all(0.01 <= beta <= 1 and 0 <= gamma <= 1 for beta, gamma in whole)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
@pytest.mark.parametrize("startup", [3, 5])
def test_as_many_suggestions_as_are_asked_for_are_random_first(sampler: str, startup: int) -> None:
    study = optuna.create_study()
    for number in range(startup + 1):
        study.sampler = resolve(SAMPLERS[sampler].build)(number, startup)
        trial = study.ask(dict(SPACE))
        assert (trial.params == _at_random(number, number, SPACE)) == (number < startup)
        study.tell(trial, trial.params["beta"])


def _best(sampler: str, seed: int, suggestions: int, startup: int) -> float:
    """The least of a bowl around β = 0.1, γ = 0.7 that a sampler finds, in Optuna alone."""
    study = optuna.create_study(direction="minimize")
    for number in range(suggestions):
        study.sampler = resolve(SAMPLERS[sampler].build)(1000 * seed + number, startup)
        trial = study.ask(dict(SPACE))
        study.tell(trial, np.log10(trial.params["beta"] / 0.1) ** 2 + 4 * (trial.params["gamma"] - 0.7) ** 2)
    return float(study.best_value)


@NEEDS_CMAES
def test_cma_es_goes_to_where_values_are_best() -> None:
    found = [_best("cmaes", seed, 60, 6) for seed in range(4)]
    by_chance = [_best("random", seed, 60, 6) for seed in range(4)]
    assert np.median(found) < np.median(by_chance) / 10


@NEEDS_CMAES
@pytest.mark.parametrize(("direction", "drawn"), [("minimize", 6), ("maximize", 11)])
def test_cma_es_begins_at_the_best_of_the_first_and_learns_whole_generations(
    monkeypatch: pytest.MonkeyPatch, direction: str, drawn: int
) -> None:
    import cmaes

    made: list[dict[str, Any]] = []
    told: list[Any] = []

    class Recorded(cmaes.CMA):
        def __init__(self, **options: Any) -> None:
            made.append(options)
            super().__init__(**options)

        def tell(self, solutions: Any) -> None:
            told.append(list(solutions))  # it sorts them
            super().tell(solutions)

    monkeypatch.setattr("cmaes.CMA", Recorded)
    study = optuna.create_study(direction=direction)
    sign = 1 if direction == "minimize" else -1
    failed, values = 4, [0.5, 0.2, 0.4, 0.05, 0.0, 0.1, *(0.6 + 0.1 * number for number in range(drawn - 2))]
    place = [{"beta": 0.01 * (number + 1), "gamma": number / 20} for number in range(len(values))]
    for number, value in enumerate(values):
        ended = {"state": TrialState.FAIL} if number == failed else {"value": sign * value}
        study.add_trial(create_trial(params=place[number], distributions=SPACE, **ended))
    study.sampler = CmaEs(5, startup=3)
    params = study.ask(dict(SPACE)).params
    np.testing.assert_allclose(made[0]["mean"], _in_unit(place[1], SPACE))
    np.testing.assert_array_equal(made[0]["bounds"], [[0, 1], [0, 1]])
    (generation,) = told  # of six in two dimensions; up to five wait for the next
    numbers = [3, 5, 6, 7, 8, 9]
    np.testing.assert_allclose([point for point, _ in generation], [_in_unit(place[n], SPACE) for n in numbers])
    assert [value for _, value in generation] == [values[number] for number in numbers]
    assert params != _at_random(5, len(values), SPACE)


@NEEDS_CMAES
@pytest.mark.parametrize(("numbers", "startup"), [(["beta"], 0), (["beta", "gamma"], 9)])
def test_cma_es_draws_at_random_what_it_cannot_draw_and_what_comes_first(numbers: list[str], startup: int) -> None:
    others = {"kind": CategoricalDistribution(["a", "b"]), "single": IntDistribution(3, 3)}
    space: dict[str, Any] = {**{name: SPACE[name] for name in numbers}, **others}
    study = optuna.create_study()
    for number in range(9):
        study.sampler = CmaEs(number, startup)
        trial = study.ask(space)
        assert trial.params == _at_random(number, number, space)
        study.tell(trial, trial.params["beta"])


@NEEDS_CMAES
@pytest.mark.parametrize("startup", [0, 3])
def test_cma_es_draws_numbers_together_beside_others(startup: int) -> None:
    space: dict[str, Any] = {**SPACE, "kind": CategoricalDistribution(["a", "b"]), "single": IntDistribution(3, 3)}
    study = optuna.create_study()
    for number in range(4):
        study.sampler = CmaEs(number, startup)
        trial = study.ask(space)
        study.tell(trial, trial.params["beta"])
    assert {name: trial.params[name] for name in SPACE} != {name: _at_random(3, 3, space)[name] for name in SPACE}
    assert trial.params["kind"] in ("a", "b") and trial.params["single"] == 3


def _at_random(seed: int, number: int, space: dict[str, Any]) -> dict[str, Any]:
    """The draw of Optuna's random sampler."""
    study = optuna.create_study(sampler=RandomSampler(seed))
    return study.ask(space).params


def test_the_unit_cube_is_the_space() -> None:
    space: dict[str, Any] = {
        **SPACE,
        "num_latents": IntDistribution(2, 10),
        "batch": IntDistribution(1, 100, log=True),
        "lam": FloatDistribution(0.0, 1.0, step=0.25),
    }
    point = {"beta": 0.1, "gamma": 0.25, "num_latents": 6, "batch": 10, "lam": 0.75}
    np.testing.assert_allclose(_in_unit(point, space), [0.5, 0.25, 0.5, 0.5, 0.75])
    assert _from_unit(_in_unit(point, space), space) == pytest.approx(point)
    corner = _from_unit(np.array([1.0, 1.0, 0.99, 1.0, 0.6]), space)
    assert corner == pytest.approx({"beta": 1.0, "gamma": 1.0, "num_latents": 10, "batch": 100, "lam": 0.5})
    assert all(distribution._contains(corner[name]) for name, distribution in space.items())


def test_a_sobol_sequence_leaves_no_large_part_of_the_space_out() -> None:
    study = optuna.create_study()
    for number in range(17):
        study.sampler = resolve(SAMPLERS["qmc"].build)(number, 10)
        study.tell(study.ask(dict(SPACE)), 0.0)
    drawn = np.array([_in_unit(trial.params, SPACE) for trial in study.trials[1:]])
    cells = {tuple(cell) for cell in np.floor(4 * drawn + 1e-9).astype(int).tolist()}  # draws lie on edges
    assert len(cells) == 16  # of 4 × 4, each once


def test_a_package_that_is_missing_is_named_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_plan, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"cmaes needs the package cmaes, .* `pip install cmaes`, .* tpe, gp, nsgaii, qmc"
    ):
        plan_of(tmp_path, "--sampler", "cmaes")
    assert not any(tmp_path.iterdir())


def test_a_sampler_of_one_objective_is_not_given_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_plan, "find_spec", lambda name: object())
    with pytest.raises(
        UserError, match=r"cmaes searches for 1 objective at a time, and 2 are given; .* tpe, gp, nsgaii"
    ):
        plan_of(tmp_path, "--sampler", "cmaes", "--objectives", "reconstruction_error", "mcc")
