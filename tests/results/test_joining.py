"""Several sweeps as one: which trials count, what varies over all of them, and what is said of their differences."""

import itertools
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.figures import grid_maps, tradeoff
from dd_ray.report import command as report
from dd_ray.report.content import collect
from dd_ray.results import table as table_module
from dd_ray.results.__main__ import main
from dd_ray.results.cells import cells_of, settings_of
from dd_ray.results.effects import effects
from dd_ray.results.layout import NOT_GIVEN
from dd_ray.results.sentences import account_of
from dd_ray.results.summary import summarise
from tests.figures.sweeps import measure, write_sweep

SEEDS = {"gamma": [0.0, 0.5], "beta": [0.1]}


@pytest.fixture(autouse=True)
def said_anew() -> None:
    """Each test hears what another has heard before."""
    table_module._say_once.cache_clear()


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Two sweeps of two cells: one has seeds 0 and 1, the other 1 and 2, of which the second goes further."""
    first = write_sweep(tmp_path / "first", {**SEEDS, "seed": [0, 1]}, ended=lambda _: ("stopped_early", 150))
    second = write_sweep(tmp_path / "second", {**SEEDS, "seed": [1, 2]})
    return str(first), str(second)


def test_a_trial_of_two_sweeps_counts_once_where_it_went_furthest(two: tuple[str, str], capsys: Any) -> None:
    trials = results.final(results.load(*two))
    assert trials["key"].is_unique and sorted(trials["seed"]) == [0, 0, 1, 1, 2, 2]
    assert trials.groupby("seed")["sweep"].unique().map(list).to_dict() == {0: ["first"], 1: ["second"], 2: ["second"]}
    assert trials.groupby("seed")["iteration"].max().to_dict() == {0: 150, 1: 300, 2: 300}
    said = capsys.readouterr().err
    assert "2 trials are in several of these sweeps and count once, where they went furthest: 2 from second" in said


def test_of_equals_the_first_named_counts_whichever_it_is(tmp_path: Path) -> None:
    paths = [str(write_sweep(tmp_path / name, SEEDS)) for name in ("a", "b")]
    assert set(results.load(*paths)["sweep"]) == {"a"}
    assert set(results.load(*reversed(paths))["sweep"]) == {"b"}


def test_of_two_that_went_as_far_the_one_that_finished_counts(tmp_path: Path) -> None:
    stopped = write_sweep(tmp_path / "stopped", SEEDS, ended=lambda _: ("stopped_early", 300))
    finished = write_sweep(tmp_path / "finished", SEEDS)
    assert set(results.load(str(stopped), str(finished))["sweep"]) == {"finished"}


def test_a_sweep_that_is_named_twice_is_one(two: tuple[str, str]) -> None:
    pd.testing.assert_frame_equal(results.load(two[0], two[0]), results.load(two[0]))


def test_what_is_one_value_in_each_sweep_varies_over_both(tmp_path: Path) -> None:
    paths = [str(write_sweep(tmp_path / f"b{beta}", {"gamma": [0.0, 0.5], "beta": [beta]})) for beta in (0.1, 1.0)]
    trials = results.final(results.load(*paths))
    assert trials["label"].is_unique and not trials["label"].str.contains("key=").any()
    settings = settings_of(trials)
    assert settings == ["gamma", "beta"] and len(cells_of(trials, settings)) == 4
    summary = summarise(results.load(*paths), results.manifest_of(*paths))
    assert (summary.layout.x, summary.layout.y) == ("gamma", "beta")


def test_a_field_that_a_sweep_does_not_name_has_its_default_there(tmp_path: Path) -> None:
    given = write_sweep(tmp_path / "given", {**SEEDS, "alpha": [0.5]})
    paths = [str(given), str(write_sweep(tmp_path / "usual", SEEDS))]
    trials = results.final(results.load(*paths))
    assert trials.groupby("sweep")["alpha"].unique().map(list).to_dict() == {"given": [0.5], "usual": [1.0]}
    assert results.manifest_of(*paths)["axes"]["alpha"] == [0.5, 1.0]


def test_both_forms_of_beta_are_one_axis(tmp_path: Path) -> None:
    beta = 0.3
    one = write_sweep(tmp_path / "beta", {"gamma": [0.0, 0.5], "beta": [beta, 1.0], "seed": [0]})
    other = write_sweep(tmp_path / "norm", {"gamma": [0.0, 0.5], "beta_norm": [beta * 4 / 1024], "seed": [1]})
    trials = results.final(results.load(str(one), str(other)))
    cells = cells_of(trials, settings_of(trials))
    assert {tuple(cell.values.items()): len(cell.trials) for cell in cells} == {
        (("gamma", 0.0), ("beta", 0.3)): 2,
        (("gamma", 0.0), ("beta", 1.0)): 1,
        (("gamma", 0.5), ("beta", 0.3)): 2,
        (("gamma", 0.5), ("beta", 1.0)): 1,
    }
    summary = summarise(results.load(str(one), str(other)), results.manifest_of(str(one), str(other)))
    assert (summary.layout.x, summary.layout.y, summary.layout.columns) == ("gamma", "beta", None)


def test_what_differs_is_said_plainly(tmp_path: Path, capsys: Any) -> None:
    def without_mcc(config: Any, iteration: int) -> Any:
        return {name: value for name, value in measure(config, iteration).items() if name != "mcc"}

    def otherwise(config: Any, iteration: int) -> Any:
        return {**measure(config, iteration), "linear_r2": 7.0}

    one = write_sweep(tmp_path / "one", {**SEEDS, "num_test": [8, 16]}, metrics=without_mcc)
    other = write_sweep(tmp_path / "other", {**SEEDS, "num_test": [8]}, metrics=otherwise)
    results.load(one, other)
    said = capsys.readouterr().err.splitlines()
    assert "note: held-out data differ, and scores with them: num-test is 8 16 in one, 8 in other." in said
    assert "note: one has no mcc, which others of these sweeps have." in said
    assert any("came out otherwise in one than in other: linear_r2" in line for line in said)


def test_of_sweeps_that_do_not_differ_nothing_is_said(tmp_path: Path, capsys: Any) -> None:
    def later(config: Any, iteration: int) -> Any:
        return {name: value for name, value in measure(config, iteration).items() if iteration or name != "mcc"}

    one = write_sweep(tmp_path / "one", {**SEEDS, "seed": [0]})
    other = write_sweep(tmp_path / "other", {**SEEDS, "seed": [1]}, metrics=later)
    results.load(one, other)
    assert capsys.readouterr().err == ""


def test_the_command_prints_one_table_with_the_sweep_of_each_cell(two: tuple[str, str], capsys: Any) -> None:
    main([*two, "--width", "150"])
    out = capsys.readouterr().out
    assert "first, second" in out and "6 trials" in out


def test_maps_tradeoffs_and_the_page_show_all_trials(two: tuple[str, str], tmp_path: Path) -> None:
    *_, cells = grid_maps.write_maps(grid_maps.Options(path=two[0], more=two[1:], out=tmp_path))
    assert set(pd.read_csv(cells)["seeds_in_cell"]) == {3}
    _, points = tradeoff.write_tradeoff(tradeoff.Options(path=two[0], more=two[1:], out=tmp_path))
    assert len(pd.read_csv(points)) > 0
    content = collect(*two)
    assert [cell["sweep"] for cell in content["cells"]] == ["first, second"] * 2
    assert [trial["sweep"] for trial in content["cells"][0]["trials"]] == ["first", "second", "second"]
    assert content["about"]["name"] == "first; second"
    page = report.write_report(report.Options(path=two[0], more=two[1:], videos=0, out=tmp_path / "page.html"))
    assert page.read_text(encoding="utf-8").count("first; second") >= 1


def test_figures_of_several_are_written_here_and_not_over_those_of_one(
    two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written = tradeoff.write_tradeoff(tradeoff.Options(path=two[0], more=two[1:]))
    assert {path.parent for path in written} == {Path("figures")} and not (Path(two[0]) / "figures").exists()


def test_the_server_shows_one_sweep_and_says_so(two: tuple[str, str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        report.main([*two, "--serve"])
    assert end.value.code == 2 and "of several sweeps, write a page without --serve" in capsys.readouterr().err


def test_what_is_no_sweep_is_named(two: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is no folder"):
        results.load(*two, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("field", "given", "baseline"),
    [("dataset_seed", 0, "dataset seed = 0"), ("clip_gradient", 1.0, "clip gradient = none")],
)
def test_an_optional_field_that_one_sweep_does_not_give_is_an_axis(
    tmp_path: Path, field: str, given: float, baseline: str
) -> None:
    def scores(config: Any, iteration: int) -> Any:
        return {**measure(config, iteration), "linear_r2": (config[field] is None) * (1 + 0.1 * config["seed"] ** 2)}

    paths = [
        str(write_sweep(tmp_path / name, {"beta": [0.1], "seed": [0, 1, 2], field: [value]}, metrics=scores))
        for name, value in (("with", given), ("without", None))
    ]
    trials = results.final(results.load(*paths))
    assert [cell.values for cell in cells_of(trials, settings_of(trials))] == [{field: "none"}, {field: given}]
    account = account_of(trials)
    assert account is not None and account.baseline == baseline
    summary = summarise(results.load(*paths), results.manifest_of(*paths), metrics=["linear_r2"])
    assert list(zip(summary.cells[field], summary.cells["seeds"], strict=True)) == [("none", 3), (given, 3)]
    (effect,) = effects(summary).to_dict("records")
    assert (effect["lowest"], effect["value"], effect["pairs"]) == ("none", given, 3)
    assert effect["effect"] == pytest.approx(-7 / 6)
    written = grid_maps.write_maps(grid_maps.Options(path=paths[0], more=(paths[1],), out=tmp_path))
    assert len(written) > 1 and all(path.exists() for path in written)


def test_none_sorts_before_numbers_and_texts() -> None:
    for values in itertools.permutations([0.5, NOT_GIVEN, -1.0, 3, NOT_GIVEN]):
        assert sorted(values) == [NOT_GIVEN, NOT_GIVEN, -1.0, 0.5, 3]
    assert sorted(["b", NOT_GIVEN, "a"]) == [NOT_GIVEN, "a", "b"]
