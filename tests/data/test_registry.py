"""A dataset is a declaration, and how it is drawn."""

from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import torch

from dd_ray.config import DATASETS, DatasetSpec, TrialConfig, fields_with, video_datasets
from dd_ray.data import held_out_stills, make_dataset, render_stills
from dd_ray.data.dataset import ContinuousDataset
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate, model_scores
from dd_ray.probes.answers import held_out_videos, latent_table, reconstruct
from dd_ray.training import Stack


@pytest.mark.parametrize("name", DATASETS)
def test_an_entry_names_what_there_is(name):
    info = DATASETS[name]
    assert set(info.reads) <= {*fields_with(of_data=True)} <= {field.name for field in fields(TrialConfig)}
    assert info.videos is None or (not info.moving and info.videos in video_datasets())
    assert (name in video_datasets()) == info.moving == ("num_frames" in info.reads)


def _paint(factors, image_size):
    """A bright bar across the picture, uint8 [B, T, S, S], as high as its one factor [B, T, 1] says."""
    rows = torch.arange(image_size, device=factors.device)
    lit = (rows - (image_size - 1) * factors).abs() < 3
    return (lit.to(torch.uint8) * 255)[..., None].expand(*lit.shape, image_size).contiguous()


def _painter(config):
    return partial(_paint, image_size=config.image_size)


def _make(config, device):
    def draw(rng, n):
        ends = rng.random((n, 2, 1), dtype=np.float32)
        return np.linspace(ends[:, 0], ends[:, -1 if config.frames > 1 else 0], config.frames, axis=1)

    return ContinuousDataset(config, device, _painter(config), draw)


def _spec(name, **changes):
    usual = {"make": _make, "painter": _painter, "factors": ("bar_y",), "training_size": 1000}
    return DatasetSpec(**{"name": name, **usual, **changes})


@pytest.fixture
def add():
    """Declares a dataset, as long as a test lasts."""
    added = []

    def adding(name, **changes):
        DATASETS.declare(_spec(name, **changes))
        added.append(name)

    yield adding
    for name in added:
        DATASETS.withdraw(name)


def _config(**changes):
    values = {"model": "beta_vae", "beta": 0.1, "dataset": "still_bars", "batch_size": 8, "num_test": 8}
    return TrialConfig(**values | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"objective": "tcvae"},
        {"split": "levels", "train_share": 0.5},
        {"network": "conv64", "image_size": 64},
        {"dataset": "moving_bars", "model": "inertia_vae", "gamma": 0.5, "lam": 1.0},
    ],
)
def test_a_new_dataset_is_trained_on_and_evaluated(add, changes):
    add("still_bars")
    add("moving_bars", moving=True)
    config = _config(**changes)
    assert TrialConfig.from_dict(config.to_dict()).key == config.key and config.num_data == 1000
    stack = Stack([config])
    before = stack[config.key].state().weights
    stack.step()
    trial = stack[config.key]
    assert trial.terms.loss.isfinite()
    assert any(not torch.equal(before[name], weight) for name, weight in trial.state().weights.items())

    dataset = make_dataset(config)
    test_set = dataset.test_set()
    assert test_set.factor_names == config.factor_names == ("bar_y",)
    metrics = evaluate(trial.model, config, test_set).metrics
    assert np.isfinite(metrics["reconstruction_error"]) and "linear_r2/bar_y" in metrics
    assert latent_table(trial.model, config, test_set)["follows"].unique().tolist() == ["bar_y"]
    assert set(dataset.levels()) == ({"bar_y"} if config.frames == 1 else set())


