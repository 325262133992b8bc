"""What `tests.chaos` holds a disturbed sweep against: what was seen while it ran, and a sweep that nobody disturbed."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from dd_ray import results
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import STATES_KEPT, TrialFolder
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.training import TrialState, load_state

SECONDS_BETWEEN_LOOKS = 0.1
LOST = "evaluations that were there have changed or are lost"
OF_TIME = ("seconds", "training_seconds", "speed/")
"""Columns that differ from run to run."""


@dataclass
class Seen:
    """The complete lines of every trial's metrics, as they appeared."""

    folder: Path
    lines: dict[str, list[bytes]] = field(default_factory=dict)
    problems: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    """Keys of trials with a file that was damaged, which may be trained again from their beginning."""

    def look(self) -> None:
        """Read all metrics, and compare them with what was there before."""
        for path in self.folder.glob("cells/*/metrics.jsonl"):
            key, content = path.parent.name, path.read_bytes()
            lines = [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
            before = self.lines.get(key, [])
            if lines[: len(before)] != before and key not in self.damaged:
                self.problems.add(f"{key}: {LOST}")
            self.lines[key] = max(before, lines, key=len)


@contextlib.contextmanager
def watching(folder: Path) -> Iterator[Seen]:
    """Look at a sweep's metrics again and again, meanwhile and once more at the end."""
    seen, ended = Seen(folder), threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            seen.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()
        seen.look()


def undisturbed(plan: Plan) -> dict[str, TrialFolder]:
    """The trials of a plan, trained one by one without Ray."""
    folder = Path(plan.location)
    sweep = SweepFolder.at(folder)
    sweep.write_manifest({"study": "undisturbed", "axes": {}, "options": {}})
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_train, [folder] * len(plan.trials), plan.trials, [plan.evaluate_at] * len(plan.trials)))
    return {trial.key: sweep.trial(trial.key) for trial in plan.trials}


def _train(folder: Path, trial: PlannedTrial, evaluate_at: Sequence[int]) -> None:
    from dd_ray.trial.run import TrialRun, Work

    SweepFolder.at(folder).trial(trial.key).create(trial.config.to_dict(), trial.label)
    run = TrialRun(
        Work(
            sweep=str(folder),
            key=trial.key,
            evaluate_at=evaluate_at,
            device="cpu",
            threads=1,
            precision="float32",
            hparams=["seed"],
        )
    )
    while run.advance().state is None:
        pass
    run.close()


def check(plan: Plan, seen: Seen, expected: Mapping[str, TrialFolder], damaged: set[Path]) -> list[str]:
    """What is wrong with a sweep that has ended: nothing, it is to be hoped.

    Args:
        plan: what was asked for.
        seen: what was seen of it while it ran.
        expected: the trials as nobody disturbed them.
        damaged: states that were damaged on purpose.
    """
    sweep = SweepFolder.open(plan.location)
    problems = sorted(seen.problems)
    names = sorted(sweep.files.names("cells"))
    if names != sorted(trial.key for trial in plan.trials):
        problems.append(f"trials are missing or there are others: {len(names)} of {len(plan.trials)}")
    for key in names:
        problems += [f"{key}: {what}" for what in _check_trial(sweep.trial(key), expected[key], plan, damaged)]
    table = results.load(plan.location)
    rows = len(plan.trials) * len(plan.evaluate_at)
    if len(table) != rows or set(table["state"]) != {"finished"} or table.duplicated(["key", "iteration"]).any():
        problems.append(f"the table has {len(table)} rows of states {set(table['state'])}; they should be {rows}")
    return problems


def _check_trial(trial: TrialFolder, expected: TrialFolder, plan: Plan, damaged: set[Path]) -> Iterator[str]:
    last, outcome = plan.evaluate_at[-1], trial.outcome()
    if outcome is None or outcome.state != "finished" or outcome.iteration != last:
        yield f"its outcome is {outcome}"
    iterations = [row["iteration"] for row in trial.evaluations()]
    if iterations != list(plan.evaluate_at):
        yield f"its evaluations are at {iterations}"
    if _untimed(trial) != _untimed(expected):
        yield "its metrics differ from those of an undisturbed trial"
    states = trial.states()
    if not 1 <= len(states) <= STATES_KEPT or states[0] != last:
        yield f"its states are of {states}"
    elif Path(trial.files.location, f"state-{last:09d}.npz") not in damaged and not _same(
        *(load_state(each.state(last)) for each in (trial, expected))
    ):
        yield "its weights differ from those of an undisturbed trial"


def _untimed(trial: TrialFolder) -> list[str]:
    """Evaluations to the last bit, but for times."""
    rows: list[dict[str, Any]] = trial.evaluations()
    return [json.dumps({name: row[name] for name in row if not name.startswith(OF_TIME)}) for row in rows]


def _same(a: TrialState, b: TrialState) -> bool:
    groups = ((a.weights, b.weights), (a.square_avg, b.square_avg))
    return a.iteration == b.iteration and all(
        x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x) for x, y in groups
    )


@dataclass(frozen=True)
class WorkDone:
    """What the log of `trial.py` tells."""

    iterations: int
    overlaps: list[str]
    """Trials that two workers had at once."""


def read_log(path: Path, keys: set[str]) -> WorkDone:
    """The work that was done on some trials, whether it was kept or lost."""
    iterations, owner, overlaps = 0, dict[str, str](), set[str]()
    for line in path.read_text().splitlines():
        key, what, pid = line.split()
        if key in keys and what == "up":
            owner[key] = pid
        elif key in keys:
            iterations += 1
            if owner[key] != pid:
                overlaps.add(f"{key}: process {pid} went on with it after process {owner[key]} had taken it up")
    return WorkDone(iterations, sorted(overlaps))


def owners(path: Path) -> dict[str, int]:
    """The process that is at work on a trial, or was the last to be, by key."""
    taken_up = [line.split() for line in path.read_text().splitlines() if " up " in line]
    trial_of = {pid: key for key, _, pid in taken_up}
    owner = {key: pid for key, _, pid in taken_up}
    return {key: int(pid) for key, pid in owner.items() if trial_of[pid] == key}


@dataclass
class Report:
    """What is told at the end of all sweeps."""

    sweeps: int = 0
    trials: int = 0
    evaluations: int = 0
    needed: int = 0
    done: int = 0
    overlaps: int = 0
    drafts: int = 0
    guests: int = 0
    sent: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    survived: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def show(self, kinds: Iterable[str], seconds: float) -> None:
        """Print it."""
        print("\n| fault | times | survived |\n| --- | ---: | ---: |")
        for kind in kinds:
            print(f"| {kind} | {self.faults[kind]} | {self.survived[kind]} |")
        print(f"| all | {self.faults.total()} | {self.survived.total()} |\n")
        redone = self.done - self.needed
        print(f"{self.sweeps} sweeps of {self.trials} trials in all; {seconds / 60:.1f} minutes.")
        print(f"Iterations: {self.needed:,} needed, {redone:,} done again ({redone / max(1, self.needed):.1%}).")
        lost = sum(LOST in problem for problem in self.problems)
        print(f"Evaluations: {self.evaluations:,} recorded; trials that lost any: {lost}.")
        print(f"Trials that two workers had at once, on a node that was given up and on another: {self.overlaps}.")
        print(f"Drafts of files that kills have left behind: {self.drafts}.")
        print(f"Sweeps by the service on the same cluster: {self.guests}, sent {self.sent} times.")
        for problem in self.problems:
            print(f"WRONG: {problem}")
        print("Something is wrong." if self.problems else "All is as if nothing had happened.", flush=True)
