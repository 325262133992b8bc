"""What a sweep is, and running it on Ray Tune."""

from dd_ray.sweep.space import LogUniform, Uniform
from dd_ray.sweep.study import Preset, Search, Study

__all__ = ["LogUniform", "Preset", "Search", "Study", "Uniform"]
