"""What networks make of a held-out video, beside each other."""

from pathlib import Path

import numpy as np
import pytest

from dd_ray import probes
from dd_ray.errors import UserError
from dd_ray.figures.networks import subjects_of
from dd_ray.figures.reconstructions import draw, main
from tests.figures.networks import write_trained_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    axes = {"model": ["beta_vae", "inertia_vae"], "gamma": [0.0, 0.5], "beta": [0.1], "num_test": [8], "seed": [0, 1]}
    return write_trained_sweep(tmp_path_factory.mktemp("sweep") / "s", axes)


def test_each_cell_has_a_row_that_a_delay_leaves_without_its_first_frame(sweep: Path) -> None:
    subjects = subjects_of(sweep, [], None, all_seeds=False)
    figure = draw(subjects, 1)
    by_row: dict[float, list[object]] = {}
    for picture in figure.axes[0].images:
        by_row.setdefault(round(picture.get_extent()[3], 3), []).append(picture.get_array())
    rows = [by_row[y] for y in sorted(by_row)]
    assert len(rows[0]) == len(rows[1]) == subjects[0].config.frames > len(rows[2])  # the β-VAE has no delay
    assert len(rows) == 1 + len(subjects) == 4
    video = probes.held_out_videos(subjects[0].config, 2).map(lambda tensor: tensor[1:])
    assert np.array_equal(rows[0], probes.pictures_of(video.images)[0])
    for subject, row in zip(subjects, rows[1:], strict=True):
        assert np.array_equal(row, probes.reconstruct(subject.model, video)[1][0])


def test_a_video_that_is_not_held_out_is_refused(sweep: Path) -> None:
    with pytest.raises(UserError, match=r"--video -1 is none that is held out"):
        draw(subjects_of(sweep, [], None, all_seeds=False), -1)
    with pytest.raises(UserError, match=r"video 99999 is none that is held out; give 0 to 9999\."):
        draw(subjects_of(sweep, [], None, all_seeds=False), 99_999)  # before any is drawn


def test_the_command_writes_a_figure(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(sweep), "--cells", "gamma=0.5,seed=0", "--out", str(tmp_path)])
    assert str(tmp_path / "reconstructions.png") in capsys.readouterr().out
