"""Which cells of a grid are drawn."""

import itertools
import math
from collections import Counter

import pytest

from dd_ray.cli import parse
from dd_ray.errors import UserError
from tests.sweep.studies import TINY

GRID = "--beta 0.1 0.3 1 3 --gamma 0 0.2 0.5 0.8 --lambda 0 3 10 30 --seeds 3".split()


def cells(*options, grid=GRID):
    """How many seeds each cell has that a command asks for, in the order of its trials."""
    configs = [trial.config for trial in parse(TINY, [*grid, *options]).trials]
    return Counter((config.model, config.beta, config.gamma, config.lam) for config in configs)


def test_so_many_cells_are_drawn_each_with_all_its_seeds_in_the_order_of_the_grid():
    whole, some = cells(), cells("--sample", "12")
    assert len(some) == 12 and set(some.values()) == {3}
    assert list(some) == [cell for cell in whole if cell in some]


def test_more_cells_hold_the_fewer_and_all_of_them_are_the_grid():
    drawn = [set(cells("--sample", str(number))) for number in (1, 5, 20, 63, 64)]
    assert all(fewer < more for fewer, more in itertools.pairwise(drawn))
    assert drawn[-1] == set(cells())


def test_other_seeds_draw_other_cells_and_the_same_seed_the_same():
    by_seed = [cells("--sample", "12", "--sample-seed", seed) for seed in ("1", "1", "2")]
    assert by_seed[0] == by_seed[1] != by_seed[2]


@pytest.mark.parametrize(
    ("options", "drawn"),
    [
        ((), {(0.1, 0.8, 3), (0.3, 0.2, 3), (1, 0.2, 0), (3, 0, 0)}),
        (("--sample-seed", "1"), {(0.1, 0.2, 3), (0.3, 0.8, 3), (1, 0, 0), (3, 0.5, 0)}),
    ],
)
def test_a_seed_draws_the_same_cells_in_all_versions(options, drawn):
    """The same command goes on with a sweep of an earlier version: other cells would be trained beside those it has."""
    grid = "--beta 0.1 0.3 1 3 --gamma 0 0.2 0.5 0.8 --lambda 0 3".split()
    assert {cell[1:] for cell in cells("--sample", "4", *options, grid=grid)} == drawn


@pytest.mark.parametrize("seed", range(5))
def test_cells_lie_evenly_along_each_axis(seed):
    """Of 16 draws at random, a value would be missing from an axis in one of 8 samples, and have 8 or more as often."""
    drawn = cells("--sample", "16", "--sample-seed", str(seed))
    for axis in (1, 2, 3):
        numbers = Counter(cell[axis] for cell in drawn)
        assert len(numbers) == 4 and max(numbers.values()) <= 7


@pytest.mark.parametrize("seed", range(3))
def test_few_cells_of_a_small_grid_lie_evenly_as_well(seed):
    grid = "--beta 0.1 0.3 1 3 --gamma 0 0.2 0.5 0.8 --lambda 0".split()
    drawn = cells("--sample", "4", "--sample-seed", str(seed), grid=grid)
    assert len({beta for _, beta, *_ in drawn}) == 4


def test_of_a_single_cell_all_is_drawn():
    grid = "--beta 1 --gamma 0.5 --lambda 0 --seeds 3".split()
    assert cells("--sample", "1", grid=grid) == cells(grid=grid)


def test_what_is_excluded_is_not_drawn_and_cells_that_are_one_are_drawn_once():
    grid = "--model beta_vae inertia_vae --beta 1 --gamma 0 0.5 0.8 --lambda 0 3".split()
    kept = cells("--exclude", "gamma=0.8 lambda=3", "--sample", "6", grid=grid)
    assert len(kept) == 6 and ("inertia_vae", 1, 0.8, 3) not in kept
    assert sum(model == "beta_vae" for model, *_ in kept) == 1


def test_a_cell_in_which_an_axis_has_no_effect_is_drawn_early():
    """It stands for all values of that axis, by which half of all draws are of it, in place of one in 49."""
    grid = ["--model", "beta_vae", "inertia_vae", "--beta", "1", "--gamma", *(f"{i / 50}" for i in range(1, 49))]
    for seed in range(3):
        drawn = cells("--lambda", "0", "--sample", "6", "--sample-seed", str(seed), grid=grid)
        assert "beta_vae" in {model for model, *_ in drawn}


def test_it_is_said_how_many_cells_of_how_many_are_drawn():
    plan = parse(TINY, [*GRID, "--sample", "12"])
    assert (
        plan.contents()[0]
        == "36 trials: 12 of the cells of 4 beta × 4 gamma × 4 lambda × 3 seed, drawn evenly (--sample 12)"
    )
    assert math.prod(len(values) for values in plan.axes.values() if values) == 192


def test_more_cells_than_there_are_are_refused():
    with pytest.raises(UserError, match="--sample 65 is more than the 64 cells of the grid; give fewer"):
        cells("--sample", "65")
