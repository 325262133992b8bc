"""Maps of a grid, from sweep folders that are written cell by cell."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

from dd_ray.errors import UserError
from dd_ray.figures import common, grid_maps
from dd_ray.figures.cell_marks import BEST, COLLAPSED
from dd_ray.figures.colour_bar import BRACKET
from dd_ray.figures.colour_scale import ColourScale
from dd_ray.figures.common import DPI, LARGEST, MARKS, MOST_PIXELS
from dd_ray.figures.grid_maps import Options, draw, title_of, write_maps
from dd_ray.figures.maps import outline
from dd_ray.metrics import described
from dd_ray.results import summary as summary_module
from dd_ray.results.summary import Summary
from dd_ray.results.table import load
from dd_ray.storage.trial_records import LARGEST_SCORE
from tests.figures.sweeps import GRID, Values, measure, summary_of, write_sweep
from tests.processes import python
from tests.sweep.studies import ROOT

SMALL = {**GRID, "gamma": [0.0, 0.5]}
SIZES = [1e-300, 1e300, *(pytest.param(size, marks=pytest.mark.slow) for size in (1e-160, 1e30, 1e150))]


def scales_of(summary: Summary) -> dict[str, ColourScale]:
    return {metric: ColourScale.of(summary, metric) for metric in summary.cells["metric"].unique()}


def figure_of(summary: Summary) -> Figure:
    return draw(summary, list(scales_of(summary).values()), title_of("inertia_grid", summary, {}))


def panels_of(figure: Figure) -> list[Any]:
    return [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]


def is_drawn(path: Path) -> bool:
    """Whether there is something to see in a figure."""
    pixels = imread(path)[..., :3]
    return bool(min(pixels.shape[:2]) > 2 * common.DPI and pixels.std() > 0.05)


def test_every_mark_has_a_letter_of_its_own() -> None:
    assert list(MARKS) == list(summary_module.MARKS)
    assert len({letter for letter, _ in MARKS.values()} | {COLLAPSED, BEST}) == len(MARKS) + 2


def test_combinations_that_the_sweep_lacks_are_drawn(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5]})
    path = write_sweep(tmp_path / "s", {"beta": [1.0], "gamma": [0.5], "seed": [0, 1]})
    assert is_drawn(write_maps(Options(path=path, metrics=("reconstruction_error",)))[0])
    panel = figure_of(summary_of(path, metrics=["reconstruction_error"])).axes[0]
    assert sorted(text.get_text() for text in panel.texts if "0.0" not in text.get_text()) == ["·"]
    assert sum("n=1" in text.get_text() for text in panel.texts) == 2


def test_a_figure_has_the_name_of_its_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(grid_maps, "draw", lambda summary, scales, title, columns: drawn.append(title) or Figure())
    path = write_sweep(tmp_path / "half $ and $", {"beta": [0.1], "gamma": [0.0, 0.5]})
    write_maps(Options(path=str(path), out=tmp_path))
    assert drawn == ["half \\$ and \\$\niteration 300, 1 seed"]


def test_the_command_writes_a_figure_and_its_numbers(tmp_path: Path) -> None:
    ended = {0.0: ("finished", 300), 0.5: ("stopped_early", 150), 0.9: ("failed", -1)}
    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1]}, lambda config: ended[config["gamma"]])
    done = python(ROOT / "analysis" / "grid_maps.py", path, strict=True)
    assert done.returncode == 0, done.stderr
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


@pytest.mark.usefixtures("undrawn")
def test_a_map_of_an_iteration_does_not_replace_the_one_of_the_end(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", GRID)
    at_the_end = write_maps(Options(path=path, metrics=("mcc",)))
    written = at_the_end + write_maps(Options(path=path, metrics=("mcc",), iteration=200, out=path / "figures"))
    names = ["grid_maps.png", "grid_maps.csv", "grid_maps_iteration_150.png", "grid_maps_iteration_150.csv"]
    assert [file.name for file in written] == names
    assert all(file.is_file() for file in written)


def test_fields_beyond_three_make_a_figure_for_each_of_their_values(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {**SMALL, "learning_rate": [1e-4, 1e-3], "decode": ["filtered", "extrapolated"]})
    *figures, csv = write_maps(Options(path=path, metrics=("mcc",), out=tmp_path / "out"))
    rests = [
        f"decode_{decode}_learning_rate_{rate}" for decode in ("extrapolated", "filtered") for rate in (0.0001, 0.001)
    ]
    assert [figure.name for figure in figures] == [f"grid_maps_{rest}.png" for rest in rests]
    assert all(map(is_drawn, figures))
    assert len(pd.read_csv(csv)) == 2 * 2 * 2 * 4


def test_texts_with_slashes_and_dollars_are_drawn_each_in_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = {**SMALL, "decode": ["filtered", "extrapolated"], "motion": ["linear", "axis"]}
    path = write_sweep(tmp_path / "s", axes)
    texts = {"decode": {"filtered": "../a", "extrapolated": ".._a"}, "motion": {"linear": "$5_{$", "axis": "US$"}}
    axes |= {name: list(of.values()) for name, of in texts.items()}
    table = load(path).replace(texts)
    monkeypatch.setattr(grid_maps.results, "load", lambda *_: table)
    monkeypatch.setattr(grid_maps.results, "manifest_of", lambda *_: {"axes": axes, "options": {"iterations": 300}})
    for x in (None, "motion"):
        *figures, _ = write_maps(Options(path=path, metrics=("mcc",), out=tmp_path / "out", x=x))
        assert len({*figures}) == len(figures) == 4
        assert all(figure.parent == tmp_path / "out" and is_drawn(figure) for figure in figures)


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
    assert is_drawn(write_maps(Options(path=path, metrics=("mcc", "active_units")))[0])


def test_curves_of_no_difference_have_an_axis_of_plain_numbers(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.0, 0.03, 0.3, 3.0], "gamma": [0.5], "seed": [0, 1]})
    figure = figure_of(summary_of(path, reference="beta"))
    figure.draw_without_rendering()
    assert all(panel.get_ylim() == (-1, 1) for panel in panels_of(figure))


def test_a_curve_can_have_columns(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.0, 0.1, 1.0], "lam": [0.0, 1.0]})
    figure, csv = write_maps(Options(path=path, metrics=("mcc",), x="beta", columns="lambda"))
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
    summary = summary_of(write_sweep(tmp_path / "s", GRID))
    scales = scales_of(summary)
    ends = {name: (scale.norm.vmin or 0.0, scale.norm.vmax or 0.0) for name, scale in scales.items()}
    error = summary.cells.loc[summary.cells["metric"] == "reconstruction_error", "mean"]
    assert ends["reconstruction_error"] == (error.min(), error.max())
    assert ends["active_units"] == (0, 4)
    brightness = {name: [sum(scale.colour(end)) for end in ends[name]] for name, scale in scales.items()}
    assert brightness["linear_r2"][0] < brightness["linear_r2"][1]
    assert brightness["active_units"][0] < brightness["active_units"][1]
    assert brightness["reconstruction_error"][0] > brightness["reconstruction_error"][1]
    assert "lower is better" in scales["reconstruction_error"].label
    assert "higher is better" in scales["linear_r2"].label
    assert scales["mcc"].cmap == "viridis"
    assert ColourScale.of(summary_of(tmp_path / "s", metrics=["seconds"]), "seconds").label == "seconds"
    figure = figure_of(summary)
    for row in np.reshape(panels_of(figure), (4, 2)):
        cells = [patch.get_facecolor()[:3] for panel in row for patch in panel.patches]
        assert len({*cells}) <= 12 and len(cells) == 12


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0.44, 0.49, {0.461: "0.461", 0.48: "0.480"}),
        (0.4611, 0.4618, {0.4611: "0.46110", 0.4615: "0.46150"}),
        (0.00758, 0.00834, {0.00827: "0.00827"}),
        (0.011690, 0.011832, {0.01169: "0.011690", 0.01183: "0.011830"}),
        (1e-9, 30.0, {0.000123: "0.000123", 30.0: "30.0"}),
        (0.0, 250.0, {123.4: "123", 2.5: "3", 2.0: "2"}),
        (-0.2, 0.9, {-0.0001: "0.000", -0.123: "-0.123", 0.85: "0.850"}),
        (0.00387, 0.0159, {0.00387: "0.0039", 0.0159: "0.0159"}),
        (0.0, 1500.0, {1234.4: "1234", 37.31: "37", 0.0: "0"}),
        (0.0, 2e-5, {1.234e-5: "0.0000123"}),
        (-2e6, 0.0, {-1234567.0: "-1.23e+6"}),
    ],
)
def test_numbers_can_be_told_apart(low: float, high: float, values: Mapping[float, str]) -> None:
    scale = ColourScale("kl", Normalize(low, high), "cividis", "")
    assert {value: scale.text(value) for value in values} == values
    steps = np.linspace(low, high, 20)
    assert len({scale.text(float(step)) for step in steps}) == len(steps)


@pytest.mark.parametrize("metric", ["active_units", "active_units_stills"])
def test_counts_are_written_as_counts(metric: str) -> None:
    scale = ColourScale(metric, Normalize(0, 4), "cividis", "")
    assert [scale.text(value) for value in (0.0, 4.0, 3.5, 11 / 3)] == ["0", "4", "3.5", "3.67"]


def test_the_figure_says_what_it_shows(tmp_path: Path) -> None:
    path = write_sweep(
        tmp_path / "s", GRID, lambda c: ("stopped_early", 150) if c["gamma"] == 0.9 else ("finished", 300)
    )
    figure = figure_of(summary_of(path))
    assert figure.get_suptitle() == "inertia_grid\niteration 300, 1 seed"
    (legend,) = figure.legends
    best, *states = [text.get_text() for text in legend.get_texts()]
    assert best == "no ★: no cell can be told apart by error per pixel, R², MCC"
    assert states == ["S  stopped early at iteration 150"]
    panels = panels_of(figure)
    assert len(panels) == 4 * 2
    assert [panel.get_title() for panel in panels[:2]] == ["λ = 0", "λ = 10"]
    assert (panels[-2].get_xlabel(), panels[-2].get_ylabel()) == ("γ", "β")
    marked = [text.get_text() for text in panels[0].texts if "S 150" in text.get_text()]
    assert len(marked) == 2
    assert sum(bool(patch.get_hatch()) for patch in panels[0].patches) == 2


def test_a_stopped_cell_of_a_curve_is_hollow_and_not_connected(tmp_path: Path) -> None:
    ended = {0.0: ("finished", 300), 0.1: ("stopped_early", 150), 1.0: ("finished", 300)}
    path = write_sweep(tmp_path / "s", {"beta": list(ended), "seed": [0, 1]}, lambda c: ended[c["beta"]])
    panel = figure_of(summary_of(path, metrics=["mcc"])).axes[0]
    connected, hollow = (line for line in panel.lines if (line.get_marker(), line.get_markersize()) == ("o", 5))
    assert list(np.isnan(connected.get_ydata())) == [False, True, False]
    assert list(np.isnan(hollow.get_ydata())) == [True, False, True]
    assert (connected.get_linestyle(), hollow.get_linestyle()) == ("-", "None")
    assert hollow.get_markerfacecolor() == "white"
    assert [text.get_text() for text in panel.texts] == ["", "S 150", "", "untrained"]
    assert [bool(patch.get_hatch()) for patch in panel.patches] == [True]
    (dots,) = (line for line in panel.lines if line.get_markersize() == 3)
    assert len(dots.get_xdata()) == 4  # the complete seeds


def test_the_untrained_score_is_on_the_scale(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.0, 0.1], "gamma": [0.0, 0.5]})
    summary = summary_of(path, metrics=["reconstruction_error", "linear_r2", "mcc"])
    _, r2, mcc = scales_of(summary).values()
    # Trained networks lie below it here, and the scale is extended; MCC does not change by training.
    assert (r2.norm.vmin, r2.norm.vmax) == pytest.approx((-0.3, 0.5))
    assert (mcc.norm.vmin, mcc.norm.vmax) == pytest.approx((0.5, 0.55))
    bars = [axes for axes in figure_of(summary).axes if axes.get_label() == "<colorbar>"]
    # That of γ = 0 and of γ = 0.5, which the bar stands beside.
    for axes, ends in zip(bars, ([], [0.0, 0.5], [0.5, 0.55]), strict=True):
        ticks = dict(zip(axes.yaxis.get_minorticklocs(), axes.yaxis.get_ticklabels(minor=True), strict=False))
        labels = {at: label.get_text() for at, label in ticks.items() if label.get_text()}
        assert list(labels) == pytest.approx([np.mean(ends)] if ends else [])
        assert set(labels.values()) == ({"untrained"} if ends else set())
        levels = sorted({float(line.get_ydata()[0]) for line in axes.lines})
        assert levels == pytest.approx(ends)


def test_the_untrained_score_of_a_curve_is_that_of_each_cell(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0, 0.5, 0.9]})
    (panel,) = panels_of(figure_of(summary_of(path, metrics=["linear_r2"])))
    lines = [each for each in panel.collections if isinstance(each, LineCollection)]
    segments = [segment for each in lines for segment in each.get_segments() if len(segment) == 2]
    levels = {float(start[0]): float(start[1]) for start, end in segments if start[1] == end[1]}
    assert levels == pytest.approx({-0.5: 0.0, 0.5: 0.5, 1.5: 0.9})


def noisy(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
    """Cells that differ by less than their seeds do."""
    rng = np.random.default_rng([config["seed"], int(10 * config["gamma"]), int(10 * config["beta"])])
    return {"mcc": 0.5 + 0.01 * rng.normal(), "active_units": 4.0}


def test_a_scale_spans_three_least_significant_differences_and_shows_one(tmp_path: Path) -> None:
    axes = {"beta": [0.0, 0.1], "gamma": [0.0, 0.5, 0.9], "seed": [0, 1]}
    path = write_sweep(tmp_path / "s", axes, metrics=noisy)
    for reference in (None, "gamma"):
        summary = summary_of(path, metrics=["mcc", "active_units"], reference=reference)
        scale, counts = scales_of(summary).values()
        half = (summary.cells["high"] - summary.cells["mean"])[summary.cells["metric"] == "mcc"].median()
        assert scale.noise == pytest.approx(half * (1 if reference else np.sqrt(2)))
        low, high = scale.norm.vmin or 0.0, scale.norm.vmax or 0.0
        assert high - low >= 3 * scale.noise * (1 - 1e-9)
        assert counts.noise is None
        bars = [axes for axes in figure_of(summary).axes if axes.get_label() == "<colorbar>"]
        brackets = [[line for line in bar.lines if line.get_gid() == BRACKET] for bar in bars]
        assert [len(lines) for lines in brackets] == [1, 0]
        ends = np.ptp(brackets[0][0].get_ydata())
        assert ends == pytest.approx(scale.noise)


def unsure(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
    """Scores of two seeds each, whose intervals go past what there can be."""
    return {
        "mcc": 0.8 + 0.15 * (-1) ** config["seed"],
        "linear_r2": 0.9 + 0.1 * (-1) ** config["seed"],
        "reconstruction_error": 0.02 + 0.01 * (-1) ** config["seed"],
        "active_units": 4.0 - config["seed"],
        "active_units_stills": 3.0 - config["seed"],
    }


@pytest.mark.parametrize("gammas", [[0.0, 0.5], [0.5]])
def test_no_axis_goes_past_the_values_that_there_can_be(tmp_path: Path, gammas: list[float]) -> None:
    axes = {"beta": [0.0, 0.1], "gamma": gammas, "seed": [0, 1]}
    names = ["mcc", "linear_r2", "reconstruction_error", "active_units", "active_units_stills"]
    summary = summary_of(write_sweep(tmp_path / "s", axes, metrics=unsure), metrics=names)
    scales = scales_of(summary)
    mcc, r2, error, *units = ((scale.norm.vmin, scale.norm.vmax) for scale in scales.values())
    assert (mcc, r2[1], error[0], units) == ((0, 1), 1, 0, [(0, 4)] * 2)
    assert r2[1] - r2[0] == pytest.approx(3 * scales["linear_r2"].noise)
    figure = figure_of(summary)
    for panel in panels_of(figure) if len(gammas) == 1 else ():
        low, high = panel.get_ylim()
        of = described(names[list(panels_of(figure)).index(panel)])
        margin = 0.04 * (high - low)
        assert low >= of.within[0] - margin and high <= (4.1 if of.count else of.within[1] + margin)
    for bar in (axes for axes in figure.axes if axes.get_label() == "<colorbar>"):
        low, high = bar.get_ylim()
        brackets = [line for line in bar.lines if line.get_gid() == BRACKET]
        assert all(low <= y <= high for line in brackets for y in np.asarray(line.get_ydata()))


def test_noise_has_no_star_and_the_legend_says_so(tmp_path: Path) -> None:
    axes = {"beta": [0.0, 0.1], "gamma": [0.0, 0.5, 0.9], "seed": [0, 1]}
    path = write_sweep(tmp_path / "s", axes, metrics=noisy)
    figure = figure_of(summary_of(path, metrics=["mcc"]))
    (panel,) = panels_of(figure)
    assert not any(BEST in text.get_text() for text in panel.texts) and outlined(panel) == set()
    said = "\n".join(text.get_text() for text in figure.legends[0].get_texts())
    assert "no ★: no cell can be told apart by MCC" in said
    figure = figure_of(summary_of(path, metrics=["mcc"], reference="gamma"))
    said = "\n".join(text.get_text() for text in figure.legends[0].get_texts())
    assert "no ▲ ▼" in said and "MCC: 4 differences: Dunnett's bound" in said


def test_without_an_evaluation_before_training_there_is_no_untrained_score(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.0, 0.1], "gamma": [0.0, 0.5]}, evaluated=[150, 300])
    figure = figure_of(summary_of(path))
    assert not any("untrained" in label.get_text() for bar in figure.axes for label in bar.get_yticklabels(minor=True))
    assert is_drawn(write_maps(Options(path=path, metrics=("mcc",)))[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "accuracy"], "'accuracy' is not a column"),
        (["--metrics", "mmc"], "'mmc' is not a column of this sweep's table; did you mean mcc?"),
        (["--metrics", "label"], "'label' holds no numbers"),
        (["--metrics", "iteration"], "'iteration' is what a cell was given"),
        (["--x", "delta"], "'delta' is no axis"),
        (["--x", "gama"], "'gama' is no axis; did you mean gamma?"),
        (["--difference", "delta"], "'delta' is no axis"),
        (["--difference", "gamma"], "a difference to gamma = 0 needs cells where it is 0"),
        (["--difference", "beta"], "a difference to beta = 0 needs cells where it is 0"),
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


Point = tuple[float, float]


def perimeter(region: NDArray[np.bool_]) -> int:
    """Sides of cells of the region beyond which there is no other, counted one by one."""
    cells = {tuple(at) for at in np.argwhere(region)}
    return sum((y + dy, x + dx) not in cells for y, x in cells for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)))


def test_an_outline_goes_around_the_cells_together_and_not_around_each() -> None:
    block = np.zeros((3, 4), bool)
    block[1:, 1:3] = True  # 2 × 2, whose inner sides are not drawn
    segments = outline(block)
    assert len(segments) == 8
    corners = {point for segment in segments for point in segment}
    assert (min(corners), max(corners)) == ((0.5, 0.5), (2.5, 2.5))
    assert (1.5, 1.5) not in corners
    assert outline(np.zeros((2, 3), bool)) == []


def test_every_outline_is_closed_and_as_long_as_the_perimeter() -> None:
    rng = np.random.default_rng(0)
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    for region in [ring, *(rng.random((6, 8)) < share for share in (0.1, 0.5, 0.9))]:
        segments = outline(region)
        assert len({*segments}) == len(segments) == perimeter(region)
        ends = Counter(point for segment in segments for point in segment)
        assert all(number in (2, 4) for number in ends.values())
        assert all(math.dist(*segment) == 1 for segment in segments)
    assert len(outline(ring)) == 12 + 4


def outlined(panel: Any) -> set[tuple[Point, Point]]:
    """Sides of cells that are outlined in a panel."""
    return {
        (tuple(start), tuple(end))
        for lines in panel.collections
        if isinstance(lines, LineCollection)
        for start, end in lines.get_segments()
    }


def test_the_best_region_is_outlined_and_the_best_cell_starred(tmp_path: Path) -> None:
    def measured(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        level = {0.0: 0.1, 0.5: 0.8, 0.9: 0.79}[config["gamma"]] + 0.01 * (config["lam"] > 0)
        return {"mcc": level + 0.005 * config["seed"], "active_units": 4.0}

    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1, 2]}, metrics=measured)
    figure = figure_of(summary_of(path, metrics=["mcc", "active_units"]))
    plain, with_penalty, *counts = panels_of(figure)
    # γ = 0.5 and 0.9 at both β together, in both panels.
    sides = {*outline(np.array([[False, True, True]] * 2))}
    assert outlined(plain) == outlined(with_penalty) == sides
    assert [text.get_text() for text in plain.texts if BEST in text.get_text()] == []
    (best,) = [text for text in with_penalty.texts if BEST in text.get_text()]
    assert best.get_position() == (1, 0)
    assert all(outlined(panel) == set() for panel in counts)  # more active units are no gain
    said = figure.legends[0].get_texts()[0].get_text()
    # Of eight cells as good: the best of eight looks 1.42 standard errors better than it is.
    cells = summary_of(path, metrics=["mcc"]).cells
    luck = 1.4236 * float(cells.loc[cells["best"], "error"].iloc[0])
    assert said.startswith("★") and f"MCC: {luck:.2g}" in said
    one = figure_of(summary_of(write_sweep(tmp_path / "one", GRID, metrics=measured), metrics=["mcc"]))
    assert [outlined(panel) for panel in panels_of(one)] == [set(), set()]
    assert one.legends[0].get_texts()[0].get_text() == "no ★: no cell can be told apart by MCC"


def test_a_collapsed_cell_is_crossed_out_however_good_it_looks(tmp_path: Path) -> None:
    def measured(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        collapsed = iteration == 300 and config["beta"] == 1.0 and (config["gamma"] == 0.5 or config["seed"] == 1)
        return {"mcc": 0.9 if collapsed else 0.5, "active_units": 0.0 if collapsed else 4.0}

    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "seed": [0, 1]}, metrics=measured)
    (panel,) = panels_of(figure := figure_of(summary_of(path, metrics=["mcc"])))
    texts = {text.get_position(): text.get_text().splitlines() for text in panel.texts}
    assert (texts[1, 1][-1], texts[0, 1][-1]) == ("C", "C 1/2")
    crosses = {(np.mean(line.get_xdata()), np.mean(line.get_ydata())) for line in panel.lines}
    assert (crosses, len(panel.lines)) == ({(0, 1), (1, 1)}, 4)
    assert "C  collapsed: no active unit (C 1/2: in one seed of two)" in [
        text.get_text() for text in figure.legends[0].get_texts()
    ]
    (before,) = panels_of(figure_of(summary_of(path, metrics=["mcc"], iteration=150)))
    assert not before.lines and not any("C" in text.get_text() for text in before.texts)
    (curve,) = panels_of(figure_of(summary_of(path, metrics=["mcc"], places={"x": "beta", "columns": "gamma"})))[1:]
    crossed = next(line for line in curve.lines if line.get_marker() == "x")
    assert list(np.isnan(crossed.get_ydata())) == [True, False]


def test_differences_share_a_scale_symmetric_around_0(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1, 2]})
    summary = summary_of(path, metrics=["mcc", "reconstruction_error", "prediction_ratio"], reference="gamma")
    mcc, error, ratio = scales_of(summary).values()
    assert (mcc.norm.vmin, mcc.norm.vmax) == pytest.approx((-0.09, 0.09))
    assert (error.norm.vmin, error.norm.vmax) == pytest.approx((-0.0009, 0.0009))
    for scale in (mcc, error, ratio):
        low, high = scale.norm.vmin or 0, scale.norm.vmax or 0
        assert low == -high
        assert min(scale.colour(0.0)) > 0.95
        assert sum(scale.colour(low)) == pytest.approx(sum(scale.colour(high)), abs=0.5)
    # Blue is better.
    assert mcc.colour(0.09)[2] > mcc.colour(0.09)[0] and error.colour(-0.0009)[2] > error.colour(-0.0009)[0]
    assert "minus that at γ = 0" in mcc.label and "above 0 is better" in mcc.label
    assert [mcc.text(value) for value in (0.05, -0.09, 0.0, -0.00001)] == ["+0.0500", "−0.0900", "0", "0.0000"]


def test_the_map_of_differences_marks_what_differs_for_sure(tmp_path: Path) -> None:
    def measured(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        effect = {0.0: 0.0, 0.5: 0.1, 0.9: -0.1, 1.0: 0.0}[config["gamma"]]
        noise = np.random.default_rng([config["seed"], int(100 * config["gamma"])]).normal()
        return {"mcc": 0.5 + config["seed"] / 10 + effect + 0.001 * noise}

    axes = {"beta": [0.0, 0.1], "gamma": [0.0, 0.5, 0.9, 1.0]}
    path = write_sweep(tmp_path / "s", {**axes, "seed": [0, 1, 2]}, metrics=measured)
    figure_path, csv = write_maps(Options(path=str(path), difference="gamma"))
    assert (figure_path.name, csv.name) == ("grid_maps_difference_gamma.png", "grid_maps_difference_gamma.csv")
    assert is_drawn(figure_path)
    table = pd.read_csv(csv)
    assert list(table["differs"]) == [True, True, False] * 2
    assert list(table["gamma"]) == [0.5, 0.9, 1.0] * 2
    (family,) = set(table["family"])
    assert family.startswith("6 differences: Dunnett's bound")
    figure = figure_of(summary_of(path, reference="gamma"))
    (panel,) = panels_of(figure)
    marks = [mark if mark in "▲▼" else None for mark in (text.get_text()[0] for text in panel.texts)]
    assert marks == ["▲", "▼", None] * 2
    assert outlined(panel) == set()
    assert "difference to γ = 0, paired by seed" in figure.get_suptitle()
    one = figure_of(summary_of(write_sweep(tmp_path / "one", axes, metrics=measured), reference="gamma"))
    assert "fewer than 2 seeds in common: no interval, and no cell is marked" in one.get_suptitle()
    assert not any(mark in text.get_text() for text in panels_of(one)[0].texts for mark in "▲▼")


def test_a_mark_beside_an_interval_that_holds_0_is_hollow_and_explained(tmp_path: Path) -> None:
    def measured(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        noise = np.random.default_rng([config["seed"], int(10 * config["gamma"]), int(10 * config["beta"])]).normal()
        usual = 0.001 if config["beta"] else 1.0
        return {"reconstruction_error": usual * np.exp(config["gamma"] + 0.05 * noise)}

    axes = {"beta": [0.0, 0.1, 0.2, 0.3], "gamma": [0.0, 0.2, 1.0], "seed": [0, 1, 2]}
    path = write_sweep(tmp_path / "s", axes, metrics=measured)
    summary = summary_of(path, metrics=["reconstruction_error"], reference="gamma")
    (panel,) = panels_of(figure := figure_of(summary))
    said = "\n".join(text.get_text() for text in figure.legends[0].get_texts())
    marks = {}
    for cell, text in zip(summary.cells.to_dict("records"), panel.texts, strict=True):
        holds = cell["low"] <= 0 <= cell["high"]
        marks[cell["beta"], cell["gamma"]] = mark = text.get_text().split()[0]
        assert mark in ("△" if holds else "▲") or not cell["differs"]
    assert {"△", "▲"} <= {*marks.values()}
    assert "△ ▽  the same by this test alone, as the interval ± holds 0" in said and "bound of logs" in said
    assert "±  of each cell by itself: without any effect, one in 20 excludes 0" in said
    said = "\n".join(text.get_text() for text in figure_of(summary_of(path)).legends[0].get_texts())
    assert "△" not in said and "excludes 0" not in said


def test_many_panels_go_on_in_further_rows(tmp_path: Path) -> None:
    axes = {"beta": [0.0, 0.1], "gamma": [i / 6 for i in range(6)], "lam": [0.0, 1.0, 10.0]}
    figure = figure_of(summary_of(write_sweep(tmp_path / "s", axes), metrics=["mcc", "linear_r2"]))
    assert figure.get_size_inches()[0] <= LARGEST
    panels = panels_of(figure)
    assert [panel.get_visible() for panel in panels] == [True, True, True, False] * 2
    assert [panel.get_title() for panel in panels[:3]] == ["λ = 0", "λ = 1", "λ = 10"]
    assert [panel.get_xlabel() for panel in panels] == ["", "γ", "γ", ""] * 2


def test_what_is_too_large_for_a_figure_goes_on_in_another(tmp_path: Path) -> None:
    axes = {"beta": [i / 8 for i in range(9)], "gamma": [i / 8 for i in range(9)], "lam": [0.0, 1.0]}
    path = write_sweep(tmp_path / "s", axes, evaluated=(300,))
    drawn: dict[str, Figure] = {}
    write = grid_maps.write

    def kept(folder: Path, figures: Mapping[str, Figure], tables: Mapping[str, pd.DataFrame]) -> list[Path]:
        drawn.update(figures)
        return write(folder, figures, {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid_maps, "write", kept)
        patch.setattr(common, "DPI", DPI)
        files = write_maps(Options(path=str(path), metrics=("mcc",), out=tmp_path))
    assert [file.name for file in files] == ["grid_maps_1.png", "grid_maps_2.png"]
    assert all(max(imread(file).shape[:2]) <= MOST_PIXELS for file in files)
    titles = [[panel.get_title() for panel in panels_of(figure) if panel.get_visible()] for figure in drawn.values()]
    assert titles == [["λ = 0"], ["λ = 1"]]


def test_a_cell_too_small_for_numbers_still_says_what_it_is(tmp_path: Path) -> None:
    axes = {"beta": [0.0, 0.1], "gamma": [i / 12 for i in range(12)]}

    def measured(config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        collapsed = config["gamma"] > 0.9 or (config["gamma"] > 0.8 and config["seed"])
        noise = np.random.default_rng([config["seed"], int(1000 * config["gamma"])]).normal()
        return {"mcc": config["gamma"] + 1e-4 * noise, "active_units": 4.0 * (not collapsed)}

    ended = {0.0: ("finished", 300), 0.1: ("stopped_early", 150)}
    path = write_sweep(tmp_path / "s", {**axes, "seed": [0, 1]}, lambda c: ended[c["beta"]], measured)
    (panel,) = panels_of(figure := figure_of(summary_of(path, metrics=["mcc"])))
    assert [text.get_text() for text in panel.texts] == [*[""] * 9, "★", "c", "C", *["S"] * 10, "Sc", "SC"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "C  collapsed: no active unit (c: in some seeds)" in legend
    (panel,) = panels_of(figure_of(summary_of(path, metrics=["mcc"], reference="gamma")))
    assert [text.get_text() for text in panel.texts] == [*["▲"] * 9, "c+", "C+", *["S+"] * 9, "Sc+", "SC+"]
    write_sweep(tmp_path / "one", axes, metrics=measured)
    (panel,) = panels_of(figure_of(summary_of(tmp_path / "one", metrics=["mcc"], reference="gamma")))
    assert [text.get_text() for text in panel.texts] == [*["+"] * 10, "C+"] * 2


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


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("difference", [None, "gamma"])
def test_a_score_of_any_size_is_mapped_beside_usual_ones(tmp_path: Path, size: float, difference: str | None) -> None:
    def some(config: Values, iteration: int) -> Values:
        usual = 0.01 + 0.001 * config["seed"] + config["gamma"]
        own = size * (1 + config["seed"] + config["beta"])
        return {"reconstruction_error": own, "linear_r2": usual if config["gamma"] else own, "active_units": 4.0}

    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "seed": [0, 1]}, metrics=some)
    picture, numbers = write_maps(Options(path=str(path), difference=difference))
    means = pd.read_csv(numbers).query("metric == 'linear_r2'")["mean"]
    assert picture.is_file() and len(means) == (2 if difference else 4)
    if not difference:
        assert means.max() == pytest.approx(max(size * 2.5, 0.5105))


@pytest.mark.parametrize("difference", [None, "gamma"])
def test_the_largest_scores_of_either_sign_are_mapped_together(tmp_path: Path, difference: str | None) -> None:
    def some(config: Values, iteration: int) -> Values:
        return {"reconstruction_error": LARGEST_SCORE * (1 if config["gamma"] else -1)}

    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "seed": [0, 1]}, metrics=some)
    assert write_maps(Options(path=str(path), difference=difference))[0].is_file()


def test_numbers_of_unusual_size_have_an_exponent() -> None:
    huge, tiny = (ColourScale("kl", Normalize(0, size), "cividis", "", noise=size) for size in (1e30, 1e-12))
    assert (huge.text(1e30), huge.interval_text(2.5e29), huge.text(-1e30)) == ("1.00e+30", "2.50e+29", "-1.00e+30")
    assert (tiny.text(1e-12), tiny.interval_text(2.5e-13), tiny.text(0.0)) == ("1.00e-12", "2.5e-13", "0")


def test_the_example_of_the_page_draws_the_maps_into_a_folder_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sweep(tmp_path / "results" / "inertia_grid_quick", {"beta": [0.1, 1]})
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "analysis" / "README.md").read_text(), re.DOTALL)
    exec(compile(example, "analysis/README.md", "exec"), {})
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {"grid_maps.png", "grid_maps.csv"}
