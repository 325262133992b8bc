"""What a sweep will do: its cells, how far each goes, and when it is evaluated."""

import functools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dd_ray.config import NOT_IN_KEY, SUPERVISED, TrialConfig, has_effect
from dd_ray.config_options import Axes, option_name, product, shown
from dd_ray.dsprites_file import open_dsprites
from dd_ray.errors import UserError
from dd_ray.metrics import ENOUGH_POINTS, FURTHER, REPORTED, applicable
from dd_ray.sweep.options import SweepOptions
from dd_ray.sweep.store import sweep_location
from dd_ray.sweep.study import Study

MOST_EVALUATIONS = 20
EVALUATION_SHARE = 0.04
"""Part of the time that evaluations may take where their number is not given."""
EVALUATION_COST = 0.65
"""Time of evaluating on one video, in units of training on one, measured: one encoding and two decodings
without gradients, against one of each with."""
GFLOP_PER_FRAME = {("conv32", 32): 0.0132, ("conv64", 64): 0.0737, ("mlp", 32): 0.0383, ("mlp", 64): 0.0752}
"""Multiplications and additions of a network for images of a size, forward and backward, per frame of a batch, in
10⁹; about half of them are the encoder's."""
GPU_HOURS_PER_FRAME = 1 / (50_000 * 64 * 10)
"""Time that a trial of conv32 alone on a GPU takes to learn from a frame: the original study's hour for 50,000
iterations of 64 videos of 10 frames. Trials that share a GPU take less of it each, how much has not been measured."""
FINAL_SHARE = 0.03
"""Part of a cell's time that the scores at its end may take where they are not named. Cells that are stopped early
have none, so that it is less of a sweep's."""
FRAMES_PER_SECOND = 6_250
"""Frames that a core trains conv32 on in the time of a second's worth of `FURTHER` scores, measured."""
STILLS_COST = 0.25
"""Seconds of a core that encoding the still pictures of those scores takes, measured."""
EFFICIENCY = 0.5
"""Share of the matrix-product rate of a core that training reaches; 0.45 to 0.6 where it was measured."""


@dataclass(frozen=True)
class Cell:
    """One trial of a sweep."""

    config: TrialConfig
    label: str
    """What tells it from the others: `beta=0.1,gamma=0.5,seed=0`."""

    @property
    def key(self) -> str:
        """Content address of its config."""
        return self.config.key


