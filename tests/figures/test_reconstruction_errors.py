"""Errors over positions: the original's published ones from its checkpoints, and cells of sweeps."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from dd_ray.data import render_circles
from dd_ray.errors import UserError
from dd_ray.evaluation import PicturedRegions
from dd_ray.figures import error_cells, reconstruction_errors
from dd_ray.figures.common import LARGEST, figures_of_rows
from dd_ray.figures.error_cells import (
    POSITIONS,
    REGIONS,
    CellErrors,
    distances,
    grid,
    measure,
    over_distances,
    over_positions,
)
from dd_ray.figures.error_panels import (
    BARS_REST,
    ErrorScales,
    draw_bars,
    draw_positions,
    height_of_bars,
    limits_of_bars,
)
from dd_ray.figures.networks import subjects_of
from dd_ray.figures.reconstruction_errors import Options, main, write_errors
from tests.figures.networks import spoil, write_trained_sweep
from tests.figures.sweeps import by_seed
from tests.figures.test_grid_maps import is_drawn
from tests.processes import python
from tests.sweep.studies import ROOT

CHECKPOINT = "staticvae32_betanorm=0.001_dsprites_circle_last_500K"


@pytest.fixture
def told_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that are known functions of the factors, and of which network is asked, one after the other."""
    asked: list[Any] = []

    def errors(model: Any, pictured: PicturedRegions) -> dict[str, NDArray[np.floating]]:
        asked.append(model)
        circle_x, circle_y, background_x, background_y = grid().T
        first = 1.0 * len(asked)
        return {"inside": first + circle_x, "edge": circle_y, "background": background_x + 2 * background_y}

    monkeypatch.setattr(error_cells, "region_errors", errors)
    monkeypatch.setattr(error_cells, "side_by_side", map)


def original_folder(reference: Path, folder: Path) -> Path:
    """A folder of one of the original's networks and all published errors."""
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copy(reference / "checkpoints" / CHECKPOINT, folder / "checkpoints")
    shutil.copy(reference / "region_errors.npz", folder)
    return folder


def test_the_command_reproduces_the_published_bars(tmp_path: Path, reference: Path) -> None:
    folder, out = original_folder(reference, tmp_path / "original"), tmp_path / "out"
    done = python(ROOT / "analysis" / "reconstruction_errors.py", "--original", folder, "--out", out, strict=True)
    assert done.returncode == 0, done.stderr
    stem = "reconstruction_errors"
    names = [f"{stem}.png", f"{stem}_positions.png", f"{stem}.csv", f"{stem}_positions.csv", f"{stem}_distances.csv"]
    assert done.stdout.splitlines() == [str(out / name) for name in names]
    assert done.stderr == ""
    assert all(is_drawn(out / name) for name in names[:2])
    table = pd.read_csv(out / f"{stem}.csv").set_index("region")
    assert list(table.index) == list(REGIONS)
    assert table["published"].tolist() == pytest.approx([0.018023237, 0.025391392, 0.000376641], abs=1e-8)
    assert table["difference"].abs().max() < 1e-7
    assert table["largest_difference_at_a_position"].max() < 1e-5
    positions = pd.read_csv(out / f"{stem}_positions.csv")
    published = np.load(reference / "region_errors.npz")["inside"][0]  # [bx, by, cx, cy]
    at = positions.query("region == 'inside' and x == 1 and y == 0")["error"].item()
    assert at == pytest.approx(published[:, :, 7, 0].mean(), abs=1e-6)
    assert sorted(file.name for file in folder.iterdir()) == ["checkpoints", "region_errors.npz"]


def test_distances_are_those_of_the_centres_in_the_pictures() -> None:
    pictures = render_circles(grid())
    apart = distances().ravel()
    for i in (0, 1000, 4095):
        circle_only = np.unravel_index(pictures[i].argmax(), (32, 32))
        x, y = grid()[i, :2] * 24 + 4
        assert np.hypot(circle_only[1] + 0.5 - x, circle_only[0] + 0.5 - y) < 4
        background_x, background_y = grid()[i, 2:] * 32
        assert apart[i] == pytest.approx(np.hypot(x - background_x, y - background_y))
    assert distances().shape == (8, 8, 8, 8)


