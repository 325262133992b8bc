"""What type checkers see of the package, whose names are imported on first use."""

from dd_ray.api import plan, run
from dd_ray.errors import UserError
from dd_ray.sweep import Preset, Study

__version__: str
__all__ = ["Preset", "Study", "UserError", "plan", "run"]
