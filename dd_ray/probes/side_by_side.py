"""Asks many networks side by side, since a small one leaves most of a second core idle."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def side_by_side(ask: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
    """Yield the answer for each item, in their order; as many are asked at once as there are cores."""
    with _one_thread_each(), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(ask, items)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """During the block, have each operation of PyTorch use one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
