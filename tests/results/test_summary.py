"""The cells of a map: what is averaged, what is marked, and which field goes where."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.metrics import described, seed_interval
from dd_ray.results.averages import COMPLETE, MARKS, Part, comparable
from dd_ray.results.comparisons import BEYOND_QUADRATURE, LEVEL, SCALES, expected_largest, pooled_widths, told_apart
from dd_ray.results.inference import best_cells, best_region, differing_cells, pooled_intervals
from dd_ray.results.layout import Layout, combinations
from dd_ray.results.summary import Evaluations, summarise
from dd_ray.storage.sweep_folder import SweepFolder
from tests.figures.sweeps import GRID, Values, by_seed, measure, summary_of, write_sweep


def cells_of(path: Path, iteration: int | None = None, metric: str = "linear_r2") -> pd.DataFrame:
    """The cells of one metric, by β, γ, λ."""
    summary = summary_of(path, metrics=[metric], iteration=iteration)
    return summary.cells.set_index(list(summary.layout.axes)).sort_index()


def only_cell(path: Path, iteration: int | None = None, metric: str = "linear_r2") -> Values:
    (cell,) = cells_of(path, iteration, metric).to_dict("records")
    return cell


def test_means_and_intervals_over_seeds_are_those_of_scipy(tmp_path: Path) -> None:
    def random(config: Values, iteration: int) -> Values:
        return {"linear_r2": float(np.random.default_rng([config["seed"], iteration]).normal())}

    path = write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1, 2, 3]}, metrics=random)
    values = [random({"seed": seed}, 300)["linear_r2"] for seed in range(4)]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    cell = only_cell(path)
    assert cell["mean"] == pytest.approx(np.mean(values))
    assert (cell["ci_low"], cell["ci_high"]) == pytest.approx((low, high))
    assert (cell["seeds"], cell["seeds_in_cell"], cell["mark"]) == (4, 4, COMPLETE)


def test_one_seed_has_no_interval_and_none_has_no_mean(tmp_path: Path) -> None:
    def ended(config: Values) -> tuple[str, int]:
        return ("finished", 300) if config["beta"] == 0.1 else ("failed", -1)

    one, none = cells_of(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, ended)).to_dict("records")
    assert one["mean"] == pytest.approx(-0.3) and none["mean"] != none["mean"]
    assert all(math.isnan(cell[end]) for cell in (one, none) for end in ("ci_low", "ci_high"))
    assert (one["seeds"], none["seeds"], none["states"]) == (1, 0, "failed")
    path = write_sweep(tmp_path / "equal", {"beta": [0.1], "seed": [0, 1]}, metrics=lambda c, i: {"mcc": 0.5})
    equal = only_cell(path, metric="mcc")
    assert (equal["mean"], equal["ci_low"], equal["ci_high"]) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("count", ["active_units", "active_units_stills"])
def test_counts_have_neither_marks_nor_intervals(count: str, tmp_path: Path) -> None:
    def measured(config: Values, iteration: int) -> Values:
        higher = 2 + 2 * (config["gamma"] > 0) + 0.1 * config["seed"] * config["gamma"]
        return {"linear_r2": higher, count: higher}

    axes = {"beta": [0.1], "gamma": [0, 0.5, 0.8], "seed": [0, 1, 2]}
    path = write_sweep(tmp_path / "s", axes, metrics=measured)
    cells = summary_of(path, metrics=["linear_r2", count], reference="gamma").cells
    of_metric = cells[cells["gamma"] > 0].set_index("metric")
    assert of_metric.loc["linear_r2", "differs"].all() and not of_metric.loc[count, "differs"].any()
    assert (of_metric.loc["linear_r2", "pooled"] != "").all() and (of_metric.loc[count, "pooled"] == "").all()
    assert of_metric.loc["linear_r2", "low"].notna().all() and of_metric.loc[count, "low"].isna().all()


@pytest.mark.parametrize(
    ("state", "reached", "mark", "value"),
    [
        ("finished", 300, COMPLETE, -0.3),
        ("stopped_early", 150, "stopped_early", -0.15),
        ("diverged", 170, "diverged", -0.15),
        ("failed", 150, "failed", -0.15),
        ("failed", 300, "failed", -0.3),
        ("failed", -1, "failed", None),
        ("unfinished", 150, "unfinished", -0.15),
        ("unfinished", 300, "unfinished", -0.3),  # between its last evaluation and its end
        ("missing", -1, "unfinished", None),
        ("finished", 150, "unfinished", -0.15),  # when fewer iterations were asked for
    ],
)
def test_a_cell_that_is_not_complete_is_marked(
    tmp_path: Path, state: str, reached: int, mark: str, value: float | None
) -> None:
    axes = {"beta": [0.1], "gamma": [0.0, 0.5]}
    path = write_sweep(tmp_path / "s", axes, lambda c: ("finished", 300) if c["gamma"] else (state, reached))
    cells = cells_of(path)
    cell = cells.loc[0.0].to_dict()
    assert cell["mark"] == mark
    assert cell["mean"] == pytest.approx(math.nan if value is None else value, nan_ok=True)
    assert cell["seeds"] == (value is not None)
    reached_at = math.nan if mark == COMPLETE or value is None else round(-1000 * value)
    assert cell["mark_iteration"] == pytest.approx(reached_at, nan_ok=True)
    assert cells.loc[0.5]["mark"] == COMPLETE


def test_a_stopped_cell_is_not_marked_in_a_map_of_the_iteration_that_it_reached(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1]}, by_seed(("stopped_early", 150)))
    assert only_cell(path, 0)["mark"] == COMPLETE
    assert only_cell(path, 150)["mark"] == COMPLETE
    last = only_cell(path)
    assert (last["mark"], last["mark_iteration"], last["states"]) == ("stopped_early", 150, "stopped_early@150")


def test_an_iteration_between_evaluations_shows_the_last_one_before(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path / "s", {"beta": [0.1, 1.0]}, lambda c: ("stopped_early", 150) if c["beta"] == 1 else ("finished", 300)
    )
    cells = cells_of(path, iteration=299)
    assert list(cells["iteration"]) == [150, 150]
    assert list(cells["mark"]) == [COMPLETE, COMPLETE]
    assert list(cells["mean"]) == pytest.approx([-0.15, -0.15])


def test_seeds_at_different_iterations_are_not_averaged(tmp_path: Path) -> None:
    ended = by_seed(("finished", 300), ("stopped_early", 150), ("finished", 300))
    cell = only_cell(write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1, 2]}, ended))
    assert cell["mean"] == pytest.approx(-0.3 + (0.0 + 0.02) / 2)
    assert (cell["seeds"], cell["seeds_in_cell"], cell["iteration"]) == (2, 3, 300)
    assert (cell["mark"], cell["mark_iteration"]) == ("stopped_early", 150)
    assert cell["states"] == "complete@300 stopped_early@150 complete@300"


def test_where_no_seed_is_complete_those_that_got_furthest_are_averaged(tmp_path: Path) -> None:
    ended = by_seed(("diverged", 10), ("stopped_early", 150), ("unfinished", 150))
    cell = only_cell(write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1, 2]}, ended))
    assert cell["mean"] == pytest.approx(-0.15 + 0.015)
    assert (cell["seeds"], cell["iteration"]) == (2, 150)
    assert (cell["mark"], cell["mark_iteration"]) == ("diverged", 0)


def test_of_seeds_with_the_mark_of_their_cell_the_one_that_got_furthest_says_where(tmp_path: Path) -> None:
    ended = by_seed(("finished", 300), ("stopped_early", 0), ("stopped_early", 150))
    cell = only_cell(write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1, 2]}, ended))
    assert (cell["mark"], cell["mark_iteration"]) == ("stopped_early", 150)


def test_all_of_a_running_sweep_is_unfinished_at_its_end_and_complete_where_it_is(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", GRID, lambda config: ("unfinished", 150))
    assert set(cells_of(path)["mark"]) == {"unfinished"}
    assert set(cells_of(path, 150)["mark"]) == {COMPLETE}


def test_a_metric_without_a_value_is_undefined_or_what_ended_its_trial(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.5, 1.0]})
    ratio = cells_of(path, metric="prediction_ratio")
    assert list(ratio["mark"]) == [COMPLETE, "undefined"]
    assert ratio["mark_iteration"].isna().all()  # it says nothing about how far the trial got
    assert list(ratio["states"]) == ["complete@300", "undefined@300"]
    assert list(cells_of(path, metric="mcc")["mark"]) == [COMPLETE, COMPLETE]
    for state in ("diverged", "failed"):
        path = write_sweep(tmp_path / state, {"beta": [0.1], "gamma": [0.5, 1.0]}, lambda c, s=state: (s, 160))
        assert list(cells_of(path, 150, "prediction_ratio")["mark"]) == [COMPLETE, state]


@pytest.mark.parametrize("metric", ["mig_stills", "mig_stills_active"])
def test_a_score_of_the_end_is_not_undefined_where_a_trial_has_not_come_to_it(metric: str, tmp_path: Path) -> None:
    def metrics(config: Values, iteration: int) -> Values:
        return {**measure(config, iteration), **({metric: 0.5} if iteration == 300 else {})}

    ends = {0.0: ("finished", 300), 0.5: ("stopped_early", 150), 0.9: ("unfinished", 150)}
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": list(ends)}, lambda c: ends[c["gamma"]], metrics)
    cells = cells_of(path, metric=metric)
    assert list(cells["mark"]) == [COMPLETE, "stopped_early", "unfinished"]
    assert list(cells["mark_iteration"].dropna()) == [150, 150]
    assert list(cells_of(path, 150, metric)["mark"]) == ["undefined"] * 3


def test_a_running_cell_is_unfinished(tmp_path: Path) -> None:
    table = results.load(write_sweep(tmp_path / "s", {"beta": [0.1]}, by_seed(("unfinished", 150))))
    manifest = {"axes": {"beta": [0.1]}, "options": {"iterations": 300}}
    running = summarise(table.assign(state="running"), manifest, metrics=["mcc"])
    assert list(running.cells["mark"]) == ["unfinished"]


def noisy(config: Values, iteration: int) -> Values:
    """Metrics that differ between seeds by much, and between cells of a seed by little; with collapse at high β."""
    rng = np.random.default_rng([config["seed"], int(10 * config["gamma"]), int(10 * config["beta"]), iteration])
    return {
        "linear_r2": config["seed"] + 0.1 * config["gamma"] + 0.02 * rng.normal(),
        "active_units": 0.0 if config["beta"] == 1.0 and config["seed"] == 1 and iteration else 3.0,
    }


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5, 0.9], "seed": [0, 1, 2, 3]}
    path = write_sweep(tmp_path / "s", axes, metrics=noisy)
    summary = summary_of(path, metrics=["linear_r2"], reference="gamma")
    assert summary.reference == "gamma" and summary.untrained == {}
    assert len(summary.cells) == 2 * 2 and 0.0 not in set(summary.cells["gamma"])
    for cell in summary.cells.to_dict("records"):
        values = {
            gamma: [noisy({"beta": cell["beta"], "gamma": gamma, "seed": seed}, 300)["linear_r2"] for seed in range(4)]
            for gamma in (0.0, cell["gamma"])
        }
        test = stats.ttest_rel(values[cell["gamma"]], values[0.0])
        interval = test.confidence_interval(0.95)
        assert (cell["ci_low"], cell["ci_high"]) == pytest.approx((interval.low, interval.high))
        assert cell["mean"] == pytest.approx(np.mean(values[cell["gamma"]]) - np.mean(values[0.0]))
        assert cell["excludes_zero"] == (test.pvalue < 0.05)
        collapsed = cell["beta"] == 1
        assert math.isnan(cell["p_value"]) == collapsed and (cell["pooled"] == "") == collapsed
        assert (cell["seeds"], cell["collapsed_seeds"], cell["mark"]) == (4, int(cell["beta"] == 1), COMPLETE)
    # What pairing is for: the seeds lie further apart than the cells, and their intervals overlap.
    assert summary.cells["differs"].any()
    unpaired = cells_of(path).loc[0.1]
    assert unpaired.loc[0.0, "ci_high"] > unpaired.loc[0.9, "ci_low"]


@pytest.mark.parametrize(("marks", "least"), [(False, BEYOND_QUADRATURE), (True, LEVEL)])
def test_p_values_of_differences_are_of_all_references_of_a_figure_and_exact_unless_marks_are_enough(
    tmp_path: Path, marks: bool, least: float
) -> None:
    def measured(config: Values, iteration: int) -> Values:
        at = [config["seed"], int(10 * config["gamma"]), int(10 * config["beta"]), int(config["lam"])]
        noise = np.random.default_rng(at).normal()
        return {"linear_r2": config["seed"] + 0.1 * config["gamma"] + 0.02 * noise}

    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5, 0.9], "lam": [0.0, 10.0], "seed": [0, 1, 2, 3]}
    path = write_sweep(tmp_path / "s", axes, metrics=measured)
    ready = Evaluations.of(results.load(path), SweepFolder.open(path).manifest(), metrics=["linear_r2"])
    cells = ready.differences("gamma", marks=marks).cells.to_dict("records")

    def scores(**changed: float) -> list[list[float]]:
        return [[measured({**cell, **changed, "seed": s}, 300)["linear_r2"] for s in axes["seed"]] for cell in cells]

    groups = [f"{cell['beta']} {cell['lam']}" for cell in cells]
    expected = [told_apart(scores(), scores(gamma=0.0), groups, each).p_values for each in (least, BEYOND_QUADRATURE)]
    assert [cell["p_value"] for cell in cells] == pytest.approx(expected[0])
    assert np.array_equal(*expected) == (not marks) and len(set(groups)) == 4


def test_a_difference_needs_seeds_in_common_and_an_interval_two(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0], "seed": [0, 1]})
    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.5], "seed": [1, 2]})
    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.9], "seed": [2, 3]})
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [1.0], "seed": [0, 1, 2]})
    cells = summary_of(path, metrics=["linear_r2"], reference="gamma").cells.set_index("gamma")
    assert list(cells["seeds"]) == [1, 0, 2]
    assert list(cells["mark"]) == [COMPLETE, "absent", COMPLETE]
    assert list(cells["mean"].dropna()) == pytest.approx([0.5, 1.0])
    assert list(cells["ci_low"].isna()) == [True, True, False]
    assert list(cells["excludes_zero"]) == [False, False, True]


def test_a_difference_is_taken_at_the_last_evaluation_that_both_have(tmp_path: Path) -> None:
    def measured(config: Values, iteration: int) -> Values:
        return {"linear_r2": config["gamma"] * iteration}

    ended = {0.0: ("finished", 300), 0.5: ("stopped_early", 150)}
    axes = {"beta": [0.1], "gamma": [0.0, 0.5], "seed": [0, 1]}
    path = write_sweep(tmp_path / "cell", axes, lambda c: ended[c["gamma"]], measured)
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="gamma").cells.to_dict("records")
    assert (cell["mean"], cell["iteration"], cell["mark"]) == (75.0, 150, "stopped_early")
    path = write_sweep(tmp_path / "reference", axes, lambda c: ended[0.5 - c["gamma"]], measured)
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="gamma").cells.to_dict("records")
    assert (cell["mean"], cell["iteration"], cell["mark"]) == (75.0, 150, "stopped_early")
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="gamma", iteration=150).cells.to_dict("records")
    assert (cell["mean"], cell["iteration"], cell["mark"]) == (75.0, 150, COMPLETE)
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="gamma", iteration=0).cells.to_dict("records")
    assert (cell["mean"], cell["iteration"], cell["excludes_zero"]) == (0.0, 0, False)


def test_a_reference_that_failed_leaves_a_failed_cell_without_a_value(tmp_path: Path) -> None:
    axes = {"beta": [0.1], "gamma": [0.5], "lam": [0.0, 1.0]}
    path = write_sweep(tmp_path / "s", axes, lambda c: ("finished", 300) if c["lam"] else ("failed", -1))
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="lambda").cells.to_dict("records")
    assert (cell["mark"], cell["seeds"], math.isnan(cell["mean"])) == ("failed", 0, True)


def test_a_difference_to_a_collapsed_network_is_no_less_collapsed(tmp_path: Path) -> None:
    def collapsed(config: Values, iteration: int) -> Values:
        return {**noisy(config, iteration), "active_units": 0.0 if (config["gamma"], config["seed"]) == (0, 1) else 3.0}

    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.9], "seed": [0, 1, 2]}, metrics=collapsed)
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="gamma").cells.to_dict("records")
    assert (cell["seeds"], cell["collapsed_seeds"], cell["differs"]) == (3, 1, False)
    assert cell["excludes_zero"] and math.isnan(cell["p_value"])


def test_a_difference_without_a_value_has_the_mark_of_a_reference_that_diverged(tmp_path: Path) -> None:
    def measured(config: Values, iteration: int) -> Values:
        return {"linear_r2": config["gamma"] or (None if iteration else 0.0)}

    ended = {0.0: ("diverged", 150), 0.5: ("finished", 300)}
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5]}, lambda c: ended[c["gamma"]], measured)
    (cell,) = summary_of(path, metrics=["linear_r2"], reference="gamma").cells.to_dict("records")
    assert (cell["mark"], cell["states"], math.isnan(cell["mean"])) == ("diverged", "diverged@150", True)


def test_collapse_is_counted_at_the_iteration_of_the_map(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.0], "seed": [0, 1]}, metrics=noisy)
    assert list(cells_of(path)["collapsed_seeds"]) == [0, 1]
    assert list(cells_of(path, 0)["collapsed_seeds"]) == [0, 0]
    # Seeds that did not get as far as others are not in the numbers, so not in this one.
    stopped = by_seed(("finished", 300), ("stopped_early", 150))
    path = write_sweep(tmp_path / "t", {"beta": [1.0], "gamma": [0.0], "seed": [0, 1]}, stopped, noisy)
    assert only_cell(path)["collapsed_seeds"] == 0
    path = write_sweep(tmp_path / "u", {"beta": [0.1]}, metrics=lambda c, i: {"linear_r2": 0.5})
    assert only_cell(path)["collapsed_seeds"] == 0


def cells_with(rows: Sequence[tuple[float, float, str, int]]) -> pd.DataFrame:
    """Cells of (mean, half an interval, mark, collapsed seeds), with an index that does not count from 0."""
    frame = pd.DataFrame(rows, columns=["mean", "half", "mark", "collapsed_seeds"], index=range(7, 7 + len(rows)))
    return frame.assign(low=frame["mean"] - frame["half"], high=frame["mean"] + frame["half"])


def region_of(cells: pd.DataFrame, better: str | None) -> tuple["pd.Series[bool]", "pd.Series[bool]"]:
    """The best of some cells, and the region of it."""
    numbers = (cells[name].to_numpy(float) for name in ("mean", "low", "high"))
    best, region = best_region(*numbers, comparable(cells), better)
    return pd.Series(best, cells.index), pd.Series(region, cells.index)


def test_the_best_region_holds_the_cells_whose_interval_overlaps_that_of_the_best() -> None:
    cells = cells_with(
        [
            (0.9, 0.1, "stopped_early", 0),
            (0.95, 0.1, COMPLETE, 1),  # collapsed, however good
            (0.85, math.nan, COMPLETE, 0),  # one seed, where others have intervals
            (0.8, 0.05, COMPLETE, 0),
            (0.7, 0.06, COMPLETE, 0),
            (0.7, 0.04, COMPLETE, 0),
            (math.nan, math.nan, "failed", 0),
        ]
    )
    best, region = region_of(cells, "max")
    assert list(best) == [False, False, False, True, False, False, False]
    assert list(region) == [False, False, False, True, True, False, False]
    best, region = region_of(pd.concat([cells, cells_with([(2.0, 0.1, COMPLETE, 0)]).set_axis([20])]), "min")
    assert (list(best.index[best]), list(region.index[region])) == ([11], [10, 11, 12])
    assert not any(mask.any() for mask in region_of(cells, None))
    assert not any(mask.any() for mask in region_of(cells.assign(mark="unfinished"), "max"))


@pytest.mark.parametrize("half", [math.nan, 0.2], ids=["one seed", "all overlap"])
def test_where_no_cell_can_be_told_apart_there_is_no_best(half: float) -> None:
    cells = cells_with([(0.5, half, COMPLETE, 0), (0.8, half, COMPLETE, 0), (0.1, half, COMPLETE, 1)])
    assert not any(mask.any() for mask in region_of(cells, "max"))


def part_of(metric: str, scores: NDArray[np.float64], comparable: Sequence[bool]) -> Part:
    """The cells of scores [C, S], with the intervals of their own seeds."""
    mean, low, _ = np.transpose([[*seed_interval(cell[~np.isnan(cell)])] for cell in scores])
    seeds = (~np.isnan(scores)).sum(axis=1)
    return Part(
        metric=metric,
        rows=np.arange(len(scores)),
        mean=mean,
        half=mean - low,
        seeds=seeds,
        comparable=np.array(comparable),
    )


def test_cells_that_may_be_compared_have_pooled_intervals_and_the_best_is_named_with_its_luck() -> None:
    rng, nan = np.random.default_rng(0), math.nan
    levels = np.array([[1.0], [3.0], [1.01], [1.02], [0.5], [1.015], [1.0]])
    scores = levels + 0.02 * rng.normal(size=(7, 3))
    # Of one seed, whose interval is wider and reaches lower than that of the best; and of seeds that agree.
    scores[3], scores[5] = [scores[[0, 2, 6]].mean(axis=1).min() + 0.005, nan, nan], 1.5
    says = [True, True, True, True, False, True, True]
    part = part_of("reconstruction_error", scores, says)
    found = pooled_intervals(part, scores, SCALES)
    pooled = pooled_widths(scores[says])
    half = np.insert(pooled.half, 4, part.half[4])
    half[5] = 0.0
    np.testing.assert_allclose(found["low"], part.mean - half)
    np.testing.assert_allclose(found["high"], part.mean + half)
    error = np.insert(pooled.error, 4, scores[4].std(ddof=1) / np.sqrt(3))
    np.testing.assert_allclose(found["error"], np.where(half == 0, 0, error), atol=1e-12)
    assert list(found["pooled"]) == ["identity", "identity", "identity", "identity", "", "", "identity"]
    marks = best_cells(part, found)
    best = min((0, 2, 3, 6), key=lambda cell: part.mean[cell])
    assert best != 3 == np.argmin(np.where(says, found["low"], math.inf))
    assert np.flatnonzero(marks["best"]).tolist() == [best]
    assert np.flatnonzero(marks["in_best_region"]).tolist() == [0, 2, 3, 6]
    np.testing.assert_allclose(marks["luck"], np.where(marks["best"], found["error"][best] * expected_largest(4), nan))
    scores[1] += [-1, 0, 1]
    assert list(pooled_intervals(part_of("kl", scores, says), scores, SCALES)["pooled"][:3]) == ["unlike"] * 3


@pytest.mark.parametrize("least", [BEYOND_QUADRATURE, LEVEL])
def test_differences_are_told_apart_by_their_references_and_have_intervals_of_their_own_scale(least: float) -> None:
    rng, groups = np.random.default_rng(1), np.array([0, 0, 0, 1, 1, 1])
    level = np.logspace(-3, 0, 6)[:, None]
    references = np.repeat(level[[0, 3]], 3, axis=0) * np.exp(0.1 * rng.normal(size=(2, 4)).repeat(3, axis=0))
    scores = references * np.exp(0.1 * rng.normal(size=(6, 4))) * np.array([1, 2.0, 1, 1, 0.7, 5])[:, None]
    differences = scores - references
    says = np.array([True, True, True, True, True, False])
    part = part_of("reconstruction_error", differences, says)
    found = differing_cells(part, differences, references, groups, least)
    expected = told_apart(scores[says], references[says], groups[says], least)
    assert expected.scale == "log" and 0 < expected.marked.sum() < 5
    np.testing.assert_allclose(found["p_value"], [*expected.p_values, math.nan])
    assert list(found["differs"]) == [*expected.marked, False]
    assert set(found["family"]) == {expected.family}
    halves = [*pooled_widths(differences[says], SCALES[:1]).half, part.half[5]]
    np.testing.assert_allclose(found["high"] - part.mean, halves)
    alone = differing_cells(part, np.ones((6, 4)), references, groups, least)
    assert set(alone["family"]) == {""} and np.isnan(alone["p_value"]).all() and not alone["differs"].any()


def test_each_figure_has_a_best_cell_of_its_own(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {**GRID, "learning_rate": [1e-4, 1e-3], "seed": [0, 1]})
    cells = summary_of(path, metrics=["mcc", "reconstruction_error", "active_units"]).cells
    best = cells[cells["best"]].set_index(["metric", "learning_rate"])
    assert set(best.index) == {(name, rate) for name in ("mcc", "reconstruction_error") for rate in (1e-4, 1e-3)}
    assert set(best.loc["mcc", "gamma"]) == {0.9} and set(best.loc["reconstruction_error", "gamma"]) == {0.0}


def test_a_part_of_a_metric_is_ranked_as_the_whole() -> None:
    assert described("mcc").better == "max"
    part = described("linear_r2/circle_x")
    assert (part.label, part.better) == ("R², circle x", "max")
    assert described("seconds").better is None


def test_combinations_that_the_sweep_lacks_are_absent(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5]})
    path = write_sweep(tmp_path / "s", {"beta": [1.0], "gamma": [0.5], "seed": [0, 1]})
    cells = cells_of(path)
    assert cells.loc[(1.0, 0.0), "mark"] == "absent"
    assert list(cells["seeds"]) == [1, 1, 0, 2]


def test_trials_without_an_evaluation_by_then_keep_a_row(tmp_path: Path) -> None:
    def evaluated_late(path: Path, seed: int, first: int, ended: tuple[str, int]) -> None:
        write_sweep(path, {"beta": [0.1], "seed": [seed]}, lambda c: ended, evaluated=[first, 300])

    for seed, (first, ended) in enumerate([(100, ("finished", 300)), (150, ("failed", 300)), (150, ("missing", -1))]):
        evaluated_late(tmp_path / "s", seed, first, ended)
    trials = summary_of(tmp_path / "s", metrics=["linear_r2"], iteration=100).trials
    assert list(trials["mark"]) == [COMPLETE, "unfinished", "unfinished"]
    assert list(trials["linear_r2"].isna()) == [False, True, True]
    assert list(trials["seconds"].isna()) == [False, True, True]
    assert only_cell(tmp_path / "s", 100)["states"] == "complete@100 unfinished unfinished"


@pytest.mark.parametrize("state", ["failed", "diverged"])
def test_a_trial_that_ended_before_any_evaluation_is_marked_so_at_every_iteration(tmp_path: Path, state: str) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1]}, by_seed(("finished", 300), (state, -1)))
    assert [only_cell(path, iteration)["mark"] for iteration in (0, 150, None)] == [state] * 3


def test_marks_are_all_that_a_cell_can_be_and_the_worst_counts(tmp_path: Path) -> None:
    ends = {
        "failed": ("failed", 300),
        "diverged": ("diverged", 300),
        "unfinished": ("unfinished", 150),
        "stopped_early": ("stopped_early", 150),
        COMPLETE: ("finished", 300),
    }
    assert [mark for mark in MARKS if mark in ends] == list(ends)
    for i, worst in enumerate(ends):
        order = list(ends.values())[i:][::-1]
        path = write_sweep(tmp_path / worst, {"beta": [0.1], "seed": [*range(len(order))]}, by_seed(*order))
        assert only_cell(path)["mark"] == worst


@pytest.mark.parametrize(
    ("axes", "layout"),
    [
        ({"beta": [0.1]}, Layout("model")),
        ({"beta": [0.0, 0.1], "seed": [0, 1]}, Layout("beta")),
        ({"beta": [0.1], "gamma": [0.0, 0.5]}, Layout("gamma")),
        ({"beta": [0.1, 1.0], "lam": [0.0, 1.0]}, Layout("lam", "beta")),
        ({"beta_norm": [0.1, 1.0], "gamma": [0.0, 0.5]}, Layout("gamma", "beta_norm")),
        ({"beta": [0.1], "gamma": [0.0, 0.5], "lam": [0.0, 1.0]}, Layout("gamma", "lam")),
        (GRID, Layout("gamma", "beta", "lam")),
        ({**GRID, "learning_rate": [1e-4, 1e-3]}, Layout("gamma", "beta", "lam", ("learning_rate",))),
        # β follows from these two, and is no axis.
        ({"beta_norm": [0.1], "num_latents": [4, 10]}, Layout("num_latents")),
    ],
)
def test_axes_are_the_swept_fields(tmp_path: Path, axes: Mapping[str, Sequence[Any]], layout: Layout) -> None:
    assert summary_of(write_sweep(tmp_path / "s", axes)).layout == layout


@pytest.mark.parametrize(
    ("places", "layout"),
    [
        ({"x": "lambda", "y": None}, Layout("lam", "gamma", "beta")),
        ({"x": "lam"}, Layout("lam", "gamma", "beta")),
        ({"columns": "gamma"}, Layout("lam", "beta", "gamma")),
        ({"x": "beta_norm", "y": "lam"}, Layout("beta_norm", "lam", "gamma")),
        ({"x": "beta-norm", "y": "lam"}, Layout("beta_norm", "lam", "gamma")),
        ({"columns": "num-latents"}, Layout("gamma", "beta", "num_latents", ("lam",))),
    ],
)
def test_axes_that_were_asked_for_come_first(tmp_path: Path, places: Mapping[str, str | None], layout: Layout) -> None:
    assert summary_of(write_sweep(tmp_path / "s", GRID), places=places).layout == layout


@pytest.mark.parametrize("iteration", [100, 150, 300])
def test_cells_may_be_told_apart_by_any_column(tmp_path: Path, iteration: int) -> None:
    grid = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}
    write_sweep(tmp_path / "s", {**grid, "seed": [0]}, evaluated=[100, 300])
    path = write_sweep(tmp_path / "s", {**grid, "seed": [1]}, evaluated=[150, 300])  # by 100 there is no evaluation
    table, manifest = results.load(path), SweepFolder.open(path).manifest()
    assert manifest
    numbered = table.assign(suggestion=table.groupby(["beta", "gamma"]).ngroup())
    summary = summarise(numbered, manifest, metrics=["linear_r2"], axes=["suggestion"], iteration=iteration)
    assert summary.layout == Layout("suggestion")
    by_fields = cells_of(path, iteration).reset_index().drop(columns=["beta", "gamma"])
    pd.testing.assert_frame_equal(summary.cells.drop(columns="suggestion"), by_fields[summary.cells.columns[1:]])
    assert set(summary.cells["seeds_in_cell"]) == {2}


def test_the_iteration_of_a_map_is_an_evaluation_or_the_end(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1]}, by_seed(("unfinished", 150), ("missing", -1)))
    asked = {0: 0, 149: 0, 150: 150, 299: 150, 300: 300, 999: 300, None: 300}
    assert {iteration: summary_of(path, iteration=iteration).iteration for iteration in asked} == asked


def test_the_usual_metrics_are_those_that_the_sweep_has(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1]})
    usual = ["reconstruction_error", "linear_r2", "mcc", "active_units"]
    assert list(summary_of(path).cells["metric"]) == usual
    assert list(summary_of(path, metrics=["mcc", "seconds", "mcc"]).cells["metric"]) == ["mcc", "seconds"]
    supervised = write_sweep(tmp_path / "t", {"beta": [0.1]}, metrics=lambda c, i: {"factor_error": 0.1, "mcc": 0.9})
    assert list(summary_of(supervised).cells["metric"]) == ["factor_error", "mcc"]
    with pytest.raises(UserError, match=r"no number of the usual metrics \(1 finished of 1 trials\)"):
        summary_of(write_sweep(tmp_path / "u", {"beta": [0.1]}, metrics=lambda c, i: {"other": 1.0}))


def test_the_untrained_score_is_the_mean_before_training(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5], "seed": [0, 1]})
    for iteration in (None, 150):
        untrained = summary_of(path, metrics=["linear_r2", "mcc"], iteration=iteration).untrained
        assert untrained == pytest.approx({"linear_r2": 0.255, "mcc": 0.5255})
    ended = by_seed(("finished", 300), ("stopped_early", 150))  # one that did not get as far was untrained as well
    early = write_sweep(tmp_path / "e", {"beta": [0.1], "seed": [0, 1]}, ended)
    assert only_cell(early)["untrained"] == pytest.approx(0.005)
    late = write_sweep(tmp_path / "t", {"beta": [0.1]}, evaluated=[150, 300])
    assert summary_of(late).untrained == {}


def test_forms_of_one_beta_are_one_cell(tmp_path: Path) -> None:
    ten = {"num_latents": [10]}  # one form computed from the other differs in its last digit
    write_sweep(tmp_path / "s", {"beta": [0.1 * 102.4], "gamma": [0.5], "seed": [1], **ten})
    path = write_sweep(tmp_path / "s", {"beta_norm": [0.1, 1.0], "gamma": [0.0, 0.5], **ten})
    cells = cells_of(path)
    assert len(cells) == 4
    assert sorted(cells["seeds"]) == [1, 1, 1, 2]


def test_nothing_evaluated_is_refused(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("missing", -1))
    with pytest.raises(UserError, match="nothing to draw"):
        summary_of(path)


def test_combinations_are_of_all_values_the_last_column_fastest() -> None:
    frame = pd.DataFrame({"a": [2, 1], "b": ["x", "y"]})
    pairs = [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert combinations(frame, ["a", "b"]) == [{"a": a, "b": b} for a, b in pairs]
    assert combinations(frame, []) == [{}]


def test_differences_of_a_hundred_metrics_are_found_without_a_warning(tmp_path: Path) -> None:
    """Warnings are errors here: pandas has one of tables that grew a column at a time."""
    names = [f"kl/latent_{i}" for i in range(120)]

    def many(config: Values, iteration: int) -> Values:
        return {name: config["gamma"] + 0.01 * i + iteration / 1000 for i, name in enumerate(names)}

    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5], "seed": [0, 1]}, metrics=many)
    cells = summary_of(path, metrics=names, reference="gamma").cells
    assert len(cells) == len(names) and cells["mean"].to_numpy() == pytest.approx(0.5)


def test_values_that_were_drawn_are_no_grid() -> None:
    drawn = pd.DataFrame({"beta": np.arange(200) / 7, "gamma": np.arange(200) / 200, "lam": np.arange(200.0)})
    with pytest.raises(UserError, match=r"200 beta × 200 gamma × 200 lam are 8,000,000 places.*dd-ray search-results"):
        combinations(drawn, ["beta", "gamma", "lam"])
    assert len(combinations(drawn, ["beta", "gamma"])) == 40_000


def test_a_sweep_that_went_further_than_its_last_command_asks_is_summarised_where_it_ended(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1]}, lambda _: ("finished", 600), evaluated=(0, 300, 600))
    summary = summary_of(path)
    assert (summary.iteration, summary.last, set(summary.cells["mark"])) == (600, 600, {COMPLETE})
