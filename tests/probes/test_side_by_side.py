"""Networks are asked side by side: answers come in order, and PyTorch has its threads again, whatever happens."""

import time

import pytest
import torch

from dd_ray.probes.side_by_side import side_by_side


def test_answers_come_in_the_order_of_what_was_asked_each_of_one_thread():
    def ask(item):
        time.sleep(0.1 * (item == 0))  # so that the first ends after the second
        return item, torch.get_num_threads()

    before = torch.get_num_threads()
    assert list(side_by_side(ask, range(5))) == [(item, 1) for item in range(5)]
    assert torch.get_num_threads() == before


def test_an_error_is_raised_and_the_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda item: 1 / item, [1, 0, 2]))
    assert torch.get_num_threads() == before
