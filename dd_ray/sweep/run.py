"""Running a plan on Ray Tune."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from dd_ray.metrics import REPORTED
from dd_ray.sweep.cluster import Resources, connected
from dd_ray.sweep.plan import Cell, Plan
from dd_ray.sweep.progress import Watcher
from dd_ray.sweep.store import SweepFolder
from dd_ray.sweep.trainable import CellTrainable

_TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # cells write their own files
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # progress is reported between evaluations
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def prepare(plan: Plan) -> tuple[SweepFolder, list[Cell]]:
    """Make the sweep's folder and its cells' folders, and find the cells that are left to run.

    Raises:
        UserError: the storage cannot be written, or holds another study under this name.
    """
    sweep = SweepFolder(plan.options.storage.expanduser().resolve() / plan.options.name)
    sweep.create(_manifest(plan))
    remaining = []
    for cell in plan.cells:
        folder = sweep.cell(cell.key)
        folder.create(cell.config.to_dict(), cell.label)
        outcome = folder.outcome()
        extended = outcome and outcome.state == "finished" and outcome.iteration < plan.options.iterations
        if outcome is None or outcome.state == "failed" or extended:
            folder.reopen()
            remaining.append(cell)
    return sweep, remaining


def run(plan: Plan, sweep: SweepFolder, cells: list[Cell]) -> None:
    """Train the cells on a Ray cluster, each as a trial of Ray Tune, with a progress bar.

    Returns when all cells have ended, or when the user interrupts; `sweep` then tells which have.

    Raises:
        UserError: no cluster answers, or it could never hold a trial.
    """
    os.environ.update(_TUNE_SETTINGS)
    with connected(plan.options.address):
        resources = Resources.of_cluster(plan.options)
        print(f"Running {resources.slots} trials at a time, each on {_described(resources)}.", flush=True)
        reached = {c.key: _reached(sweep, c) for c in plan.cells}
        left = {cell.key for cell in cells}
        done = {key: plan.options.iterations if key not in left else at for key, at in reached.items()}
        watcher = Watcher(sweep, plan.options.iterations, done, len(plan.cells))
        try:
            _tuner(plan, sweep, cells, resources, watcher).fit()
        finally:
            watcher.close()


def _tuner(plan: Plan, sweep: SweepFolder, cells: list[Cell], resources: Resources, watcher: Watcher) -> tune.Tuner:
    labels = {cell.key: cell.label for cell in cells}
    return tune.Tuner(
        tune.with_resources(CellTrainable, {"cpu": resources.cpus, "gpu": resources.gpus}),
        param_space={
            "sweep": str(sweep.path),
            "key": tune.grid_search([cell.key for cell in cells]),
            "evaluate_at": list(plan.evaluate_at),
            "device": "cuda" if resources.gpus else "cpu",
            "threads": max(1, int(resources.cpus)),
            "hparams": list(dict.fromkeys([*plan.swept, "seed"])),
        },
        tune_config=tune.TuneConfig(
            scheduler=_scheduler(plan),
            max_concurrent_trials=resources.slots,
            reuse_actors=True,
            trial_name_creator=lambda trial: labels[trial.config["key"]],
            trial_dirname_creator=lambda trial: trial.config["key"],
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(sweep.path),
            failure_config=tune.FailureConfig(max_failures=plan.options.max_failures),
            callbacks=[watcher],
            verbose=0,
        ),
    )


def _scheduler(plan: Plan) -> TrialScheduler:
    options = plan.options
    if options.scheduler == "none":
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="iteration",
        metric=options.metric,
        mode=REPORTED[options.metric].better,
        max_t=options.iterations,
        grace_period=plan.grace_period,
        reduction_factor=options.reduction_factor,
    )


def _reached(sweep: SweepFolder, cell: Cell) -> int:
    evaluations = sweep.cell(cell.key).evaluations()
    return evaluations[-1]["iteration"] if evaluations else 0


def _described(resources: Resources) -> str:
    cpus = f"{resources.cpus:g} CPU{'s' if resources.cpus != 1 else ''}"
    return f"{cpus} and {resources.gpus:g} GPUs" if resources.gpus else cpus


def _manifest(plan: Plan) -> dict[str, Any]:
    options = {name: getattr(plan.options, name) for name in plan.options.__dataclass_fields__}
    return {
        "study": plan.study.name,
        "axes": {name: list(values) for name, values in plan.axes.items()},
        "swept": list(plan.swept),
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
        "command": sys.argv,
        "versions": {name: version(name) for name in ("dd_ray", "ray", "torch")} | {"python": sys.version.split()[0]},
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Commit of the code, where it is run from a checkout."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
