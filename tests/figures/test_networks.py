"""What is drawn of networks for pictures of another size, and of networks that differ in kind."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.figures import entanglement, grid_maps, reconstruction_errors, tradeoff, traversals
from dd_ray.figures.sheets import SHEET_SIDE
from dd_ray.report.pictures import Pictures
from tests.figures.networks import write_trained_sweep
from tests.figures.sweeps import Values

AXES = {
    "model": ["predictive_vae"],
    "beta": [0.1],
    "network": ["mlp"],
    "width_factor": [0.05],
    "image_size": [64],
    "num_test": [8],
}


def test_networks_for_larger_pictures_are_drawn(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", AXES)
    drawn = reconstruction_errors.write_errors(reconstruction_errors.Options(path=path))
    drawn += traversals.write_traversals(traversals.Options(path=path, videos=(0,), seen=2))
    assert all(file.stat().st_size for file in drawn)
    animated = next(file for file in drawn if file.suffix == ".gif")
    with Image.open(animated) as image:
        assert image.height > SHEET_SIDE
    (shown,) = Pictures(results.load(path), 2, path).of_cells([{"trials": [_only_trial(path)]}])
    assert "note" not in shown


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A β-VAE beside the two supervised networks, each with what it reports."""

    def report(config: Values, iteration: int) -> Values:
        coded = {} if config["model"] == "supervised_decoder" else {"linear_r2": 0.5, "mcc": 0.4}
        if config["model"] == "supervised_encoder":
            return coded | {"factor_error": 0.1}
        of_vae = {"kl": 2.0, "active_units": 4.0} if config["model"] == "beta_vae" else {}
        return coded | of_vae | {"reconstruction_error": 0.01}

    axes = {"model": ["supervised_decoder", "supervised_encoder"], "dataset": ["still_circles"], "num_test": [8]}
    beside = {"model": ["beta_vae"], "beta": [0.1]}
    return write_trained_sweep(tmp_path_factory.mktemp("mixed") / "s", axes, metrics=report, beside=beside)


ENCODES_NOTHING = "left out, 1 of 3 networks: a supervised decoder encodes nothing\n"
DECODES_NOTHING = "left out, 1 of 3 networks: a supervised encoder decodes nothing\n"
NEITHER = "left out, 2 of 3 networks: a supervised encoder has no decoder, and a supervised decoder no latents\n"


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("script", "table", "said", "models"),
    [
        (entanglement, "entanglement", ENCODES_NOTHING, {"beta_vae", "supervised_encoder"}),
        (reconstruction_errors, "reconstruction_errors", DECODES_NOTHING, {"beta_vae", "supervised_decoder"}),
        (traversals, "traversal_latents", NEITHER, {"beta_vae"}),
        (tradeoff, "tradeoff", "", {"beta_vae", "supervised_decoder", "supervised_encoder"}),
        (grid_maps, "grid_maps", "", {"beta_vae", "supervised_decoder", "supervised_encoder"}),
    ],
    ids=["entanglement", "reconstruction errors", "traversals", "trade-offs", "maps"],
)
def test_of_a_sweep_of_several_models_those_that_suit_are_drawn(
    mixed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    script: Any,
    table: str,
    said: str,
    models: set[str],
) -> None:
    script.main([str(mixed), "--out", str(tmp_path)])
    assert capsys.readouterr().err == said
    assert set(pd.read_csv(tmp_path / f"{table}.csv")["model"]) == models


def test_where_no_network_suits_the_reason_is_said(mixed: Path, tmp_path: Path) -> None:
    options = entanglement.NetworkOptions(path=mixed, cells=("model=supervised_decoder",), out=tmp_path)
    with pytest.raises(UserError, match="nothing to show: a supervised decoder encodes nothing; choose other networks"):
        entanglement.write_entanglement(options)


def _only_trial(path: Path) -> dict[str, object]:
    (key,) = (folder.name for folder in (path / "cells").iterdir())
    return {"key": key, "seed": 0}
