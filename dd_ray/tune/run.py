"""Runs a sweep on a Ray cluster."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter

from dd_ray.command_line import counted, duration
from dd_ray.config.code import resolve
from dd_ray.config.extensions import loaded
from dd_ray.storage.files import Lock
from dd_ray.storage.private import scratch_folder
from dd_ray.storage.starts import keep_start
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.storage.trial_folders import TrialFolders
from dd_ray.sweep.deadline import Deadline
from dd_ray.sweep.manifest import check_agrees, make_manifest
from dd_ray.sweep.memory import check_trials_fit
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.source import Source
from dd_ray.tune.cluster import SECONDS_OF_START, connected, say_nothing
from dd_ray.tune.gpus import check_gpus
from dd_ray.tune.last_words import last_words
from dd_ray.tune.nodes import check_nodes
from dd_ray.tune.pack_actors import running_registry
from dd_ray.tune.progress import Ending, Watcher
from dd_ray.tune.resources import Resources
from dd_ray.tune.rounds import Round, Rounds
from dd_ray.tune.searcher import DecidingTrialsScheduler, Listener, SourceSearcher
from dd_ray.tune.signals import ending_on_signals

Beside = AbstractContextManager[Callable[[], None]]
"""A context that is entered while a sweep runs, and gives a function to call every few seconds."""


def _nothing() -> None:
    """Do nothing beside a sweep."""


def run(
    plan: Plan,
    sweep: SweepFolder,
    beside: Beside | None = None,
    *,
    shown: bool = True,
    deadline: Deadline | None = None,
) -> Ending | None:
    """Train the trials that are left on a Ray cluster, each as a trial of Ray Tune.

    No trial is created before the cluster is known to be able to run it.

    Args:
        plan: the plan to train.
        sweep: the sweep that keeps its results.
        beside: context that is entered while trials run, and gives a function to call every few seconds.
        shown: whether to print what is done, and show a progress bar.
        deadline: the time by which it must have ended, if there is one.

    Returns:
        The reason if it ended before all trials had ended; None if they all have. `sweep` tells how each ended.

    Raises:
        UserError: no cluster answers, it could never hold a trial, its nodes differ or do not see the storage,
            another command runs the sweep, or one has just begun another sweep there.
    """
    say = print if shown else say_nothing
    if sweep.manifest() and plan.is_done(sweep):
        say(plan.kept(0))
        return None
    with sweep.lock() as lock:
        check_agrees(plan, sweep)  # with what another command may have run while this one waited for the lock
        sweep.files.remove_drafts()
        source = plan.source(sweep)
        if kept := plan.kept(source.num_left):
            say(kept)
        if not source.num_left:
            sweep.write_manifest(make_manifest(plan, sweep.manifest()))
            return None
        with last_words(), _prepared_cluster(plan, sweep, say) as resources:
            done, ended = known_of(plan, sweep, source.keys())
            say(f"Running {_described(plan, resources, source.num_trials, done)}", flush=True)
            with beside or nullcontext(_nothing) as now_and_then:
                ending = train(
                    plan,
                    sweep,
                    lock,
                    resources,
                    (done, ended),
                    now_and_then=now_and_then,
                    shown=shown,
                    deadline=deadline,
                )
            if ending is None:  # those of workers that were killed meanwhile
                sweep.files.remove_drafts()
            return ending


def train(
    plan: Plan,
    sweep: SweepFolder,
    lock: Lock,
    resources: Resources,
    known: tuple[Mapping[str, int], Collection[str]],
    *,
    now_and_then: Callable[[], None] = _nothing,
    shown: bool = True,
    deadline: Deadline | None = None,
) -> Ending | None:
    """Train the unfinished trials on a cluster that is known to be able to run them. The result is that of `run`.

    Args:
        plan: the plan to train.
        sweep: the sweep that keeps its results.
        lock: lock of the sweep, held meanwhile.
        resources: resources of each trial.
        known: what trials have behind them, as `known_of` returns it.
        now_and_then: function to call every few seconds.
        shown: whether to show a progress bar.
        deadline: the time by which it must have ended, if there is one.
    """
    done, ended = known
    watcher = Watcher(
        sweep,
        iterations=plan.options.iterations,
        num_trials=plan.num_trials,
        already_done=done,
        ended=ended,
        shown=shown,
        deadline=deadline,
    )
    watcher.beside = now_and_then
    with (
        ending_on_signals(lambda: watcher.stop("interrupted")),
        scratch_folder() as scratch,
        running_registry(sweep.location) if resources.packed else nullcontext(),
    ):
        try:
            rounds = Rounds(plan, sweep, lock, resources, watcher, scratch)
            rounds.run(lambda limit: _round(plan, sweep, watcher, limit))
        finally:
            watcher.close()
    return watcher.ending


@contextmanager
def _prepared_cluster(plan: Plan, sweep: SweepFolder, say: Callable[..., None]) -> Iterator[Resources]:
    """Connect to a cluster, check that it can run the plan, record the plan, and give the resources of each trial."""
    with connected(plan.options.address, say) as shared:
        resources = Resources.of_cluster(plan.options, shared)
        if shared:
            resources = replace(resources, checked=check_nodes(sweep))
        check_gpus(resources, plan)
        if not shared and not resources.gpus and not resources.packed:
            at_a_time = min(resources.trials_at_a_time(plan.options.max_concurrent), plan.num_trials)
            check_trials_fit(plan.examples, at_a_time)
        if plan.start is not None:
            keep_start(plan.start, sweep)
        before = sweep.manifest()
        now = make_manifest(plan, before)
        sweep.write_manifest(now)
        _show_new_axes(sweep, before, now, plan.reported)
        sweep.keep_extensions(loaded())
        yield resources


def _show_new_axes(
    sweep: SweepFolder, before: Mapping[str, Any], now: Mapping[str, Any], reported: Collection[str]
) -> None:
    """Add the axes that a sweep gets with this command to the hyperparameters that TensorBoard shows of its trials."""
    if not before:
        return
    had, has = ([name for name, values in each["axes"].items() if len(values) > 1] for each in (before, now))
    if set(has) - set(had):
        # Not at the top, since it brings PyTorch, which the driver needs for nothing else.
        from dd_ray.trial.board import show_axes  # noqa: PLC0415

        show_axes(sweep, dict.fromkeys([*has, "seed"]), reported)


def _round(plan: Plan, sweep: SweepFolder, watcher: Watcher, limit: int) -> Round:
    """Make a round of all trials that are left, including those that an earlier round interrupted."""
    source, folders = plan.source(sweep, ended=watcher.ended), TrialFolders(sweep)
    folders.open(*source.known)
    return Round(
        search_alg=ConcurrencyLimiter(SourceSearcher(source, folders), max_concurrent=limit),
        scheduler=DecidingTrialsScheduler(_judge(plan, sweep, source), source),
        callbacks=(Listener(source, watcher),),
    )


def _judge(plan: Plan, sweep: SweepFolder, source: Source) -> TrialScheduler:
    """Make the scheduler of a plan, which also compares trials with the recorded evaluations of others.

    Those in which a trial diverged are left out, as it is not told of them while trials run: some of their metrics may
    have a value.
    """
    known = list(source.deciding_keys()) if plan.scheduler.compares else []
    evaluations = in_parallel(lambda key: sweep.trial(key).sound_evaluations(), known)
    recorded = [[row for row in rows if row.get("loss", 0.0) is not None] for rows in evaluations]
    judge: TrialScheduler = resolve(plan.scheduler.build)(plan, dict(zip(known, recorded, strict=True)))
    return judge


def known_of(plan: Plan, sweep: SweepFolder, keys: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Return iterations that need not be done again, by key (all of ended trials), and the keys of ended trials."""
    known, whole = list(keys), plan.options.iterations
    done: dict[str, int] = {}
    ended: list[str] = []
    for key, records in zip(known, in_parallel(lambda key: sweep.trial(key).sound(), known), strict=True):
        evaluations = records.evaluations if records else []
        if plan.has_ended(records.outcome if records else None, lambda found=evaluations: found):  # type: ignore[misc]
            ended.append(key)
            done[key] = whole
        else:
            done[key] = min(whole, evaluations[-1]["iteration"] if evaluations else 0)
    return done, ended


def _described(plan: Plan, resources: Resources, num_trials: int, done: Mapping[str, int]) -> str:
    """Describe how many trials run at a time, on what, and for how long."""
    at_a_time = min(resources.trials_at_a_time(plan.options.max_concurrent), num_trials)
    share = f"{resources.cpus:g} CPU{'s' if resources.cpus != 1 else ''}"
    share += f" and {resources.gpus:g} of a GPU" if resources.gpus else ""
    share += ", those of a GPU or node trained by one process" if resources.packed else ""
    if resources.gpus:
        share += "; the time left shows once they have reported."
    else:
        left = 1 - sum(done.values()) / plan.total_iterations
        share += f": about {duration(left * plan.core_seconds(at_a_time) / at_a_time)} if all finish, "
        share += f"once their processes have started, which takes {SECONDS_OF_START}."
    some = "up to " if resources.grows else ""
    return f"{some}{counted(at_a_time, 'trial')} at a time, each on {share}"