def _made(paint=_paint, drawn=lambda factors: factors):
    """Makes a dataset that paints, or draws, in another way."""

    def make(config, device):
        draw = lambda rng, n: drawn(rng.random((n, config.frames, 1), dtype=np.float32))  # noqa: E731
        return ContinuousDataset(config, device, partial(paint, image_size=config.image_size), draw)

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda config, device: [], "makes a list; let it be a dd_ray.data.Dataset"),
        (
            _made(lambda *args, **sizes: _paint(*args, **sizes) / 255),
            r"paints float32 images .* give uint8 of shape \(8, 1, 32",
        ),
        (_made(lambda *args, **sizes: _paint(*args, **sizes) // 255), r"no value is above 1, all but black; multiply"),
        (_made(lambda *args, **sizes: _paint(*args, **sizes)[:, :, None]), r"of shape \(8, 1, 1, 32, 32\); give uint8"),
        (_made(lambda factors, image_size: _paint(factors, 48)), r"of shape \(8, 1, 48, 48\); give uint8"),
        (_made(drawn=lambda factors: factors[:, 0]), r"draws factors of shape \(8, 1\); give \(8, 1, 1\): 8 videos"),
        (_made(drawn=lambda factors: factors.repeat(3, 1)), r"draws factors of shape \(8, 3, 1\); give \(8, 1, 1\)"),
        (_made(drawn=lambda factors: factors.repeat(3, -1)), r"draws factors of shape \(8, 1, 3\); give \(8, 1, 1\)"),
        (_made(drawn=lambda factors: factors + 1), r"bar_y = 1\.\d+ in row 0 is out of range"),
        (_made(drawn=lambda factors: factors * np.nan), "bar_y = nan in row 0 is out of range"),
    ],
)
def test_a_dataset_that_draws_or_paints_something_else_is_refused(add, make, message):
    add("still_bars", make=make)
    with pytest.raises(UserError, match=f"^dataset = still_bars.* {message}"):
        make_dataset(_config())


def test_held_out_stills_of_a_new_dataset_are_uniform_and_are_scored(add):
    add("still_bars")
    config = _config()
    factors = held_out_stills(config, 2000)
    assert factors.shape == (2000, 1) and factors.mean() == pytest.approx(0.5, abs=0.03)
    heights = render_stills(config, np.array([[0.0], [1.0]])).max(axis=2).argmax(axis=1)
    assert heights.tolist() == [0, 29]
    scores = model_scores(Stack([config])[config.key].model, config, ["mcc"])
    assert 0 <= scores["mcc_stills"] <= 1


@pytest.mark.parametrize(
    "changes",
    [{}, {"grid": "original"}, {"dataset": "moving_circles", "model": "inertia_vae", "seed": 3, "dataset_seed": None}],
)
def test_each_network_is_scored_on_the_stills_that_sweeps_were_scored_on(changes):
    factors = held_out_stills(_config(**{"dataset": "still_circles"} | changes), 2)
    np.testing.assert_allclose(
        factors,
        [[0.42915635, 0.64438407, 0.48393069, 0.43459881], [0.35475937, 0.07065887, 0.07642738, 0.9232835]],
        atol=1e-8,
    )


def test_a_new_dataset_of_stills_shows_the_videos_that_its_entry_names(add):
    add("moving_bars", moving=True)
    add("still_bars", videos="moving_bars")
    for dataset in ("still_bars", "moving_bars"):
        config = _config(dataset=dataset, image_size=64, network="conv64")
        videos = held_out_videos(config, 3)
        assert videos.images.shape == (3, 10, 1, 64, 64) and videos.factor_names == ("bar_y",)
        assert not torch.equal(videos.factors[:, 0], videos.factors[:, 9])
        originals, _ = reconstruct(Stack([config])[config.key].model, videos)
        assert originals.shape == (3, 10, 64, 64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grid": "original"}, "grid = original has no still bars"),
        ({"split": "samples"}, "split = samples needs a finite set"),
        ({"model": "inertia_vae"}, "inertia_vae needs videos; .* not still_bars"),
        (
            {"background": "black"},
            "background = black has no effect on still_bars; leave it out, or use still_circles",
        ),
        ({"num_circles": 2}, "num_circles = 2 has no effect on still_bars"),
        ({"num_frames": 5}, "num_frames = 5 has no effect on still_bars"),
        ({"dsprites_file": "d.npz"}, r"dsprites_file = d\.npz has no effect on still_bars"),
        ({"seed": 13}, "still_bars takes no seed = 13"),
    ],
)
def test_what_a_new_dataset_does_not_take_is_refused(add, changes, message):
    def check(config):
        if config.seed == 13:
            raise UserError("still_bars takes no seed = 13.")

    add("still_bars", check=check)
    _config()
    with pytest.raises(UserError, match=message):
        _config(**changes)


def test_a_dataset_without_videos_says_so(add):
    add("still_bars")
    with pytest.raises(UserError, match="still_bars has still pictures and no videos to show; choose cells of another"):
        held_out_videos(_config(), 3)
