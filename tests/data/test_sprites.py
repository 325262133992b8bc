"""Sprites are where, as large and as turned as their factors say, whatever batch they are in."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data import generator, held_out_stills, make_dataset, render_stills
from dd_ray.data.levels import snap
from dd_ray.data.rendering import draw_backgrounds
from dd_ray.data.sprites import SIZES, SpriteGrid, halve, paint_sprites
from dd_ray.data.streams import Stream
from dd_ray.errors import UserError

SHAPES = {"square": 0.0, "ellipse": 0.5, "heart": 1.0}
STILL = TrialConfig(model="beta_vae", beta=0.1, dataset="still_sprites")
BLACK = replace(STILL, background="black")
GRID = replace(BLACK, grid="original")
MOVING = TrialConfig(model="inertia_vae", beta=0.1, dataset="moving_sprites")


def _painted(*factors, size=64):
    """uint8 [N, S, S] of stills on black."""
    return paint_sprites(torch.tensor(factors)[:, None], size)[:, 0]


def _inside(shape, u, v):
    """The definition once more, for one point."""
    if shape == 0:
        return max(abs(u), abs(v)) <= 10.25
    if shape == 0.5:
        return (u / 14.75) ** 2 + (v / 9.05) ** 2 <= 1
    a, b = u / 10.7, -v / 10.7
    return (a**2 + b**2 - 1) ** 3 <= a**2 * b**3


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_images_are_those_of_the_definition(shape):
    scale, orientation, x, y = 0.37, 0.13, 0.62, 0.21
    size, angle = 0.5 + 0.5 * scale, 2 * math.pi * orientation
    expected = np.zeros((64, 64), np.uint8)
    for row, column in np.ndindex(64, 64):
        dx, dy = column + 0.5 - 16.5 - 31 * x, row + 0.5 - 16.5 - 31 * y
        u = (math.cos(angle) * dx + math.sin(angle) * dy) / size
        v = (math.cos(angle) * dy - math.sin(angle) * dx) / size
        expected[row, column] = 255 * _inside(shape, u, v)
    painted = paint_sprites(torch.tensor([[[shape, scale, orientation, x, y]]], dtype=torch.float64), 64)
    np.testing.assert_array_equal(painted[0, 0], expected)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("scale", [0.0, 0.4, 1.0])
def test_the_area_is_that_of_the_outline(shape, scale):
    places = np.random.default_rng(0).random((50, 3))
    images = _painted(*[[shape, scale, *place] for place in places])
    area = 420 * (0.5 + 0.5 * scale) ** 2
    assert images.unique().tolist() == [0, 255]
    assert (images > 0).sum((1, 2)).double().mean().item() == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("shape", [0.0, 0.5])
def test_the_centre_of_mass_is_the_centre(shape):
    for x, y in np.random.default_rng(1).random((20, 2)):
        rows, columns = np.nonzero(_painted([shape, 1.0, 0.3, x, y])[0].numpy())
        assert columns.mean() + 0.5 == pytest.approx(16.5 + 31 * x, abs=0.2)
        assert rows.mean() + 0.5 == pytest.approx(16.5 + 31 * y, abs=0.2)


def test_a_step_of_the_grid_of_places_is_one_pixel():
    still, right, down = _painted(*[[1.0, 0.6, 0.2, x / 31, y / 31] for x, y in ((7, 9), (8, 9), (7, 10))])
    assert torch.equal(right, still.roll(1, 1))
    assert torch.equal(down, still.roll(1, 0))


def test_no_sprite_reaches_the_border():
    ends = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0]), *[torch.tensor([0.0, 1.0])] * 3])
    turned = [torch.cat([ends[:, :2], torch.full((len(ends), 1), o / 16), ends[:, 2:]], 1) for o in range(16)]
    images = paint_sprites(torch.cat(turned)[:, None], 64)[:, 0]
    assert not images[:, [0, -1]].any() and not images[:, :, [0, -1]].any()


def test_each_shape_has_its_symmetry_and_no_more():
    # Turned in the middle of a pixel grid, by quarters, an image is the same picture turned.
    for shape, period in ((0.0, 1), (0.5, 2), (1.0, 4)):
        quarters = _painted(*[[shape, 1.0, q / 4 + 1 / 64, 0.5, 0.5] for q in range(4)])
        assert torch.equal(quarters[1], quarters[0].rot90(-1))
        same = [torch.equal(quarters[q], quarters[0]) for q in range(4)]
        assert same == [q % period == 0 for q in range(4)]


def test_a_heart_is_upright_and_mirror_symmetric():
    heart = _painted([1.0, 1.0, 0.0, 0.5, 0.5])[0]
    assert torch.equal(heart, heart.flip(1))
    widths = (heart > 0).sum(1)[(heart > 0).any(1)]
    assert widths[:8].min() > 8 > widths[-2:].max()


def test_the_first_and_the_last_orientation_are_the_same_as_in_dsprites():
    first, last = _painted(*[[1.0, 1.0, o, 0.25, 0.75] for o in (0.0, 1.0)])
    assert torch.equal(first, last)


@pytest.mark.parametrize("config", [STILL, BLACK, GRID, MOVING, replace(MOVING, moves="scale")])
def test_an_image_does_not_depend_on_its_batch(config):
    factors = torch.from_numpy(make_dataset(replace(config, batch_size=65)).factors(0))
    whole = paint_sprites(factors, 32)
    for size in (1, 7, 64):
        assert torch.equal(torch.cat([paint_sprites(part, 32) for part in factors.split(size)]), whole)


def test_a_small_image_is_the_mean_of_a_large_one():
    factors = torch.from_numpy(make_dataset(STILL).factors(0))
    large, small = (paint_sprites(factors, size)[:, 0] for size in (64, 32))
    means = large.double().unflatten(1, (32, 2)).unflatten(3, (32, 2)).mean((2, 4))
    assert torch.equal(small, (means + 0.5).floor().to(torch.uint8))
    assert torch.equal(halve(large), small)


def test_before_a_gaussian_the_rest_is_that_of_the_circles():
    factors = torch.from_numpy(make_dataset(STILL).factors(3))
    shown = paint_sprites(factors, 64)[:, 0]
    lit = paint_sprites(factors[..., :5], 64)[:, 0] == 255
    gaussians = draw_backgrounds(factors[:, 0, 5:]).canvases[:, 1:-1, 1:-1]
    assert (shown[lit] == 255).all()
    assert torch.equal(shown[~lit], gaussians[~lit])


def test_snapping_keeps_levels_and_makes_uniform_numbers_uniform():
    for n in (1, *SIZES):
        levels = np.arange(n, dtype=np.float32) / max(1, n - 1)
        np.testing.assert_array_equal(snap(levels, n), levels)
        middles = (np.arange(1200 * n) + 0.5) / (1200 * n)
        assert np.unique(snap(middles, n), return_counts=True)[1].tolist() == [1200] * n


def test_the_grid_has_the_layout_of_dsprites():
    grid = SpriteGrid()
    assert grid.size == 737_280
    first, second, last = grid.factors(np.array([0, 1, grid.size - 1]))[:, 0]
    assert first.tolist() == [0] * 5 and last.tolist() == [1] * 5
    np.testing.assert_array_equal(second, np.float32([0, 0, 0, 0, 1 / 31]))
    factors = grid.factors(np.arange(grid.size))[:, 0]
    assert [len(np.unique(column)) for column in factors.T] == list(SIZES)


@pytest.mark.parametrize("split", [{}, *({"split": kind, "train_share": 0.6} for kind in ("levels", "samples"))])
def test_no_held_out_picture_is_trained_on_by_another_name(split):
    dataset = make_dataset(replace(GRID, **split))
    sprites, place = np.divmod(dataset.train_indices, 32 * 32)
    at_one_place = sprites[place == np.bincount(place).argmax()]
    trained = _images_of(at_one_place)
    held_out, places = np.divmod(dataset.test_indices, 32 * 32)
    for index in held_out[places == np.bincount(place).argmax()]:
        assert not _images_of([index]) & trained
    ends = dataset.levels()["sprite_orientation"].trained[[0, -1]]
    assert ends[0] == ends[1]


def _images_of(sprites):
    """The different images of some sprites of the grid in the middle."""
    factors = SpriteGrid((*SIZES[:3], 1, 1)).factors(np.asarray(sprites))
    return {image.tobytes() for image in paint_sprites(torch.from_numpy(factors), 64).numpy()}


def test_samples_of_the_grid_are_split_into_training_and_held_out():
    dataset = make_dataset(GRID)
    assert len(dataset.test_indices) == NUM_HELD_OUT
    assert not np.isin(np.concatenate([dataset.indices(i) for i in range(200)]), dataset.test_indices).any()


@pytest.mark.parametrize(("moves", "columns"), [("position", [3, 4]), ("scale", [1]), ("orientation", [2])])
def test_what_moves_moves_in_a_straight_line_and_all_else_rests(moves, columns):
    batch = make_dataset(replace(MOVING, moves=moves)).batch(5)
    steps = batch.factors.diff(dim=1)
    resting = [i for i in range(7) if i not in columns]
    assert not steps[..., resting].any()
    assert steps[..., columns].abs().sum(-1).min() > 0.1 / 9 / 2
    torch.testing.assert_close(steps[:, 1:], steps[:, :-1], rtol=0, atol=1e-6)
    assert set(batch.factors[..., 0].unique().tolist()) == {0, 0.5, 1}
    assert batch.factors.min() >= 0 and batch.factors.max() <= 1


@pytest.mark.parametrize("config", [STILL, BLACK, GRID, MOVING])
def test_batches_follow_from_seed_and_iteration_and_the_held_out_set_is_apart(config):
    dataset, again, other = (make_dataset(replace(config, dataset_seed=s, num_test=600)) for s in (0, 0, 1))
    again.batch(2)
    assert torch.equal(dataset.batch(4).images, again.batch(4).images)
    assert not np.array_equal(dataset.factors(4), other.factors(4))
    np.testing.assert_array_equal(dataset.test_factors(), other.test_factors())
    held_out = {sample.tobytes() for sample in dataset.test_factors()}
    assert len(held_out) == 600
    assert not any(sample.tobytes() in held_out for i in range(50) for sample in dataset.factors(i))


def test_shapes_and_names():
    for config in (STILL, BLACK, GRID, MOVING):
        batch = make_dataset(replace(config, batch_size=3)).batch(0)
        assert batch.images.shape == (3, config.frames, *config.image_shape)
        assert batch.factors.shape == (3, config.frames, len(config.factor_names))
        assert batch.factor_names == config.factor_names


def test_stills_are_the_pictures_of_a_batch():
    batch = make_dataset(STILL).batch(0)
    pictures = render_stills(STILL, batch.factors[:, 0].numpy())
    np.testing.assert_array_equal(batch.images[:, 0, 0].numpy(), pictures.astype(np.float32) / np.float32(255))


def test_held_out_stills_have_the_shapes_that_they_show():
    shapes = held_out_stills(STILL, 3000)[:, 0]
    for shape in SHAPES.values():
        assert (shapes == shape).mean() == pytest.approx(1 / 3, abs=0.04)


def test_wrong_factors_are_named():
    draw = partial(generator(0, Stream.TRAIN, 0).random, dtype=np.float32)
    with pytest.raises(UserError, match=r"\[N, 5\].*sprite_shape"):
        render_stills(BLACK, draw((3, 4)))
    with pytest.raises(UserError, match=r"sprite_scale = 1\.5"):
        render_stills(BLACK, np.array([[0, 1.5, 0, 0, 0]]))
