"""What a slowness prior asks for motion, against draws and integrals in which nothing of the package takes part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import foldnorm

from dd_ray.cli import describe, parse
from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset, render_circles
from dd_ray.evaluation import price_of_motion, slowness
from dd_ray.sweep import Preset, Study

SLOW = TrialConfig(model="beta_vae", beta=1.0, objective="slowness", num_frames=10)
STUDY = Study(
    name="slow",
    question="?",
    axes=("slowness_weight", "background"),
    fixed={"model": "beta_vae", "objective": "slowness", "beta": 1.0},
    presets={"quick": Preset(about="a test", axes={"slowness_weight": (0.1,)}, iterations=10, scheduler="none")},
)


def _paths(rng, num_videos):
    """[B, 10, 2] straight ways between uniform ends that are more than 0.1 apart."""
    ends = rng.random((2 * num_videos, 2, 2))
    ends = ends[np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1) > 0.1][:num_videos]
    return np.linspace(ends[:, 0], ends[:, 1], 10, axis=1)


def _least_kl(steps, rate):
    """By search over σ of rate E|d| − log(rate / 2) − ½ log 2πe σ², d ~ N(step, 2 σ²)."""
    sigmas = np.geomspace(0.01, 3, 300)[:, None]
    scale = np.sqrt(2) * sigmas
    distance = foldnorm.mean(steps / scale, scale=scale).mean(axis=1)
    return (rate * distance - np.log(rate / 2) - 0.5 * np.log(2 * np.pi * np.e * sigmas[:, 0] ** 2)).min()


@pytest.mark.parametrize("rate", [1.0, 6.0])
def test_the_price_is_that_of_the_steps_of_circles(rng, rate):
    paths = _paths(rng, 2_000)
    steps = np.abs(np.diff(paths, axis=1)) / paths.std(axis=(0, 1))
    found = price_of_motion(replace(SLOW, slowness_rate=rate))
    # 128 videos have one step each, of whose size the deviation is two thirds of the mean.
    assert found.step == pytest.approx(steps.mean(), rel=4 * 0.67 / 256**0.5)
    resting = _least_kl(np.zeros(1), rate)
    per_video = [steps[:, 0, coordinate][:300] for coordinate in (0, 1)]
    expected = 10 * sum(_least_kl(one, rate) - resting for one in per_video)
    assert found.price == pytest.approx(expected, rel=0.3)
    assert price_of_motion(replace(SLOW, slowness_rate=rate, slowness_weight=1.0)).price == pytest.approx(
        found.price / 10
    )


@pytest.mark.parametrize("rate", [1.0, 6.0])
def test_large_steps_have_the_least_kl_of_all_deviations(rate):
    for step in (0.0, 0.5, 2.0):
        found = slowness._least_kl(torch.tensor([step], dtype=torch.float64), rate)
        assert found == pytest.approx(_least_kl(np.array([step]), rate), abs=2e-3)


def test_steps_are_those_of_all_that_moves_in_some_videos():
    """With motion = axis each coordinate rests in about half of them."""
    config = replace(SLOW, motion="axis")
    paths = make_dataset(replace(config, num_test=128)).test_factors()[..., :2].astype(np.float64)
    steps = np.abs(np.diff(paths, axis=1))
    assert 0.3 < (steps == 0).mean() < 0.7
    assert price_of_motion(config).step == pytest.approx((steps / paths.std(axis=(0, 1))).mean(), rel=1e-5)


def test_the_mean_picture_of_other_places_is_without_the_picture_s_own():
    pixels = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1, 1, 1)
    # The others' means are ¾, ½ and ¼.
    assert slowness._worth(pixels, SLOW) == pytest.approx(2 * 0.75**2 / 3)


@pytest.mark.parametrize("background", ["gaussian", "black"])
def test_following_is_worth_the_variance_of_pictures_whose_background_rests(rng, background):
    def picture(circles, backgrounds):
        if background == "gaussian":
            return render_circles(np.hstack([circles, backgrounds])) / 255
        # The circle alone is what the sum of both exceeds its background by; on black nothing is cut off.
        return _circles_on_black(circles)

    there, elsewhere = _paths(rng, 600).reshape(2, -1, 2)[:, ::10]
    backgrounds = rng.random(there.shape)
    squares = np.square(picture(there, backgrounds) - picture(elsewhere, backgrounds)).sum(axis=(1, 2)) / 2
    found = price_of_motion(replace(SLOW, background=background)).worth
    assert found == pytest.approx(squares.mean(), rel=0.2)


def _circles_on_black(circles):
    """[N, 32, 32] by their definition on 64 × 64 pixels, d² ≤ r² + r about 48 p + 8, and a mean of four each."""
    places = 48 * circles[:, :, None] + 8
    square = np.square(np.arange(64) - places)  # [N, 2, 64]
    inside = square[:, 1, :, None] + square[:, 0, None, :] - 6.4 <= 6.4**2
    return inside.reshape(len(circles), 32, 2, 32, 2).mean(axis=(2, 4))


def _said(capsys, *arguments):
    describe(parse(STUDY, [*arguments, "--dry-run"]))
    return capsys.readouterr().out


def test_a_prior_that_asks_more_than_motion_is_worth_is_told(capsys):
    told = _said(capsys, "--slowness-weight", "0.1", "10", "--background", "black", "gaussian")
    assert "slowness of weight 10, rate 6 asks 7." in told and "give a smaller --slowness-weight" in told
    named = told.split("such as ")[1].split()[0]  # a weight that is said nothing of, and one digit more is too much
    assert "smaller --slowness-weight" not in _said(capsys, "--slowness-weight", named)
    assert "smaller --slowness-weight" in _said(capsys, "--slowness-weight", str(float(named) + 1))
    assert "smaller --slowness-weight" not in _said(capsys, "--slowness-weight", "0.1", "1")
    # On black a circle is worth four times as much.
    assert "smaller --slowness-weight" not in _said(capsys, "--slowness-weight", "10", "--background", "black")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
