"""Rendering is bit-exact: with the original's images, and with the definition."""

import hashlib
from itertools import product

import numpy as np
import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.data import FACTORS, make_dataset, render_circles
from dd_ray.data.rendering import grid_backgrounds, render_videos
from dd_ray.errors import UserError
from tests.data import oracle

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["static_images", "moving_images"])
def test_images_are_those_of_the_original(reference, name):
    file = np.load(reference / f"{name}.npz")
    columns = [file["factor_names"].tolist().index(factor) for factor in FACTORS]
    factors = file["factors"][..., columns].reshape(-1, 4)
    np.testing.assert_array_equal(render_circles(factors), file["images"].reshape(-1, 32, 32))


@pytest.mark.parametrize("background_drawn_by", ["the grid", "the video", "the frame"])
def test_checksum_of_the_first_thousand_videos(original_videos, background_drawn_by):
    factors = torch.from_numpy(original_videos.members.factors(np.arange(1000)))
    if background_drawn_by == "the frame":
        images = render_circles(factors.flatten(0, 1))
    else:
        images = render_videos(factors, grid_backgrounds(32, CPU) if background_drawn_by == "the grid" else None)
    digest = hashlib.sha256(images.numpy()).hexdigest()
    assert digest == "7e2296bbf28f9a1482ac877eb1f04e568726c850c28699c3a846e706617fc0b6"


@pytest.fixture(scope="module")
def original_videos():
    return make_dataset(TrialConfig(model="inertia_vae", beta=0.1, grid="original"))


def _uniform(dtype):
    return np.random.default_rng(1).random((700, 4)).astype(dtype)


def _corners(dtype):
    """Everything at 0, 1, or next to them, where circle and background meet the borders of the canvas."""
    edges = [0, np.finfo(dtype).eps, 0.5, 1 - np.finfo(dtype).eps, 1]
    return np.array(list(product(edges, repeat=4)), dtype)


def _neighbours(positions, steps=2):
    """The positions and the next ones that their type holds on either side."""
    lower = upper = positions
    stack = [positions]
    for _ in range(steps):
        lower, upper = np.nextafter(lower, 0), np.nextafter(upper, 1)
        stack += [lower, upper]
    return np.concatenate(stack).astype(positions.dtype)


def _circles_through_pixels(dtype):
    """Circles whose border runs through the centre of a pixel, as nearly as the type can say."""
    rng = np.random.default_rng(2)
    pixel = rng.integers(16, 48, (80, 2))
    angle = rng.uniform(0, 2 * np.pi, 80)
    angle[:24] = np.arange(24) % 4 * np.pi / 2
    centre = pixel - np.sqrt(6.4**2 + 6.4) * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    x, y = ((centre - 8) / 48).clip(0, 1).astype(dtype).T
    positions = np.stack([_neighbours(x), np.tile(y, 5)], axis=-1)
    return np.concatenate([positions, rng.random(positions.shape).astype(dtype)], axis=-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("draw", [_uniform, _corners, _circles_through_pixels])
def test_images_are_those_of_the_definition(draw, dtype):
    factors = draw(dtype)
    expected = oracle.canvases(factors)
    np.testing.assert_array_equal(render_circles(factors, 64), expected)
    np.testing.assert_array_equal(render_circles(factors), oracle.halve(expected))


def test_circles_through_pixels_distinguish_the_types():
    factors = _circles_through_pixels(np.float64)
    assert (render_circles(factors) != render_circles(factors.astype(np.float32))).any()


def test_all_backgrounds_of_the_grid_are_those_of_the_definition():
    levels = np.linspace(0, 1, 32, dtype=np.float32)
    factors = np.array(list(product([0.5], [0.5], levels, levels)), np.float32)
    backgrounds, expected = grid_backgrounds(32, CPU).canvases.numpy()[:, 1:-1, 1:-1], oracle.canvases(factors)
    unlit = expected[0] < 255
    np.testing.assert_array_equal(backgrounds[:, unlit], expected[:, unlit])


@pytest.mark.parametrize("grid", ["continuous", "original"])
@pytest.mark.parametrize("dataset", ["still_circles", "moving_circles"])
def test_batches_can_be_of_canvases_that_are_not_reduced(dataset, grid):
    config = TrialConfig(
        model="beta_vae", beta=0.1, dataset=dataset, grid=grid, network="mlp", image_size=64, batch_size=3
    )
    batch = make_dataset(config).batch(2)
    expected = oracle.canvases(batch.factors.flatten(0, 1).numpy())
    np.testing.assert_array_equal((batch.images * 255).flatten(0, 1)[:, 0].numpy(), expected)


def test_videos_longer_than_a_chunk_and_many_chunks_agree():
    factors = torch.from_numpy(np.random.default_rng(3).random((3, 700, 4), dtype=np.float32))
    factors[:, :, 2:] = factors[:, :1, 2:]
    expected = render_circles(factors.flatten(0, 1)).view(3, 700, 32, 32)
    assert torch.equal(render_videos(factors), expected)
    assert torch.equal(render_videos(factors.transpose(0, 1)[:, :1])[:, 0], expected[0])


def test_output_is_of_the_kind_of_the_input():
    array = _uniform(np.float32)[:3]
    array.setflags(write=False)
    images = render_circles(array)
    assert isinstance(images, np.ndarray)
    tensor = render_circles(torch.tensor(array))
    assert tensor.dtype == torch.uint8
    assert tensor.shape == (3, 32, 32)
    np.testing.assert_array_equal(tensor.numpy(), images)
    assert render_circles(array[:0]).shape == (0, 32, 32)


@pytest.mark.parametrize(
    ("factors", "image_size", "message"),
    [
        (np.zeros((2, 4)), 48, "image_size = 48.*give 32, or 64"),
        (np.zeros((2, 3)), 32, r"shape \(2, 3\).*give \[N, 4\]"),
        (np.zeros(4), 32, r"shape \(4,\)"),
        (np.zeros((2, 4), int), 32, r"int64.*give float32 or float64"),
        (np.array([[0, 0, 0, 0], [0, 1.5, 0, 0], [2.5, 0, 0, 0]]), 32, r"circle_y = 1\.5 in row 1.*\[0, 1\]"),
        (np.array([[0, 0, 0, -0.25]]), 32, r"background_y = -0\.25 in row 0"),
        (np.array([[0, 0, np.nan, 0]]), 32, "background_x = nan"),
        (np.array([[np.inf, 0, 0, 0]]), 32, "circle_x = inf"),
    ],
)
def test_wrong_input_is_named(factors, image_size, message):
    for given in (factors, torch.from_numpy(factors)):
        with pytest.raises(UserError, match=message):
            render_circles(given, image_size)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("draw", [_uniform, _corners, _circles_through_pixels])
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_cuda_renders_the_same_images(draw, dtype, precision):
    factors = torch.from_numpy(draw(dtype))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        for image_size in (32, 64):
            on_gpu = render_circles(factors.cuda(), image_size)
            assert on_gpu.is_cuda
            assert torch.equal(on_gpu.cpu(), render_circles(factors, image_size))
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("grid", ["continuous", "original"])
def test_cuda_gives_the_same_batches(grid):
    config = TrialConfig(model="inertia_vae", beta=0.1, grid=grid)
    on_gpu, on_cpu = make_dataset(config, "cuda").batch(3), make_dataset(config).batch(3)
    assert torch.equal(on_gpu.images.cpu(), on_cpu.images)
    assert torch.equal(on_gpu.factors.cpu(), on_cpu.factors)
