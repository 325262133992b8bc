"""What is held out is disjoint from what is trained on, by construction, and as large as the original's."""

import numpy as np
import pytest

from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from dd_ray.data.motion import redraw_until
from dd_ray.data.split import NUM_INTERVALS, _moved_into, interval_of, split_combinations, trained_levels
from dd_ray.errors import UserError
from tests.small import small

SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


def dataset_of(grid, dataset, **changes):
    values = {"model": "supervised_encoder", "grid": grid, "dataset": dataset, "batch_size": 300, "num_test": 1000}
    return make_dataset(TrialConfig(**values | changes))


def levels_of(factors, grid):
    """The levels [n, F] of samples, of the factors that are split."""
    first = factors[:, 0] if factors.shape[1] == 1 else factors[:, 0, 2:]
    return interval_of(first) if grid == "continuous" else first


def seen_levels(dataset, grid, batches=20):
    levels = np.concatenate([levels_of(dataset.factors(i), grid) for i in range(batches)])
    return [set(column) for column in levels.T.tolist()]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dataset", ["still_circles", "moving_circles"])
@pytest.mark.parametrize("grid", ["continuous", "original"])
def test_held_out_samples_have_a_factor_at_a_level_that_is_never_trained_on(grid, dataset, share):
    data = dataset_of(grid, dataset, split="levels", train_share=share)
    trained = seen_levels(data, grid)
    held_out = levels_of(data.test_factors(), grid).tolist()
    assert len(held_out) == 1000
    assert all(any(level not in known for level, known in zip(row, trained, strict=True)) for row in held_out)
    seen = levels_of(data.seen_factors(), grid).tolist()
    assert all(all(level in known for level, known in zip(row, trained, strict=True)) for row in seen)


@pytest.mark.parametrize(
    "values",
    [
        {"dataset": "still_sprites"},
        {"dataset": "moving_sprites"},
        {"dataset": "moving_sprites", "moves": "scale", "background": "black"},
        {"dataset": "moving_sprites", "moves": "orientation", "background": "black"},
    ],
)
def test_of_sprites_shapes_and_intervals_of_what_rests_are_held_out(values):
    data = dataset_of("continuous", split="levels", train_share=0.6, **values)
    levels = data.levels()
    moving = {"sprite_x", "sprite_y"} if "moves" not in values else {f"sprite_{values['moves']}"}
    assert set(levels) == {*data.factor_names} - (moving if "moving" in values["dataset"] else set())
    assert levels["sprite_shape"].values.tolist() == [0, 0.5, 1] and levels["sprite_shape"].trained.sum() == 2

    def held_out(factors):
        """How many of the factors of each sample are at a level that is not trained on."""
        assert set(factors[..., 0].flatten()) <= {0, 0.5, 1}
        places = {name: data.factor_names.index(name) for name in levels}
        at = {n: interval_of(factors[:, 0, i], len(levels[n].trained)) for n, i in places.items()}
        return sum(~levels[name].trained[at[name]] for name in levels)

    assert not held_out(data.factors(3)).any() and not held_out(data.seen_factors()).any()
    assert held_out(data.test_factors()).all()


def test_what_is_never_accepted_is_not_redrawn_for_ever():
    with pytest.raises(RuntimeError, match=r"of 5 draws, some were not accepted in \d+ rounds"):
        redraw_until(lambda drawn: drawn < 0, np.ones, 5)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("split", ["samples", "levels"])
@pytest.mark.parametrize("dataset", ["still_circles", "moving_circles"])
def test_indices_of_training_and_of_the_held_out_set_are_disjoint(dataset, split, share):
    data = dataset_of("original", dataset, split=split, train_share=share)
    assert not np.isin(data.test_indices, data.train_indices).any()
    assert np.isin(np.concatenate([data.indices(i) for i in range(3)]), data.train_indices).all()


@pytest.mark.parametrize(
    ("share", "held_out"), [(0.8, 147_900), (0.6, 226_044), (0.4, 256_060), (0.2, 261_820)]
)  # as its notebook of held-out dimensions prints
def test_as_many_images_are_held_out_as_in_the_original(share, held_out):
    data = dataset_of("original", "still_circles", split="levels", train_share=share)
    assert len(data.test_indices) == held_out
    # Of the others, those of the held-out set that all trials share are not trained on either.
    assert 0 <= 262_144 - held_out - len(data.train_indices) < 10_000


@pytest.mark.parametrize("share", SHARES)
def test_a_share_of_the_samples_is_trained_on_and_a_larger_one_has_them_too(share):
    data = dataset_of("original", "still_circles", split="samples", train_share=share)
    whole = dataset_of("original", "still_circles")
    assert len(data.train_indices) == round(share * 252_144)
    np.testing.assert_array_equal(data.train_indices, whole.train_indices[: len(data.train_indices)])
    np.testing.assert_array_equal(data.test_indices, whole.test_indices)


@pytest.mark.parametrize("num_levels", [2, 3, 16, 32])
def test_levels_of_a_smaller_share_are_among_those_of_a_larger_one(num_levels):
    before = np.zeros(num_levels, bool)
    for share in SHARES:
        trained = trained_levels(num_levels, share, 0)
        assert 1 <= trained.sum() <= num_levels - 1
        assert abs(trained.sum() - share * num_levels) <= 1
        assert (trained | ~before).all()
        before = trained
    assert trained_levels(num_levels, 1.0, 0).all()


def test_factors_have_levels_of_their_own_held_out():
    assert len({trained_levels(16, 0.5, factor).tobytes() for factor in range(4)}) == 4


