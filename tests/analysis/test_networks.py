"""What is drawn of networks for pictures of another size."""

from pathlib import Path

from PIL import Image

from analysis import reconstruction_errors, traversals
from dd_ray.report.pictures import Pictures
from tests.analysis.networks import write_trained_sweep

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
        assert image.height > traversals.SHEET_SIDE
    (shown,) = Pictures(path, 2).of_cells([{"trials": [_only_trial(path)]}])
    assert "note" not in shown


def _only_trial(path: Path) -> dict[str, object]:
    (key,) = (folder.name for folder in (path / "cells").iterdir())
    return {"key": key, "seed": 0}
