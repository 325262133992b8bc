"""Pictures and animations of what networks show, from sweep folders and the original's checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dd_ray import probes
from dd_ray.data import make_dataset
from dd_ray.errors import UserError
from dd_ray.figures import traversals
from dd_ray.figures.network_animations import ANIMATED_STEPS, animate_video
from dd_ray.figures.network_pictures import Dreams, by_kl, difference, draw_dream, draw_traversal, draw_video, title_of
from dd_ray.figures.networks import subjects_of
from dd_ray.figures.traversals import Options, write_traversals
from dd_ray.probes.networks import Network, load_originals
from tests.figures.networks import write_trained_sweep
from tests.figures.test_grid_maps import is_drawn
from tests.figures.test_sheets import frames_of
from tests.processes import python
from tests.sweep.studies import ROOT

WITH_CIRCLE = "staticvae32_betanorm=0.001_dsprites_circle_last_500K"
COLLAPSED = "staticvae32_betanorm=5.0_dsprites_circle_last_500K"
MEGABYTE = 1e6
ONE = ("--cells", "gamma=0.5", "--videos", "0")
"""A network of the sweep, and one video of it."""
FEW: dict[str, Any] = {"videos": (0,), "gamma": (0.5,), "dreamt": 4}
"""Options of few pictures, since each panel of a figure takes as long as what is in it."""


def loud(trial: Any) -> None:
    """Latents that respond strongly but for one, and a decoder that shows it."""
    if hasattr(trial.model, "decoder"):
        trial.model.encoder.mu.weight[:3] *= 300
        trial.model.decoder.convs[-1].weight *= 10


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    axes = {"gamma": [0.0, 0.5], "beta": [0.1], "num_test": [8]}
    return write_trained_sweep(tmp_path_factory.mktemp("sweep") / "s", axes, change=loud)


@pytest.fixture(scope="module")
def subject(sweep: Path) -> Network:
    (subject,) = subjects_of(sweep, ["gamma=0.5"], None, all_seeds=False)
    return subject


@pytest.fixture(scope="module")
def latents(subject: Network) -> pd.DataFrame:
    return by_kl(probes.latent_table(subject.model, subject.config, make_dataset(subject.config).test_set()))


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def assert_nothing_is_cut(figure: Figure) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    width, height = figure.get_size_inches() * figure.dpi
    for artist in [*figure.texts, *figure.axes[0].images]:
        box = artist.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, artist


def assert_no_texts_overlap(figure: Figure) -> None:
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    pictures = [picture.get_window_extent(renderer) for picture in figure.axes[0].images]
    assert pictures
    for i, box in enumerate(boxes):
        for other in [*boxes[:i], *pictures]:
            assert not box.overlaps(other), figure.texts[i]


def test_the_command_writes_figures_animations_and_numbers(sweep: Path, tmp_path: Path) -> None:
    script = ROOT / "analysis" / "traversals.py"
    done = python(script, sweep, "--cells", "gamma=0.5", "--out", tmp_path, strict=True)
    assert done.returncode == 0, done.stderr
    pictures = [f"{what}_gamma=0.5,seed=0" for what in ("traversal", "video", "dream")]
    names = ["lag.png", *(f"{name}.png" for name in pictures)]
    names += ["traversal_latents.csv", "lag.csv", "lag_by_frame.csv", *(f"{name}.gif" for name in pictures)]
    assert done.stdout.splitlines() == [str(tmp_path / name) for name in names]
    assert done.stderr == ""
    assert all(is_drawn(tmp_path / name) for name in names if name.endswith(".png"))
    assert all((tmp_path / name).stat().st_size < MEGABYTE for name in names)
    there_and_back = 2 * ANIMATED_STEPS - 2
    for name, number in zip(pictures, (there_and_back, 8, 10), strict=True):
        assert len(frames_of(tmp_path / f"{name}.gif")) == number
    table = pd.read_csv(tmp_path / "traversal_latents.csv")
    assert table["latent"].tolist() == [0, 1, 2, 3] and table["active"].tolist() == [True, True, True, False]
    assert len(pd.read_csv(tmp_path / "lag.csv")) == 1
    assert pd.read_csv(tmp_path / "lag_by_frame.csv")["frame"].tolist() == [*range(2, 10)]


def test_rows_are_latents_by_their_kl(subject: Network, latents: pd.DataFrame) -> None:
    assert latents["kl"].is_monotonic_decreasing
    texts = texts_of(draw_traversal(subject, latents, probes.middle_picture(subject.config)))
    rows = [text for text in texts if text.startswith(("z$", "(z$"))]
    expected = [f"z$_{{{row.latent}}}$" if row.active else f"(z$_{{{row.latent}}}$)" for row in latents.itertuples()]
    assert rows == expected and "(z$_{3}$)" in rows
    assert texts.count("not active") == 1
    assert [text for text in texts if text in ("−3", "0", "3")] == ["−3", "0", "3"]


def test_the_picture_at_a_latent_and_a_value_is_that_of_the_traversal(subject: Network, latents: pd.DataFrame) -> None:
    figure = draw_traversal(subject, latents, probes.middle_picture(subject.config))
    pictures = [np.asarray(picture.get_array()) for picture in figure.axes[0].images]
    expected = probes.traversal(subject.model, subject.config)[latents["latent"].to_numpy()]
    assert (np.array(pictures[2:]).reshape(4, 7, 32, 32) == expected).all()
    assert {picture.get_clim() for picture in figure.axes[0].images} == {(0, 255)}


@pytest.mark.parametrize("num_latents", [2, 12])
def test_nothing_is_cut_or_overlaps(tmp_path: Path, num_latents: int) -> None:
    axes = {"beta": [0.1], "gamma": [0.25, 0.5], "num_test": [8], "num_latents": [num_latents], "num_frames": [5]}
    path = write_trained_sweep(tmp_path / "s", axes, change=loud)
    (subject,) = subjects_of(path, ["gamma=0.25"], None, all_seeds=False)
    latents = by_kl(probes.latent_table(subject.model, subject.config, make_dataset(subject.config).test_set()))
    options = Options(gamma=(0.0, 0.25, 1.0))
    for figure in (
        draw_traversal(subject, latents, probes.middle_picture(subject.config)),
        draw_video(subject, options),
        draw_dream(subject, Dreams.of(subject, options)),
    ):
        assert_nothing_is_cut(figure)
        assert_no_texts_overlap(figure)


def test_a_video_stands_above_its_reconstruction_and_their_difference(subject: Network) -> None:
    figure = draw_video(subject, Options(videos=(3, 1)))
    pictures = np.array([picture.get_array() for picture in figure.axes[0].images]).reshape(2, 3, 8, 32, 32)
    originals, reconstructions = probes.reconstruct(subject.model, probes.held_out_videos(subject.config, 4))
    assert (pictures[:, 0] == originals[[3, 1]]).all()
    assert (pictures[:, 1] == reconstructions[[3, 1]]).all()
    assert [text for text in texts_of(figure) if text.startswith(("video", "frame"))] == [
        *(f"frame {i}" for i in range(2, 10)),
        *("video 3", "video 1"),
    ]


def test_a_difference_is_grey_where_there_is_none() -> None:
    a, b = np.array([10, 200, 0, 255], np.uint8), np.array([10, 180, 255, 0], np.uint8)
    assert difference(a, b).tolist() == [127, 107, 255, 0]


def test_a_dream_stands_below_the_frames_that_it_is_of(subject: Network) -> None:
    dreams = Dreams.of(subject, Options(seen=2, gamma=(0.5,), dreamt=11))
    assert (dreams.delay, dreams.length) == (1, 12)
    originals, dreamt = (dreams.frames(videos[0], first) for videos, first in
                         ((dreams.originals, 0), (dreams.by_gamma[0.5], 1)))  # fmt: skip
    assert [picture is None for picture in originals] == [False] * 10 + [True] * 2
    assert [picture is None for picture in dreamt] == [True] + [False] * 11
    texts = texts_of(draw_dream(subject, dreams))
    assert [text.endswith("seen") for text in texts if text.startswith("frame")] == [True] * 2 + [False] * 10


def test_an_animation_shows_each_frame_in_turn(subject: Network) -> None:
    sheets = animate_video(subject, Options(videos=(2,))).sheets
    originals, _ = probes.reconstruct(subject.model, probes.held_out_videos(subject.config, 3))
    for sheet, original in zip(sheets, originals[2], strict=True):
        pixels = np.asarray(sheet)
        top = next(y for y in range(len(pixels)) if (pixels[y : y + 128 : 4, 8:136:4] == original).all())
        assert top < 80


@pytest.mark.slow
def test_the_original_s_networks_are_drawn(tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "two"
    folder.mkdir()
    for name in (WITH_CIRCLE, COLLAPSED, "encoderbvae_like_dsprites_circle_last_50K"):
        (folder / name).symlink_to(reference / "checkpoints" / name)
    written = write_traversals(Options(original=folder, out=tmp_path / "out", **FEW))
    assert "left out, 1 of 3 networks: a supervised encoder has no decoder" in capsys.readouterr().err
    assert all(is_drawn(path) for path in written if path.suffix == ".png")
    assert all(path.stat().st_size < MEGABYTE for path in written)
    assert len(frames_of(tmp_path / "out" / f"traversal_{COLLAPSED}.gif")) == 2 * ANIMATED_STEPS - 2
    lag = pd.read_csv(tmp_path / "out" / "lag.csv", index_col="name")
    assert abs(lag.loc[WITH_CIRCLE, "lag"]) < 0.1 and lag.loc[WITH_CIRCLE, "shows_a_circle"] > 0.95
    assert np.isnan(lag.loc[COLLAPSED, "lag"]) and lag.loc[COLLAPSED, "shows_a_circle"] == 0
    table = pd.read_csv(tmp_path / "out" / "traversal_latents.csv").set_index("name")
    assert table.loc[WITH_CIRCLE, "active"].all() and not table.loc[COLLAPSED, "active"].any()


def test_a_title_says_beta_and_gamma_though_they_are_not_swept(sweep: Path, subject: Network, reference: Path) -> None:
    assert title_of(subject) == "inertia VAE, β = 0.1, γ = 0.5, seed 0"
    of_models = replace(subject, settings={"model": "inertia_vae", "lam": 0.0, **subject.settings})
    assert title_of(of_models) == "inertia VAE, β = 0.1, γ = 0.5, λ = 0, seed 0"  # the model once, where it is swept
    (original,) = load_originals(reference / "checkpoints" / WITH_CIRCLE)
    assert title_of(original) == "original study's β-VAE, β$_{\\mathrm{norm}}$ = 0.001"


@pytest.mark.usefixtures("undrawn")
def test_pictures_of_a_large_sweep_are_of_some_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(traversals, "MOST_PICTURED", 1)
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "num_test": [8], "num_frames": [4]}, change=loud)
    state = torch.get_rng_state()
    written = write_traversals(Options(path=path, **FEW))
    assert torch.equal(torch.get_rng_state(), state), "the global generator is left alone"
    assert sum(file.suffix == ".gif" for file in written) == 3
    assert len(pd.read_csv(path / "figures" / "lag.csv")) == 2
    assert "pictures of 1 of 2 networks; name others by --cells" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_a_file_in_place_of_the_folder_is_refused(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        traversals.main([str(sweep), *ONE, *f"--dreamt 4 --gamma 0.5 --out {sweep}/sweep.json".split()])
    assert exited.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to show"),
        (["{path}", "--cells", "beta=9"], "no trial of this sweep fits"),
        (["{path}", *ONE, "--gamma", "1.5"], "gamma = 1.5 is out of range"),
        (["{path}", *ONE, "--seen", "11"], "--seen 11 is more than the 10 frames"),
        (["{path}", *ONE, "--seen", "0"], "cannot begin with 0"),
        (["{path}", *ONE, "--dreamt", "2"], "a dream of 2 frames cannot begin with 3"),
        (["{path}", "--videos", "-1"], "--videos -1 names no videos"),
        (["{path}", *ONE, "--base", "99"], "no frame 0 of held-out video 99"),
        (["{path}", "--videos", "99999"], "video 99999 is none that is held out"),
    ],
)
def test_what_cannot_be_shown_is_refused_before_the_networks_are_asked(
    sweep: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(traversals, "side_by_side", lambda ask, subjects: pytest.fail("a network is asked"))
    with pytest.raises(SystemExit) as exited:
        traversals.main([argument.format(path=sweep) for argument in arguments])
    assert exited.value.code == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert message in err


@pytest.mark.usefixtures("undrawn")
def test_other_pictures_than_of_one_circle_have_no_lag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axes = {"model": ["inertia_vae"], "beta": [0.1], "dataset": ["moving_sprites"], "num_test": [8]}
    written = write_traversals(Options(path=write_trained_sweep(tmp_path / "s", axes, change=loud), **FEW))
    assert not any(file.name.startswith("lag") for file in written)
    assert {file.name.partition("_")[0] for file in written} == {"traversal", "video", "dream"}
    assert "without a lag, 1 network: the lag is that of one circle" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_a_circle_behind_an_occluder_has_no_lag_and_this_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {"model": ["inertia_vae"], "beta": [0.1], "occluder": [10.0], "num_test": [8]}
    path = write_trained_sweep(tmp_path / "s", axes, change=loud)
    assert not any(file.name.startswith("lag") for file in write_traversals(Options(path=path, **FEW)))
    assert "of the usual radius and contrast and without an occluder" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_a_swept_correlation_stands_beside_those_of_the_latents(tmp_path: Path) -> None:
    axes = {"model": ["inertia_vae"], "beta": [0.1], "correlation": [0.0, 0.8], "num_test": [8]}
    write_traversals(Options(path=write_trained_sweep(tmp_path / "s", axes, change=loud), out=tmp_path / "out", **FEW))
    table = pd.read_csv(tmp_path / "out" / "traversal_latents.csv")
    assert {*table["correlation_setting"]} == {0.0, 0.8}
    assert table["correlation"].between(-1, 1).all() and table["correlation"].nunique() > 2


def test_networks_without_a_decoder_are_refused(tmp_path: Path) -> None:
    axes = {"model": ["supervised_encoder"], "dataset": ["still_circles"], "num_test": [8]}
    path = write_trained_sweep(tmp_path / "s", axes)
    with pytest.raises(UserError, match="a supervised encoder has no decoder"):
        write_traversals(Options(path=path))
