"""Every draw follows from seed, stream and iteration, and from nothing else."""

from itertools import product

import numpy as np
import pytest

from dd_ray.data import Stream, generator
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


def test_numbers_are_uniform_across_iterations():
    first = np.array([generator(0, Stream.NOISE, i).random() for i in range(2000)])
    assert abs(first.mean() - 0.5) < 4 / (12 * 2000) ** 0.5
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / 2000**0.5


@pytest.mark.parametrize(("seed", "iteration", "name"), [(-1, 0, "seed"), (2**64, 0, "seed"), (0, -1, "iteration")])
def test_out_of_range_is_named(seed, iteration, name):
    with pytest.raises(UserError, match=f"{name} = "):
        generator(seed, Stream.TRAIN, iteration)
