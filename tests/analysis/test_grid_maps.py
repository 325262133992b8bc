"""Maps of a grid, from sweep folders that are written cell by cell."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy import stats

from analysis import grid_maps
from analysis.grid_maps import (
    COMPLETE,
    Layout,
    Options,
    choose_layout,
    field_named,
    map_cells,
    map_iteration,
    mean_interval,
    swept_fields,
    trials_at,
    write_maps,
)
from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.options import product
from dd_ray.sweep.plan import cell_label
from dd_ray.sweep.store import Outcome, State, SweepFolder

Values = Mapping[str, Any]
EVALUATED = (0, 150, 300)


def measure(config: Values, iteration: int) -> Values:
    """Metrics that tell every cell, seed and iteration apart."""
    base = config["gamma"] + 0.1 * config["lam"] + 0.01 * config["seed"]
    return {
        "reconstruction_error": 0.01 + 0.001 * base + 1 / (100 + iteration),
        "linear_r2": base - iteration / 1000,
        "mcc": 0.5 + 0.1 * base,
        "active_units": 4.0,
        "prediction_ratio": None if config["gamma"] == 1 else 0.1,
    }


def write_sweep(
    path: Path,
    axes: Mapping[str, Sequence[Any]],
    ended: Callable[[Values], tuple[str, int]] = lambda config: ("finished", 300),
    metrics: Callable[[Values, int], Values] = measure,
    iterations: int = 300,
) -> Path:
    """A sweep as a run would leave it; `ended` says how each cell ended, and at which iteration."""
    sweep = SweepFolder(path)
    axes = {"model": ["inertia_vae"], "seed": [0], **axes}
    options = {"iterations": iterations}
    sweep.create({"study": "inertia_grid", "axes": dict(axes), "options": options})
    swept = [name for name, values in axes.items() if len(values) > 1]
    for config in product({name: tuple(values) for name, values in axes.items()}):
        values = config.to_dict()
        state, reached = ended(values)
        cell = sweep.cell(config.key)
        cell.create(values, cell_label(values, swept))
        for iteration in [i for i in EVALUATED if i <= reached]:
            cell.record({"iteration": iteration, "seconds": 1.0, **metrics(values, iteration)})
        if state not in ("unfinished", "missing"):
            cell.finish(
                Outcome(state=cast(State, state), iteration=reached, error="boom" if state == "failed" else None)
            )
    return path


GRID = {"beta": [0.0, 0.1], "gamma": [0.0, 0.5, 0.9], "lam": [0.0, 10.0]}


def cells_of(path: Path, iteration: int | None = None, metric: str = "linear_r2") -> pd.DataFrame:
    """The cells of one metric, by β, γ, λ."""
    maps = grid_maps.maps_of(
        results.load(path),
        SweepFolder.open(path).manifest(),
        Options(path=path, metrics=(metric,), iteration=iteration),
    )
    return maps.cells.set_index(list(maps.layout.axes)).sort_index()


def only_cell(path: Path, iteration: int | None = None, metric: str = "linear_r2") -> Values:
    (cell,) = cells_of(path, iteration, metric).to_dict("records")
    return cell


def by_seed(*ended: tuple[str, int]) -> Callable[[Values], tuple[str, int]]:
    """How the seeds of a cell end, in their order."""
    return lambda config: ended[config["seed"]]


def is_drawn(path: Path) -> bool:
    """Whether there is something to see in a figure."""
    pixels = imread(path)[..., :3]
    return bool(pixels.shape[0] > 300 and pixels.shape[1] > 300 and pixels.std() > 0.05)


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


def test_one_seed_has_no_interval_and_none_has_no_mean() -> None:
    assert mean_interval(np.array([2.0])) == pytest.approx((2.0, math.nan, math.nan), nan_ok=True)
    assert mean_interval(np.array([])) == pytest.approx((math.nan,) * 3, nan_ok=True)
    assert mean_interval(np.array([2.0, 2.0])) == (2.0, 2.0, 2.0)


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
        ("missing", -1, "missing", None),
        ("finished", 150, "earlier", -0.15),  # when fewer iterations were asked for
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


def test_all_of_a_running_sweep_is_unfinished_at_its_end_and_complete_where_it_is(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", GRID, lambda config: ("unfinished", 150))
    assert set(cells_of(path)["mark"]) == {"unfinished"}
    assert set(cells_of(path, 150)["mark"]) == {COMPLETE}


def test_a_metric_without_a_value_is_undefined_or_diverged(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.5, 1.0]})
    assert list(cells_of(path, metric="prediction_ratio")["mark"]) == [COMPLETE, "undefined"]
    assert list(cells_of(path, metric="mcc")["mark"]) == [COMPLETE, COMPLETE]
    path = write_sweep(tmp_path / "d", {"beta": [0.1], "gamma": [0.5, 1.0]}, lambda c: ("diverged", 160))
    assert list(cells_of(path, 150, "prediction_ratio")["mark"]) == [COMPLETE, "diverged"]


def test_combinations_that_the_sweep_lacks_are_absent(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5]})
    path = write_sweep(tmp_path / "s", {"beta": [1.0], "gamma": [0.5], "seed": [0, 1]})
    cells = cells_of(path)
    assert cells.loc[(1.0, 0.0), "mark"] == "absent"
    assert list(cells["seeds"]) == [1, 1, 0, 2]
    assert all(map(is_drawn, write_maps(Options(path=path))[:-1]))


@pytest.mark.parametrize(
    ("axes", "layout"),
    [
        ({"beta": [0.1]}, Layout("model", None, None, ())),
        ({"beta": [0.0, 0.1], "seed": [0, 1]}, Layout("beta", None, None, ())),
        ({"beta": [0.1], "gamma": [0.0, 0.5]}, Layout("gamma", None, None, ())),
        ({"beta": [0.1, 1.0], "lam": [0.0, 1.0]}, Layout("lam", "beta", None, ())),
        ({"beta_norm": [0.1, 1.0], "gamma": [0.0, 0.5]}, Layout("gamma", "beta_norm", None, ())),
        ({"beta": [0.1], "gamma": [0.0, 0.5], "lam": [0.0, 1.0]}, Layout("gamma", "lam", None, ())),
        (GRID, Layout("gamma", "beta", "lam", ())),
        ({**GRID, "learning_rate": [1e-4, 1e-3]}, Layout("gamma", "beta", "lam", ("learning_rate",))),
        # β follows from these two, and is no axis.
        ({"beta_norm": [0.1], "num_latents": [4, 10]}, Layout("num_latents", None, None, ())),
    ],
)
def test_axes_are_the_swept_fields(tmp_path: Path, axes: Mapping[str, Sequence[Any]], layout: Layout) -> None:
    table = results.load(write_sweep(tmp_path / "s", axes))
    assert choose_layout(swept_fields(table, list(axes)), {}) == layout


def test_axes_that_were_asked_for_come_first() -> None:
    swept = ["gamma", "beta", "lam"]
    assert choose_layout(swept, {"x": "lam"}) == Layout("lam", "gamma", "beta", ())
    assert choose_layout(swept, {"columns": "gamma"}) == Layout("lam", "beta", "gamma", ())
    assert choose_layout(["beta", "lam"], {"x": "beta_norm", "y": "lam"}) == Layout("beta_norm", "lam", None, ())
    assert field_named("lambda") == field_named("lam") == "lam"
    assert field_named("num-latents") == field_named("num_latents") == "num_latents"


def test_the_iteration_of_a_map_is_an_evaluation_or_the_end() -> None:
    table = pd.DataFrame({"iteration": [0, 150, None]})
    assert [map_iteration(table, asked, 300) for asked in (0, 149, 150, 299, 300, 999, None)] == [
        0,
        0,
        150,
        150,
        300,
        300,
        300,
    ]


def test_trials_without_an_evaluation_by_then_keep_a_row(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "seed": [0, 1]}, by_seed(("finished", 300), ("missing", -1)))
    table = results.load(path)
    late = table[table["iteration"].isna() | (table["iteration"] > 0)]
    trials = trials_at(late, 100, 300)
    assert list(trials["mark"]) == ["missing", "missing"]
    assert trials["linear_r2"].isna().all()
    assert map_cells(trials, ["beta"], ["linear_r2"])["states"].tolist() == ["missing missing"]


def test_the_command_writes_a_figure_and_its_numbers(tmp_path: Path) -> None:
    ended = {0.0: ("finished", 300), 0.5: ("stopped_early", 150), 0.9: ("failed", -1)}
    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1]}, lambda config: ended[config["gamma"]])
    command = [sys.executable, "-W", "error", str(Path(grid_maps.__file__)), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    png, csv = path / "figures" / "grid_maps.png", path / "figures" / "grid_maps.csv"
    assert done.stdout.splitlines() == [str(png), str(csv)]
    assert done.stderr == ""
    assert is_drawn(png)
    table = pd.read_csv(csv)
    assert len(table) == 2 * 3 * 2 * 4
    row = table.query("beta == 0.1 and gamma == 0.5 and lam == 10 and metric == 'linear_r2'").iloc[0]
    values = [measure({"gamma": 0.5, "lam": 10, "seed": seed}, 150)["linear_r2"] for seed in (0, 1)]
    assert row["mean"] == pytest.approx(np.mean(values))
    assert row["ci_low"] < row["mean"] < row["ci_high"]
    assert (row["seeds"], row["iteration"], row["mark"]) == (2, 150, "stopped_early")
    assert row["states"] == "stopped_early@150 stopped_early@150"


def test_a_map_of_an_iteration_does_not_replace_the_one_of_the_end(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", GRID)
    written = write_maps(Options(path=path)) + write_maps(Options(path=path, iteration=200, out=path / "figures"))
    names = ["grid_maps.png", "grid_maps.csv", "grid_maps_iteration_150.png", "grid_maps_iteration_150.csv"]
    assert [file.name for file in written] == names
    assert all(file.is_file() for file in written)


def test_fields_beyond_three_make_a_figure_for_each_of_their_values(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {**GRID, "learning_rate": [1e-4, 1e-3], "decode": ["filtered", "extrapolated"]})
    *figures, csv = write_maps(Options(path=path, metrics=("mcc",), out=tmp_path / "out"))
    rests = [
        f"decode_{decode}_learning_rate_{rate}" for decode in ("extrapolated", "filtered") for rate in (0.0001, 0.001)
    ]
    assert [figure.name for figure in figures] == [f"grid_maps_{rest}.png" for rest in rests]
    assert all(map(is_drawn, figures))
    assert len(pd.read_csv(csv)) == 2 * 3 * 2 * 4


@pytest.mark.parametrize(
    "axes",
    [
        {"beta": [0.1]},
        {"beta": [0.0, 0.01, 0.1, 1.0], "seed": [0, 1, 2]},
        {"beta": [0.0, 0.1], "gamma": [i / 12 for i in range(12)]},
        {"beta_norm": [0.001, 1.0], "dataset_seed": [0, 1]},
    ],
    ids=["one cell", "curve with seeds", "wide", "other field"],
)
def test_sweeps_of_other_shapes_are_drawn(tmp_path: Path, axes: Mapping[str, Sequence[Any]]) -> None:
    ended = {0: ("finished", 300), 1: ("stopped_early", 150), 2: ("diverged", 160)}
    path = write_sweep(tmp_path / "s", axes, lambda config: ended[config["seed"]])
    assert all(map(is_drawn, write_maps(Options(path=path))[:-1]))


def test_a_curve_can_have_columns(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.0, 0.1, 1.0], "lam": [0.0, 1.0]})
    figure, csv = write_maps(Options(path=path, x="beta", columns="lambda"))
    assert is_drawn(figure)
    assert list(pd.read_csv(csv).columns[:2]) == ["lam", "beta"]


def test_supervised_sweeps_show_their_factor_error(tmp_path: Path) -> None:
    axes: dict[str, list[Any]] = {
        "model": ["supervised_encoder"],
        "dataset": ["still_circles"],
        "learning_rate": [1e-4, 1e-3],
    }
    path = write_sweep(tmp_path / "s", axes, metrics=lambda config, i: {"factor_error": 0.1, "linear_r2": 0.9})
    figure, csv = write_maps(Options(path=path))
    assert is_drawn(figure)
    assert list(pd.read_csv(csv)["metric"].unique()) == ["factor_error", "linear_r2"]


def test_one_metric_has_one_scale_and_collapse_is_dark(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", GRID)
    manifest = SweepFolder.open(path).manifest()
    maps = grid_maps.maps_of(results.load(path), manifest, Options(path=path))
    scales = {scale.metric: scale for scale in maps.scales}
    r2 = maps.cells.loc[maps.cells["metric"] == "linear_r2", "mean"]
    assert (scales["linear_r2"].norm.vmin, scales["linear_r2"].norm.vmax) == (r2.min(), r2.max())
    assert (scales["active_units"].norm.vmin, scales["active_units"].norm.vmax) == (0, 4)
    brightness = {
        name: [sum(scale.colour(float(value))) for value in (scale.norm.vmin or 0, scale.norm.vmax or 0)]
        for name, scale in scales.items()
    }
    assert brightness["linear_r2"][0] < brightness["linear_r2"][1]
    assert brightness["reconstruction_error"][0] > brightness["reconstruction_error"][1]
    assert "lower is better" in scales["reconstruction_error"].label


def test_the_figure_says_what_it_shows(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path / "s", GRID, lambda c: ("stopped_early", 150) if c["gamma"] == 0.9 else ("finished", 300)
    )
    maps = grid_maps.maps_of(results.load(path), SweepFolder.open(path).manifest(), Options(path=path))
    figure = grid_maps.draw(maps.cells, maps.trials, maps.layout, maps.scales, maps.title(maps.cells, {}))
    assert figure.get_suptitle() == "inertia_grid\niteration 300, 1 seed"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["S  stopped early at iteration 150"]
    panels = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
    assert len(panels) == 4 * 2
    assert [panel.get_title() for panel in panels[:2]] == ["λ = 0", "λ = 10"]
    assert (panels[-2].get_xlabel(), panels[-2].get_ylabel()) == ("γ", "β")
    marked = [text.get_text() for text in panels[0].texts if "S 150" in text.get_text()]
    assert len(marked) == 2
    assert sum(patch.get_hatch() == "///" for patch in panels[0].patches) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "accuracy"], "'accuracy' is no column"),
        (["--metrics", "label"], "'label' holds no numbers"),
        (["--x", "delta"], "'delta' is no axis"),
        (["--x", "gamma", "--y", "gamma"], "same field"),
        (["--iteration", "-1"], "before the first evaluation"),
    ],
)
def test_what_does_not_exist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    with pytest.raises(SystemExit) as exited:
        grid_maps.main([str(path), *arguments])
    assert exited.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        grid_maps.main([str(tmp_path)])
    assert exited.value.code == 2
    assert "holds no sweep" in capsys.readouterr().err


def test_a_sweep_without_evaluations_and_a_file_as_output_are_refused(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("missing", -1))
    with pytest.raises(UserError, match="nothing to draw"):
        write_maps(Options(path=path))
    path = write_sweep(tmp_path / "t", {"beta": [0.1, 1.0]})
    with pytest.raises(UserError, match="cannot be written"):
        write_maps(Options(path=path, out=path / "sweep.json"))
