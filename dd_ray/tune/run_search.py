"""Running a search on a Ray cluster."""

from ray.tune.search import ConcurrencyLimiter

from dd_ray.storage.files import Lock
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.manifest import make_manifest
from dd_ray.sweep.search_plan import SearchPlan
from dd_ray.sweep.suggestions import Suggestions
from dd_ray.tune.cluster import Resources
from dd_ray.tune.progress import Ending
from dd_ray.tune.rounds import Round
from dd_ray.tune.run import described, has_ended, iterations_done, prepared_cluster, rounds, scheduler
from dd_ray.tune.searcher import FirstSeedDecides, Listener, SuggestionSearch


def run_search(plan: SearchPlan, sweep: SweepFolder) -> Ending | None:
    """Train the trials of a search on a Ray cluster, each as a trial of Ray Tune, with a progress bar.

    Returns and raises as `run` does.
    """
    with sweep.lock() as lock:
        if not _suggestions(plan, sweep).num_left:
            sweep.write_manifest(make_manifest(plan, sweep.manifest()))
            print("All suggestions have ended before and are kept.")
            return None
        with prepared_cluster(plan, sweep) as resources:
            return _run(plan, sweep, lock, resources)


def _run(plan: SearchPlan, sweep: SweepFolder, lock: Lock, resources: Resources) -> Ending | None:
    keys = _suggestions(plan, sweep).keys()
    print(f"Running {described(plan, resources, plan.num_trials, iterations_done(plan, sweep, keys))}", flush=True)
    with rounds(plan, sweep, lock, resources, keys) as (trials, watcher):
        trials.run(lambda limit: _round(plan, sweep, limit))
    return watcher.ending


def _round(plan: SearchPlan, sweep: SweepFolder, limit: int) -> Round:
    """All that is left: what an earlier round did not end goes on."""
    suggestions = _suggestions(plan, sweep)
    search = SuggestionSearch(suggestions, sweep)
    return Round(
        search_alg=ConcurrencyLimiter(search, max_concurrent=limit),
        scheduler=FirstSeedDecides(scheduler(plan, sweep, suggestions.deciding_keys()), suggestions),
        callbacks=(Listener(suggestions),),
    )


def _suggestions(plan: SearchPlan, sweep: SweepFolder) -> Suggestions:
    return Suggestions(plan, sweep, sweep.folder, lambda outcome: has_ended(outcome, plan))
