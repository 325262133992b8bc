"""What a study is: data. Which fields it sweeps, over which values, how long, and how trials are compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dd_ray.config.options import Axes
from dd_ray.sweep.schedulers import ASHA
from dd_ray.sweep.space import Space

DrawFigure = Callable[[str, Path], Sequence[Path]]
"""Draws a figure of the sweep at a location, a folder or URL, into a folder, and returns the files that it wrote."""


TELLS = ("linear_r2_stills", "linear_r2", "reconstruction_error", "factor_error")
"""Metrics that a sweep's last lines are of: the first that its trials have."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One size of a study."""

    about: str
    """What it is for, in a few words."""
    axes: Axes
    """Config fields and their values; every combination is a trial."""
    iterations: int
    """Iterations of every trial."""
    seeds: int = 1
    """How often each trial is repeated, from seed 0 on."""
    scheduler: str = ASHA.name
    """asha stops trials that fall behind; none lets all finish."""
    grace_share: float = 1 / 9
    """asha: the share of `iterations` that every trial gets before it may be stopped."""
    reduction_factor: float = 3
    """asha: of the trials that reach a rung, one in so many goes on, and rungs lie so many times apart."""
    final_metrics: tuple[str, ...] = ("auto",)
    """Costly scores that the last evaluation of a trial has as well, as `--final-metrics` names them."""
    exclude: tuple[str, ...] = ()
    """Combinations that are left out, each as `--exclude` names them: `gamma=0.5,0.8 lambda=3`."""
    suggestions: int = 0
    """How many points of its space a search tries."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a study draws instead of going through a grid."""

    space: Space
    """Config fields and the distributions that their values are drawn from."""
    objectives: tuple[str, ...]
    """Reported metrics to make better, one or two."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A question that a sweep answers."""

    name: str
    question: str
    axes: tuple[str, ...]
    """Config fields that its trials are named by, whether or not a sweep gives them several values."""
    fixed: Mapping[str, Any]
    """Config fields that all its presets share; still options of the command line."""
    presets: Mapping[str, Preset]
    """By name; the first is the default."""
    earlier: Mapping[str, Preset] = field(default_factory=dict)
    """Presets as they were, by name: a sweep that was asked for by one goes on by it."""
    metric: str = "reconstruction_error"
    """What asha compares trials by: a metric that means the same in every trial."""
    tells: tuple[str, ...] = TELLS
    """What the last lines of a sweep are of: the first of these metrics that its trials have."""
    outcomes: tuple[str, ...] = ()
    """Metrics that `--confirm` chooses cells by, and reports; the first of `tells` that its trials have if empty.

    Costly ones among them are scored at the end of every trial, whatever they cost, unless other scores are named.
    """
    extensions: tuple[str, ...] = ()
    """Paths of files that declare what it uses beside ours, as `--extension` names them."""
    figures: tuple[str | DrawFigure, ...] = ("grid_maps",)
    """What is drawn at the end of a sweep: names of `dd_ray.figures.FIGURES`, or functions of one's own."""
    search: Search | None = None
    """What is drawn, and for what; a grid where there is none."""

    @property
    def default_preset(self) -> str:
        """Name of the preset that runs where none is asked for."""
        return next(iter(self.presets))

    def as_before(self) -> "Study | None":
        """The study with its earlier presets; None where it has none."""
        return replace(self, presets={**self.presets, **self.earlier}, earlier={}) if self.earlier else None

    def defaults(self, preset: str) -> Axes:
        """The values of config fields before the command line changes them: the axes first."""
        chosen = self.presets[preset]
        fixed = {name: (value,) for name, value in self.fixed.items()}
        space = self.search.space if self.search else {}
        drawn = {name: distribution.ends for name, distribution in space.items()}
        # No value: each seed has a training stream of its own, see `dd_ray.sweep.streams`.
        return {**drawn, "dataset_seed": (), **chosen.axes, **fixed, "seed": tuple(range(chosen.seeds))}
