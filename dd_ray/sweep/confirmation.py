"""Plans the confirmation of a sweep: chosen cells are trained again with seeds that they were not chosen by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dd_ray.config.labels import label_of, parts_of, with_parts
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.planned import PlannedTrial

BASELINE = "baseline"
"""Name of the arm that the others are compared with."""
CONTROL = "control: "
"""What the name of a control begins with; names of arms have no colon."""


@dataclass(frozen=True)
class ConfirmationPlan(Plan):
    """A plan of chosen cells with fresh seeds, in a sweep beside the one in which they were chosen."""

    chosen: Mapping[str, Mapping[str, tuple[str, ...]]]
    """By outcome and arm, the keys of the trials of its cell."""
    cells: Mapping[str, Mapping[str, str]]
    """By outcome and arm, the settings of the cell: `β=1,γ=0.8`."""
    left_out: Mapping[str, tuple[str, ...]]
    """By outcome, the arms and controls of which no cell could be chosen."""

    came_out = "dd_ray.results.confirmation:ConfirmationCameOut"

    def contents(self) -> list[str]:
        """Describe in lines which cells were chosen, and for which outcomes."""
        seeds = " ".join(str(seed) for seed in self.axes["seed"])
        lines = [f"{self.num_trials} trials: the best cells of {self.of}, with the fresh seeds {seeds}"]
        for outcome, cells in self.cells.items():
            lines.append(f"  chosen for {outcome}: {'; '.join(dict.fromkeys(cells.values()))}")
            if lost := self.left_out[outcome]:
                why = "each cell has a network that collapsed or diverged"
                lines.append(f"  left out for {outcome}, since {why}: {'; '.join(lost)}")
        return lines

    @property
    def of(self) -> str:
        """Name of the sweep in which they were chosen."""
        return self.options.name.removesuffix(SUFFIX)

    def record(self) -> dict[str, Any]:
        """Return what the sweep's manifest records of the choice."""
        return {"confirms": {"sweep": self.of, "cells": self.cells, "chosen": self.chosen}}


SUFFIX = "_confirmed"
FIGURES = ("contrasts", "learning_curves")
"""Figures of a confirmation. A map is not among them, since of a few chosen cells it would mostly be holes."""


def confirmation_plan(plan: Plan, chosen: Mapping[str, Mapping[str, str | None]], number: int) -> ConfirmationPlan:
    """Make the plan that trains chosen cells with seeds that the sweep does not have.

    Args:
        plan: plan of the sweep in which they were chosen.
        chosen: key of a trial of the cell, by outcome and arm; None if there is no such cell.
        number: number of fresh seeds.
    """
    first = max(trial.config.seed for trial in plan.trials) + 1
    seeds = range(first, first + number)
    planned = {trial.key: trial for trial in plan.trials}
    names = [field for field in plan.axes if field in plan.study.axes or len(plan.axes[field]) > 1]
    trials: dict[str, PlannedTrial] = {}
    keys: dict[str, dict[str, tuple[str, ...]]] = {}
    cells: dict[str, dict[str, str]] = {}
    for outcome, of_arm in chosen.items():
        for arm, key in of_arm.items():
            if key is None:
                continue
            parts = {name: value for name, value in parts_of(planned[key].label).items() if name != "seed"}
            again = [replace(planned[key].config, seed=seed) for seed in seeds]
            trials |= {each.key: PlannedTrial(each, label_of(each.to_dict(), names)) for each in again}
            keys.setdefault(outcome, {})[arm] = tuple(each.key for each in again)
            cells.setdefault(outcome, {})[arm] = with_parts(parts)
    left_out = {outcome: tuple(arm for arm, key in of_arm.items() if not key) for outcome, of_arm in chosen.items()}
    options = replace(plan.options, name=plan.options.name + SUFFIX, seeds=None, exclude=(), sample=None)
    axes = {name: _values(name, list(trials.values())) for name in plan.axes}
    study = replace(plan.study, figures=FIGURES)
    return ConfirmationPlan(study, options, axes, tuple(trials.values()), keys, cells, left_out)


def _values(name: str, trials: Sequence[PlannedTrial]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(getattr(trial.config, name) for trial in trials))
