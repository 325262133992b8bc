"""Running a grid on a Ray cluster; what running a search shares with it."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import ConcurrencyLimiter

from dd_ray.command_line import duration
from dd_ray.config.extensions import loaded
from dd_ray.metrics import REPORTED
from dd_ray.storage.files import Lock
from dd_ray.storage.sweep_folder import Outcome, SweepFolder, in_parallel
from dd_ray.sweep.folders import TrialFolders
from dd_ray.sweep.manifest import make_manifest
from dd_ray.sweep.plan import Plan, PlannedTrial
from dd_ray.tune.cluster import Resources, check_gpus, connected
from dd_ray.tune.in_order import InOrder
from dd_ray.tune.nodes import check_nodes
from dd_ray.tune.pack_actors import running_registry
from dd_ray.tune.progress import Ending, Watcher
from dd_ray.tune.rounds import Round, Rounds
from dd_ray.tune.rungs import RememberingASHA
from dd_ray.tune.signals import ending_on_signals


def trials_to_run(plan: Plan, sweep: SweepFolder) -> list[PlannedTrial]:
    """The plan's trials that have not ended, or not as this plan would let them end."""
    outcomes = in_parallel(lambda trial: sweep.trial(trial.key).outcome(), plan.trials)
    return [trial for trial, outcome in zip(plan.trials, outcomes, strict=True) if not has_ended(outcome, plan)]


def run(plan: Plan, sweep: SweepFolder, trials: list[PlannedTrial]) -> Ending | None:
    """Train the trials on a Ray cluster, each as a trial of Ray Tune, with a progress bar.

    No trial is made before the cluster is known to be able to run it.

    Returns:
        Why it ended before all trials had ended; None where they have. `sweep` tells how each did.

    Raises:
        UserError: no cluster answers, it could never hold a trial, its nodes differ or do not see the storage,
            or another command runs the sweep.
    """
    with sweep.lock() as lock, prepared_cluster(plan, sweep) as resources:
        print(f"Running {described(plan, resources, len(trials), iterations_done(plan, sweep, plan.keys))}", flush=True)
        TrialFolders(sweep).open(*trials)
        with rounds(plan, sweep, lock, resources, plan.keys) as (runs, watcher):
            runs.run(lambda limit: _round(plan, sweep, trials, watcher, limit))
        return watcher.ending


@contextmanager
def prepared_cluster(plan: Plan, sweep: SweepFolder) -> Iterator[Resources]:
    """A connection to a cluster that can run the plan, which is written down; gives what each trial gets."""
    with connected(plan.options.address):
        resources = Resources.of_cluster(plan.options)
        check_gpus(resources, plan.examples, min(plan.num_trials, plan.options.max_concurrent or plan.num_trials))
        if plan.options.address is not None:
            check_nodes(sweep)
        sweep.write_manifest(make_manifest(plan, sweep.manifest()))
        sweep.keep_extensions(loaded())
        yield resources


@contextmanager
def rounds(
    plan: Plan, sweep: SweepFolder, lock: Lock, resources: Resources, keys: Iterable[str]
) -> Iterator[tuple[Rounds, Watcher]]:
    """What runs trials and who watches them, until one or a signal says that it is to end.

    Args:
        keys: of trials that may have been worked on before.
    """
    done = iterations_done(plan, sweep, keys)
    ended = [key for key, outcome in _outcomes(sweep, done).items() if has_ended(outcome, plan)]
    iterations = plan.options.iterations
    watcher = Watcher(sweep, iterations=iterations, num_trials=plan.num_trials, already_done=done, ended=ended)
    with (
        ending_on_signals(lambda: watcher.stop("interrupted")),
        tempfile.TemporaryDirectory(prefix="dd_ray-") as scratch,
        running_registry() if resources.packed else nullcontext(),
    ):
        try:
            yield Rounds(plan, sweep, lock, resources, watcher, scratch), watcher
        finally:
            watcher.close()


def scheduler(plan: Plan, sweep: SweepFolder, keys: Iterable[str]) -> TrialScheduler:
    """What gives up trials early, after comparing them also with what was recorded of those with `keys`."""
    options = plan.options
    if options.scheduler == "none":
        return FIFOScheduler()
    known = list(keys)
    recorded = in_parallel(lambda key: sweep.trial(key).evaluations(), known)
    return RememberingASHA(
        dict(zip(known, recorded, strict=True)),
        time_attr="iteration",
        metric=options.metric,
        mode=REPORTED[options.metric].better,
        max_t=options.iterations,
        grace_period=plan.grace_period,
        reduction_factor=options.reduction_factor,
    )


def _round(plan: Plan, sweep: SweepFolder, trials: list[PlannedTrial], watcher: Watcher, limit: int) -> Round:
    left = [trial for trial in trials if trial.key not in watcher.ended]
    return Round(
        search_alg=ConcurrencyLimiter(InOrder(left), max_concurrent=limit),
        scheduler=scheduler(plan, sweep, plan.keys),
    )


def has_ended(outcome: Outcome | None, plan: Plan) -> bool:
    """Failed trials are tried again, finished ones go on to more iterations, stopped ones where nothing stops."""
    if outcome is None or outcome.state == "failed":
        return False
    if outcome.state == "finished":
        return outcome.iteration >= plan.options.iterations
    return outcome.state == "diverged" or plan.options.scheduler == "asha"


def iterations_done(plan: Plan, sweep: SweepFolder, keys: Iterable[str]) -> dict[str, int]:
    """Iterations that need not be done again, by key; all of them for a trial that has ended."""
    outcomes = _outcomes(sweep, keys)
    evaluations = in_parallel(lambda key: sweep.trial(key).evaluations(), outcomes)
    reached = [rows[-1]["iteration"] if rows else 0 for rows in evaluations]
    whole = plan.options.iterations
    return {
        key: whole if has_ended(outcome, plan) else min(whole, iteration)
        for (key, outcome), iteration in zip(outcomes.items(), reached, strict=True)
    }


def _outcomes(sweep: SweepFolder, keys: Iterable[str]) -> Mapping[str, Outcome | None]:
    known = list(keys)
    return dict(zip(known, in_parallel(lambda key: sweep.trial(key).outcome(), known), strict=True))


def described(plan: Plan, resources: Resources, num_trials: int, done: Mapping[str, int]) -> str:
    """How many trials run at a time, on what, and for how long."""
    at_a_time = min(resources.trials_at_a_time(plan.options.max_concurrent), num_trials)
    share = f"{resources.cpus:g} CPU{'s' if resources.cpus != 1 else ''}"
    share += f" and {resources.gpus:g} of a GPU" if resources.gpus else ""
    share += ", those of a GPU or node trained by one process" if resources.packed else ""
    if resources.gpus:
        share += "; the time left shows once they have reported."
    else:
        left = 1 - sum(done.values()) / plan.total_iterations
        share += f": about {duration(left * plan.core_seconds() / at_a_time)} if all finish."
    some = "up to " if resources.grows else ""
    return f"{some}{at_a_time} trial{'s' if at_a_time != 1 else ''} at a time, each on {share}"
