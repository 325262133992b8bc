"""Batches are pure functions of seed and iteration; the held-out set is fixed and disjoint."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data import FACTORS, make_dataset, render_circles
from dd_ray.errors import UserError

STILL = TrialConfig(model="beta_vae", beta=0.1, dataset="still_circles")
VIDEO = TrialConfig(model="inertia_vae", beta=0.1)
CONFIGS = {
    "still": STILL,
    "still original": replace(STILL, grid="original"),
    "linear": VIDEO,
    "axis": replace(VIDEO, motion="axis"),
    "bounce": replace(VIDEO, motion="bounce"),
    "original": replace(VIDEO, grid="original"),
    "5 frames": replace(VIDEO, num_frames=5),
}
# Starts of the sha256 of the factors of training batch 7, dataset seed 3, and of the held-out set of 600.
# A change here makes new results incomparable with old ones, and resumed trials unlike undisturbed ones.
STREAMS = {
    "still": ("893090daf2de5f57", "1278c1242722a13a"),
    "still original": ("d7e1959dfad60564", "e2d65420ce207db7"),
    "linear": ("aa17be4c423db738", "4680aaf246a178b7"),
    "axis": ("3a8e440dcaa3bcf1", "c437fdb13dc0a04c"),
    "bounce": ("47858a99b12ee8a7", "a20647e530e098fd"),
    "original": ("20659f616720656c", "88f20a6e7b59ad6e"),
    "5 frames": ("4b5cbc8e2a599194", "a28fd356ca200c3a"),
}
ORIGINALS = ["still original", "original"]


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def _digest(factors):
    return hashlib.sha256(np.ascontiguousarray(factors)).hexdigest()[:16]


@pytest.mark.parametrize("name", CONFIGS)
def test_streams_have_not_changed(name):
    dataset = make_dataset(replace(CONFIGS[name], dataset_seed=3, num_test=600))
    assert (_digest(dataset.factors(7)), _digest(dataset.test_factors())) == STREAMS[name]


def test_a_batch_does_not_depend_on_what_was_asked_before(config):
    fresh, used = (make_dataset(replace(config, num_test=50)) for _ in range(2))
    for iteration in (100_000, 3, 6):
        used.batch(iteration)
    used.test_set()
    for a, b in zip((fresh.batch(7), fresh.test_set()), (used.batch(7), used.test_set()), strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.factors, b.factors)


def test_batches_differ_by_iteration_and_by_seed(config):
    dataset, other = make_dataset(config), make_dataset(replace(config, dataset_seed=1))
    digests = {_digest(f) for f in (dataset.factors(0), dataset.factors(1), other.factors(0), other.factors(1))}
    assert len(digests) == 4


def test_shapes_ranges_and_names(config):
    dataset = make_dataset(replace(config, batch_size=5, num_test=7))
    for size, batch in ((5, dataset.batch(0)), (7, dataset.test_set())):
        assert batch.images.shape == (size, config.frames, 1, 32, 32)
        assert batch.factors.shape == (size, config.frames, 4)
        assert batch.images.dtype == batch.factors.dtype == torch.float32
        assert batch.factor_names == dataset.factor_names == FACTORS
        assert 0 <= batch.factors.min() <= batch.factors.max() <= 1
        assert batch.images.min() > 0
        assert batch.images.max() == 1
        assert torch.equal(batch.factors[:, :, 2:], batch.factors[:, :1, 2:].expand(-1, config.frames, -1))


def test_images_are_rendered_from_the_factors_of_the_batch(config):
    batch = make_dataset(config).batch(2)
    expected = render_circles(batch.factors.flatten(0, 1).numpy()).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(batch.images.flatten(0, 2).numpy(), expected)


def test_several_iterations_are_rendered_as_one(config):
    dataset = make_dataset(config)
    for iteration, batch in dataset.batches([9, 4]).items():
        alone = dataset.batch(iteration)
        assert torch.equal(batch.images, alone.images) and torch.equal(batch.factors, alone.factors)
        assert torch.equal(batch.factors, torch.from_numpy(dataset.factors(iteration)))


def test_a_smaller_held_out_set_is_the_start_of_a_larger_one(config):
    larger = make_dataset(replace(config, num_test=1500)).test_factors()
    for num_test in (2, 512, 513):
        np.testing.assert_array_equal(
            make_dataset(replace(config, num_test=num_test)).test_factors(), larger[:num_test]
        )


def test_the_held_out_set_depends_on_no_setting_of_training(config):
    other = replace(config, dataset_seed=9, seed=9, batch_size=3, learning_rate=0.1, num_latents=2, beta=1.0)
    np.testing.assert_array_equal(make_dataset(config).test_factors(), make_dataset(other).test_factors())


@pytest.mark.parametrize("name", ["still", "linear", "axis", "bounce"])
def test_continuous_held_out_factors_are_not_in_training(name):
    dataset = make_dataset(replace(CONFIGS[name], dataset_seed=0, num_test=2000))
    held_out = {video.tobytes() for video in dataset.test_factors()}
    assert len(held_out) == 2000
    assert not any(video.tobytes() in held_out for i in range(100) for video in dataset.factors(i))


@pytest.mark.parametrize("name", ORIGINALS)
def test_each_original_sample_comes_once_an_epoch_and_held_out_ones_never(name):
    # 199 divides neither set's number of training samples, so that batches cross the end of an epoch.
    dataset = make_dataset(replace(CONFIGS[name], batch_size=199))
    size = dataset.members.size - NUM_HELD_OUT
    assert size % 199
    order = np.concatenate([dataset.indices(i) for i in range(2 * size // 199 + 1)])
    first, second = order[:size], order[size : 2 * size]
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert (first != second).mean() > 0.99
    samples = np.concatenate([first, dataset.test_indices])
    np.testing.assert_array_equal(np.sort(samples), np.arange(dataset.members.size))


@pytest.mark.parametrize("name", ORIGINALS)
def test_training_does_not_depend_on_how_many_are_held_out(name):
    few, many = (make_dataset(replace(CONFIGS[name], num_test=n)) for n in (2, NUM_HELD_OUT))
    np.testing.assert_array_equal(few.indices(3), many.indices(3))
    assert not np.isin(few.indices(3), many.test_indices).any()


def test_batches_of_any_size_cut_the_same_sequence():
    large, small = (make_dataset(replace(CONFIGS["original"], batch_size=b)) for b in (400_000, 1000))
    np.testing.assert_array_equal(large.indices(1), np.concatenate([small.indices(i) for i in range(400, 800)]))


def test_more_held_out_samples_than_reserved_are_refused():
    with pytest.raises(UserError, match=r"num_test = 10001.*at most 10000"):
        make_dataset(replace(CONFIGS["original"], num_test=10_001))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_negative_iteration_is_refused(name):
    with pytest.raises(UserError, match="= -1 is out of range"):
        make_dataset(CONFIGS[name]).factors(-1)


@pytest.mark.parametrize(
    ("name", "order", "digest"),
    [
        ("original", [2, 3, 0, 1], "e91502f012339f1c2c636fdf6daab1a75ff188550634d56fd48613ebea5cbd08"),
        ("still original", [2, 3, 0, 1], "704a0f338e76a3b38cb7816f5abc50ddc693bd25958503adfe32762c7e5133a4"),
    ],
)
def test_finite_sets_have_the_checksums_of_the_original(name, order, digest):
    members = make_dataset(CONFIGS[name]).members
    # The original puts the background first, and time last.
    factors = members.factors(np.arange(members.size))[..., order].transpose(0, 2, 1)
    assert hashlib.sha256(np.ascontiguousarray(factors)).hexdigest() == digest