def test_what_is_trained_on_is_uniform_over_the_intervals_that_are_left():
    data = dataset_of("continuous", "still_circles", split="levels", train_share=0.25, batch_size=20_000)
    values = data.factors(0)[:, 0, 1]
    trained = np.flatnonzero(trained_levels(NUM_INTERVALS, 0.25, 1))
    counts = np.bincount(interval_of(values), minlength=NUM_INTERVALS)
    assert counts[trained] == pytest.approx(5000, rel=0.06) and counts.sum() == counts[trained].sum()
    assert (values * NUM_INTERVALS % 1).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("dataset", ["still_circles", "moving_circles"])
def test_nothing_is_held_out_at_a_share_of_one(dataset):
    split, whole = dataset_of("continuous", dataset, split="levels"), dataset_of("continuous", dataset)
    np.testing.assert_array_equal(split.factors(3), whole.factors(3))
    np.testing.assert_array_equal(split.test_factors(), whole.test_factors())
    assert whole.seen_set() is None and split.seen_set() is not None


def test_the_circles_of_videos_move_as_ever():
    split = make_dataset(small("inertia_vae", split="levels", train_share=0.2))
    whole = make_dataset(small("inertia_vae"))
    np.testing.assert_array_equal(split.factors(1)[..., :2], whole.factors(1)[..., :2])
    assert (split.factors(1)[..., 2:] != whole.factors(1)[..., 2:]).all()


COMBINED = {
    "circles": {"dataset": "moving_circles"},
    "on black": {"dataset": "moving_circles", "background": "black"},
    "stills": {"dataset": "still_circles"},
    "sprites": {"dataset": "moving_sprites"},
}


def _combinations(data, factors):
    """[n, T] the number of the combination that each frame is of."""
    number = np.zeros(factors.shape[:2], int)
    for i, name in enumerate(data.factor_names):
        count = 3 if name == "sprite_shape" else 2
        number = count * number + np.minimum((factors[..., i] * count).astype(int), count - 1)
    return number


@pytest.mark.parametrize("share", [0.5, 0.75])
@pytest.mark.parametrize("values", COMBINED.values(), ids=COMBINED)
def test_no_combination_is_both_trained_on_and_held_out(values, share):
    data = dataset_of("continuous", split="combinations", train_share=share, **values)
    trained = {*np.concatenate([_combinations(data, data.factors(i)).ravel() for i in range(10)]).tolist()}
    held_out = {*_combinations(data, data.test_factors()).ravel().tolist()}
    assert not trained & held_out
    assert trained >= {*_combinations(data, data.seen_factors()).ravel().tolist()}
    count = (3 if "sprite_shape" in data.factor_names else 1) * 2 ** sum("shape" not in n for n in data.factor_names)
    assert len(trained) == round(share * count) or "sprites" in values["dataset"]  # which has many, some of them rare
    assert len(trained) + len(held_out) >= 0.9 * count


def test_combinations_of_a_smaller_share_are_among_those_of_a_larger_one():
    few, more = (dataset_of("continuous", "moving_circles", split="combinations", train_share=p) for p in (0.3, 0.6))
    assert {*_combinations(few, few.factors(0)).ravel().tolist()} <= {
        number for i in range(20) for number in _combinations(more, more.factors(i)).ravel().tolist()
    }


def test_each_half_of_each_factor_is_trained_on():
    data = dataset_of("continuous", "moving_circles", split="combinations", train_share=0.75)
    factors = data.factors(0)
    assert ((factors < 0.5).any(axis=(0, 1)) & (factors >= 0.5).any(axis=(0, 1))).all()


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("values", COMBINED.values(), ids=COMBINED)
def test_factors_of_which_a_part_is_never_trained_on_are_known(values, share):
    data = dataset_of("continuous", split="combinations", train_share=share, **values)
    factors = np.concatenate([data.factors(i) for i in range(4)])
    seen = {}
    for i, name in enumerate(data.factor_names):
        count = 3 if name == "sprite_shape" else 2
        seen[name] = len({*np.minimum((factors[..., i] * count).astype(int), count - 1).ravel().tolist()}) == count
    assert set(data.never_trained) == {name for name, whole in seen.items() if not whole}
    assert not dataset_of("continuous", "moving_circles").never_trained


def test_where_no_video_is_of_trained_combinations_alone_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("dd_ray.data.motion.MOST_ROUNDS", 20)
    many = {"num_circles": 4, "motion": "bounce", "split": "combinations", "train_share": 0.1}
    with pytest.raises(UserError, match=r"train_share = 0\.1 has hardly a video .* of trained combinations; give more"):
        dataset_of("continuous", "moving_circles", **many).factors(0)


@pytest.mark.parametrize("level", range(NUM_INTERVALS))
def test_no_rounding_moves_a_draw_out_of_its_level(level):
    ends = np.array([0, 1 - 2.0**-24, 1], np.float32)  # 1 is what a draw just below it is rounded to
    moved = _moved_into(np.arange(NUM_INTERVALS) == level, ends)
    assert (interval_of(moved) == level).all()


def test_the_trained_combinations_are_those_that_older_sweeps_were_trained_on():
    names = ("a_x", "a_y", "b_x", "b_y")
    draw_trained, _ = split_combinations(names, lambda rng, n: rng.random((n, 1, 4), dtype=np.float32), 0.5, {})
    halves = (draw_trained(np.random.default_rng(0), 500)[:, 0] >= 0.5).astype(int)
    drawn_by = np.random.Generator(np.random.Philox(key=5 * 2**64, counter=4 * 2**192))  # stream 5, of 4 factors
    assert {*(halves @ [8, 4, 2, 1]).tolist()} == {*np.argsort(drawn_by.random(16))[:8].tolist()}
