"""Sweep folders whose cells have networks, as a run would leave them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from dd_ray.config import TrialConfig
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.training import Trial, dump_state
from tests.figures.sweeps import EVALUATED, Values, measure, write_sweep


def write_trained_sweep(
    path: Path,
    axes: Mapping[str, Sequence[Any]],
    ended: Callable[[Values], tuple[str, int]] = lambda config: ("finished", 300),
    metrics: Callable[[Values, int], Values] = measure,
    change: Callable[[Trial], None] = lambda trial: None,
    *,
    beside: Mapping[str, Sequence[Any]] | None = None,
    evaluated: Sequence[int] = EVALUATED,
) -> Path:
    """`write_sweep` with a state for every cell that has been evaluated: its initial weights, after a `change`."""
    write_sweep(path, axes, ended, metrics, evaluated, beside=beside)
    for cell in SweepFolder.at(path).trials():
        if not (evaluations := cell.evaluations()):
            continue
        trial = Trial(TrialConfig.from_dict(cell.describe()["config"]))
        trial.iteration = evaluations[-1]["iteration"]
        with torch.no_grad():
            change(trial)
        cell.save_state(trial.iteration, dump_state(trial.state()))
    return path


def spoil(trial: Trial) -> None:
    """Weights as after a divergence."""
    next(trial.model.parameters()).fill_(float("nan"))
