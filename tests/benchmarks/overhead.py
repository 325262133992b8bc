"""What a sweep costs beside its training: `python -m tests.benchmarks.overhead [TRIALS ...]`.

Trials of zero work, through everything that a sweep does for a trial but networks: its folder, a state of the usual
size, an evaluation that is recorded durably, an outcome, and Ray Tune. Beside it, in the same run and alternating, a
bare `tune.Tuner` with reused actors whose trials do nothing.
"""

import argparse
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dd_ray.tune.environment import prepare_environment

prepare_environment()

import ray  # noqa: E402  # it reads the environment
from ray import tune  # noqa: E402

from dd_ray.cli import parse  # noqa: E402
from dd_ray.storage.files import open_files  # noqa: E402
from dd_ray.storage.sweep_folder import SweepFolder  # noqa: E402
from dd_ray.storage.trial_records import Outcome, TrialFolder  # noqa: E402
from dd_ray.sweep import Preset, Study  # noqa: E402
from dd_ray.trial.report import TrialReport  # noqa: E402
from dd_ray.tune import rounds  # noqa: E402
from dd_ray.tune import run as sweep_run  # noqa: E402
from dd_ray.tune.trial_trainable import TrialTrainable  # noqa: E402
from tests.benchmarks.measure import machine  # noqa: E402

REPEATS = 3
STATE_BYTES = 820_000
STUDY = Study(
    name="nothing",
    question="What does a trial cost that does nothing?",
    axes=("beta",),
    fixed={"model": "beta_vae", "dataset": "still_circles"},
    presets={"quick": Preset(about="no work", axes={"beta": (1.0,)}, iterations=1, scheduler="none")},
)


class Nothing(tune.Trainable):
    """A trial of plain Tune that does nothing."""

    def step(self) -> dict[str, Any]:
        """Be done."""
        return {"iteration": 1, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be another trial."""
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to keep."""


class IdleRun:
    """A `TrialRun` without a network."""

    def __init__(self, trial: TrialFolder, state: bytes) -> None:
        self._trial = trial
        self._state = state

    def advance(self) -> TrialReport:
        """Write what a trial of one evaluation writes."""
        token = self._trial.take()
        if self._state:
            self._trial.save_state(1, self._state)
        self._trial.check_owner(token)
        metrics = {"reconstruction_error": 0.1, "loss": 1.0}
        self._trial.record({"iteration": 1, "seconds": 0.0, **metrics})
        self._trial.finish(Outcome(state="finished", iteration=1))
        return TrialReport(iteration=1, metrics=metrics, state="finished")

    def close(self) -> None:
        """Nothing is open."""


class IdleTrial(TrialTrainable):
    """A trial that trains nothing."""

    state = b""

    def _take_up(self) -> Any:
        files = open_files(self._config["sweep"])
        return IdleRun(SweepFolder(files).trial(self._config["key"]), self.state)


class IdleTrialWithState(IdleTrial):
    """The same, with a state of the usual size, which is the storage's work."""

    state = os.urandom(STATE_BYTES)


def plain_tune(trials: int, folder: str) -> float:
    """Seconds that Tune takes for so many trials of its own."""
    start = time.perf_counter()
    tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        param_space={"key": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=folder, verbose=0),
    ).fit()
    return time.perf_counter() - start


def sweep_of(trials: int, folder: str, trainable: type[TrialTrainable]) -> float:
    """Seconds that a sweep takes for so many trials."""
    plan = parse(STUDY, ["--storage", folder, "--name", "sweep", "--seeds", str(trials), "--evaluations", "1"])
    sweep = SweepFolder.at(plan.location)
    rounds.TrialTrainable = trainable  # type: ignore[misc]
    start = time.perf_counter()
    resources = sweep_run.Resources.of_cluster(plan.options)
    with sweep.lock() as lock:
        sweep_run.train(plan, sweep, lock, resources, sweep_run.known_of(plan, sweep, plan.keys))
    seconds = time.perf_counter() - start
    states = [trial.outcome().state for trial in sweep.trials()]  # type: ignore[union-attr]
    assert states == ["finished"] * trials
    return seconds


def main(args: Sequence[str] = ()) -> None:
    """Compare at 300 trials; with numbers of trials as arguments, see how a sweep grows with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", nargs="*", type=int, help="numbers of trials; none compares at 300")
    counts = parser.parse_args(args).trials
    ray.init(
        "local", num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    try:
        _growth(counts) if counts else _compare(300)
    finally:
        ray.shutdown()
    print(f"\n{machine()}.")


def _compare(trials: int) -> None:
    ways = {
        "plain Tune": lambda folder: plain_tune(trials, folder),
        "sweep": lambda folder: sweep_of(trials, folder, IdleTrial),
        "sweep, with states of 0.8 MB": lambda folder: sweep_of(trials, folder, IdleTrialWithState),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(way(folder))
    plain = statistics.median(seconds["plain Tune"])
    print(f"\n| {trials} trials of zero work (median of {REPEATS}) | s | × plain | ms a trial above it |")
    print("| --- | ---: | ---: | ---: |")
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"| {name} | {median:.1f} | {median / plain:.2f} | {(median - plain) / trials * 1000:.1f} |")


def _growth(counts: list[int]) -> None:
    print("\n| trials of zero work | s | ms a trial | driver's memory at most, MB | bytes a trial |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for trials in counts:
        with tempfile.TemporaryDirectory() as folder:
            seconds = sweep_of(trials, folder, IdleTrial)
            written = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        each = f"{memory:,.0f} | {written / trials:,.0f}"
        print(f"| {trials:,} | {seconds:.1f} | {seconds / trials * 1000:.1f} | {each} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
