"""Levels of factors that are equally spaced from 0 to 1."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Values = TypeVar("Values", Tensor, NDArray[np.floating])


def snap(values: Values, num_levels: int) -> Values:
    """Round numbers in [0, 1] to num_levels equally spaced levels from 0 to 1, each from an interval of equal length.

    Uniform numbers become uniform levels, and a level stays the same.
    """
    return ((values * num_levels) // 1).clip(max=num_levels - 1) / max(1, num_levels - 1)