def test_bars_of_many_cells_go_on_in_further_figures_on_the_same_scales(tmp_path: Path) -> None:
    error = np.full((1, 8, 8, 8, 8), 0.02)
    errors = {"inside": error, "edge": 2 * error, "background": error / 60}
    cells = [CellErrors(f"cell {i}", {"beta": float(i)}, "finished", "", True, errors) for i in range(60)]
    limits = limits_of_bars(cells)
    parts = figures_of_rows("bars", cells, height_of_bars, BARS_REST)
    assert [*parts] == ["bars_1", "bars_2", "bars_3"] and sum(map(len, parts.values())) == 60
    for part in parts.values():
        figure = draw_bars(part, limits)
        assert max(figure.get_size_inches()) <= LARGEST
        for panel, region in zip(figure.axes, errors, strict=True):
            longest = max(bar.get_width() for bar in panel.patches)
            assert longest > 0.8 * panel.get_xlim()[1] == 0.8 * limits[region]


def test_a_figure_of_positions_says_above_and_below_all_rows_what_they_show() -> None:
    steps = np.linspace(0.01, 0.02, 8**4).reshape(1, 8, 8, 8, 8)
    errors = {"inside": 4 * steps, "edge": 2 * steps, "background": steps}
    cells = [CellErrors(f"cell {i}", {"beta": float(i)}, "finished", "", True, errors) for i in range(3)]
    figure = draw_positions(cells, ErrorScales.of(cells))
    figure.canvas.draw()
    rows = [panel for panel in figure.axes if len(panel.images) == 4]
    assert len(rows) == 3
    for row, cell in zip(rows, cells, strict=True):
        texts = [text.get_text().replace("\u00a0", " ") for text in row.texts]
        assert cell.label in texts and texts.count("circle y") == 3 and texts.count("background y") == 1
        for shown, expected in zip(row.images, over_positions(cell).values(), strict=True):
            assert np.array_equal(shown.get_array(), expected.T) and shown.norm is row.images[0].norm
        assert [tick.get_text() for tick in row.get_xticklabels()] == ["0", ".5", "1"] * 4
        # The middles of the first and the last pixel of each map.
        left, right, bottom, top = row.images[1].get_extent()
        half = (right - left) / 16
        np.testing.assert_allclose(row.get_xticks()[3:6], [left + half, (left + right) / 2, right - half])
        np.testing.assert_allclose(row.get_yticks(), [top + half, (top + bottom) / 2, bottom - half])
    above, below = (sum("positions" in text.get_text() for text in row.texts) for row in (rows[0], rows[1]))
    assert (above, below) == (4, 0)
    named = [sum(text.get_text().endswith(" x") for text in row.texts) for row in rows]
    assert named == [0, 0, 4]


@pytest.mark.usefixtures("told_by_seed")
def test_maps_have_the_positions_where_they_belong(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1]})
    (cell,) = measure(subjects_of(path, [], None, all_seeds=True))
    maps = over_positions(cell)
    np.testing.assert_allclose(maps["inside"], 1 + np.tile(POSITIONS[:, None], (1, 8)))
    np.testing.assert_allclose(maps["edge"], np.tile(POSITIONS, (8, 1)))
    np.testing.assert_allclose(maps["background"], 1.5)
    gaussian = maps["background of the Gaussian"]
    np.testing.assert_allclose(gaussian, POSITIONS[:, None] + 2 * POSITIONS)
    curves = over_distances(cell)
    for region in REGIONS:
        curve = curves[curves["region"] == region]
        assert curve["pictures"].sum() == 8**4
        assert np.average(curve["error"], weights=curve["pictures"]) == pytest.approx(cell.errors[region].mean())
        assert (curve["lower_quartile"] <= curve["upper_quartile"]).all()


@pytest.mark.usefixtures("told_by_seed")
def test_seeds_are_averaged_where_they_got_furthest(tmp_path: Path) -> None:
    ended = {0: ("finished", 300), 1: ("stopped_early", 150), 2: ("finished", 300)}
    path = write_trained_sweep(
        tmp_path / "s", {"gamma": [0.0, 0.5], "beta": [0.1], "seed": [0, 1, 2]}, lambda c: ended[c["seed"]]
    )
    cells = measure(subjects_of(path, [], None, all_seeds=True))
    assert [cell.settings for cell in cells] == [{"gamma": 0.0}, {"gamma": 0.5}]
    assert [cell.label for cell in cells] == [f"γ = {g}\n2 of 3 seeds; the rest stopped early" for g in ("0", "0.5")]
    # The networks of seeds 0 and 2 are asked first and second.
    np.testing.assert_allclose(cells[0].errors["inside"].mean(axis=(1, 2, 3, 4)), [1.5, 2.5])
    assert cells[0].states == "finished@300 stopped_early@150 finished@300"
    figure = draw_bars(cells, limits_of_bars(cells))
    assert all(bar.get_facecolor() == (1, 1, 1, 1) for bar in figure.axes[0].patches)
    assert [panel.get_title() for panel in figure.axes] == list(REGIONS.values())


