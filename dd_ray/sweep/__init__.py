"""What a sweep is, and running it on Ray Tune."""

from dd_ray.sweep.study import Preset, Study

__all__ = ["Preset", "Study"]