@dataclass(frozen=True)
class Plan:
    """A sweep that has been asked for, and checked as far as that goes without a cluster."""

    study: Study
    options: SweepOptions
    axes: Axes
    """All fields that have values: first those that the preset sweeps, last the seed."""
    cells: tuple[Cell, ...]

    @property
    def location(self) -> str:
        """Where the sweep is kept: a folder or a URL."""
        return sweep_location(self.options.storage, self.options.name)

    @property
    def swept(self) -> tuple[str, ...]:
        """Config fields that have more than one value."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)

    @property
    def evaluate_at(self) -> tuple[int, ...]:
        """Iterations at which a trial is evaluated: 0, the untrained network, and evenly spaced up to the last."""
        total = self.options.iterations
        count = self.options.evaluations or self._affordable_evaluations()
        return tuple(sorted({round(total * i / count) for i in range(count + 1)}))

    @property
    def final_metrics(self) -> tuple[str, ...]:
        """The costly scores of the last evaluation."""
        asked = self.options.final_metrics
        if not any("mig" in reported_by(config) for config in self.examples):
            return ()  # there is no code to score
        known = self._applicable_scores()
        chosen = self._affordable_scores() if "auto" in asked else known if "all" in asked else asked
        return tuple(name for name in FURTHER if name in chosen)

    @property
    def grace_period(self) -> int:
        """Iterations before a trial may be stopped early."""
        share = self.study.presets[self.options.preset].grace_share
        return self.options.grace_period or max(1, round(self.options.iterations * share))

    @property
    def first_comparison(self) -> int | None:
        """The first evaluation at which asha may stop a cell; None where none is left before the last."""
        return next((i for i in self.evaluate_at[:-1] if i >= self.grace_period), None)

    @property
    def keys(self) -> tuple[str, ...]:
        """Content addresses of its cells."""
        return tuple(cell.key for cell in self.cells)

    @property
    def num_cells(self) -> int:
        """How many cells it has."""
        return len(self.cells)

    @property
    def examples(self) -> tuple[TrialConfig, ...]:
        """Configs that cost what its cells cost, in the mean."""
        return tuple(cell.config for cell in self.cells)

    @property
    def total_iterations(self) -> int:
        """Iterations of all trials, if none is stopped early."""
        return self.num_cells * self.options.iterations

    def contents(self) -> list[str]:
        """What its cells are, in lines to read."""
        axes = " × ".join(f"{len(self.axes[name])} {option_name(name)}" for name in self.swept)
        count = f"{self.num_cells} cell{'s' if self.num_cells != 1 else ''}{f' = {axes}' if axes else ''}"
        if self.num_cells < math.prod(len(values) for values in self.axes.values() if values):
            count = f"{self.num_cells} cells of {axes}, since where an axis has no effect its cells are one"
        values = [f"  {option_name(name)}: {' '.join(map(shown, self.axes[name]))}" for name in self.swept]
        return [count, *values]

    def scored_on(self) -> list[str]:
        """What scores are of, as far as it needs saying, in lines to read."""
        lines = []
        scored = [config.num_test * _scored_frames(config) for config in self.examples if "mig" in reported_by(config)]
        if scored and (points := min(scored)) < ENOUGH_POINTS:
            lines.append(f"MIG of {points:,} held-out frames is biased; {ENOUGH_POINTS:,} are enough (--num-test)")
        if self.final_metrics:
            names = " ".join(self.final_metrics)
            lines.append(f"at the end, of 10,000 still pictures: {names}")
        return lines

    def record(self) -> dict[str, Any]:
        """What its manifest holds beside options and axes."""
        return {}

    def core_seconds(self) -> float:
        """Rough time that all trials take on one core of this machine, from its matrix-product rate."""
        gflop = sum(_gflop(config) for config in self.examples) / len(self.examples)
        return gflop * self.total_iterations * (1 + EVALUATION_SHARE) / (EFFICIENCY * _core_gflops())

    def gpu_hours(self) -> float:
        """Hours of a GPU that all trials take at most, as if each was alone on it."""
        frames = sum(map(_frames_of_conv32, self.examples)) / len(self.examples)
        return frames * self.total_iterations * GPU_HOURS_PER_FRAME

    def _affordable_evaluations(self) -> int:
        training = self.options.iterations * min(config.batch_size for config in self.examples)
        one = EVALUATION_COST * max(config.num_test * (1 + (config.split != "none")) for config in self.examples)
        affordable = int(EVALUATION_SHARE * training / one) - 1
        return min(MOST_EVALUATIONS, self.options.iterations, max(1, affordable))

    def _applicable_scores(self) -> set[str]:
        """Scores that mean something of the factors of any cell."""
        of_factors = {config.factor_names for config in self.examples}
        return {name for names in of_factors for name in applicable(tuple(FURTHER), names)}

    def _affordable_scores(self) -> tuple[str, ...]:
        """As many as are affordable together, the cheapest first."""
        frames = self.options.iterations * min(map(_frames_of_conv32, self.examples))
        left = FINAL_SHARE * frames / FRAMES_PER_SECOND - STILLS_COST
        chosen = []
        known = self._applicable_scores()
        for name, score in sorted(FURTHER.items(), key=lambda item: item[1].cost):
            if name not in known:
                continue
            left -= score.cost * (1 + score.masked)
            if left >= 0:
                chosen.append(name)
        return tuple(chosen)


def make_plan(study: Study, options: SweepOptions, axes: Axes) -> Plan:
    """The plan of a sweep.

    Raises:
        UserError: an option is out of range, or a cell is no valid config.
    """
    check_options(options)
    seeds = axes.get("seed", (0,)) if options.seeds is None else tuple(range(options.seeds))
    axes = {**{name: values for name, values in axes.items() if name != "seed"}, "seed": seeds}
    naming = [name for name, values in axes.items() if name in study.axes or len(values) > 1]
    cells = tuple(Cell(config, cell_label(config.to_dict(), naming)) for config in product(axes))
    if options.scheduler == "asha":
        check_metric("metric", options.metric, [cell.config for cell in cells])
    return Plan(study, options, axes, cells)


def check_final_metrics(plan: Plan) -> None:
    """Make sure that scores at the end mean something of the factors.

    Raises:
        UserError: one does not.
    """
    factors = ", ".join(plan.examples[0].factor_names)
    for name in plan.final_metrics:
        if not any(applicable([name], config.factor_names) for config in plan.examples):
            raise UserError(f"--final-metrics {name} means nothing of the factors {factors}; leave it out.")


def open_data(plan: Plan) -> None:
    """Make sure that the files of the data are there and what they are taken for, and have them at hand.

    Raises:
        UserError: one is missing, or another.
    """
    for file, md5 in {(config.dsprites_file, config.dsprites_md5) for config in plan.examples}:
        if file:
            open_dsprites(file, md5)


def cell_label(values: Mapping[str, Any], naming: list[str]) -> str:
    """The name of a cell, and of its TensorBoard run, from those of some fields that have an effect in it, seed last.

    Args:
        values: of all fields of its config.
        naming: the fields.
    """
    named = [name for name in naming if name not in ("seed", *NOT_IN_KEY) and has_effect(name, values)]
    names = [*named, "seed"]
    return ",".join(f"{option_name(name).replace('-', '_')}={shown(values[name])}" for name in names)


def duration(seconds: float) -> str:
    """A time to read, in the largest unit of which it has two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def check_options(options: SweepOptions) -> None:
    """Make sure that each option is within its range.

    Raises:
        UserError: one is not.
    """
    lowest = {"iterations": 1, "seeds": 1, "grace_period": 1, "evaluations": 1, "max_concurrent": 1}
    for name, bound in lowest.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise UserError(f"--{option_name(name)} {value} is out of range; give {bound} or more.")
    for name in ("gpus_per_trial", "max_failures", "price_per_gpu_hour"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < math.inf:
            raise UserError(f"--{option_name(name)} {value} is out of range; give 0 or more.")
    if options.cpus_per_trial is not None and not 0 < options.cpus_per_trial < math.inf:
        raise UserError(f"--cpus-per-trial {options.cpus_per_trial} is out of range; give a positive number.")
    if not 1 < options.reduction_factor < math.inf:
        raise UserError(f"--reduction-factor {options.reduction_factor} is out of range; give more than 1.")
    if options.scheduler == "asha" and (options.grace_period or 1) > options.iterations:
        raise UserError(
            f"--grace-period {options.grace_period} is more than --iterations {options.iterations}; give less."
        )
    if (options.gpus_per_trial or 0) > 1:
        raise UserError(f"--gpus-per-trial {options.gpus_per_trial} is out of range; a trial uses one GPU at most.")
    if not options.name or "/" in options.name or options.name.startswith("."):
        raise UserError(f"--name {options.name!r} is no name of a folder; give letters, digits, _ and -.")


def check_metric(option: str, name: str, configs: Sequence[TrialConfig]) -> None:
    """Make sure that cells can be ranked by a metric: where one does not report it, asha stops nothing, and is silent.

    Raises:
        UserError: they cannot; `option` is the one that gave the metric.
    """
    rankable = {known for known, metric in REPORTED.items() if metric.better}
    common = rankable.intersection(*(reported_by(config) for config in configs))
    if name not in common:
        raise UserError(f"--{option} {name} cannot rank these cells; choose one of {', '.join(sorted(common))}.")


def reported_by(config: TrialConfig) -> set[str]:
    """Those of `REPORTED` that a trial reports at every evaluation."""
    error = "factor_error" if config.model == "supervised_encoder" else "reconstruction_error"
    names = {"loss", error} | ({f"{error}_seen"} if config.split != "none" else set())
    if config.model == "supervised_decoder":
        return names
    names |= {"linear_r2", "mcc", "mig", "sap"}
    if config.model == "supervised_encoder":
        return names
    names |= {"active_units"}
    of_videos = {"prediction_ratio", "straightness"} if _scored_frames(config) >= 3 else set()
    of_posteriors = {"kl", "mutual_information", "total_correlation", "dimension_wise_kl"}
    return names | (of_posteriors if config.stochastic else set()) | of_videos


def _scored_frames(config: TrialConfig) -> int:
    """Latents of a held-out video; the inertia model's last frames are only targets."""
    return config.frames - (config.delay if config.model == "inertia_vae" else 0)


def _gflop_per_frame(config: TrialConfig) -> float:
    """Weights, and so what is done with them, grow nearly with the square of the width."""
    return GFLOP_PER_FRAME[config.network, config.image_size] * config.width_factor**2


def _gflop(config: TrialConfig) -> float:
    """Of an iteration."""
    half = 1 / 2 if config.model in SUPERVISED else 1
    return config.batch_size * config.frames * half * _gflop_per_frame(config)


def _frames_of_conv32(config: TrialConfig) -> float:
    """Frames of an iteration, weighted by what one costs in units of one of conv32."""
    return config.batch_size * config.frames * _gflop_per_frame(config) / GFLOP_PER_FRAME["conv32", 32]


@functools.cache
def _core_gflops() -> float:
    """Matrix-product rate of one core, float32, measured in about 50 ms."""
    size = 512
    a = np.ones((size, size), np.float32)
    best = math.inf
    with threadpool_limits(1):
        for _ in range(8):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9
