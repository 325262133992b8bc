"""Searches without Ray: trials that end as a test says, with the scores that it says."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from dd_ray.cli import parse
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome, TrialFolder
from dd_ray.sweep import LogUniform, Preset, Search, Study, Uniform
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.search_plan import SearchPlan
from dd_ray.sweep.suggested import Suggested

TINY_SEARCH = Study(
    name="tiny_search",
    question="Does the machinery work?",
    axes=("beta", "beta_norm", "gamma"),
    fixed={"model": "inertia_vae", "batch_size": 2, "num_test": 4, "num_frames": 4},
    search=Search(
        space={"beta": LogUniform(0.01, 1.0), "gamma": Uniform(0.0, 1.0)}, objectives=("reconstruction_error",)
    ),
    presets={"quick": Preset(about="small", axes={}, iterations=6, suggestions=5, seeds=2)},
    figures=("search_results",),
)

Ended = tuple[str, Mapping[str, float | None]]
Ends = Callable[[PlannedTrial], Ended]


def plan_of(folder: Path, *options: str) -> SearchPlan:
    """The plan of a command line of the tiny search."""
    return cast(SearchPlan, parse(TINY_SEARCH, ["--storage", str(folder), "--name", "search", *options]))


def start(plan: SearchPlan) -> tuple[Suggested, SweepFolder]:
    """What the command does before it trains: as often as it is called, as if each had been killed."""
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest({"study": plan.study.name, "axes": {}, "options": {}, **plan.record()})

    def ended(trial: TrialFolder) -> bool:
        outcome = trial.outcome()
        return outcome is not None and outcome.state != "failed"

    return Suggested(plan, sweep, ended), sweep


def train(sweep: SweepFolder, trial: PlannedTrial, ended: Ended, *, iterations: int = 6) -> None:
    """Leave on disk what a worker and the driver leave of a trial that ends with some scores."""
    state, scores = ended
    folder = sweep.trial(trial.key)
    folder.create(trial.config.to_dict(), trial.label)
    folder.reopen()
    reached = iterations if state == "finished" else iterations // 2
    known = [row["iteration"] for row in folder.evaluations()]
    for iteration in (0, iterations // 2, iterations):
        if max(known, default=-1) < iteration <= reached:
            folder.record({"iteration": iteration, **scores})
    folder.finish(Outcome(state=state, iteration=reached, error="boom" if state == "failed" else None))


def run(plan: SearchPlan, ends: Ends, *, kill_after: float = math.inf, at_a_time: int = 1) -> list[PlannedTrial]:
    """Run a search to its end, or until it is killed after so many trials. Returns the trials in their order."""
    suggestions, sweep = start(plan)
    trained: list[PlannedTrial] = []
    running: list[PlannedTrial] = []
    while True:
        while len(running) < at_a_time and (trial := suggestions.next_trial()) is not None:
            running.append(trial)
        if not running:
            assert not suggestions.waits
            return trained
        if len(trained) >= kill_after:
            return trained
        trial = running.pop(0)
        train(sweep, trial, ends(trial), iterations=plan.options.iterations)
        suggestions.trial_evaluated(trial.key)
        suggestions.trial_ended(trial.key)
        trained.append(trial)


def bowl(trial: PlannedTrial) -> Ended:
    """Finished, with an error that is least at β = 0.1 and γ = 0.7, and one more of each seed."""
    config = trial.config
    error = (math.log10(config.beta_value) + 1) ** 2 + 4 * (config.gamma - 0.7) ** 2
    return "finished", {"reconstruction_error": error + config.seed / 100, "mcc": 1 - config.gamma - error / 10}


def points(trials: list[PlannedTrial]) -> list[tuple[Any, ...]]:
    """β and γ of trials, without repeats."""
    return list(dict.fromkeys((trial.config.beta, trial.config.gamma) for trial in trials))
