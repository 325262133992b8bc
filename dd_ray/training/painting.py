"""Paints the images of a step as one launch, by a CUDA graph, where a GPU would wait for some eighty small ones.

Shapes: B videos, T frames, F factors, S pixels a side.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from dd_ray.data import Paint
from dd_ray.training.graphs import Pool, captured, on

TIMES_BEFORE = 50
"""How often as many images are painted launch by launch before that is captured: more often than steps are, so that
these are captured first, and held-out sets, which are painted once, never."""
MOST_CAPTURED = 4
"""The most numbers of images that are captured: one where all trials see one batch, else a few more."""


class Painting:
    """A dataset's `Paint`, which is captured for numbers of images that are painted again and again.

    What a graph does follows from the factors on the device alone. A function that needs the host in between, as one
    that looks images up in a file does, is called as it is.

    Args:
        paint: paints images uint8 [B, T, S, S] of factors [B, T, F].
    """

    def __init__(self, paint: Paint) -> None:
        self._paint = paint
        self._pool = Pool()
        self._painted: Counter[tuple[int, ...]] = Counter()
        self._captured: dict[tuple[int, ...], Paint] = {}

    def __call__(self, factors: Tensor) -> Tensor:
        """Paint images uint8 [B, T, S, S] of factors [B, T, F], which no later call changes."""
        shape = tuple(factors.shape)
        self._painted[shape] += 1
        if shape not in self._captured:
            if self._painted[shape] <= TIMES_BEFORE or len(self._captured) == MOST_CAPTURED:
                return self._paint(factors)
            with on(factors.device):
                self._captured[shape] = self._capture(factors)
        return self._captured[shape](factors)

    def _capture(self, factors: Tensor) -> Paint:
        """Return what paints as many images as there are factors, by a graph if it can be captured."""
        place = factors.clone()
        if _waits(lambda: self._paint(place)):
            return self._paint
        images: list[Tensor] = []

        def take() -> None:
            images[:] = [self._paint(place)]

        try:
            replay = captured(lambda: self._paint(place), take, self._pool)
        except torch.OutOfMemoryError:
            return self._paint

        def paint(factors: Tensor) -> Tensor:
            place.copy_(factors)
            replay()
            return images[0].clone()

        return paint


def _waits(call: Callable[[], object]) -> bool:
    """Return whether a call needs the host while it runs, which would break a capture, and all later ones with it."""
    try:
        with _waiting_is_an_error():
            call()
    except RuntimeError:
        return True
    return False


@contextmanager
def _waiting_is_an_error() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch tells that it does not find every such operation
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
