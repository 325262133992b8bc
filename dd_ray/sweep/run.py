"""Running a plan on Ray Tune."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from dd_ray.metrics import REPORTED
from dd_ray.sweep.cluster import Resources, check_gpus, connected
from dd_ray.sweep.plan import Cell, Plan, duration
from dd_ray.sweep.progress import Watcher
from dd_ray.sweep.store import Outcome, SweepFolder
from dd_ray.sweep.trainable import CellTrainable


def cells_to_run(plan: Plan, sweep: SweepFolder) -> list[Cell]:
    """The plan's cells that have not ended, or not as this plan would let them end."""
    return [cell for cell in plan.cells if not _has_ended(sweep.cell(cell.key).outcome(), plan)]


def run(plan: Plan, sweep: SweepFolder, cells: list[Cell]) -> None:
    """Train the cells on a Ray cluster, each as a trial of Ray Tune, with a progress bar.

    Returns when all cells have ended, or when the user interrupts; `sweep` then tells which have. No cell
    is made before the cluster is known to be able to run it.

    Raises:
        UserError: no cluster answers, it could never hold a trial, or another command runs the sweep.
    """
    with sweep.lock(), connected(plan.options.address):
        resources = Resources.of_cluster(plan.options)
        check_gpus(resources)
        done = _iterations_done(plan, sweep, cells)
        print(f"Running {_described(plan, resources, len(cells), done)}", flush=True)
        sweep.create(_manifest(plan))
        _open_cells(sweep, cells)
        watcher = Watcher(sweep, plan.options.iterations, done)
        try:
            _tuner(plan, sweep, cells, resources, watcher).fit()
        finally:
            watcher.close()


def _open_cells(sweep: SweepFolder, cells: list[Cell]) -> None:
    """Make the folders of cells that have none, and forget how the others ended, since they go on.

    Two cells never share a label, and so a TensorBoard run.
    """
    labels = {folder.describe()["label"]: folder.key for folder in sweep.cells()}
    for cell in cells:
        taken = labels.setdefault(cell.label, cell.key) != cell.key
        label = f"{cell.label},key={cell.key[:6]}" if taken else cell.label
        folder = sweep.cell(cell.key)
        folder.create(cell.config.to_dict(), label)
        folder.reopen()


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
            max_concurrent_trials=plan.options.max_concurrent,
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


def _has_ended(outcome: Outcome | None, plan: Plan) -> bool:
    """Failed cells are tried again, finished ones go on to more iterations, stopped ones where nothing stops."""
    if outcome is None or outcome.state == "failed":
        return False
    if outcome.state == "finished":
        return outcome.iteration >= plan.options.iterations
    return outcome.state == "diverged" or plan.options.scheduler == "asha"


def _iterations_done(plan: Plan, sweep: SweepFolder, to_run: list[Cell]) -> dict[str, int]:
    """Iterations that need not be done again, by key; all of them for a cell that has ended."""
    keys = {cell.key for cell in to_run}
    done = dict.fromkeys((cell.key for cell in plan.cells), plan.options.iterations)
    for key in keys:
        evaluations = sweep.cell(key).evaluations()
        done[key] = evaluations[-1]["iteration"] if evaluations else 0
    return done


def _described(plan: Plan, resources: Resources, num_cells: int, done: dict[str, int]) -> str:
    at_a_time = min(resources.slots, num_cells)
    share = f"{resources.cpus:g} CPU{'s' if resources.cpus != 1 else ''}"
    if resources.gpus:
        share += f" and {resources.gpus:g} of a GPU; the time left shows once they have reported."
    else:
        left = 1 - sum(done.values()) / plan.total_iterations
        share += f": about {duration(left * plan.core_seconds() / at_a_time)} if all finish."
    return f"{at_a_time} trial{'s' if at_a_time != 1 else ''} at a time, each on {share}"


def _manifest(plan: Plan) -> dict[str, Any]:
    options = {name: getattr(plan.options, name) for name in plan.options.__dataclass_fields__}
    return {
        "study": plan.study.name,
        "axes": {name: list(values) for name, values in plan.axes.items()},
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
        "command": sys.argv,
        "versions": {name: version(name) for name in ("dd_ray", "ray", "torch")} | {"python": sys.version.split()[0]},
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Commit of the code, where it is run from a checkout; "-dirty" where that was changed since."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # A package installed below someone else's repository is none of its files.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True, timeout=5)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
