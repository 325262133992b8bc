"""Running a plan on a Ray cluster."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dd_ray.sweep.cluster import Resources, check_gpus, connected
from dd_ray.sweep.manifest import make_manifest
from dd_ray.sweep.nodes import check_nodes
from dd_ray.sweep.plan import Cell, Plan, duration
from dd_ray.sweep.progress import Ending, Watcher
from dd_ray.sweep.rounds import Rounds
from dd_ray.sweep.store import Outcome, SweepFolder, in_parallel


def cells_to_run(plan: Plan, sweep: SweepFolder) -> list[Cell]:
    """The plan's cells that have not ended, or not as this plan would let them end."""
    outcomes = in_parallel(lambda cell: sweep.cell(cell.key).outcome(), plan.cells)
    return [cell for cell, outcome in zip(plan.cells, outcomes, strict=True) if not _has_ended(outcome, plan)]


def run(plan: Plan, sweep: SweepFolder, cells: list[Cell]) -> Ending | None:
    """Train the cells on a Ray cluster, each as a trial of Ray Tune, with a progress bar.

    No cell is made before the cluster is known to be able to run it.

    Returns:
        Why it ended before all cells had ended; None where they have. `sweep` tells how each did.

    Raises:
        UserError: no cluster answers, it could never hold a trial, its nodes differ or do not see the storage,
            or another command runs the sweep.
    """
    options = plan.options
    with sweep.lock() as lock, connected(options.address, options.insecure):
        resources = Resources.of_cluster(options)
        check_gpus(resources)
        if options.address is not None:
            check_nodes(sweep)
        done = _iterations_done(plan, sweep, cells)
        print(f"Running {_described(plan, resources, len(cells), done)}", flush=True)
        sweep.write_manifest(make_manifest(plan, sweep.manifest()))
        _open_cells(sweep, cells)
        watcher = Watcher(sweep, options.iterations, done, {cell.key: cell.label for cell in cells})
        with _stopping_on_signals(watcher), tempfile.TemporaryDirectory(prefix="dd_ray-") as scratch:
            try:
                Rounds(plan, sweep, lock, resources, watcher, scratch).run(cells)
            finally:
                watcher.close()
        return watcher.ending


@contextmanager
def _stopping_on_signals(watcher: Watcher) -> Iterator[None]:
    """While it lasts, an interrupt or a request to terminate ends the sweep in good order; a second one at once."""

    def stop(number: int, frame: Any) -> None:
        watcher.stop("interrupted")
        for each, handler in before.items():
            signal.signal(each, handler)

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _open_cells(sweep: SweepFolder, cells: list[Cell]) -> None:
    """Make the folders of cells that have none, and forget how the others ended, since they go on.

    Two cells never share a label, and so a TensorBoard run.
    """
    folders = sweep.cells()
    described = in_parallel(lambda folder: folder.describe()["label"], folders)
    labels = {label: folder.key for label, folder in zip(described, folders, strict=True)}

    def open_cell(cell: Cell) -> None:
        label = cell.label if owners[cell.key] else f"{cell.label},key={cell.key[:6]}"
        folder = sweep.cell(cell.key)
        folder.create(cell.config.to_dict(), label)
        folder.reopen()

    owners = {cell.key: labels.setdefault(cell.label, cell.key) == cell.key for cell in cells}
    in_parallel(open_cell, cells)


def _has_ended(outcome: Outcome | None, plan: Plan) -> bool:
    """Failed cells are tried again, finished ones go on to more iterations, stopped ones where nothing stops."""
    if outcome is None or outcome.state == "failed":
        return False
    if outcome.state == "finished":
        return outcome.iteration >= plan.options.iterations
    return outcome.state == "diverged" or plan.options.scheduler == "asha"


def _iterations_done(plan: Plan, sweep: SweepFolder, to_run: list[Cell]) -> dict[str, int]:
    """Iterations that need not be done again, by key; all of them for a cell that has ended."""
    evaluations = in_parallel(lambda cell: sweep.cell(cell.key).evaluations(), to_run)
    reached = {cell.key: rows[-1]["iteration"] if rows else 0 for cell, rows in zip(to_run, evaluations, strict=True)}
    return dict.fromkeys((cell.key for cell in plan.cells), plan.options.iterations) | reached


def _described(plan: Plan, resources: Resources, num_cells: int, done: dict[str, int]) -> str:
    at_a_time = min(resources.slots, num_cells)
    share = f"{resources.cpus:g} CPU{'s' if resources.cpus != 1 else ''}"
    if resources.gpus:
        share += f" and {resources.gpus:g} of a GPU; the time left shows once they have reported."
    else:
        left = 1 - sum(done.values()) / plan.total_iterations
        share += f": about {duration(left * plan.core_seconds() / at_a_time)} if all finish."
    return f"{at_a_time} trial{'s' if at_a_time != 1 else ''} at a time, each on {share}"
