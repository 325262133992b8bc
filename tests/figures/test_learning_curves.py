"""Curves of cells over the iterations, against the interval of the seeds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.figures import draw_figure, learning_curves
from dd_ray.figures.learning_curves import MOST_CELLS, Options, draw, write_learning_curves
from tests.figures.sweeps import Values, by_seed, write_sweep

AXES = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "seed": [0, 1, 2]}


def noisy(config: Values, iteration: int) -> Values:
    luck = np.random.default_rng([config["seed"], iteration, int(10 * config["gamma"])]).normal()
    return {"linear_r2": config["gamma"] + iteration / 1000 + 0.1 * luck, "mcc": config["beta"], "active_units": 4.0}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep") / "s", AXES, metrics=noisy)


def test_a_line_is_the_mean_of_a_cell_s_seeds_with_its_interval(sweep: Path, tmp_path: Path) -> None:
    picture, numbers = write_learning_curves(Options(path=str(sweep), out=tmp_path, metrics=("linear_r2",)))
    assert picture.name == "learning_curves.png"
    curves, table = pd.read_csv(numbers), results.load(sweep)
    assert len(curves) == 4 * 3 and set(curves["seeds"]) == {3}
    at = curves[(curves["cell"].str.contains("0.5")) & (curves["iteration"] == 150)].iloc[0]
    values = table[(table["gamma"] == 0.5) & (table["iteration"] == 150) & (table["beta"] == 0.1)]["linear_r2"]
    interval = stats.ttest_1samp(values, 0).confidence_interval()
    assert (at["mean"], at["low"], at["high"]) == pytest.approx((values.mean(), interval.low, interval.high))


def test_figures_for_a_paper_hold_text_as_text(sweep: Path, tmp_path: Path) -> None:
    learning_curves.main([str(sweep), "--out", str(tmp_path), "--format", "svg"])
    assert "<text" in (text := (tmp_path / "learning_curves.svg").read_text(encoding="utf-8")) and "γ = 0.5" in text
    picture, numbers = draw_figure("learning_curves", sweep, tmp_path, format="pdf")
    assert (picture.name, numbers.name) == ("learning_curves.pdf", "learning_curves.csv")
    content = picture.read_bytes()
    assert content.startswith(b"%PDF") and b"/FontFile2" in content and b"/Type3" not in content
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".pdf", ".svg"]
    assert draw_figure("learning_curves", sweep, tmp_path)[0].suffix == ".png"
    with pytest.raises(UserError, match="there is no format 'jpg'; give png, pdf, svg"):
        draw_figure("learning_curves", sweep, tmp_path, format="jpg")


def test_the_table_names_cells_without_the_markup_of_the_figure(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta_norm": [0.001, 0.1], "gamma": [0.5]})
    _, numbers = write_learning_curves(Options(path=path))
    assert list(pd.read_csv(numbers)["cell"].unique()) == ["β_norm = 0.001", "β_norm = 0.1"]


def test_each_metric_has_a_panel_and_each_cell_a_line_with_a_band(sweep: Path, tmp_path: Path) -> None:
    _, numbers = write_learning_curves(Options(path=str(sweep), out=tmp_path, cells=("gamma=0.5",)))
    figure = draw(pd.read_csv(numbers), ("linear_r2", "mcc"))
    assert [len(panel.lines) for panel in figure.axes] == [2, 2]
    assert all(len(panel.collections) == 2 for panel in figure.axes)


@pytest.mark.usefixtures("undrawn")
def test_no_two_lines_are_told_apart_by_colour_alone(tmp_path: Path) -> None:
    gammas = [i / MOST_CELLS for i in range(MOST_CELLS)]
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": gammas, "seed": [0]}, metrics=noisy)
    _, numbers = write_learning_curves(Options(path=str(path), metrics=("linear_r2",)))
    figure = draw(pd.read_csv(numbers), ("linear_r2",))
    shown, legend = figure.axes[0].lines, figure.legends[0].get_lines()
    drawn, named = ([(line.get_marker(), *map(str, line._dash_pattern)) for line in lines] for lines in (shown, legend))
    assert len(set(drawn)) == MOST_CELLS and named == drawn


@pytest.mark.usefixtures("undrawn")
def test_means_of_survivors_are_hollow_and_the_legend_says_how_the_others_ended(tmp_path: Path) -> None:
    ended = by_seed(("finished", 300), ("diverged", 150), ("stopped_early", 150))
    path = write_sweep(tmp_path / "s", AXES | {"beta": [1.0]}, ended, noisy)
    _, numbers = write_learning_curves(Options(path=str(path), out=tmp_path, metrics=("linear_r2",)))
    figure = draw(pd.read_csv(numbers), ("linear_r2",))
    hollow = [line for line in figure.axes[0].lines if str(line.get_markerfacecolor()) == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[300], [300]]
    assert [len(band.get_paths()[0].vertices) for band in figure.axes[0].collections] == [2 * 2 + 3] * 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *(f"γ = {gamma} (1 of 3 seeds diverged, 1 stopped early)" for gamma in ("0", "0.5")),
        "mean of some seeds of the cell, the others left out",
    ]


@pytest.mark.usefixtures("undrawn")
def test_a_cell_without_the_first_metric_is_in_the_legend(tmp_path: Path) -> None:
    def some(config: Values, iteration: int) -> Values:
        return {"linear_r2": None if config["gamma"] else 0.5, "mcc": 0.5}

    path = write_sweep(tmp_path / "s", AXES | {"beta": [1.0]}, metrics=some)
    _, numbers = write_learning_curves(Options(path=str(path), out=tmp_path))
    legend = draw(pd.read_csv(numbers), ("linear_r2", "mcc")).legends[0]
    assert {text.get_text() for text in legend.get_texts()} == {"γ = 0", "γ = 0.5"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": ("luck",)}, "luck is no column"),
        ({"metrics": ("linear_r2", "label")}, "'label' holds no numbers; give a metric"),
        ({"cells": ("gamma=0.7",)}, "names no cell .* such as beta=0.1,gamma=0\\.$"),
        ({"cells": ("beta=1,seed=0",)}, "names no cell .* without its seed"),
    ],
)
def test_what_there_is_not_is_refused(sweep: Path, tmp_path: Path, options: Values, words: str) -> None:
    with pytest.raises(UserError, match=words):
        write_learning_curves(Options(path=str(sweep), out=tmp_path, **options))


def test_a_sweep_of_which_nothing_was_evaluated_is_refused(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, lambda config: ("missing", -1))
    for metrics in ((), ("linear_r2",)):
        with pytest.raises(UserError, match="has been evaluated yet, so there is nothing to draw"):
            write_learning_curves(Options(path=str(path), out=tmp_path / "out", metrics=metrics))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_metric_without_a_value_is_refused_if_it_was_asked_for_and_else_left_out(tmp_path: Path) -> None:
    def half(config: Values, iteration: int) -> Values:
        return {"linear_r2": None, "mcc": 0.5 if config["gamma"] else None, "active_units": 4.0}

    path = str(write_sweep(tmp_path / "s", AXES, metrics=half))
    _, numbers = write_learning_curves(Options(path=path, out=tmp_path / "out"))
    assert set(pd.read_csv(numbers)["metric"]) == {"mcc"}
    with pytest.raises(UserError, match="--metrics linear_r2 has no value in the cells to draw; give"):
        write_learning_curves(Options(path=path, out=tmp_path, metrics=("mcc", "linear_r2")))
    with pytest.raises(UserError, match="no value of the usual metrics; give --metrics"):
        write_learning_curves(Options(path=path, out=tmp_path, cells=("gamma=0",)))
