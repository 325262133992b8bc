"""Trade-offs and their Pareto fronts, from sweep folders that are written cell by cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from dd_ray.errors import UserError
from dd_ray.figures import tradeoff
from dd_ray.figures.looks import OF_NONE, ByField, BySetting, looks_of
from dd_ray.figures.tradeoff import Options, draw, title_of, write_tradeoff
from dd_ray.results import final, load
from dd_ray.results.summary import Summary
from dd_ray.results.tradeoffs import pareto_front, points
from tests.figures.sweeps import Values, summary_of, write_sweep
from tests.figures.test_grid_maps import is_drawn
from tests.processes import python
from tests.sweep.studies import ROOT

PAIRS = [("kl", "reconstruction_error"), ("reconstruction_error", "mcc")]
BETAS = (0.0, 0.1, 1.0, 4.0)
AXES: dict[str, list[Any]] = {"beta": [*BETAS], "gamma": [0.0, 0.5], "seed": [0, 1]}


def curve(config: Values, iteration: int) -> dict[str, Any]:
    """β trades rate against distortion, γ = 0.5 is worse everywhere, and β = 4 collapses, with the highest MCC."""
    worse = config["gamma"]
    return {
        "kl": 10 / (1 + config["beta"]) + worse + 0.01 * config["seed"],
        "reconstruction_error": 0.01 * (1 + config["beta"]) + worse + 0.01 * config["seed"],
        "linear_r2": 0.5 + 0.1 * config["beta"] - worse,
        "mcc": 0.4 + 0.1 * config["beta"] - 0.3 * worse,
        "active_units": 0.0 if config["beta"] == 4 else 4.0,
    }


def front_of(table: pd.DataFrame, y: str) -> list[tuple[float, float]]:
    on_front = table[table["on_front"] & (table["y_metric"] == y)]
    return sorted(on_front[["beta", "gamma"]].itertuples(index=False, name=None))


def figure_of(summary: Summary, colour: str | None = None) -> Any:
    cells = points(summary, PAIRS)
    looks = ByField.of(cells, summary.layout.axes, colour)
    return draw(cells, summary, looks, title_of("inertia_grid", summary, looks))


def test_the_front_is_what_nothing_beats() -> None:
    costs = np.array([[0, 3], [1, 1], [3, 0], [1, 2], [2, 2], [1, 1], [np.nan, 0]], float)
    assert pareto_front(costs).tolist() == [True, True, True, False, False, True, False]
    rng = np.random.default_rng(0)
    costs = rng.integers(0, 6, (40, 2)).astype(float)
    beaten = [any((b <= a).all() and (b < a).any() for b in costs) for a in costs]
    assert pareto_front(costs).tolist() == [not b for b in beaten]


def test_shapes_repeat_what_colours_tell_where_nothing_else_is_left_to_them(tmp_path: Path) -> None:
    summary = summary_of(
        write_sweep(tmp_path / "s", AXES, metrics=curve), metrics=["kl", "reconstruction_error", "mcc"]
    )
    looks = ByField.of(points(summary, PAIRS), summary.layout.axes, None)
    colours, shapes, _ = looks.legend()
    assert [(each.get_label(), each.get_marker()) for each in colours] == [("γ = 0", "o"), ("γ = 0.5", "s")]
    assert shapes == [] and looks.shape_of({"gamma": 0.5, "beta": 0.1}) == "s"


def test_the_command_writes_a_figure_and_its_numbers(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=curve)
    done = python(ROOT / "analysis" / "tradeoff.py", path, strict=True)
    assert done.returncode == 0, done.stderr
    png, csv = path / "figures" / "tradeoff.png", path / "figures" / "tradeoff.csv"
    at_equal = path / "figures" / "tradeoff_at_equal_kl.csv"
    *printed, first, second, third = done.stdout.splitlines()
    assert [first, second, third] == [str(png), str(csv), str(at_equal)]
    assert "At equal KL, less γ = 0" in printed[0]
    assert set(pd.read_csv(at_equal)["arm"]) == {"γ = 0.5"}
    assert done.stderr == ""
    assert is_drawn(png)
    table = pd.read_csv(csv)
    assert len(table) == 3 * 4 * 2
    row = table.query("beta == 1 and gamma == 0.5 and y_metric == 'reconstruction_error'").iloc[0]
    assert (row["x"], row["y"]) == pytest.approx((5.505, 0.525))
    assert row["x_ci_low"] < row["x"] < row["x_ci_high"]
    assert (row["seeds"], row["mark"], row["collapsed_seeds"]) == (2, "complete", 0)


def test_a_collapsed_cell_is_on_the_front_of_rate_and_not_of_a_score(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=curve)
    cells = points(summary_of(path, metrics=["kl", "reconstruction_error", "mcc"]), PAIRS)
    assert front_of(cells, "reconstruction_error") == [(beta, 0.0) for beta in BETAS]
    assert front_of(cells, "mcc") == [(beta, 0.0) for beta in BETAS[:3]]
    assert set(cells.loc[cells["collapsed_seeds"] == 2, "beta"]) == {4.0}

    def of_one_seed(config: Values, iteration: int) -> Values:
        return {**curve(config, iteration), **({"active_units": 4.0} if config["seed"] else {})}

    path = write_sweep(tmp_path / "t", AXES, metrics=of_one_seed)
    cells = points(summary_of(path, metrics=["kl", "reconstruction_error", "mcc"]), PAIRS)
    assert cells["collapsed_seeds"].max() == 1 and front_of(cells, "mcc") == [(beta, 0.0) for beta in BETAS[:3]]


def test_a_point_has_the_worse_mark_of_its_two_metrics(tmp_path: Path) -> None:
    def without_score(config: Values, iteration: int) -> Values:
        return {**curve(config, iteration), "mcc": None if config["beta"] == 0.1 else 0.5}

    path = write_sweep(tmp_path / "s", AXES, metrics=without_score)
    cells = points(summary_of(path, metrics=["kl", "reconstruction_error", "mcc"]), PAIRS)
    of_cell = cells[cells["beta"] == 0.1].groupby("y_metric")[["mark", "seeds"]].first()
    assert of_cell.loc["reconstruction_error"].tolist() == ["complete", 2]
    assert of_cell.loc["mcc"].tolist() == ["undefined", 0]
    assert 0.1 not in {beta for beta, _ in front_of(cells, "mcc")}


def test_a_combination_that_the_sweep_lacks_is_no_point(tmp_path: Path) -> None:
    beside = {"beta": [1.0], "gamma": [0.0]}
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5]}, metrics=curve, beside=beside)
    cells = points(summary_of(path, metrics=["kl", "reconstruction_error", "mcc"]), PAIRS)
    assert cells.groupby("y_metric").size().to_dict() == {"reconstruction_error": 3, "mcc": 3}


def test_cells_that_did_not_complete_are_on_no_front(tmp_path: Path) -> None:
    ended = {0.0: ("stopped_early", 150), 0.1: ("finished", 300), 1.0: ("diverged", 150), 4.0: ("failed", -1)}
    path = write_sweep(tmp_path / "s", AXES, lambda config: ended[config["beta"]], metrics=curve)
    summary = summary_of(path, metrics=["kl", "reconstruction_error", "mcc"])
    cells = points(summary, PAIRS)
    assert front_of(cells, "mcc") == front_of(cells, "reconstruction_error") == [(0.1, 0.0)]
    marks = dict(zip(cells["beta"], cells["mark"], strict=True))
    assert marks == {beta: state if state != "finished" else "complete" for beta, (state, _) in ended.items()}
    figure = figure_of(summary)
    hollow = [line for line in figure.axes[0].lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    assert len(hollow) == 2 * 2  # those that have values
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["D", "D", "S", "S"]
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert "F  failed; 2 without a value, not drawn" in said
    assert "S  stopped early" in said


def test_metrics_that_are_not_ranked_have_no_front(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=lambda c, i: {**curve(c, i), "prediction_ratio": c["gamma"]})
    summary = summary_of(path, metrics=["reconstruction_error", "prediction_ratio"])
    assert not points(summary, [("reconstruction_error", "prediction_ratio")])["on_front"].any()


@pytest.mark.usefixtures("undrawn")
def test_a_part_of_a_score_is_ranked_and_named_as_the_whole_and_an_unknown_one_is_not_ranked(tmp_path: Path) -> None:
    more = {"linear_r2/circle_x": "gamma", "size": "gamma"}

    def metrics(config: Values, iteration: int) -> Values:
        return {**curve(config, iteration), **{name: config[field] for name, field in more.items()}}

    path = write_sweep(tmp_path / "s", AXES, metrics=metrics)
    _, csv, _ = write_tradeoff(Options(path=path, scores=("linear_r2/circle_x", "size")))
    table = pd.read_csv(csv)
    assert list(table["y_metric"].unique()) == ["reconstruction_error", *more]
    assert front_of(table, "linear_r2/circle_x") == [(0.0, 0.0), (0.0, 0.5)]
    assert front_of(table, "size") == []
    pairs = [("reconstruction_error", name) for name in more]
    summary = summary_of(path, metrics=["reconstruction_error", *more])
    cells = points(summary, pairs)
    figure = draw(cells, summary, ByField.of(cells, summary.layout.axes, None), "")
    assert [panel.get_ylabel() for panel in figure.axes] == ["R², circle x\nhigher is better", "size"]


def test_colours_tell_gamma_then_lambda_then_what_is_asked_for(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {**AXES, "lam": [0.0, 10.0]}, metrics=curve)
    summary = summary_of(path, metrics=["kl", "reconstruction_error", "mcc"])
    cells = points(summary, PAIRS)
    axes = summary.layout.axes
    looks = ByField.of(cells, axes, None)
    assert (looks.colour, looks.shape, looks.joined) == ("gamma", "lam", "beta")
    assert list(looks.colours) == [0.0, 0.5]
    brightness = [sum(colour[:3]) for colour in looks.colours.values()]
    assert brightness == sorted(brightness)
    assert ByField.of(cells, axes, "lambda").colour == "lam"
    coloured = ByField.of(cells, axes, "beta")
    assert (coloured.joined, {coloured.shape, coloured.sized}) == ("beta", {"gamma", "lam"})
    with pytest.raises(UserError, match="--colour alpha is not swept here; give one of lambda, beta, gamma"):
        ByField.of(cells, axes, "alpha")


def test_cells_do_not_look_alike_or_the_title_says_so(tmp_path: Path) -> None:
    axes: dict[str, list[Any]] = {"num_latents": [4, 10], "gamma": [0.0, 0.8], "lam": [0.0, 30.0], "beta": [1.0]}
    summary = summary_of(write_sweep(tmp_path / "s", axes, metrics=curve), metrics=["reconstruction_error", "mcc"])
    figure, cells = figure_of(summary), points(summary, PAIRS[1:])
    assert {"λ = 0", "λ = 30"} <= {text.get_text() for text in figure.legends[0].get_texts()}
    looks = ByField.of(cells, summary.layout.axes, None)
    alike = [(looks.colours[cell["gamma"]], *looks.marker_of(cell).values()) for _, cell in cells.iterrows()]
    assert len({*alike}) == len(cells) == 8
    assert "look alike" not in title_of("s", summary, looks)
    more = summary_of(write_sweep(tmp_path / "more", {**axes, "alpha": [0.5, 1.0]}, metrics=curve), metrics=["mcc"])
    title = title_of("more", more, ByField.of(more.cells, more.layout.axes, None))
    assert title.endswith("\ncells that differ in λ alone look alike")


def test_the_title_tells_of_lines_where_there_are_any(tmp_path: Path) -> None:
    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}
    stopped = write_sweep(tmp_path / "s", axes, lambda c: ("finished" if c["beta"] == 1 else "failed", 300), curve)
    for path, said in ((write_sweep(tmp_path / "f", axes, metrics=curve), True), (stopped, False)):
        title = figure_of(summary_of(path, metrics=["kl", "reconstruction_error", "mcc"])).get_suptitle()
        assert ("lines run along β" in title) == said


def test_where_fields_do_not_tell_cells_apart_whole_settings_do(tmp_path: Path) -> None:
    axes = {"model": ["beta_vae", "inertia_vae"], "beta": [0.1, 1.0], "gamma": [0.0, 0.5], "lam": [0.0, 3.0, 30.0]}
    path = write_sweep(tmp_path / "s", {**axes, "seed": [0, 1]}, metrics=curve)
    summary, trials = summary_of(path, metrics=["kl", "reconstruction_error", "mcc"]), final(load(path))
    cells = points(summary, PAIRS[1:])
    assert ByField.of(cells, summary.layout.axes, None).hidden
    looks = looks_of(cells, trials, summary.layout.axes, None)
    assert isinstance(looks, BySetting)
    told = [(looks.colour_of(cell), *looks.marker_of(cell).values()) for _, cell in cells.iterrows()]
    assert len({*told}) == len(cells) == 2 * (1 + 6)
    figure = draw(cells, summary, looks, title_of("s", summary, looks))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"the β-VAE", "model = inertia_vae", "γ = 0.5", "λ = 30", "γ = 0.5, λ = 3", "β = 1"} <= {*texts}
    assert "look alike" not in title_of("s", summary, looks)
    levels = [look for look, name in looks.names.items() if name in ("λ = 3", "λ = 30")]
    assert levels[0][0] == levels[1][0] and levels[0][1] != levels[1][1]  # a colour for λ, a shape for how much
    assert isinstance(looks_of(cells, trials, summary.layout.axes, "lambda"), ByField)
    unfinished = trials[trials["gamma"] != 0.5]
    assert (
        looks_of(cells, unfinished, summary.layout.axes, None).colour_of(cells[cells["gamma"] == 0.5].iloc[0])
        == OF_NONE
    )


def test_a_colour_may_be_any_field_as_it_is_spelled_on_the_command_line(tmp_path: Path) -> None:
    axes = {"beta": [0.1], "lam": [1.0], "lam_schedule": ["cosine", "linear"], "schedule_iterations": [8]}
    summary = summary_of(write_sweep(tmp_path / "s", axes, metrics=curve), metrics=["reconstruction_error", "mcc"])
    cells = points(summary, PAIRS[1:])
    for text in ("lambda-schedule", "lam_schedule"):
        looks = ByField.of(cells, summary.layout.axes, text)
        assert list(looks.colours) == ["cosine", "linear"]
    figure = draw(cells, summary, looks, "")
    assert "lambda schedule = linear" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_axes_name_what_they_show(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=curve)
    figure = figure_of(summary_of(path, metrics=["kl", "reconstruction_error", "mcc"]))
    rate, score = figure.axes
    assert rate.get_xlabel() == "Rate: KL (nats per frame)\nlower is better"
    assert score.get_ylabel() == "MCC\nhigher is better"
    assert "untrained" in [text.get_text() for text in score.texts]
    assert {"γ = 0", "γ = 0.5", "β = 4"} <= {text.get_text() for text in figure.legends[0].get_texts()}
    for panel in figure.axes:
        low, high = panel.get_ylim()
        assert all(low < y < high for line in panel.lines for y in np.atleast_1d(line.get_ydata()) if np.isfinite(y))


@pytest.mark.parametrize(
    "axes",
    [
        {"beta": [0.1]},
        {"gamma": [0.0, 0.5, 1.0], "beta": [0.1], "seed": [0, 1, 2]},
        {"beta_norm": [0.001, 1.0], "learning_rate": [1e-4, 1e-3], "dataset_seed": [0, 1]},
    ],
    ids=["one cell", "gamma with seeds", "other fields"],
)
def test_sweeps_of_other_shapes_are_drawn(tmp_path: Path, axes: Mapping[str, Any]) -> None:
    def metrics(config: Values, iteration: int) -> Values:
        return curve({**config, "beta": config["beta"] or 0.0}, iteration)

    path = write_sweep(tmp_path / "s", axes, metrics=metrics)
    assert is_drawn(write_tradeoff(Options(path=path, out=tmp_path / "out"))[0])


def test_autoencoders_without_kl_have_no_rate(tmp_path: Path) -> None:
    axes = {"beta": [0.0], "gamma": [0.0, 0.5], "stochastic": [False]}
    path = write_sweep(tmp_path / "s", axes, metrics=lambda c, i: {**curve(c, i), "kl": None})
    figure, csv = write_tradeoff(Options(path=path))
    assert is_drawn(figure)
    assert list(pd.read_csv(csv)["y_metric"].unique()) == ["linear_r2", "mcc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scores", "accuracy"], "'accuracy' is not a column"),
        (["--colour", "alpha"], "not swept"),
        (["--iteration", "-1"], "before the first evaluation"),
    ],
)
def test_what_does_not_exist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=curve)
    with pytest.raises(SystemExit) as exited:
        tradeoff.main([str(path), *arguments])
    assert exited.value.code == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert message in err


def test_a_sweep_that_reconstructs_nothing_has_nothing_to_trade(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=lambda config, i: {"factor_error": 0.1})
    with pytest.raises(UserError, match="no reconstruction error"):
        write_tradeoff(Options(path=path))


def test_letters_of_many_stopped_cells_do_not_cover_each_other(tmp_path: Path) -> None:
    axes = {"beta": [0.01 * i for i in range(1, 41)], "gamma": [0.0, 0.5]}
    ended = {0.0: ("stopped_early", 150), 0.5: ("diverged", 150)}
    path = write_sweep(tmp_path / "s", axes, lambda config: ended[config["gamma"]], metrics=curve)
    summary = summary_of(path, metrics=["kl", "reconstruction_error", "mcc"])
    cells = points(summary, [("kl", "reconstruction_error")])
    figure = draw(cells, summary, ByField.of(cells, summary.layout.axes, None), "")
    figure.draw_without_rendering()
    (panel,) = (panel for panel in figure.axes if panel.get_visible())
    letters = [text for text in panel.texts if text.get_text() in ("S", "D")]
    assert {text.get_text() for text in letters} == {"S", "D"}
    boxes = [text.get_window_extent() for text in letters]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