@pytest.mark.usefixtures("told_by_seed")
def test_a_sweep_is_drawn_with_its_seeds(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1 * i for i in range(6)], "seed": [0, 1, 2]})
    written = write_errors(Options(path=path))
    stems = ["", "_positions_1", "_positions_2"]
    assert [file.name for file in written[:3]] == [f"reconstruction_errors{stem}.png" for stem in stems]
    assert all(map(is_drawn, written[:3]))
    table = pd.read_csv(written[3])
    assert len(table) == 6 * len(REGIONS)
    assert set(table["seeds"]) == {3}
    assert (table["ci_low"] <= table["error"]).all()


def test_of_a_sweep_that_has_been_extended_in_part_each_cell_says_who_is_left_out(
    told_by_seed: None, tmp_path: Path
) -> None:
    axes = {"gamma": [0.0, 0.5], "beta": [0.1], "seed": [0, 1]}
    further = {(0.0, 0)}
    path = write_trained_sweep(
        tmp_path / "s", axes, lambda c: ("finished", 300 if (c["gamma"], c["seed"]) in further else 150)
    )
    cells = measure(subjects_of(path, [], None, all_seeds=True))
    assert [cell.label.split("\n")[1] for cell in cells] == [
        "1 of 2 seeds; the rest unfinished",
        "unfinished at iteration 150",
    ]
    assert not any(cell.complete for cell in cells)


def test_seeds_without_a_usable_network_are_told_in_the_name_of_their_cell(told_by_seed: None, tmp_path: Path) -> None:
    ended = by_seed(("finished", 300), ("diverged", 300), ("failed", -1))
    axes = {"gamma": [0.0, 0.5], "beta": [0.1], "seed": [0, 1, 2]}
    path = write_trained_sweep(
        tmp_path / "s", axes, ended, change=lambda trial: spoil(trial) if trial.config.seed else None
    )
    cells = measure(subjects_of(path, [], None, all_seeds=True))
    assert [cell.label for cell in cells] == [
        f"γ = {gamma}\n1 of 3 seeds; the rest diverged or failed" for gamma in ("0", "0.5")
    ]
    assert cells[0].states == "finished@300 diverged failed" and not cells[0].complete


def test_seeds_of_a_cell_without_a_value_of_a_setting_are_averaged(told_by_seed: None, tmp_path: Path) -> None:
    axes = {"model": ["beta_vae"], "beta": [1.0], "clip_gradient": [None, 0.5], "seed": [0, 1]}
    cells = measure(subjects_of(write_trained_sweep(tmp_path / "s", axes), [], None, all_seeds=True))
    assert [cell.label for cell in cells] == ["clip gradient = none", "clip gradient = 0.5"]
    assert [len(cell.errors["edge"]) for cell in cells] == [2, 2]


def test_published_errors_that_cannot_be_read_are_refused_before_networks_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: Path
) -> None:
    folder = original_folder(reference, tmp_path / "original")
    (folder / "region_errors.npz").write_text("no numbers")
    monkeypatch.setattr(reconstruction_errors, "measure", lambda subjects: pytest.fail("a network is asked"))
    with pytest.raises(UserError, match="does not hold the original's published errors"):
        write_errors(Options(original=folder, out=tmp_path / "out"))


def test_networks_that_decode_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_trained_sweep(tmp_path / "s", {"model": ["supervised_encoder"], "dataset": ["still_circles"]})
    with pytest.raises(SystemExit) as exited:
        main([str(path)])
    assert exited.value.code == 2
    assert "a supervised encoder decodes nothing" in capsys.readouterr().err


def test_pictures_without_the_circle_s_regions_are_refused(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"model": ["beta_vae"], "beta": [0.1], "num_circles": [2]})
    with pytest.raises(UserError, match="anything but one circle in front of a Gaussian have no such regions"):
        write_errors(Options(path=path))
    path = write_trained_sweep(tmp_path / "o", {"model": ["beta_vae"], "beta": [0.1], "occluder": [10.0]})
    with pytest.raises(UserError, match="nor have those of another radius or contrast, or with an occluder"):
        write_errors(Options(path=path))
