"""The definition of a study: which fields it sweeps, over which values, how long, and how trials are compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dd_ray.command_line import plain_value
from dd_ray.config.options import Axes
from dd_ray.sweep.schedulers import ASHA
from dd_ray.sweep.space import Space

DrawFigure = Callable[[str, Path], Sequence[Path]]
"""Draws a figure of the sweep at a folder or URL into a folder, and returns its files, which the sweep is to keep."""


TELLS = ("linear_r2_stills", "linear_r2", "reconstruction_error", "factor_error")
"""Metrics for a sweep's last lines; the first that its trials have is used."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One size of a study."""

    about: str
    """Its purpose in a few words."""
    axes: Axes
    """Config fields and their values; every combination is a trial."""
    iterations: int
    """Iterations of every trial."""
    seeds: int = 1
    """Number of repeats of each trial, from seed 0 on."""
    scheduler: str = ASHA.name
    """asha stops trials that fall behind; none lets all finish."""
    grace_share: float = 1 / 9
    """asha: the share of `iterations` that every trial gets before it may be stopped."""
    reduction_factor: float = 3
    """asha: of the trials that reach a rung, one in so many goes on; each rung is so many times the one before."""
    final_metrics: tuple[str, ...] = ("auto",)
    """Costly scores that are added to the last evaluation of a trial, as `--final-metrics` names them."""
    exclude: tuple[str, ...] = ()
    """Combinations that are left out, each as `--exclude` names them: `gamma=0.5,0.8 lambda=3`."""
    suggestions: int = 0
    """Number of points of its space that a search tries."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search of a study, which draws values instead of going through a grid."""

    space: Space
    """Config fields and the distributions that their values are drawn from."""
    objectives: tuple[str, ...]
    """One or two reported metrics to improve."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question that a sweep answers."""

    name: str
    question: str
    axes: tuple[str, ...]
    """Config fields in the labels of its trials, whether or not a sweep gives them several values."""
    fixed: Mapping[str, Any]
    """Values of config fields for all its presets; the command line can change them."""
    presets: Mapping[str, Preset]
    """Presets by name; the first is the default."""
    earlier: Mapping[str, Preset] = field(default_factory=dict)
    """Earlier versions of presets by name, with which sweeps that began with them go on."""
    metric: str = "reconstruction_error"
    """Metric by which asha compares trials; it must mean the same in every trial."""
    tells: tuple[str, ...] = TELLS
    """Metrics for the last lines of a sweep; the first that its trials have is used."""
    outcomes: tuple[str, ...] = ()
    """Metrics by which `--confirm` chooses cells, and that it reports; if empty, the first of `tells` that trials have.

    Costly ones among them are scored at the end of every trial, whatever they cost, unless other scores are named.
    """
    extensions: tuple[str, ...] = ()
    """Paths of files with further declarations that it uses, as `--extension` names them."""
    figures: tuple[str | DrawFigure, ...] = ("grid_maps",)
    """Figures to draw at the end of a sweep: names of `dd_ray.figures.FIGURES`, or functions."""
    search: Search | None = None
    """The search; None for a grid."""

    @property
    def default_preset(self) -> str:
        """Name of the preset that is used by default."""
        return next(iter(self.presets))

    def as_before(self) -> "Study | None":
        """Return the study with its earlier presets; None if it has none."""
        return replace(self, presets={**self.presets, **self.earlier}, earlier={}) if self.earlier else None

    def defaults(self, preset: str) -> Axes:
        """Return the values of config fields before the command line changes them, beginning with the axes."""
        chosen = self.presets[preset]
        fixed = {name: (value,) for name, value in self.fixed.items()}
        space = self.search.space if self.search else {}
        drawn = {name: distribution.ends for name, distribution in space.items()}
        # No value, so that each seed has a training stream of its own, see `dd_ray.sweep.existing`.
        values = {**drawn, "dataset_seed": (), **chosen.axes, **fixed, "seed": tuple(range(chosen.seeds))}
        return {name: tuple(map(plain_value, each)) for name, each in values.items()}
