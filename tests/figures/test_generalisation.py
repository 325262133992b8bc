"""Errors of held-out and seen data: curves, and maps of positions with the levels that were held out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dd_ray.config import TrialConfig
from dd_ray.data import FACTORS, make_dataset
from dd_ray.errors import UserError
from dd_ray.figures import generalisation
from dd_ray.figures.generalisation import (
    Options,
    curves,
    draw_curves,
    finished_trials,
    pictures_of,
    write_generalisation,
)
from dd_ray.models import build_model
from dd_ray.probes.networks import Network
from tests.figures.networks import write_trained_sweep
from tests.figures.sweeps import Values, by_seed, write_sweep
from tests.small import small

AXES: Mapping[str, Any] = {
    "model": ["supervised_decoder"],
    "dataset": ["still_circles"],
    "num_test": [8],
    "split": ["levels"],
    "train_share": [0.5, 1.0],
    "seed": [0, 1],
}


def errors(config: Values, iteration: int) -> Values:
    held_out = 0.02 / config["train_share"] + 0.002 * config["seed"]
    return {"reconstruction_error": held_out, "reconstruction_error_seen": held_out / 2}


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generalisation, "PICTURES", 1024)


def test_curves_are_means_over_seeds(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, metrics=errors)
    rows = curves(finished_trials(path)).set_index(["train_share", "part"])["error"]
    assert rows[0.5, "held out"] == pytest.approx(0.041) and rows[0.5, "seen"] == pytest.approx(0.0205)
    assert rows[1.0, "held out"] == pytest.approx(0.021)


def test_curves_of_other_settings_are_apart(tmp_path: Path) -> None:
    axes = {**AXES, "learning_rate": [1e-4, 1e-3], "split": ["levels", "samples"], "grid": ["original"]}
    rows = curves(finished_trials(write_sweep(tmp_path / "s", axes, metrics=errors)))
    assert len(rows) == 2 * 2 * 2 * 2 and set(rows["seeds"]) == {2}


def test_cells_without_a_value_of_a_setting_are_shown_with_the_rest(tmp_path: Path) -> None:
    axes = {**AXES, "clip_gradient": [None, 1.0]}
    trials = finished_trials(
        write_sweep(tmp_path / "s", axes, metrics=errors, beside={"model": ["beta_vae"], "beta": [1]})
    )
    rows = curves(trials)
    assert set(rows["seeds"]) == {2} and len(rows) == 2 * 2 * 2 * 2
    titles = {panel.get_title().split("\n")[1] for panel in draw_curves(trials).axes}
    assert titles == {
        f"model = {model}, clip gradient = {clip}{beta}"
        for model, beta in (("supervised_decoder", ""), ("beta_vae", ", β = 1"))
        for clip in ("none", "1")
    }


@pytest.mark.parametrize("grid", ["continuous", "original"])
def test_pictures_are_at_all_positions_and_before_trained_ones_of_the_rest(grid: str) -> None:
    values = {name: axis[0] for name, axis in AXES.items()} | {"grid": grid}
    levels = make_dataset(TrialConfig(**values)).levels()
    assert set(levels) == set(FACTORS)
    factors = pictures_of(levels, ("circle_x", "circle_y"))
    columns = dict(zip(FACTORS, factors.T, strict=True))
    assert len({*zip(columns["circle_x"], columns["circle_y"], strict=True)}) == 16**2
    for name in ("background_x", "background_y"):
        assert set(columns[name]) <= set(levels[name].values[levels[name].trained])


def test_settings_that_agree_to_six_digits_are_not_averaged() -> None:
    config = small("supervised_decoder", split="levels", train_share=0.5)
    model = build_model(config)
    known = [{"train_share": 0.5, "learning_rate": rate, "seed": 0} for rate in (1e-4, 1.0000001e-4)]
    subjects = [Network(name="s", settings=each, config=config, model=model, state="finished") for each in known]
    assert [len(group) for group in generalisation._by_setting(subjects).values()] == [1, 1]


def test_figures_and_numbers_are_written(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", AXES, metrics=errors)
    written = write_generalisation(Options(path=path))
    stem = "generalisation"
    assert [file.name for file in written] == [
        *(f"{stem}.png", f"{stem}_positions.png"),
        *(f"{stem}.csv", f"{stem}_positions.csv"),
    ]
    table = pd.read_csv(written[-1])
    assert table.groupby(["name", "over"]).size().tolist() == [256] * 4
    # Half of the levels of each axis are held out, in the cells that hold out any.
    counts = table.groupby(["name", "held_out"]).size()
    assert counts["train share = 0.5"].tolist() == [128, 256, 128] and counts["train share = 1"].tolist() == [512]
    assert table["error"].between(0, 1).all() and np.unique(table["error"]).size > 500


def test_cells_that_have_not_finished_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = by_seed(("finished", 300), ("unfinished", 150))
    path = write_sweep(tmp_path / "s", AXES, ended, metrics=errors)
    assert len(finished_trials(path)) == 2
    assert capsys.readouterr().err == "left out, not finished: 2 of 4 trials\n"


def test_of_a_sweep_that_has_been_extended_in_part_the_cells_that_got_furthest_are_shown(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES, by_seed(("finished", 300), ("finished", 150)), errors)
    assert set(curves(finished_trials(path))["seeds"]) == {1}


def test_a_sweep_without_held_out_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no finished trial with held-out data; .* --split levels, samples or comb"):
        write_generalisation(Options(path=write_sweep(tmp_path / "s", {"beta": [0.1]})))
