"""What is held out of training: a share of the samples, or of the levels of each factor.

    samples   of a finite set's samples, a share p is trained on
    levels    of the n levels of each factor, round(p · n) are trained on; a sample is held out as soon as one of its
              factors is at another level, so that of F factors a share of about p^F is trained on

The levels are those of the finite set, or `NUM_INTERVALS` equal intervals of a continuous factor. Only factors that
rest in a video are split: one that moves passes through all of its levels. Which levels are trained on is the same for
all seeds, and those of a smaller share are among those of a larger one. After the interpolation study of the original
(github.com/zahariaa/disentangled-dynamics, src/data/dspritesbT.py and src/supervised_encoderdecoder).

Shapes: n samples, T frames, F factors.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dd_ray.data.motion import redraw_until
from dd_ray.data.streams import Stream, generator, shuffled

Factors = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], Factors]
Mask = NDArray[np.bool_]

NUM_INTERVALS = 16
"""Levels of a continuous factor: as many as the circle has positions on an axis in the original's images."""


class Levels(NamedTuple):
    """The levels of one factor."""

    values: Factors
    """[n] where they are, in increasing order; of intervals, their middles."""
    trained: Mask
    """[n] which of them are trained on."""


def trained_levels(num_levels: int, share: float, factor: int) -> Mask:
    """Which of the levels of a factor are trained on: round(share · num_levels) of them, at random.

    Args:
        num_levels: n.
        share: p in (0, 1]; below 1, at least one level is trained on and one held out.
        factor: the place of the factor among all, since each factor has levels of its own held out.

    Returns:
        [n].
    """
    count = num_levels if share == 1 else max(1, min(round(share * num_levels), num_levels - 1))
    trained = np.zeros(num_levels, bool)
    trained[shuffled(num_levels, generator(0, Stream.SPLIT, factor))[:count]] = True
    return trained


def levels_of_set(factors: Factors, share: float) -> dict[int, Levels]:
    """The levels of each factor that rests in the samples of a whole finite set, [n, T, F]."""
    values = {factor: np.unique(factors[:, 0, factor]) for factor in _resting(factors)}
    return {factor: Levels(at, trained_levels(len(at), share, factor)) for factor, at in values.items()}


def levels_of_draws(draw: Draw, share: float) -> dict[int, Levels]:
    """The intervals of each factor that rests in what is drawn."""
    middles = ((np.arange(NUM_INTERVALS) + 0.5) / NUM_INTERVALS).astype(np.float32)
    resting = _resting(draw(generator(0, Stream.SPLIT, 0), 64))
    return {factor: Levels(middles, trained_levels(NUM_INTERVALS, share, factor)) for factor in resting}


def at_trained_levels(factors: Factors, levels: dict[int, Levels]) -> Mask:
    """Which samples [n] of a finite set, [n, T, F], have all factors at levels that are trained on."""
    trained = [at.trained[np.searchsorted(at.values, factors[:, 0, factor])] for factor, at in levels.items()]
    return np.all(trained, axis=0)


def split_draws(draw: Draw, share: float) -> tuple[Draw, Draw]:
    """How to draw samples at trained levels only, and how to draw held-out ones, where `draw` draws any.

    Nothing is held out at a share of 1, and both draw any.
    """
    if share == 1:
        return draw, draw
    trained = {factor: levels.trained for factor, levels in levels_of_draws(draw, share).items()}

    def draw_trained(rng: np.random.Generator, n: int) -> Factors:
        factors = draw(rng, n)
        for factor, levels in trained.items():
            factors[..., factor] = _moved_into(levels, factors[..., factor])
        return factors

    def draw_held_out(rng: np.random.Generator, n: int) -> Factors:
        return redraw_until(lambda factors: ~_all_within(trained, factors), lambda m: draw(rng, m), n)

    return draw_trained, draw_held_out


def _resting(factors: Factors) -> list[int]:
    """Factors that change in no sample of [n, T, F]."""
    rest: list[int] = np.flatnonzero((factors == factors[:, :1]).all(axis=(0, 1))).tolist()
    return rest


def _all_within(trained: dict[int, Mask], factors: Factors) -> Mask:
    within = [levels[interval_of(factors[:, 0, factor])] for factor, levels in trained.items()]
    return np.all(within, axis=0)


def interval_of(values: Factors) -> NDArray[np.int64]:
    """Which of the `NUM_INTERVALS` intervals of [0, 1] values are in; 1 is in the last."""
    # Exact, since there are a power of two of them.
    return np.minimum((values * NUM_INTERVALS).astype(np.int64), NUM_INTERVALS - 1)


def _moved_into(trained: Mask, values: Factors) -> Factors:
    """Uniform values of [0, 1] as uniform values of the intervals that are trained on, in the same order."""
    chosen = np.flatnonzero(trained)
    place = values.astype(np.float64) * len(chosen)
    which = np.minimum(place.astype(np.int64), len(chosen) - 1)
    moved = ((chosen[which] + (place - which)) / NUM_INTERVALS).astype(np.float32)
    # In float32 the end of an interval may be rounded to the beginning of the next, which may be held out.
    end = np.nextafter(((chosen + 1) / NUM_INTERVALS).astype(np.float32), np.float32(0))
    return np.minimum(moved, end[which])
