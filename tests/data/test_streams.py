"""Every draw follows from seed, stream and iteration, and from nothing else."""

from itertools import product

import numpy as np
import pytest

from dd_ray.data import Generators, Stream, generator
from dd_ray.errors import UserError


def test_neighbouring_generators_share_no_block():
    seeds, iterations = (0, 1, 2**64 - 1), (0, 1, 2, 2**63, 2**64 - 1)
    blocks = [generator(*key).bit_generator.random_raw(256) for key in product(seeds, Stream, iterations)]
    words = np.concatenate(blocks)
    # 64-bit words of independent streams coincide with a chance of 1e-11 here.
    assert len(np.unique(words)) == len(words)


def test_no_two_generators_start_from_the_same_state():
    seeds, iterations = (0, 1, 2**32, 2**64 - 1), (0, 1, 2**32, 2**64 - 1)
    states = [generator(*key).bit_generator.state["state"] for key in product(seeds, Stream, iterations)]
    unique = {(*map(int, state["key"]), *map(int, state["counter"])) for state in states}
    assert len(unique) == len(states)
    # Consecutive iterations start 2¹⁹² blocks apart: the three low words of the counter are free to run.
    assert all(state["counter"][:3].tolist() == [0, 0, 0] for state in states)


FIRST = {
    "TRAIN": 0.751610134832803,
    "TEST": 0.9571163657647166,
    "NOISE": 0.46198181433286756,
    "TEST_NOISE": 0.0925885790718205,
    "TEST_STILLS": 0.5845245368682646,
    "SPLIT": 0.7474187899403056,
    "PIXELS": 0.9368698011959972,
    "TEST_PIXELS": 0.6732614364804606,
    "DROPS": 0.5799805636493064,
    "TEST_DROPS": 0.007481708975319412,
}
"""First number of each stream, with seed 1 in iteration 2. Sweeps that exist were run with these."""


def test_streams_give_the_numbers_that_sweeps_were_run_with():
    # By name, as two streams that share a value are one to an enumeration.
    assert {name: generator(1, stream, 2).random() for name, stream in Stream.__members__.items()} == FIRST


def test_numbers_are_uniform_across_iterations():
    first = np.array([generator(0, Stream.NOISE, i).random() for i in range(2000)])
    assert abs(first.mean() - 0.5) < 4 / (12 * 2000) ** 0.5
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / 2000**0.5


@pytest.mark.parametrize(("seed", "iteration", "name"), [(-1, 0, "seed"), (2**64, 0, "seed"), (0, -1, "iteration")])
def test_out_of_range_is_named(seed, iteration, name):
    with pytest.raises(UserError, match=f"{name} = "):
        generator(seed, Stream.TRAIN, iteration)


def test_one_generator_that_is_set_gives_the_numbers_of_many():
    generators = Generators()
    for seed, stream, iteration in product([0, 7, 2**64 - 1], Stream, [0, 3, 2**64 - 1]):
        ours, theirs = generators.at(seed, stream, iteration), generator(seed, stream, iteration)
        for draw in ("standard_normal", "random"):
            np.testing.assert_array_equal(getattr(ours, draw)(7, np.float32), getattr(theirs, draw)(7, np.float32))
    with pytest.raises(UserError, match="seed = -1 is out of range"):
        generators.at(-1, Stream.TRAIN, 0)
