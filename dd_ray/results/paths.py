"""The paths of a command that shows one sweep, or several as one."""

from dataclasses import dataclass
from typing import Annotated

from dd_ray.command_line import positional


@dataclass(frozen=True, kw_only=True)
class SweepPaths:
    """Options of the command line that name sweeps."""

    path: Annotated[str, positional("PATH")]
    """Folder or URL of a sweep, such as results/inertia_grid_quick."""
    more: Annotated[tuple[str, ...], positional("[PATH ...]")] = ()
    """Further sweeps, shown with it as one: a trial that several have counts once, and notes say what differs."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them, in their order."""
        return (self.path, *self.more)
