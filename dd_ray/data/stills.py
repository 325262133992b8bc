"""Held-out still pictures, from which scores of latents are computed."""

import numpy as np
from numpy.typing import NDArray

from dd_ray.config import TrialConfig
from dd_ray.data.streams import Stream, generator


def uniform_stills(config: TrialConfig, num_stills: int) -> NDArray[np.float64]:
    """Draw factors [N, F] from the unit cube, the same for every network and sweep."""
    return generator(0, Stream.TEST_STILLS, 0).random((num_stills, len(config.factor_names)))
