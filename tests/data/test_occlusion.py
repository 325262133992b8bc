"""Several circles: the later before the earlier, and one alone as ever."""

from dataclasses import replace

import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset, render_circles
from dd_ray.data.occlusion import BEFORE_BLACK, BEFORE_GAUSSIAN, circle_values, paint_circles
from dd_ray.data.rendering import circle_masks, draw_backgrounds

ONE = TrialConfig(model="beta_vae", beta=0.1, dataset="still_circles")


@pytest.mark.parametrize("size", [32, 64])
def test_one_circle_is_that_of_the_definition_bit_for_bit(size):
    factors = torch.from_numpy(make_dataset(ONE).factors(0))
    assert torch.equal(paint_circles(factors, 1, size)[:, 0], render_circles(factors[:, 0], size))


def test_values_are_apart_and_grow_to_white():
    assert circle_values(1, BEFORE_GAUSSIAN) == [255]
    assert circle_values(2, BEFORE_GAUSSIAN) == [0, 255]
    assert circle_values(2, BEFORE_BLACK) == [128, 255]
    assert circle_values(4, BEFORE_BLACK) == [128, 171, 213, 255]


@pytest.mark.parametrize("background", ["black", "gaussian"])
@pytest.mark.parametrize("num_circles", [2, 3])
def test_the_last_circle_that_covers_a_pixel_decides_it(background, num_circles):
    config = replace(ONE, num_circles=num_circles, background=background, batch_size=200)
    factors = torch.from_numpy(make_dataset(config).factors(0))[:, 0]
    black = background == "black"
    if black:
        expected = torch.zeros(200, 64, 64, dtype=torch.uint8)
    else:
        expected = draw_backgrounds(factors[:, -2:]).canvases[:, 1:-1, 1:-1].clone()
    masks = [circle_masks(factors[:, 2 * k : 2 * k + 2]) for k in range(num_circles)]
    for mask, value in zip(masks, circle_values(num_circles, BEFORE_BLACK if black else BEFORE_GAUSSIAN), strict=True):
        expected[mask] = value
    assert (masks[0] & masks[1]).any()
    assert torch.equal(paint_circles(factors[:, None], num_circles, 64)[:, 0], expected)


def test_a_circle_behind_another_is_hidden_whole():
    hidden, alone = torch.tensor([[0.4, 0.6, 0.4, 0.6]]), torch.tensor([[0.4, 0.6]])
    for size in (32, 64):
        assert torch.equal(paint_circles(hidden[:, None], 2, size), paint_circles(alone[:, None], 1, size))


def test_an_image_does_not_depend_on_its_batch():
    factors = torch.from_numpy(make_dataset(TrialConfig(model="beta_vae", beta=0.1, num_circles=2)).factors(0))
    whole = paint_circles(factors, 2, 32)
    for size in (1, 5):
        assert torch.equal(torch.cat([paint_circles(part, 2, 32) for part in factors.split(size)]), whole)


@pytest.mark.parametrize("motion", ["linear", "axis", "bounce"])
def test_each_circle_moves_on_a_path_of_its_own(motion):
    config = TrialConfig(model="inertia_vae", beta=0.1, num_circles=2, motion=motion)
    factors = make_dataset(config).batch(0).factors
    steps = factors.diff(dim=1)
    assert steps[..., :2].abs().sum() > 0 and steps[..., 2:4].abs().sum() > 0
    assert not torch.equal(factors[..., :2], factors[..., 2:4])
    assert not steps[..., 4:].any()
    assert factors.min() >= 0 and factors.max() <= 1
