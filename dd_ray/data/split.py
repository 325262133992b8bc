"""Splits data into training and held-out parts: by samples, by levels of each factor, or by combinations.

    samples       of a finite set's samples, a share p is trained on
    combinations  each factor is in the lower or upper half of its range, or is one of its categories, also a factor
                  that moves; of all combinations of these a share p is trained on
    levels        of the n levels of each factor, round(p · n) are trained on; a sample is held out as soon as one of
                  its factors is at another level, so that of F factors a share of about p^F is trained on

With combinations, a video is trained on if all of its frames are of trained combinations, and held out if none is;
others are neither. So halves are seen in training, but some never together: this asks whether a model can combine what
it knows, where levels ask whether it can interpolate. Which are trained on is drawn, so that of few (up to 2 for one
circle, 5 for a sprite) one half or category may be in none of them, which no model can know (`never_trained`). Videos
are redrawn until they fit, which takes many draws for few combinations and long paths (bounce).

The levels are those of the finite set, `NUM_INTERVALS` equal intervals of a continuous factor, or the values of a
category. Only levels of factors that rest in a video are split, since one that moves passes through all of its levels.
The trained levels are the same for all seeds, and those of a smaller share are among those of a larger one. This
follows the interpolation study of the original (github.com/zahariaa/disentangled-dynamics, src/data/dspritesbT.py and
src/supervised_encoderdecoder).

Factors are identified by their names, in the order of the columns of [n, T, F].

Shapes: n samples, T frames, F factors.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dd_ray.data.levels import snap
from dd_ray.data.motion import redraw_until
from dd_ray.data.streams import Stream, generator, shuffled
from dd_ray.errors import UserError
from dd_ray.storage.arrays import resting

Factors = NDArray[np.float32]
Draw = Callable[[np.random.Generator, int], Factors]
Mask = NDArray[np.bool_]

NUM_INTERVALS = 16
"""Number of levels of a continuous factor: that of the circle's positions on an axis in the original's images."""

NUM_HALVES = 2
"""Number of parts of a continuous factor for combinations."""


class Levels(NamedTuple):
    """The levels of one factor."""

    values: Factors
    """[n] values of the levels in increasing order; of intervals, their middles."""
    trained: Mask
    """[n] whether each is trained on."""


def trained_levels(num_levels: int, share: float, factor: int) -> Mask:
    """Choose the levels of a factor to train on: round(share · num_levels) of them, at random.

    Args:
        num_levels: n.
        share: p in (0, 1]; below 1, at least one level is trained on and one held out.
        factor: index of the factor, since the choice differs between factors.

    Returns:
        Mask [n] of the levels to train on.
    """
    count = num_levels if share == 1 else max(1, min(round(share * num_levels), num_levels - 1))
    trained = np.zeros(num_levels, bool)
    trained[shuffled(num_levels, generator(0, Stream.SPLIT, factor))[:count]] = True
    return trained


def levels_of_set(names: Sequence[str], factors: Factors, share: float, periodic: Collection[str]) -> dict[str, Levels]:
    """Return the levels of each factor that rests in the samples of a whole finite set, [n, T, F].

    The first and last level of a `periodic` factor look the same, so they are trained on or held out together.
    """
    levels = {}
    for factor in np.flatnonzero(resting(factors)).tolist():
        values = np.unique(factors[:, 0, factor])
        num_levels = len(values) - (names[factor] in periodic and len(values) > 1)
        trained = np.resize(trained_levels(num_levels, share, factor), len(values))
        levels[names[factor]] = Levels(values, trained)
    return levels


def levels_of_draws(names: Sequence[str], draw: Draw, share: float, categories: Mapping[str, int]) -> dict[str, Levels]:
    """Return the levels of each factor that rests in drawn samples: intervals, or the values of `categories`."""
    levels = {}
    # A user's own draw may give more factors than have names, which `make_dataset` refuses.
    drawn = draw(generator(0, Stream.SPLIT, 0), 64)[..., : len(names)]
    for factor in np.flatnonzero(resting(drawn)).tolist():
        name = names[factor]
        count = categories.get(name, NUM_INTERVALS)
        values = np.arange(count) / (count - 1) if name in categories else (np.arange(count) + 0.5) / count
        levels[name] = Levels(values.astype(np.float32), trained_levels(count, share, factor))
    return levels


def at_trained_levels(names: Sequence[str], factors: Factors, levels: Mapping[str, Levels]) -> Mask:
    """Return the mask [n] of the samples of a finite set, [n, T, F], whose factors are all at trained levels."""
    trained = [at.trained[np.searchsorted(at.values, factors[:, 0, names.index(name)])] for name, at in levels.items()]
    return np.all(trained, axis=0)


def split_draws(
    names: Sequence[str], draw: Draw, levels: Mapping[str, Levels], categories: Mapping[str, int]
) -> tuple[Draw, Draw]:
    """Return functions that draw samples at trained levels, and held-out samples; `draw` draws any from [0, 1].

    If all levels are trained on, nothing is held out, and both functions draw any samples.
    """
    trained = {names.index(name): at.trained for name, at in levels.items() if not at.trained.all()}
    counts = {names.index(name): count for name, count in categories.items()}

    def draw_trained(rng: np.random.Generator, n: int) -> Factors:
        factors = draw(rng, n)
        for factor, at in trained.items():
            factors[..., factor] = _moved_into(at, factors[..., factor])
        return _with_categories(factors, counts)

    def draw_held_out(rng: np.random.Generator, n: int) -> Factors:
        if not trained:
            return draw_trained(rng, n)
        factors = redraw_until(lambda drawn: ~_all_within(trained, drawn), lambda m: draw(rng, m), n)
        return _with_categories(factors, counts)

    return draw_trained, draw_held_out


def split_combinations(
    names: Sequence[str], draw: Draw, share: float, categories: Mapping[str, int]
) -> tuple[Draw, Draw]:
    """Return functions that draw samples of trained, and of held-out combinations; see `split_draws`."""
    counts, trained = _trained_combinations(names, share, categories)
    of_categories = {names.index(name): count for name, count in categories.items()}

    def are_trained(factors: Factors) -> Mask:
        """Return the mask [n, T] of the frames whose combination is trained on."""
        halves = [interval_of(factors[..., i], count) for i, count in enumerate(counts)]
        found: Mask = trained[np.ravel_multi_index(halves, counts)]
        return found

    def draw_all(rng: np.random.Generator, n: int, *, trained: bool) -> Factors:
        try:
            factors = redraw_until(
                lambda drawn: np.all(are_trained(drawn) == trained, axis=1), lambda m: draw(rng, m), n
            )
        except RuntimeError as error:
            raise UserError(
                f"split = combinations with train_share = {share:g} has hardly a video whose frames are all of "
                f"{'trained' if trained else 'held-out'} combinations; give {'more' if trained else 'less'}, or "
                "fewer things that move."
            ) from error
        return _with_categories(factors, of_categories)

    def draw_trained(rng: np.random.Generator, n: int) -> Factors:
        return draw_all(rng, n, trained=True)

    def draw_held_out(rng: np.random.Generator, n: int) -> Factors:
        return draw_all(rng, n, trained=bool(trained.all()))

    return draw_trained, draw_held_out


def never_trained(names: Sequence[str], share: float, categories: Mapping[str, int]) -> tuple[str, ...]:
    """Return the factors of which a half, or a category, is in no combination that is trained on."""
    counts, trained = _trained_combinations(names, share, categories)
    table = trained.reshape(counts)
    of_parts = (np.moveaxis(table, i, 0).reshape(count, -1).any(axis=1) for i, count in enumerate(counts))
    return tuple(name for name, are_in_some in zip(names, of_parts, strict=True) if not are_in_some.all())


def _trained_combinations(names: Sequence[str], share: float, categories: Mapping[str, int]) -> tuple[list[int], Mask]:
    """Return the number of parts of each factor, and which of their combinations, as `np.ravel`, are trained on."""
    counts = [categories.get(name, NUM_HALVES) for name in names]
    # A number that no factor's levels are drawn by.
    return counts, trained_levels(math.prod(counts), share, len(names))


def _with_categories(factors: Factors, counts: Mapping[int, int]) -> Factors:
    """Turn draws from [0, 1] of each category into one of its equally spaced values; factors [n, T, F] in place."""
    for factor, count in counts.items():
        factors[..., factor] = snap(factors[..., factor], count)
    return factors


def _all_within(trained: dict[int, Mask], factors: Factors) -> Mask:
    within = [levels[interval_of(factors[:, 0, factor], len(levels))] for factor, levels in trained.items()]
    return np.all(within, axis=0)


def interval_of(values: Factors, count: int = NUM_INTERVALS) -> NDArray[np.int64]:
    """Return the index of the interval that each value is in, of `count` equal ones of [0, 1]; 1 is in the last."""
    return np.minimum((values * np.float32(count)).astype(np.int64), count - 1)


def _moved_into(trained: Mask, values: Factors) -> Factors:
    """Map uniform values of [0, 1] to uniform values of the trained intervals, keeping their order."""
    chosen = np.flatnonzero(trained)
    place = values.astype(np.float64) * len(chosen)
    which = np.minimum(place.astype(np.int64), len(chosen) - 1)
    moved = ((chosen[which] + (place - which)) / len(trained)).astype(np.float32)
    # In float32 the end of an interval may be rounded to the beginning of the next, which may be held out.
    end = np.nextafter(((chosen + 1) / len(trained)).astype(np.float32), np.float32(0))
    return np.minimum(moved, end[which])
