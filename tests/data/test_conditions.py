"""What is done to frames on their way to a model: by its statistics, by seed and iteration alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest, spearmanr

from dd_ray.config import TrialConfig
from dd_ray.data import held_out_stills, make_dataset, render_stills
from dd_ray.data.circles import circle_painter
from dd_ray.data.occluder import hidden_frames, occluded
from dd_ray.data.occlusion import paint_circles
from dd_ray.data.streams import Stream, generator
from dd_ray.training import Stack
from tests.small import small

VIDEO = TrialConfig(model="inertia_vae", beta=0.1, batch_size=16, num_test=12)
SPRITES = replace(VIDEO, dataset="moving_sprites", background="black")
CONDITIONS = {
    "bar": {"occluder": 16.0},
    "bar, noise and black": {"occluder": 16.0, "pixel_noise": 0.1, "drop_rate": 0.4},
    "noise": {"pixel_noise": 0.1},
    "black": {"drop_rate": 0.4},
    "frozen": {"drop_rate": 0.4, "dropped": "frozen"},
    "noise and frozen": {"pixel_noise": 0.1, "drop_rate": 0.4, "dropped": "frozen"},
}
METHODS_OF_CPU = ("grouped", "streams")
SCENES = {"radius": {"circle_radius": 4.0}, "contrast": {"contrast": 0.5}, "bar": {"occluder": 13.0}}
each_condition = pytest.mark.parametrize("changes", CONDITIONS.values(), ids=CONDITIONS)


def _batches(config, iteration=3):
    dataset = make_dataset(config)
    return dataset.batch(iteration), dataset.test_set()


@pytest.mark.parametrize("background", ["gaussian", "black"])
@pytest.mark.parametrize("size", [32, 64])
def test_with_contrast_1_and_the_usual_radius_images_stay_what_they_are(background, size):
    config = replace(VIDEO, background=background, image_size=size, network="mlp")
    factors = torch.from_numpy(make_dataset(config).factors(0))
    expected = circle_painter(config)(factors)
    assert torch.equal(paint_circles(factors, 1, size, radius=6.4, contrast=1.0), expected)


@pytest.mark.parametrize("radius", [3.0, 9.0])
def test_circles_have_the_area_of_their_radius(radius):
    # With r (r + 1) for the square of the radius, as the original's circles have.
    config = replace(VIDEO, background="black", circle_radius=radius, image_size=64, network="mlp", batch_size=200)
    images, factors = (getattr(make_dataset(config).batch(0), name) for name in ("images", "factors"))
    centres = 48 * factors[..., :2] + 8
    whole = ((centres > radius + 1) & (centres < 63 - radius)).all(-1)
    areas = images[whole].sum(dim=(1, 2, 3))
    assert areas.mean().item() == pytest.approx(torch.pi * radius * (radius + 1), rel=0.01)


@pytest.mark.parametrize("plain", [VIDEO, SPRITES, replace(SPRITES, background="gaussian")])
def test_contrast_is_the_share_by_which_things_stand_out(plain):
    config = replace(plain, image_size=64, network="mlp")
    full, half = (255 * make_dataset(replace(config, contrast=c)).batch(0).images for c in (1.0, 0.5))
    lit = full == 255
    assert torch.equal(half[~lit], full[~lit])
    if plain.background == "black":
        assert half[lit].unique().tolist() == [128]
    else:
        behind = 2 * half[lit] - 255  # within the rounding of a half
        assert behind.min() >= 0 and behind.max() <= 205


@pytest.mark.parametrize("changes", SCENES.values(), ids=SCENES)
def test_still_pictures_show_the_same_scene(changes):
    config = replace(VIDEO, **changes)
    batch = make_dataset(config).batch(0)
    shown = render_stills(config, batch.factors.flatten(0, 1).numpy())
    np.testing.assert_array_equal(shown, (255 * batch.images).round().flatten(0, 2).numpy())


WITH_BACKGROUND = {
    "linear": VIDEO,
    "axis": replace(VIDEO, motion="axis"),
    "bounce": replace(VIDEO, motion="bounce"),
    "two circles": replace(VIDEO, num_circles=2),
    "sprites": replace(SPRITES, background="gaussian"),
    "turning sprites": replace(SPRITES, background="gaussian", moves="orientation"),
}
NUM_DRAWN = 20_000


@pytest.mark.parametrize("rho", [-0.9, 0.6])
@pytest.mark.parametrize("plain", WITH_BACKGROUND.values(), ids=WITH_BACKGROUND)
def test_the_rank_correlation_of_the_first_frame_is_that_of_the_copula(plain, rho):
    config = replace(plain, correlation=rho, batch_size=NUM_DRAWN)
    first = make_dataset(config).factors(0)[:, 0]
    place = [i for i, name in enumerate(config.factor_names) if name.endswith(("_x", "_y"))][:2]
    ranks = spearmanr(first).statistic
    expected = 6 / np.pi * np.arcsin(rho / 2)
    for i, at in enumerate(place):
        assert ranks[at, -2 + i] == pytest.approx(expected, abs=4 / NUM_DRAWN**0.5)
        assert ranks[at, -1 - i] == pytest.approx(0, abs=4 / NUM_DRAWN**0.5)  # x of one and y of the other


@pytest.mark.parametrize("rho", [-1.0, 0.6, 0.99])
def test_correlated_backgrounds_are_uniform(rho):
    config = replace(VIDEO, motion="bounce", correlation=rho, batch_size=NUM_DRAWN)
    factors = make_dataset(config).factors(0)
    assert (factors[..., 2:] == factors[:, :1, 2:]).all()
    for i in (0, 2, 3):
        assert kstest(factors[:, 0, i], "uniform").pvalue > 0.001


@pytest.mark.parametrize("plain", WITH_BACKGROUND.values(), ids=WITH_BACKGROUND)
def test_correlation_moves_backgrounds_alone_and_no_stills(plain):
    config = replace(plain, correlation=0.6)
    before, after = make_dataset(plain).factors(5), make_dataset(config).factors(5)
    np.testing.assert_array_equal(after[..., :-2], before[..., :-2])
    assert (after[..., -2:] != before[..., -2:]).all()
    np.testing.assert_array_equal(held_out_stills(config, 8), held_out_stills(plain, 8))


@pytest.mark.parametrize(
    ("size", "width", "shares"), [(64, 6, {}), (64, 7, {28: 0.5, 35: 0.5}), (32, 6, {14: 0.5, 17: 0.5})]
)
def test_the_bar_is_as_wide_as_it_is_asked_for_whatever_the_size_of_the_picture(size, width, shares):
    pictures = torch.arange(256, dtype=torch.uint8)[:, None, None].expand(-1, size, size)
    seen = occluded(pictures, width).numpy()
    half = width * size / 128
    covered = {i for i in range(size) if size / 2 - half <= i <= size / 2 + half - 1}
    for column in range(size):
        share = 1 if column in covered else shares.get(column, 0)
        expected = np.floor(np.arange(256) * (1 - share) + 128 * share + 0.5)
        np.testing.assert_array_equal(seen[:, :, column], np.repeat(expected[:, None], size, axis=1))


@pytest.mark.parametrize("plain", [VIDEO, SPRITES], ids=["circles", "sprites"])
def test_what_is_hidden_has_its_centre_behind_the_bar(plain):
    config = replace(plain, occluder=14.0, image_size=64, network="mlp", background="black", contrast=1.0)
    config = replace(config, target="clean", batch_size=64)
    batch = make_dataset(config).batch(0)
    lit = batch.clean[:, :, 0].sum(dim=2)  # [B, T, columns]
    centres = (lit * (torch.arange(64) + 0.5)).sum(-1) / lit.sum(-1)
    hidden = batch.lost["hidden"]
    assert 0.05 < hidden.float().mean() < 0.6
    # Hearts have their centre of mass elsewhere, and a few pixels are not the outline.
    even = torch.ones_like(hidden) if plain is VIDEO else batch.factors[..., 0] < 1
    distances = (centres - 32).abs()
    assert (distances[hidden & even] < 7 + 0.5).all() and (distances[~hidden & even] > 7 - 0.5).all()
    behind = batch.images[..., 25:39]
    assert torch.equal(behind, torch.full_like(behind, 128 / 255))


def test_one_hidden_circle_of_two_is_enough():
    factors = torch.tensor([[[0.5, 0.1, 0.9, 0.9], [0.1, 0.5, 0.9, 0.5], [0.9, 0.1, 0.5, 0.3]]])
    names = replace(VIDEO, num_circles=2, background="black").factor_names
    assert hidden_frames(factors, names, 8.0).tolist() == [[True, False, True]]
    assert not hidden_frames(torch.full((1, 1, 1), 0.5), ("background_x",), 8.0).any()


def test_each_of_several_circles_is_hidden_where_one_alone_is():
    names = replace(VIDEO, num_circles=4, background="black").factor_names
    places = torch.linspace(0, 1, 201)
    alone = hidden_frames(places[None, :, None], ("circle_x",), 8.0)
    for i in range(4):
        factors = torch.zeros(1, 201, 8)
        factors[..., 2 * i] = places
        assert torch.equal(hidden_frames(factors, names, 8.0), alone)


def test_a_full_correlation_is_equality():
    factors = make_dataset(replace(VIDEO, correlation=1.0)).factors(0)
    np.testing.assert_allclose(factors[:, 0, :2], factors[:, 0, 2:], atol=1e-6)


@each_condition
@pytest.mark.parametrize("plain", [VIDEO, SPRITES], ids=["circles", "sprites"])
def test_conditions_change_the_images_and_nothing_else(plain, changes):
    for before, after in zip(_batches(plain), _batches(replace(plain, **changes)), strict=True):
        assert torch.equal(before.factors, after.factors)
        assert not torch.equal(before.images, after.images)
        assert after.images.dtype == torch.float32 and 0 <= after.images.min() <= after.images.max() <= 1


@each_condition
def test_a_batch_follows_from_seed_and_iteration_alone(changes):
    config = replace(VIDEO, **changes)
    fresh, used = make_dataset(config), make_dataset(config)
    used.batches([5, 100_000])
    used.test_set()
    for ours, theirs in ((used.batches([4, 3])[3], fresh.batch(3)), (used.test_set(), fresh.test_set())):
        assert torch.equal(ours.images, theirs.images)
    assert torch.equal(make_dataset(replace(config, dataset_seed=9)).test_set().images, fresh.test_set().images)


@each_condition
def test_a_smaller_held_out_set_is_the_start_of_a_larger_one(changes):
    few, many = (make_dataset(replace(VIDEO, num_test=n, **changes)).test_set() for n in (12, 600))
    assert torch.equal(few.images, many.images[:12])


@each_condition
def test_the_clean_frames_are_those_before_and_there_only_where_they_are_the_target(changes):
    seen, clean = (replace(VIDEO, **changes, target=target) for target in ("seen", "clean"))
    for ours, theirs, plain in zip(_batches(clean), _batches(seen), _batches(VIDEO), strict=True):
        assert torch.equal(ours.target, plain.images) and torch.equal(ours.images, theirs.images)
        assert theirs.clean is None and theirs.target is theirs.images


@pytest.mark.parametrize("method", METHODS_OF_CPU)
def test_the_clean_frames_reach_trials_that_are_computed_as_one(method):
    # Small steps, so that a unit that rounding makes active in one of them alone does not lead them apart.
    options = {"pixel_noise": 0.3, "target": "clean", "learning_rate": 1e-6}
    configs = [small("inertia_vae", **options, seed=seed) for seed in (1, 2)]
    stacks = [Stack(configs, method=each) for each in ("alone", method)]
    for stack in stacks:
        stack.step(2)
        stack.step_trials([stack[configs[0].key]])
        stack.step()  # at two iterations, of which each has a batch of its own
    for config in configs:
        alone, fused = (stack[config.key].terms.loss.item() for stack in stacks)
        assert fused == pytest.approx(alone, rel=1e-4)


def _noise_of(config, iteration=0, seed=0):
    """The noise of a batch, σ⁻¹ (x' − x), where nothing is cut off: on grey pixels."""
    noisy = make_dataset(replace(config, pixel_noise=0.02, dataset_seed=seed)).batch(iteration).images
    clean = make_dataset(replace(config, dataset_seed=seed)).batch(iteration).images
    grey = (clean > 0.2) & (clean < 0.8)
    return (noisy - clean) / 0.02, grey


def test_the_noise_is_standard_normal_and_independent():
    noise, grey = _noise_of(VIDEO)
    values, n = noise[grey], int(grey.sum())
    assert n > 50_000
    assert abs(values.mean()) < 4 / n**0.5
    assert abs(values.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((values.abs() > 1.959964).float().mean() - 0.05) < 4 * (0.05 * 0.95 / n) ** 0.5
    for axis in (1, 3, 4):  # of frames, rows and columns
        first, second = noise.narrow(axis, 0, noise.shape[axis] - 1), noise.narrow(axis, 1, noise.shape[axis] - 1)
        both = grey.narrow(axis, 0, noise.shape[axis] - 1) & grey.narrow(axis, 1, noise.shape[axis] - 1)
        assert abs((first * second)[both].mean()) < 4 / int(both.sum()) ** 0.5


def test_the_noise_of_other_iterations_and_seeds_is_another():
    (first, grey), *others = _noise_of(VIDEO), _noise_of(VIDEO, 1), _noise_of(VIDEO, 0, 1)
    for other, also_grey in others:
        both = grey & also_grey
        assert abs((first * other)[both].mean()) < 4 / int(both.sum()) ** 0.5


def test_noise_and_losses_of_training_and_of_held_out_data_have_streams_of_their_own():
    plain, noisy, losing = (
        make_dataset(replace(VIDEO, dataset_seed=3, **changes))
        for changes in ({}, {"pixel_noise": 0.1}, {"drop_rate": 0.4})
    )
    trained = (3, 5, Stream.PIXELS, Stream.DROPS, *(each.batch(5) for each in (plain, noisy, losing)))
    tested = (0, 0, Stream.TEST_PIXELS, Stream.TEST_DROPS, *(each.test_set() for each in (plain, noisy, losing)))
    for seed, iteration, pixels, drops, clean, with_noise, with_losses in (trained, tested):
        noise = generator(seed, pixels, iteration).standard_normal(clean.images.shape, dtype=np.float32)
        expected = (clean.images + 0.1 * torch.from_numpy(noise)).clamp(0, 1)
        torch.testing.assert_close(with_noise.images, expected, rtol=0, atol=1e-6)
        lost = with_losses.lost["dropped"].numpy()
        drawn = generator(seed, drops, iteration).random(lost.shape) < 0.4
        np.testing.assert_array_equal(lost[:, 1:], drawn[:, 1:])


def test_the_noise_is_cut_off_at_black_and_white():
    clean, noisy = (make_dataset(replace(SPRITES, pixel_noise=sigma)).batch(0).images for sigma in (0.0, 0.3))
    black, white = noisy[clean == 0], noisy[clean == 1]
    for at_border in (black == 0, white == 1):
        n = at_border.numel()
        assert abs(at_border.float().mean() - 0.5) < 4 * 0.5 / n**0.5


@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_as_many_frames_are_lost_as_the_rate_says_and_never_the_first(rate):
    lost = make_dataset(replace(VIDEO, drop_rate=rate, batch_size=2000)).batch(0).lost["dropped"].numpy()
    assert not lost[:, 0].any()
    n = lost[:, 1:].size
    assert abs(lost[:, 1:].mean() - rate) < 4 * (rate * (1 - rate) / n) ** 0.5
    both = (lost[:, 1:-1] & lost[:, 2:]).mean()  # independently
    assert abs(both - rate**2) < 4 * (rate**2 * (1 - rate**2) / (n * 8 / 9)) ** 0.5


def test_frames_lost_at_a_rate_are_lost_at_a_higher_one():
    few, many = (make_dataset(replace(VIDEO, drop_rate=rate)).batch(0).lost["dropped"] for rate in (0.2, 0.5))
    assert few.any() and not (few & ~many).any()


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_lost_frames_are_black_or_the_last_one_that_was_seen(noise):
    plain = make_dataset(replace(VIDEO, pixel_noise=noise)).batch(0)
    black, frozen = (
        make_dataset(replace(VIDEO, pixel_noise=noise, drop_rate=0.5, dropped=dropped)).batch(0)
        for dropped in ("black", "frozen")
    )
    lost = black.lost["dropped"]
    assert torch.equal(lost, frozen.lost["dropped"])
    assert not black.images[lost].any() and torch.equal(black.images[~lost], plain.images[~lost])
    for video in range(len(lost)):
        seen = 0
        for frame in np.arange(lost.shape[1]):
            seen = seen if lost[video, frame] else frame
            assert torch.equal(frozen.images[video, frame], plain.images[video, seen])


def test_every_frame_but_the_first_may_be_lost():
    batch = make_dataset(replace(VIDEO, drop_rate=1.0, dropped="frozen")).batch(0)
    assert torch.equal(batch.images, batch.images[:, :1].expand_as(batch.images))


def test_what_is_lost_stays_with_its_video():
    batch = make_dataset(replace(VIDEO, drop_rate=0.5, target="clean")).batch(0)
    parts = batch.split(5)
    assert [len(part.images) for part in parts] == [5, 5, 5, 1]
    for name in ("images", "factors", "clean"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
    assert torch.equal(torch.cat([part.lost["dropped"] for part in parts]), batch.lost["dropped"])


def test_frames_are_counted_as_hidden_and_as_lost():
    both, bar = (make_dataset(replace(VIDEO, occluder=16.0, drop_rate=rate)).batch(0) for rate in (0.5, 0.0))
    assert both.lost.keys() == {"hidden", "dropped"} and torch.equal(both.lost["hidden"], bar.lost["hidden"])
