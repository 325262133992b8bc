"""Implements CMA-ES for Optuna by the package cmaes.

Why not Optuna's own `CmaEsSampler` (5.0): it keeps its state in the study as a pickle and opens that again, and whoever
can write a sweep's folder could run code by it. Here the state is computed anew, from the values in the study.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import intersection_search_space
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

STEP = 1 / 6
"""The first standard deviation, of a range of 1 in each direction."""
Space = Mapping[str, FloatDistribution | IntDistribution]


class CmaEs(BaseSampler):
    """Draws from a normal distribution that goes to where values were best (CMA-ES; Hansen 2016).

    The first suggestions are random, and the best of them is the first mean. From then on, each generation is of as
    many of the suggestions with a value, by their numbers, as the package has for that many dimensions. Choices that
    are no numbers, and all of a space of one dimension, which CMA-ES does not take, are drawn at random.

    Args:
        seed: of this suggestion.
        startup: how many are random first.
    """

    def __init__(self, seed: int, startup: int) -> None:
        self._seed, self._startup = seed, startup
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the numbers that are drawn together; none for the first suggestions."""
        space = intersection_search_space(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        numbers = {name: d for name, d in space.items() if isinstance(d, FloatDistribution | IntDistribution)}
        return {name: d for name, d in numbers.items() if trial.number >= self._startup and not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw the numbers."""
        if len(search_space) < 2:
            return {}
        from cmaes import CMA  # type: ignore[import-not-found]  # noqa: PLC0415  # comes by its own pip install

        space: Any = search_space
        scored = self._scored(study, space)
        first = [each for each in scored if each[0] < self._startup] or scored
        bounds = np.array([[0.0, 1.0]] * len(space))
        cma = CMA(mean=min(first, key=lambda each: each[2])[1], sigma=STEP, bounds=bounds, seed=self._seed)
        drawn = [(point, value) for number, point, value in scored if number >= self._startup]
        for begin in range(0, len(drawn) - cma.population_size + 1, cma.population_size):
            cma.tell(drawn[begin : begin + cma.population_size])
        return _from_unit(cma.ask(), space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a value that is not drawn together with others."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _scored(self, study: Study, space: Space) -> list[tuple[int, NDArray[np.float64], float]]:
        """Return number, place in the unit cube and value (lower is better) of each suggestion that has a value."""
        sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [(each.number, _in_unit(each.params, space), sign * float(each.value or 0.0)) for each in complete]


def _in_unit(point: Mapping[str, Any], space: Space) -> NDArray[np.float64]:
    """Map a point into [0, 1]^D: by its share of each range, or of the logarithms of a logarithmic one."""
    shares = []
    for name, distribution in space.items():
        low, high, value = (_scale(distribution, x) for x in (distribution.low, distribution.high, point[name]))
        shares.append((value - low) / (high - low))
    return np.array(shares)


def _from_unit(shares: NDArray[np.float64], space: Space) -> dict[str, Any]:
    """Map [0, 1]^D back to a point of the space."""
    point: dict[str, Any] = {}
    for share, (name, distribution) in zip(shares.tolist(), space.items(), strict=True):
        low, high = _scale(distribution, distribution.low), _scale(distribution, distribution.high)
        scaled = low + share * (high - low)
        value = math.exp(scaled) if distribution.log else scaled
        if distribution.step:
            value = distribution.low + round((value - distribution.low) / distribution.step) * distribution.step
        value = min(max(value, distribution.low), distribution.high)
        point[name] = int(value) if isinstance(distribution, IntDistribution) else value
    return point


def _scale(distribution: FloatDistribution | IntDistribution, value: float) -> float:
    return math.log(value) if distribution.log else float(value)
